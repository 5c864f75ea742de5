//! Checkpoints of the Hugging Face Hub, by way of its cache.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{ApiBuilder, ApiError, ApiRepo},
};
use pyrograph::models::stable_diffusion::checkpoint::weights_among;

/// The networks of a pipeline, whose folders hold weights.
const NETWORKS: [&str; 3] = ["text_encoder", "unet", "vae"];
/// Folders whose files are text.
const TEXTS: [&str; 2] = ["scheduler", "tokenizer"];
const INDEX: &str = "model_index.json";
/// Set to use the cache alone.
const OFFLINE: &str = "HF_HUB_OFFLINE";

/// A repository on this machine.
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    pub(super) commit: String,
}

/// Whether a source that is no path may be the id of a repository: `owner/name`.
pub(super) fn is_id(source: &str) -> bool {
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
    };
    source
        .split_once('/')
        .is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

/// Brings the files of a pipeline into the Hub's cache, or finds them there. `HF_HOME` names the cache, `HF_ENDPOINT` the server.
pub(super) fn fetch(
    id: &str,
    revision: &str,
    variant: Option<&str>,
    quiet: bool,
) -> anyhow::Result<Snapshot> {
    let offline = std::env::var_os(OFFLINE).is_some_and(|value| value != "0" && !value.is_empty());
    if offline {
        return cached(id, revision).with_context(|| advice(id, "the network is not to be used"));
    }
    match download(id, revision, variant, quiet) {
        Ok(snapshot) => Ok(snapshot),
        Err(Failure::Unreachable(error)) => match cached(id, revision) {
            Ok(snapshot) => {
                if !quiet {
                    eprintln!("the Hub cannot be reached ({error}): the cached copy is used");
                }
                Ok(snapshot)
            }
            Err(_) => Err(anyhow!(error).context(advice(id, "the Hub cannot be reached"))),
        },
        Err(Failure::Other(error)) => Err(error),
    }
}

fn advice(id: &str, reason: &str) -> String {
    format!(
        "`{id}` is no file or folder here, and {reason}. With a copy of the repository (git clone with git-lfs, or \
         `huggingface-cli download {id} --local-dir DIR` where there is a network), `pyrograph convert DIR` needs none"
    )
}

enum Failure {
    /// No answer of the server.
    Unreachable(ApiError),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

fn download(
    id: &str,
    revision: &str,
    variant: Option<&str>,
    quiet: bool,
) -> Result<Snapshot, Failure> {
    let api = ApiBuilder::from_env()
        .with_progress(!quiet)
        .build()
        .map_err(|error| anyhow!(error))?;
    let of = |revision: &str| Repo::with_revision(id.into(), RepoType::Model, revision.into());
    let info = api.repo(of(revision)).info().map_err(|error| match error {
        ApiError::RequestError(error) if !is_answer(&error.to_string()) => {
            Failure::Unreachable(ApiError::RequestError(error))
        }
        error => Failure::Other(anyhow!(error).context(format!(
            "the Hub has no model `{id}` at revision `{revision}`, or does not give it to everybody"
        ))),
    })?;
    if !is_plain_name(&info.sha) {
        return Err(anyhow!("the Hub names the commit `{}`", info.sha).into());
    }
    // Every file is of the one commit, whatever happens to the branch meanwhile.
    let repo = api.repo(of(&info.sha));
    let names: Vec<String> = info
        .siblings
        .into_iter()
        .map(|file| file.rfilename)
        .collect();
    for name in wanted(id, &names, variant)? {
        let path = get(&repo, &name)?;
        if name.ends_with(".index.json") {
            for shard in shards(&path, &name)? {
                get(&repo, &shard)?;
            }
        }
    }
    let cache = Cache::from_env();
    // So that the name of the branch is enough without a network.
    let recorded = cache.repo(of(revision)).create_ref(&info.sha);
    recorded.context("the Hub's cache cannot be written")?;
    Ok(Snapshot {
        path: cache.repo(of(revision)).pointer_path(&info.sha),
        commit: info.sha,
    })
}

/// Whether an error is an answer of the server.
fn is_answer(error: &str) -> bool {
    error.contains("http status")
}

fn get(repo: &ApiRepo, name: &str) -> anyhow::Result<PathBuf> {
    let is_inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_inside {
        bail!("the Hub names a file `{name}`, which is not inside a repository");
    }
    repo.get(name)
        .with_context(|| format!("`{name}` cannot be fetched from the Hub"))
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The files of a pipeline that are used.
fn wanted(id: &str, names: &[String], variant: Option<&str>) -> anyhow::Result<Vec<String>> {
    if !names.iter().any(|name| name == INDEX) {
        bail!(
            "`{id}` holds no {INDEX}: it is no pipeline of diffusers. Download its single file ({}) and give its path",
            names.join(", ")
        );
    }
    let mut wanted = vec![INDEX.to_owned()];
    for network in NETWORKS {
        let prefix = format!("{network}/");
        let here: Vec<String> = names
            .iter()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        if here.iter().any(|name| name == "config.json") {
            wanted.push(format!("{prefix}config.json"));
        }
        wanted.extend(weights_among(&here, variant).map(|name| format!("{prefix}{name}")));
    }
    let is_text = |name: &&String| {
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        TEXTS.contains(&folder)
    };
    wanted.extend(names.iter().filter(is_text).cloned());
    Ok(wanted)
}

/// The shards that an index names, from the repository's root on.
fn shards(path: &Path, name: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    let index: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let map = index["weight_map"].as_object();
    let map = map.ok_or_else(|| anyhow!("{name}: it is no index of weights"))?;
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut shards: Vec<String> = map
        .values()
        .filter_map(|shard| Some(format!("{folder}/{}", shard.as_str()?)))
        .collect();
    shards.sort();
    shards.dedup();
    Ok(shards)
}

/// The copy of a repository in the cache.
fn cached(id: &str, revision: &str) -> anyhow::Result<Snapshot> {
    let repo = Repo::with_revision(id.into(), RepoType::Model, revision.into());
    let index = Cache::from_env().repo(repo).get(INDEX);
    let folder = index.as_deref().and_then(Path::parent);
    let commit = folder.and_then(Path::file_name);
    match (folder, commit) {
        (Some(folder), Some(commit)) => Ok(Snapshot {
            path: folder.to_owned(),
            commit: commit.to_string_lossy().into_owned(),
        }),
        _ => Err(anyhow!(
            "the cache holds no copy of `{id}` at revision `{revision}`"
        )),
    }
}
