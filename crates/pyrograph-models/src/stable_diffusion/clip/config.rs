//! Configuration of a text encoder, and its checks.

use pyrograph_backend::vision::Activation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::MODEL;
use crate::{
    ModelError,
    stable_diffusion::fields::{ConfigFields, check_range, config_error},
};

/// The activations, by the names of transformers.
const ACTIVATIONS: [(&str, Activation); 2] = [
    ("gelu", Activation::Gelu),
    ("quick_gelu", Activation::QuickGelu),
];

/// Far above any text encoder's numbers: what a wrong file may take.
const MAX_WIDTH: usize = 1 << 15;
const MAX_LAYERS: usize = 256;
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_POSITIONS: usize = 1 << 16;

/// Fields of transformers' `PretrainedConfig` that change no number of a forward pass.
const NEUTRAL: [&str; 10] = [
    "projection_dim",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "id2label",
    "label2id",
    "problem_type",
    "chunk_size_feed_forward",
    "tie_word_embeddings",
    "torchscript",
];

/// Configuration of a [`ClipTextModel`](super::ClipTextModel), with the field names of
/// transformers' `CLIPTextConfig`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the features.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLPs.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Activation of the MLPs: GELU or quick GELU.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Id of the padding token; the tokenizer's own file takes precedence.
    pub pad_token_id: Option<u32>,
    /// Id of the token that begins a text.
    pub bos_token_id: Option<u32>,
    /// Id of the token that ends a text; files from before 2023 say 2.
    pub eos_token_id: Option<u32>,
}

impl ClipTextConfig {
    /// OpenAI's CLIP-L, the text encoder of Stable Diffusion 1.
    pub fn clip_l() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            pad_token_id: Some(1),
            bos_token_id: Some(49_406),
            eos_token_id: Some(49_407),
        }
    }

    /// OpenCLIP-H without its last layer, the text encoder of Stable Diffusion 2.
    pub fn open_clip_h() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            hidden_act: Activation::Gelu,
            ..Self::clip_l()
        }
    }

    /// Reads the text of `text_encoder/config.json`, with transformers' value for each missing
    /// field. Of the file of a whole CLIP model `text_config` is read.
    ///
    /// # Errors
    /// Names the first field that is unknown, of a wrong type, or not allowed.
    pub fn from_diffusers(json: &str) -> Result<Self, ModelError> {
        let mut fields = ConfigFields::parse(MODEL, json)?.nested("text_config")?;
        let config = Self {
            vocab_size: fields.take("vocab_size", 49_408)?,
            hidden_size: fields.take("hidden_size", 512)?,
            intermediate_size: fields.take("intermediate_size", 2048)?,
            num_hidden_layers: fields.take("num_hidden_layers", 12)?,
            num_attention_heads: fields.take("num_attention_heads", 8)?,
            max_position_embeddings: fields.take("max_position_embeddings", 77)?,
            hidden_act: fields.take_activation(
                "hidden_act",
                &ACTIVATIONS,
                Activation::QuickGelu,
            )?,
            layer_norm_eps: fields.take("layer_norm_eps", 1e-5)?,
            pad_token_id: fields.take("pad_token_id", Some(1))?,
            bos_token_id: fields.take("bos_token_id", Some(49_406))?,
            eos_token_id: fields.take("eos_token_id", Some(49_407))?,
        };
        // A decoder or a pruned model would be another network.
        for (field, allowed) in [
            ("is_decoder", Value::Bool(false)),
            ("is_encoder_decoder", Value::Bool(false)),
            ("add_cross_attention", Value::Bool(false)),
            ("pruned_heads", json!({})),
        ] {
            fields.expect(field, &[allowed])?;
        }
        fields.ignore(&NEUTRAL);
        fields.finish()?;
        config.check()?;
        Ok(config)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        for (field, seen, most) in [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MAX_WIDTH),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                MAX_POSITIONS,
            ),
        ] {
            check_range(MODEL, field, seen, [1, most])?;
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let allowed = format!("a divisor of hidden_size, which is {}", self.hidden_size);
            let heads = self.num_attention_heads;
            return Err(config_error(MODEL, "num_attention_heads", heads, allowed));
        }
        if !ACTIVATIONS.iter().any(|(_, act)| *act == self.hidden_act) {
            let seen = format!("{:?}", self.hidden_act);
            return Err(config_error(
                MODEL,
                "hidden_act",
                seen,
                "gelu or quick_gelu",
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            let seen = self.layer_norm_eps;
            return Err(config_error(
                MODEL,
                "layer_norm_eps",
                seen,
                "between 0 and 1",
            ));
        }
        Ok(())
    }

    /// Checks the token ids of one forward pass, row-major, so that
    /// [`ClipTextModel::forward`](super::ClipTextModel::forward) cannot panic. Returns the batch
    /// size and the length.
    ///
    /// # Errors
    /// When the shape is not [batch, length], when the length is above `max_position_embeddings`,
    /// and for the first id that is outside the vocabulary.
    pub fn check_ids(&self, shape: &[usize], ids: &[i64]) -> Result<[usize; 2], ModelError> {
        let input = "input_ids";
        let longest = self.max_position_embeddings;
        let [batch, length] = match *shape {
            [batch, length] if batch > 0 && (1..=longest).contains(&length) => [batch, length],
            _ => {
                return Err(ModelError::Input {
                    model: MODEL,
                    input,
                    seen: shape.into(),
                    allowed: format!("[batch, length] with a length of 1 to {longest} tokens"),
                });
            }
        };
        let known = |id: i64| usize::try_from(id).is_ok_and(|id| id < self.vocab_size);
        match ids.iter().position(|id| !known(*id)) {
            Some(place) => Err(ModelError::TokenId {
                model: MODEL,
                input,
                id: ids[place],
                place,
                last: self.vocab_size - 1,
            }),
            None => Ok([batch, length]),
        }
    }
}
