//! From prompts to hidden states.

use std::collections::HashMap;

use burn::tensor::{Int, Tensor, TensorData};
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::stable_diffusion::clip::ClipTextModel;

use super::{
    host::values_of,
    image::check_finite,
    tokenizer::{EncodedPrompt, PromptSyntax, Tokenizer, apply_weights},
};
use crate::PipelineError;

/// The name of this stage in an error.
const STAGE: &str = "the text encoder";

/// The largest weight of a token either way: brackets multiply, and hidden states would leave f32's range.
const MAX_WEIGHT: f32 = 1e6;

/// Hidden states of texts, each encoded once.
pub(super) struct Contexts<B: VisionBackend> {
    rows: HashMap<String, Tensor<B, 3>>,
    /// The texts that did not fit whole, and their words that were lost.
    pub(super) lost: Vec<LostWords>,
}

/// The end of a prompt that did not fit into the text encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWords {
    /// The prompt.
    pub prompt: String,
    /// Its words that had no effect.
    pub words: String,
}

impl<B: VisionBackend> Contexts<B> {
    /// Encodes `texts` in one pass, doubles left out.
    pub(super) fn new(
        texts: &[&str],
        syntax: PromptSyntax,
        tokenizer: &Tokenizer,
        model: &ClipTextModel<B>,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let mut unique: Vec<&str> = Vec::new();
        for text in texts {
            if !unique.contains(text) {
                unique.push(text);
            }
        }
        let prompts: Vec<EncodedPrompt> = unique
            .iter()
            .map(|text| tokenizer.encode(text, syntax))
            .collect::<Result<_, _>>()?;
        prompts.iter().try_for_each(check_weights)?;
        let lost = unique.iter().zip(&prompts).filter_map(|(text, prompt)| {
            let words = prompt.lost.clone()?;
            let prompt = (*text).to_owned();
            Some(LostWords { prompt, words })
        });
        let lost = lost.collect();
        let hidden = model.forward(token_ids(&prompts, tokenizer.length(), device));
        let weights: Vec<_> = prompts.into_iter().map(|prompt| prompt.weights).collect();
        let hidden = apply_weights(hidden, &weights);
        check_finite(&values_of(hidden.clone())?, STAGE)?;
        let rows = unique.iter().enumerate().map(|(place, text)| {
            let row = hidden.clone().narrow(0, place, 1);
            ((*text).to_owned(), row)
        });
        let rows = rows.collect();
        Ok(Self { rows, lost })
    }

    /// The hidden states of one of the texts: [1, length, width].
    pub(super) fn of(&self, text: &str) -> Result<Tensor<B, 3>, PipelineError> {
        let row = self.rows.get(text).cloned();
        row.ok_or_else(|| PipelineError::Prompt {
            reason: format!("`{text}` is none of the request's texts"),
        })
    }
}

/// Refuses weights that no hidden state can be multiplied by.
fn check_weights(prompt: &EncodedPrompt) -> Result<(), PipelineError> {
    let outside = |weight: &&f32| !(-MAX_WEIGHT..=MAX_WEIGHT).contains(*weight);
    match prompt.weights.iter().find(outside) {
        Some(weight) => Err(PipelineError::Prompt {
            reason: format!(
                "a word has the weight {weight}, but weights must be from -{MAX_WEIGHT} to {MAX_WEIGHT}; nested brackets multiply theirs"
            ),
        }),
        None => Ok(()),
    }
}

/// The ids of all prompts: [prompts, length].
fn token_ids<B: VisionBackend>(
    prompts: &[EncodedPrompt],
    length: usize,
    device: &B::Device,
) -> Tensor<B, 2, Int> {
    let ids: Vec<i32> = prompts
        .iter()
        .flat_map(|prompt| prompt.ids.iter().map(|id| *id as i32))
        .collect();
    Tensor::from_data(TensorData::new(ids, [prompts.len(), length]), device)
}
