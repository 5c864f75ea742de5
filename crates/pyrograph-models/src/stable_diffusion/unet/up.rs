//! A block on the way up.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, VisionBackend};

use super::{
    Shared,
    resnet::{ResnetBlock2D, Upsample2D},
    transformer::{Transformer2D, TransformerShape},
};
use crate::blocks::ParamInit;

/// The numbers of a block on the way up.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpShape {
    pub(super) channels: [usize; 2],
    /// Channels of the last skip, which comes from the level before on the way down.
    pub(super) last_skip: usize,
    pub(super) layers: usize,
    pub(super) transformer: Option<TransformerShape>,
    pub(super) upsample: bool,
}

/// Residual blocks over the skips of the way down, each followed by a transformer where the level attends, and a doubling of the
/// resolution; diffusers' `CrossAttnUpBlock2D` and `UpBlock2D`.
#[derive(Module, Debug)]
pub(super) struct UpBlock<B: Backend> {
    resnets: Vec<ResnetBlock2D<B>>,
    attentions: Vec<Transformer2D<B>>,
    /// One, or none in the last block.
    upsamplers: Vec<Upsample2D<B>>,
}

impl<B: Backend> UpBlock<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, shared: &Shared, shape: UpShape) -> Self {
        let [c_in, c_out] = shape.channels;
        let mut block = Self {
            resnets: Vec::new(),
            attentions: Vec::new(),
            upsamplers: Vec::new(),
        };
        for layer in 0..shape.layers {
            let from = if layer == 0 { c_in } else { c_out };
            let last = layer + 1 == shape.layers;
            let skip = if last { shape.last_skip } else { c_out };
            let resnet = ResnetBlock2D::new(init, shared, [from + skip, c_out]);
            block.resnets.push(resnet);
            let attention = shape.transformer;
            let attention = attention.map(|shape| Transformer2D::new(init, shared, shape));
            block.attentions.extend(attention);
        }
        if shape.upsample {
            block.upsamplers.push(Upsample2D::new(init, c_out));
        }
        block
    }
}

impl<B: VisionBackend> UpBlock<B> {
    /// `x` [batch, in, height, width] → [batch, out, height′, width′]. Each layer takes the last of `skips`; the sides of the next
    /// one are those of the result.
    pub(super) fn forward(
        &self,
        mut x: Tensor<B, 4>,
        time: &Tensor<B, 2>,
        context: &Tensor<B, 3>,
        skips: &mut Vec<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            if let Some(skip) = skips.pop() {
                x = vision::concat_channels(x, skip);
            }
            x = resnet.forward(x, time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, context);
            }
        }
        for upsampler in &self.upsamplers {
            let [_, _, height, width] = x.dims();
            let sides = match skips.last().map(Tensor::dims) {
                Some([_, _, height, width]) => [height, width],
                None => [2 * height, 2 * width],
            };
            x = upsampler.forward(x, sides);
        }
        x
    }
}
