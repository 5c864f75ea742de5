//! The settings of a picture, as its PNG carries them and `--like` reads them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pyrograph::vision::read_png_text;
use serde::{Deserialize, Serialize};

/// The keyword of the settings among a PNG's texts.
pub(super) const KEYWORD: &str = "pyrograph";

/// The settings of one picture; what is not set is left out of the file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) command: String,
    pub(super) version: String,
    pub(super) model: Option<PathBuf>,
    pub(super) prompt: Option<String>,
    pub(super) negative: Option<String>,
    pub(super) steps: Option<usize>,
    pub(super) scheduler: Option<String>,
    pub(super) sigmas: Option<String>,
    pub(super) spacing: Option<String>,
    pub(super) final_sigma: Option<String>,
    pub(super) prediction: Option<String>,
    pub(super) guidance: Option<f64>,
    pub(super) guidance_rescale: Option<f64>,
    pub(super) guidance_from: Option<f64>,
    pub(super) guidance_until: Option<f64>,
    pub(super) cache_interval: Option<usize>,
    pub(super) cache_branch: Option<usize>,
    pub(super) gate_step: Option<usize>,
    pub(super) merge_ratio: Option<f64>,
    pub(super) merge_levels: Option<usize>,
    pub(super) width: Option<usize>,
    pub(super) height: Option<usize>,
    pub(super) seed: Option<u64>,
    pub(super) rng: Option<String>,
    pub(super) dtype: Option<String>,
    pub(super) lora: Vec<String>,
    pub(super) embedding: Vec<PathBuf>,
    pub(super) taesd: Option<PathBuf>,
    pub(super) latents: Option<PathBuf>,
    pub(super) tile: Option<bool>,
    pub(super) prompt_weights: Option<bool>,
    pub(super) image: Option<PathBuf>,
    pub(super) mask: Option<PathBuf>,
    pub(super) strength: Option<f64>,
}

impl Settings {
    /// The settings that the PNG at `path` carries.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let texts = read_png_text(path)?;
        let Some((_, text)) = texts.iter().find(|(keyword, _)| keyword == KEYWORD) else {
            bail!(
                "--like {}: the picture carries no settings of pyrograph",
                path.display()
            );
        };
        serde_json::from_str(text)
            .with_context(|| format!("--like {}: its settings do not read", path.display()))
    }

    /// The text that a PNG carries: JSON without what is not set.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, value| {
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
            });
        }
        Ok(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_and_leave_out_what_is_not_set() {
        let settings = Settings {
            command: "txt2img".into(),
            prompt: Some("a \"café\"".into()),
            lora: vec!["a.safetensors:0.8".into()],
            guidance: Some(7.5),
            ..Settings::default()
        };
        let text = settings.text().unwrap();
        assert!(
            !text.contains("embedding") && !text.contains("null"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }
}
