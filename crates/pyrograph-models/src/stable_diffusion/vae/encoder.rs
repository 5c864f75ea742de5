//! The encoder: images to moments of latents.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{
    AutoencoderKlConfig,
    block::{MidBlock, Resampler, ResnetBlock, group_norm},
};
use crate::blocks::{Conv2d, GroupNorm, Kernel, ParamInit, with_zeros_after};

/// The window that halves an image; the caller pads it on the right and below.
const HALVING: Kernel = Kernel {
    size: 3,
    stride: 2,
    padding: 0,
};

/// First convolution, blocks that halve, middle, norm, SiLU, last convolution.
#[derive(Module, Debug)]
pub(super) struct Encoder<B: Backend> {
    conv_in: Conv2d<B>,
    down_blocks: Vec<DownBlock<B>>,
    mid_block: MidBlock<B>,
    conv_norm_out: GroupNorm<B>,
    conv_out: Conv2d<B>,
}

impl<B: Backend> Encoder<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderKlConfig) -> Self {
        let channels = &config.block_out_channels;
        let conv_in = Conv2d::same(init, [config.in_channels, channels[0]], 3);
        let last = channels.len() - 1;
        let down_blocks = (0..=last)
            .map(|block| {
                let c_in = channels[block.saturating_sub(1)];
                let halvings = usize::from(block < last);
                DownBlock::new(init, config, [c_in, channels[block]], halvings)
            })
            .collect();
        let deepest = config.deepest();
        Self {
            conv_in,
            down_blocks,
            mid_block: MidBlock::new(init, config),
            conv_norm_out: group_norm(init, config, deepest),
            conv_out: Conv2d::same(init, [deepest, 2 * config.latent_channels], 3),
        }
    }
}

impl<B: VisionBackend> Encoder<B> {
    /// # Shapes
    /// [batch, in_channels, height, width] → [batch, 2·latent_channels, height/8, width/8] with four blocks.
    pub(super) fn forward(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = self.conv_in.forward(image, Activation::Identity);
        for block in &self.down_blocks {
            x = block.forward(x);
        }
        let x = self.mid_block.forward(x);
        let norm = &self.conv_norm_out;
        self.conv_out.forward_of_norm(x, norm, Activation::Silu)
    }
}

/// Residual blocks, and a convolution that halves the image in all blocks but the last.
#[derive(Module, Debug)]
struct DownBlock<B: Backend> {
    resnets: Vec<ResnetBlock<B>>,
    downsamplers: Vec<Resampler<B>>,
}

impl<B: Backend> DownBlock<B> {
    fn new(
        init: &mut ParamInit<'_, B>,
        config: &AutoencoderKlConfig,
        [c_in, c_out]: [usize; 2],
        halvings: usize,
    ) -> Self {
        let resnets = (0..config.layers_per_block)
            .map(|layer| {
                let c_in = if layer == 0 { c_in } else { c_out };
                ResnetBlock::new(init, config, [c_in, c_out])
            })
            .collect();
        let downsamplers = (0..halvings)
            .map(|_| Resampler {
                conv: Conv2d::new(init, [c_out, c_out], HALVING),
            })
            .collect();
        Self {
            resnets,
            downsamplers,
        }
    }
}

impl<B: VisionBackend> DownBlock<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.resnets.iter().fold(x, |x, block| block.forward(x));
        // A row below and a column on the right, none on the other sides.
        self.downsamplers.iter().fold(x, |x, layer| {
            layer
                .conv
                .forward(with_zeros_after(x), Activation::Identity)
        })
    }
}
