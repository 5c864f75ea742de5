//! The key names of published text encoders.

use burn::tensor::backend::Backend;

use super::{ClipTextConfig, ClipTextModel, MODEL};
use crate::{
    ModelError,
    blocks::ParamInit,
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

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}
