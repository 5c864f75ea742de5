//! A block on the way down.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::VisionBackend;

use super::{
    Shared,
    pass::Passage,
    resnet::{Downsample2D, ResnetBlock2D},
    text::TextSource,
    transformer::{Transformer2D, TransformerShape},
};
use crate::blocks::ParamInit;

/// The numbers of a block on the way down.
#[derive(Clone, Copy, Debug)]
pub(super) struct DownShape {
    pub(super) channels: [usize; 2],
    pub(super) layers: usize,
    pub(super) transformer: Option<TransformerShape>,
    pub(super) downsample: bool,
}

/// Residual blocks, each followed by a transformer where the level attends, and a halving of the resolution; diffusers'
/// `CrossAttnDownBlock2D` and `DownBlock2D`.
#[derive(Module, Debug)]
pub(super) struct DownBlock<B: Backend> {
    resnets: Vec<ResnetBlock2D<B>>,
    attentions: Vec<Transformer2D<B>>,
    /// One, or none in the last block.
    downsamplers: Vec<Downsample2D<B>>,
}

impl<B: Backend> DownBlock<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, shared: &Shared, shape: DownShape) -> Self {
        let [c_in, c_out] = shape.channels;
        let mut block = Self {
            resnets: Vec::new(),
            attentions: Vec::new(),
            downsamplers: Vec::new(),
        };
        for layer in 0..shape.layers {
            let from = if layer == 0 { c_in } else { c_out };
            let resnet = ResnetBlock2D::new(init, shared, [from, c_out]);
            block.resnets.push(resnet);
            let attention = shape.transformer;
            let attention = attention.map(|shape| Transformer2D::new(init, shared, shape));
            block.attentions.extend(attention);
        }
        if shape.downsample {
            let layer = Downsample2D::new(init, shared, c_out);
            block.downsamplers.push(layer);
        }
        block
    }
}

impl<B: VisionBackend> DownBlock<B> {
    /// `x` [batch, in, height, width] → [batch, out, height′, width′]. The output of every layer is
    /// added to the skips of `pass`, up to `wanted` skips in all; the layers beyond are left out.
    pub(super) fn forward(
        &self,
        mut x: Tensor<B, 4>,
        pass: &mut Passage<'_, B>,
        wanted: usize,
    ) -> Tensor<B, 4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            if pass.skips.len() == wanted {
                return x;
            }
            x = resnet.forward(x, pass.time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, pass);
            }
            pass.skips.push(x.clone());
        }
        for downsampler in &self.downsamplers {
            if pass.skips.len() == wanted {
                return x;
            }
            x = downsampler.forward(x);
            pass.skips.push(x.clone());
        }
        x
    }

    /// Adds the keys and values of `context` for every attention to the text, in the order of a
    /// pass.
    pub(super) fn read_text(&self, context: &Tensor<B, 3>, sources: &mut Vec<TextSource<B>>) {
        self.attentions
            .iter()
            .for_each(|attention| attention.read_text(context, sources));
    }
}
