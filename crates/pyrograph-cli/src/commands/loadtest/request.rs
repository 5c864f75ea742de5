//! What a request carries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph_loadtest::{BodyOrder, LoadPlan};
use serde_json::{Value, json};

#[derive(Args)]
pub(crate) struct RequestFlags {
    /// A file with the body; its extension tells JSON, PNG or JPEG. Without a body, requests are
    /// GET.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "prompt", "bodies"])]
    body: Option<PathBuf>,
    /// The body as JSON text.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["prompt", "bodies"])]
    data: Option<String>,
    /// Send the body {"prompt": PROMPT}.
    #[arg(long, conflicts_with = "bodies")]
    prompt: Option<String>,
    /// A file with JSON bodies, one a line.
    #[arg(long, value_name = "FILE.jsonl")]
    bodies: Option<PathBuf>,
    /// With --bodies: send the bodies one after the other, or drawn by --seed.
    #[arg(long, value_enum, default_value_t = OrderName::Turn, requires = "bodies")]
    body_order: OrderName,
    /// The type of the body [default: application/json, or by the extension of --body].
    #[arg(long)]
    content_type: Option<String>,
    /// The requested type of the answer, such as image/png or application/json.
    #[arg(long)]
    accept: Option<String>,
    /// An additional header, such as 'X-Key: value'; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A file whose first line is a bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum OrderName {
    Turn,
    Drawn,
}

impl RequestFlags {
    /// What no output may overwrite.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = [&self.body, &self.bodies, &self.token_file];
        files.into_iter().flatten().cloned().collect()
    }

    /// Adds bodies, headers and token to a plan.
    pub(crate) fn add_to(&self, plan: &mut LoadPlan) -> anyhow::Result<()> {
        if let Some(path) = &self.body {
            plan.bodies =
                vec![fs::read(path).with_context(|| format!("--body {}", path.display()))?];
            plan.content_type = type_of(path).into();
        } else if let Some(text) = &self.data {
            serde_json::from_str::<Value>(text)
                .context("--data is no JSON; --body takes files of any type")?;
            plan.bodies = vec![text.clone().into_bytes()];
        } else if let Some(prompt) = &self.prompt {
            plan.bodies = vec![json!({ "prompt": prompt }).to_string().into_bytes()];
        } else if let Some(path) = &self.bodies {
            plan.bodies = lines_of(path).with_context(|| format!("--bodies {}", path.display()))?;
        }
        plan.order = match self.body_order {
            OrderName::Turn => BodyOrder::InTurn,
            OrderName::Drawn => BodyOrder::Drawn,
        };
        if let Some(content_type) = &self.content_type {
            plan.content_type.clone_from(content_type);
        }
        plan.accept.clone_from(&self.accept);
        plan.headers.clone_from(&self.headers);
        plan.token = self.token_file.as_deref().map(token_of).transpose()?;
        Ok(())
    }
}

/// The JSON texts of a file, one a line.
fn lines_of(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(path)?;
    let mut bodies = Vec::new();
    for (number, line) in (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
    {
        serde_json::from_str::<Value>(line).with_context(|| format!("line {number} is no JSON"))?;
        bodies.push(line.as_bytes().to_vec());
    }
    if bodies.is_empty() {
        bail!("the file has no line");
    }
    Ok(bodies)
}

/// The first line, without spaces around it.
fn token_of(path: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("--token-file {}", path.display()))?;
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(token) => Ok(token.to_owned()),
        None => bail!("--token-file {} is empty", path.display()),
    }
}

fn type_of(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a header has a name and a value, as in 'X-Key: value'".into()),
    }
}
