//! The blocks of encoder and decoder.
//!
//! At 512² pixels a tensor of 128 channels takes 134 MB in f32, so a block consumes its input and
//! works in its memory where it can.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::AutoencoderKlConfig;
use crate::blocks::{Conv2d, GroupNorm, Linear, ParamInit};

/// Fixed by the architecture, for every group norm.
pub(super) const EPSILON: f64 = 1e-6;

/// A group norm of this architecture.
pub(super) fn group_norm<B: Backend>(
    init: &mut ParamInit<'_, B>,
    config: &AutoencoderKlConfig,
    channels: usize,
) -> GroupNorm<B> {
    GroupNorm::new(init, config.norm_num_groups, channels).with_epsilon(EPSILON)
}

/// Twice norm, activation and 3×3 convolution, plus the input, which a 1×1 convolution brings to
/// the channels of the output.
#[derive(Module, Debug)]
pub(super) struct ResnetBlock<B: Backend> {
    norm1: GroupNorm<B>,
    conv1: Conv2d<B>,
    norm2: GroupNorm<B>,
    conv2: Conv2d<B>,
    conv_shortcut: Option<Conv2d<B>>,
    act: Activation,
}

impl<B: Backend> ResnetBlock<B> {
    pub(super) fn new(
        init: &mut ParamInit<'_, B>,
        config: &AutoencoderKlConfig,
        channels: [usize; 2],
    ) -> Self {
        let [c_in, c_out] = channels;
        Self {
            norm1: group_norm(init, config, c_in),
            conv1: Conv2d::same(init, channels, 3),
            norm2: group_norm(init, config, c_out),
            conv2: Conv2d::same(init, [c_out, c_out], 3),
            conv_shortcut: (c_in != c_out).then(|| Conv2d::same(init, channels, 1)),
            act: config.act_fn,
        }
    }
}

impl<B: VisionBackend> ResnetBlock<B> {
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height, width].
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        // The skip comes first, so that with a shortcut the norm is the last to use `x` and takes over its memory.
        let skip = match &self.conv_shortcut {
            Some(conv) => conv.forward(x.clone(), Activation::Identity),
            None => x.clone(),
        };
        let x = self.conv1.forward_of_norm(x, &self.norm1, self.act);
        let x = self.conv2.forward_of_norm(x, &self.norm2, self.act);
        vision::add(x, skip, Activation::Identity)
    }
}

/// Residual block, attention over all pixels, residual block.
#[derive(Module, Debug)]
pub(super) struct MidBlock<B: Backend> {
    attentions: Vec<Attention<B>>,
    resnets: Vec<ResnetBlock<B>>,
}

impl<B: Backend> MidBlock<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderKlConfig) -> Self {
        let channels = config.deepest();
        let attentions = usize::from(config.mid_block_add_attention);
        Self {
            attentions: (0..attentions)
                .map(|_| Attention::new(init, config, channels))
                .collect(),
            resnets: (0..2)
                .map(|_| ResnetBlock::new(init, config, [channels, channels]))
                .collect(),
        }
    }
}

impl<B: VisionBackend> MidBlock<B> {
    /// # Shapes
    /// [batch, channels, height, width] → the same.
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = x;
        for (place, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x);
            if let Some(attention) = self.attentions.get(place) {
                x = attention.forward(x);
            }
        }
        x
    }
}

/// Group norm, attention of one head over all pixels, plus the input.
#[derive(Module, Debug)]
struct Attention<B: Backend> {
    group_norm: GroupNorm<B>,
    to_q: Linear<B>,
    to_k: Linear<B>,
    to_v: Linear<B>,
    /// One layer; published keys number it, because a dropout follows it.
    to_out: Vec<Linear<B>>,
}

impl<B: Backend> Attention<B> {
    fn new(init: &mut ParamInit<'_, B>, config: &AutoencoderKlConfig, channels: usize) -> Self {
        let group_norm = group_norm(init, config, channels);
        let mut linear = || Linear::new(init, channels, channels);
        Self {
            group_norm,
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
        }
    }
}

impl<B: VisionBackend> Attention<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, channels, height, width] = x.dims();
        let pixels = height * width;
        let normal = self.group_norm.forward(x.clone(), Activation::Identity);
        let [query, key, value] = [&self.to_q, &self.to_k, &self.to_v].map(|layer| {
            let rows = layer.forward_pixels(normal.clone()); // [batch, pixels, channels]
            rows.reshape([batch, 1, pixels, channels])
        });
        let scale = 1.0 / (channels as f64).sqrt();
        let mixed = vision::attention(query, key, value, None, self.to_q.attention(scale));
        let rows = mixed.reshape([batch, pixels, channels]);
        let rows = self.to_out.iter().fold(rows, |x, layer| layer.forward(x));
        rows.swap_dims(1, 2)
            .reshape([batch, channels, height, width])
            + x
    }
}

/// One convolution under the name `conv`, as downsamplers and upsamplers have it.
#[derive(Module, Debug)]
pub(super) struct Resampler<B: Backend> {
    pub(super) conv: Conv2d<B>,
}
