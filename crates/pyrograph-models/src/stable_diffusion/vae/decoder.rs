//! The decoder: latents to images.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{
    AutoencoderKlConfig,
    block::{MidBlock, Resampler, ResnetBlock, group_norm},
};
use crate::blocks::{Conv2d, GroupNorm, ParamInit};

/// First convolution, middle, blocks that double, norm, SiLU, last convolution.
#[derive(Module, Debug)]
pub(super) struct Decoder<B: Backend> {
    conv_in: Conv2d<B>,
    mid_block: MidBlock<B>,
    up_blocks: Vec<UpBlock<B>>,
    conv_norm_out: GroupNorm<B>,
    conv_out: Conv2d<B>,
}

impl<B: Backend> Decoder<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderKlConfig) -> Self {
        let deepest = config.deepest();
        let conv_in = Conv2d::same(init, [config.latent_channels, deepest], 3);
        let mid_block = MidBlock::new(init, config);
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let last = channels.len() - 1;
        let up_blocks = (0..=last)
            .map(|block| {
                let c_in = channels[block.saturating_sub(1)];
                let doublings = usize::from(block < last);
                UpBlock::new(init, config, [c_in, channels[block]], doublings)
            })
            .collect();
        Self {
            conv_in,
            mid_block,
            up_blocks,
            conv_norm_out: group_norm(init, config, channels[last]),
            conv_out: Conv2d::same(init, [channels[last], config.out_channels], 3),
        }
    }
}

impl<B: VisionBackend> Decoder<B> {
    /// # Shapes
    /// [batch, latent_channels, height, width] → [batch, out_channels, 8·height, 8·width] with four blocks.
    pub(super) fn forward(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.conv_in.forward(latents, Activation::Identity);
        let mut x = self.mid_block.forward(x);
        for block in &self.up_blocks {
            x = block.forward(x);
        }
        let norm = &self.conv_norm_out;
        self.conv_out.forward_of_norm(x, norm, Activation::Silu)
    }
}

/// Residual blocks, one more than in the encoder, and nearest upsampling with a convolution in all blocks but the last.
#[derive(Module, Debug)]
struct UpBlock<B: Backend> {
    resnets: Vec<ResnetBlock<B>>,
    upsamplers: Vec<Resampler<B>>,
}

impl<B: Backend> UpBlock<B> {
    fn new(
        init: &mut ParamInit<'_, B>,
        config: &AutoencoderKlConfig,
        [c_in, c_out]: [usize; 2],
        doublings: usize,
    ) -> Self {
        let resnets = (0..=config.layers_per_block)
            .map(|layer| {
                let c_in = if layer == 0 { c_in } else { c_out };
                ResnetBlock::new(init, config, [c_in, c_out])
            })
            .collect();
        let upsamplers = (0..doublings)
            .map(|_| Resampler {
                conv: Conv2d::same(init, [c_out, c_out], 3),
            })
            .collect();
        Self {
            resnets,
            upsamplers,
        }
    }
}

impl<B: VisionBackend> UpBlock<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.resnets.iter().fold(x, |x, block| block.forward(x));
        let upsamplers = self.upsamplers.iter();
        upsamplers.fold(x, |x, layer| layer.conv.forward_of_upsampled(x, 2))
    }
}
