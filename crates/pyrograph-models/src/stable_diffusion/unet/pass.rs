//! What one pass of the network reuses, and its state on its way through the blocks.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    merge::TokenMerging,
    text::{TextKeys, TextOutputs, TextSource},
};

/// What a pass reuses of earlier passes, leaves out, and keeps for later ones. Nothing by default: the plain pass.
#[derive(Clone, Debug)]
pub struct PassOptions<'a, B: Backend> {
    /// How deep the pass goes.
    pub depth: PassDepth<B>,
    /// Merging of tokens before self-attention.
    pub merging: Option<&'a TokenMerging>,
    /// Whether the pass returns the outputs of its attentions to the text.
    pub keeps_text_outputs: bool,
    /// Guidance less 1 for each row, `[batch]`: the input of a network with `time_cond_proj_dim`, as those of latent consistency
    /// models are ([Luo et al., 2023](https://arxiv.org/abs/2310.04378)). Networks without it ignore the value.
    pub guidance: Option<Tensor<B, 1>>,
}

impl<B: Backend> Default for PassOptions<'_, B> {
    fn default() -> Self {
        Self {
            depth: PassDepth::Full,
            merging: None,
            keeps_text_outputs: false,
            guidance: None,
        }
    }
}

/// How deep a pass goes: DeepCache ([Ma et al., 2023](https://arxiv.org/abs/2312.00858)).
///
/// The network has one skip for the first convolution and one for each layer and each downsampling on the way down; each layer on
/// the way up takes one, the last one made first. At branch `b` a shallow pass makes the skips 0 to `b`, and runs the layers on the
/// way up that take them; the input of the first of these layers is that of an earlier pass. Branch 0 is the shallowest: the first
/// convolution and the last layer.
#[derive(Clone, Debug)]
pub enum PassDepth<B: Backend> {
    /// All layers.
    Full,
    /// All layers; the pass returns the features that shallow passes at `branch` need.
    Keep {
        /// Below [`skips`](super::UNet2DConditionConfig::skips).
        branch: usize,
    },
    /// The layers of `branch` and above.
    Shallow {
        /// That of the pass that kept `features`.
        branch: usize,
        /// The features that a pass over the same rows kept: [batch, channels, height, width].
        features: Tensor<B, 4>,
    },
}

/// What a pass gives.
#[derive(Clone, Debug)]
pub struct PassOutput<B: Backend> {
    /// The prediction: [batch, out, height, width].
    pub sample: Tensor<B, 4>,
    /// The features of [`PassDepth::Keep`]: [batch, channels, height′, width′].
    pub features: Option<Tensor<B, 4>>,
    /// The outputs that [`PassOptions::keeps_text_outputs`] asks for.
    pub text_outputs: Option<TextOutputs<B>>,
}

/// A pass on its way through the blocks.
#[derive(Debug)]
pub(super) struct Passage<'a, B: Backend> {
    /// The activated embedding of the timestep: [batch or 1, width].
    pub(super) time: Tensor<B, 2>,
    /// The outputs on the way down that no layer on the way up has taken yet.
    pub(super) skips: Vec<Tensor<B, 4>>,
    /// The features that are kept, once they are there.
    pub(super) features: Option<Tensor<B, 4>>,
    /// Halvings of the resolution at the block that runs.
    pub(super) level: usize,
    keep_at: Option<usize>,
    text: &'a [TextSource<B>],
    text_outputs: Option<Vec<Tensor<B, 3>>>,
    merging: Option<&'a TokenMerging>,
}

impl<'a, B: Backend> Passage<'a, B> {
    pub(super) fn new(
        time: Tensor<B, 2>,
        text: &'a TextKeys<B>,
        options: &PassOptions<'a, B>,
    ) -> Self {
        if let Some(merging) = options.merging {
            let (draws, rows) = (merging.draws.len(), text.rows());
            assert_eq!(draws, rows, "merging has one draw for each row");
        }
        Self {
            time,
            skips: Vec::new(),
            features: None,
            level: 0,
            keep_at: match options.depth {
                PassDepth::Keep { branch } => Some(branch + 1),
                PassDepth::Full | PassDepth::Shallow { .. } => None,
            },
            text: text.sources(),
            text_outputs: options.keeps_text_outputs.then(Vec::new),
            merging: options.merging,
        }
    }

    /// What the attention that comes next reads of the text.
    ///
    /// # Panics
    /// When the keys are of another network: a caller's bug.
    pub(super) fn next_text(&mut self) -> &'a TextSource<B> {
        let (next, rest) = self
            .text
            .split_first()
            .expect("the keys are of this network: one for each attention");
        self.text = rest;
        next
    }

    /// Leaves out what all but the last `reads` attentions read.
    pub(super) fn skip_text(&mut self, reads: usize) {
        self.text = &self.text[self.text.len() - reads..];
    }

    /// Keeps the output of an attention to the text where the pass does.
    pub(super) fn keep_text_output(&mut self, output: &Tensor<B, 3>) {
        if let Some(outputs) = &mut self.text_outputs {
            outputs.push(output.clone());
        }
    }

    /// Keeps `x`, the input of a layer on the way up, where the pass does so at this depth.
    pub(super) fn keep_features(&mut self, x: &Tensor<B, 4>) {
        if self.keep_at == Some(self.skips.len()) {
            self.features = Some(x.clone());
        }
    }

    /// The merging of tokens at this level, if any.
    pub(super) fn merging(&self) -> Option<&'a TokenMerging> {
        self.merging.filter(|merging| merging.acts_at(self.level))
    }

    pub(super) fn finish(self, sample: Tensor<B, 4>) -> PassOutput<B> {
        PassOutput {
            sample,
            features: self.features,
            text_outputs: self.text_outputs.map(TextOutputs::new),
        }
    }
}
