//! Options of one pass of the network, and the state of a pass on its way through the blocks.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::{
    UNet2DConditionModel,
    merge::TokenMerging,
    text::{TextKeys, TextOutputs, TextSource},
    up::UpBlock,
};

/// Options of a pass: outputs of earlier passes to reuse, work to skip, and outputs to keep for
/// later passes. The default is the plain pass.
#[derive(Clone, Debug)]
pub struct PassOptions<'a, B: Backend> {
    /// The depth of the pass.
    pub depth: PassDepth<B>,
    /// Merging of tokens before self-attention.
    pub merging: Option<&'a TokenMerging>,
    /// Whether the pass returns the outputs of its attentions to the text.
    pub keeps_text_outputs: bool,
    /// Guidance minus 1 for each row, `[batch]`: an input of networks with `time_cond_proj_dim`,
    /// such as latent consistency models ([Luo et al., 2023](https://arxiv.org/abs/2310.04378)).
    /// Networks without it ignore the value.
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

/// The depth of a pass: DeepCache ([Ma et al., 2023](https://arxiv.org/abs/2312.00858)).
///
/// The network has one skip for the first convolution and one for each layer and each downsampling
/// on the way down; each layer on the way up takes one skip, in reverse order. At branch `b` a
/// shallow pass computes the skips 0 to `b`, and runs the layers on the way up that take these
/// skips; the input of the first of these layers comes from an earlier pass. Branch 0 is the
/// shallowest: the first convolution and the last layer.
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
        /// The branch of the pass that kept `features`.
        branch: usize,
        /// The features that a pass over the same rows kept: [batch, channels, height, width].
        features: Tensor<B, 4>,
    },
}

/// The result of a pass.
#[derive(Clone, Debug)]
pub struct PassOutput<B: Backend> {
    /// The prediction: [batch, out, height, width].
    pub sample: Tensor<B, 4>,
    /// The features of [`PassDepth::Keep`]: [batch, channels, height′, width′].
    pub features: Option<Tensor<B, 4>>,
    /// The outputs that [`PassOptions::keeps_text_outputs`] asks for.
    pub text_outputs: Option<TextOutputs<B>>,
}

impl<B: VisionBackend> UNet2DConditionModel<B> {
    /// The prediction for noisy latents, as [`forward`](Self::forward), by a pass with `options`.
    /// With default options it is `forward` to the bit.
    ///
    /// # Shapes
    /// - `sample` [batch, in, height, width]
    /// - `timestep` `[batch]`, or `[1]` for one timestep of the whole batch
    /// - `text`: keys of `batch` rows
    ///
    /// # Panics
    /// When `text`, the features of a shallow pass or the draws of merging are of another network,
    /// another number of rows or another size, or a branch is not below
    /// [`skips`](super::UNet2DConditionConfig::skips): a caller's bug.
    pub fn pass(
        &self,
        sample: Tensor<B, 4>,
        timestep: Tensor<B, 1>,
        text: &TextKeys<B>,
        options: &PassOptions<'_, B>,
    ) -> PassOutput<B> {
        // 1. Time: every residual block projects the activated embedding.
        let dtype = sample.dtype();
        let guidance = options.guidance.clone();
        let time = self.time_embedding.forward(timestep, guidance, dtype); // [batch or 1, width]
        let time = vision::activate(time, Activation::Silu);
        let mut pass = Passage::new(time, text, options);

        // 2. Into the first block's channels.
        let sample = match self.center_input_sample {
            true => sample * 2.0 - 1.0,
            false => sample,
        };
        let x = self.conv_in.forward(sample, Activation::Identity);
        pass.skips.push(x.clone());

        // 3. Through the levels, or through the shallow ones alone.
        let x = match &options.depth {
            PassDepth::Full | PassDepth::Keep { .. } => self.whole_levels(x, &mut pass),
            PassDepth::Shallow { branch, features } => {
                self.shallow_levels(x, features.clone(), *branch, &mut pass)
            }
        };

        // 4. Out.
        let norm = &self.conv_norm_out;
        let sample = self.conv_out.forward_of_norm(x, norm, Activation::Silu);
        pass.finish(sample)
    }

    /// Down, the middle, and up.
    fn whole_levels(&self, mut x: Tensor<B, 4>, pass: &mut Passage<'_, B>) -> Tensor<B, 4> {
        // 1. Down, keeping the output of every layer.
        for (level, block) in self.down_blocks.iter().enumerate() {
            pass.level = level;
            x = block.forward(x, pass, usize::MAX);
        }

        // 2. The middle.
        if let Some(block) = &self.mid_block {
            x = block.forward(x, pass);
        }

        // 3. Up, where every layer takes a skip.
        for (block, level) in self.up_blocks.iter().zip((0..self.up_blocks.len()).rev()) {
            pass.level = level;
            x = block.forward(x, pass, 0);
        }
        x
    }

    /// Down to the skip of `branch`, and up from there on, where the input of the first layer is `features`.
    fn shallow_levels(
        &self,
        mut x: Tensor<B, 4>,
        features: Tensor<B, 4>,
        branch: usize,
        pass: &mut Passage<'_, B>,
    ) -> Tensor<B, 4> {
        // 1. Down, as far as skips are taken.
        let wanted = branch + 1;
        for (level, block) in self.down_blocks.iter().enumerate() {
            pass.level = level;
            x = block.forward(x, pass, wanted);
        }

        // 2. The layers on the way up that are left out, by block.
        let layers: usize = self.up_blocks.iter().map(UpBlock::layers).sum();
        let mut left_out = layers - wanted;
        let firsts: Vec<usize> = self
            .up_blocks
            .iter()
            .map(|block| {
                let first = left_out.min(block.layers());
                left_out -= first;
                first
            })
            .collect();
        let places = self.up_blocks.iter().zip(&firsts);
        pass.skip_text(places.map(|(block, first)| block.text_reads(*first)).sum());

        // 3. Up, from the features on.
        x = features;
        for (place, (block, first)) in self.up_blocks.iter().zip(firsts).enumerate() {
            if first < block.layers() {
                pass.level = self.up_blocks.len() - 1 - place;
                x = block.forward(x, pass, first);
            }
        }
        x
    }
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

    /// Whether the pass keeps the outputs of attentions to the text.
    pub(super) fn keeps_text_outputs(&self) -> bool {
        self.text_outputs.is_some()
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
