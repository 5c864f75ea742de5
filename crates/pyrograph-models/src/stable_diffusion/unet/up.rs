//! A block on the way up.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, VisionBackend};

use super::{
    Shared,
    pass::Passage,
    resnet::{ResnetBlock2D, Upsample2D},
    text::TextSource,
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

/// Residual blocks over the skips of the way down, each followed by a transformer where the level
/// attends, and a doubling of the resolution; diffusers' `CrossAttnUpBlock2D` and `UpBlock2D`.
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
    /// `x` [batch, in, height, width] → [batch, out, height′, width′], from layer `first` on, whose
    /// input `x` is. Each layer takes the last of the skips of `pass`; the sides of the next one
    /// are those of the result.
    pub(super) fn forward(
        &self,
        mut x: Tensor<B, 4>,
        pass: &mut Passage<'_, B>,
        first: usize,
    ) -> Tensor<B, 4> {
        for (layer, resnet) in self.resnets.iter().enumerate().skip(first) {
            pass.keep_features(&x);
            if let Some(skip) = pass.skips.pop() {
                x = vision::concat_channels(x, skip);
            }
            x = resnet.forward(x, pass.time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, pass);
            }
        }
        for upsampler in &self.upsamplers {
            let [_, _, height, width] = x.dims();
            let sides = match pass.skips.last().map(Tensor::dims) {
                Some([_, _, height, width]) => [height, width],
                None => [2 * height, 2 * width],
            };
            x = upsampler.forward(x, sides);
        }
        x
    }

    /// The layers: each takes a skip.
    pub(super) fn layers(&self) -> usize {
        self.resnets.len()
    }

    /// Adds the keys and values of `context` for every attention to the text, in the order of a
    /// pass.
    pub(super) fn read_text(&self, context: &Tensor<B, 3>, sources: &mut Vec<TextSource<B>>) {
        self.attentions
            .iter()
            .for_each(|attention| attention.read_text(context, sources));
    }

    /// The attentions to the text from layer `first` on.
    pub(super) fn text_reads(&self, first: usize) -> usize {
        let attentions = self.attentions.iter().skip(first);
        attentions.map(Transformer2D::text_reads).sum()
    }
}
