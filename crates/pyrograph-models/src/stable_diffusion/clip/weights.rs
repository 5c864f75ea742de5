//! The key names of published text encoders.

use burn::tensor::backend::Backend;

use super::{ClipTextConfig, ClipTextModel, MODEL};
use crate::{
    ModelError,
    weights::{NamedModel, Rename, StateDict},
};

/// What stands before every key; transformers 5 leaves it out.
const PREFIX: &str = "text_model.";
/// A key of every text encoder.
const TOKENS: &str = "embeddings.token_embedding.weight";

impl<B: Backend> NamedModel<B> for ClipTextModel<B> {
    type Config = ClipTextConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = &[];
    const IGNORED_SUFFIXES: &'static [&'static str] = &[
        // 0, 1, 2, …, which transformers saved up to version 4.30.
        "embeddings.position_ids",
        // Of `CLIPTextModelWithProjection`, for the pooled output.
        "text_projection.weight",
    ];

    fn translate(dict: &StateDict) -> Option<StateDict> {
        dict.get(TOKENS)
            .map(|_| dict.renamed(|key| format!("{PREFIX}{key}")))
    }

    fn telling_shapes(config: &Self::Config) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
        config.check()?;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut shapes = vec![
            (format!("{PREFIX}{TOKENS}"), vec![config.vocab_size, hidden]),
            (
                format!("{PREFIX}embeddings.position_embedding.weight"),
                vec![config.max_position_embeddings, hidden],
            ),
        ];
        shapes.extend((0..config.num_hidden_layers).map(|layer| {
            let key = format!("{PREFIX}encoder.layers.{layer}.mlp.fc1.weight");
            (key, vec![inner, hidden])
        }));
        Ok(shapes)
    }

    fn from_config(config: &Self::Config, device: &B::Device) -> Result<Self, ModelError> {
        config.init(device, 0)
    }
}
