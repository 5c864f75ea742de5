//! The hidden states of prompts without a pipeline.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    stable_diffusion::{
        checkpoint::Checkpoint,
        clip::{ClipTextConfig, ClipTextModel},
    },
    weights::{Precision, build_model_with},
};

use super::{
    text::Contexts,
    tokenizer::{PromptSyntax, Tokenizer},
};
use crate::PipelineError;

/// The hidden states of `prompts` by the tokenizer and the text encoder of a checkpoint, whose weights are f32 for it:
/// [prompts, length, width].
///
/// # Errors
/// When tokenizer or text encoder do not open; when a prompt's weights are not allowed; when a hidden state is not finite.
pub fn prompt_contexts<B: VisionBackend>(
    checkpoint: &Checkpoint,
    prompts: &[&str],
    device: &B::Device,
) -> Result<Tensor<B, 3>, PipelineError> {
    let tokenizer = Tokenizer::of_checkpoint(&checkpoint.tokenizer)?;
    let part = &checkpoint.text_encoder;
    let config = ClipTextConfig::from_diffusers(&part.config)?;
    let model: ClipTextModel<B> = build_model_with(&config, &part.weights, Precision::F32, device)?;
    let syntax = PromptSyntax::default();
    let contexts = Contexts::new(prompts, syntax, &tokenizer, &model, device)?;
    let rows = prompts.iter().map(|prompt| contexts.of(prompt));
    Ok(Tensor::cat(rows.collect::<Result<Vec<_>, _>>()?, 0))
}
