//! Scales from a LoRA file's metadata, or from PEFT's `adapter_config.json`.

use serde_json::Value;

use super::keys::Network;

/// The settings of one network's adapter.
#[derive(Clone, Debug, Default)]
pub(super) struct AdapterConfig {
    alpha: Option<f64>,
    /// Values of alpha by the end of a layer's path.
    patterns: Vec<(String, f64)>,
    /// Whether alpha is divided by the root of the rank.
    by_root: bool,
    /// Whether the adapter is a DoRA.
    pub(super) is_dora: bool,
}

impl AdapterConfig {
    /// Reads a JSON object whose fields begin with `prefix`.
    pub(super) fn read(config: &Value, prefix: &str) -> Self {
        let field = |name: &str| config.get(format!("{prefix}{name}"));
        let flag = |name| field(name).and_then(Value::as_bool).unwrap_or(false);
        let patterns = field("alpha_pattern").and_then(Value::as_object);
        Self {
            alpha: field("lora_alpha").and_then(Value::as_f64),
            patterns: patterns
                .into_iter()
                .flatten()
                .filter_map(|(name, alpha)| Some((name.clone(), alpha.as_f64()?)))
                .collect(),
            by_root: flag("use_rslora"),
            is_dora: flag("use_dora"),
        }
    }

    /// The field's prefix in diffusers' metadata.
    pub(super) fn prefix(network: Network) -> &'static str {
        match network {
            Network::Unet => "unet.",
            Network::TextEncoder => "text_encoder.",
        }
    }

    /// The factor of the product of a layer's factors. `alpha` is the value of the layer's own key.
    pub(super) fn scale(&self, module: &str, alpha: Option<f64>, rank: usize) -> f64 {
        let ends = |name: &str| module == name || module.ends_with(&format!(".{name}"));
        let pattern = self
            .patterns
            .iter()
            .find(|(name, _)| ends(name))
            .map(|(_, alpha)| *alpha);
        let Some(alpha) = alpha.or(pattern).or(self.alpha) else {
            return 1.0;
        };
        match self.by_root {
            true => alpha / (rank as f64).sqrt(),
            false => alpha / rank as f64,
        }
    }
}
