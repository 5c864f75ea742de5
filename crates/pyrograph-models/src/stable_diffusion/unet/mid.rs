//! The block in the middle.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::VisionBackend;

use super::{
    Shared,
    pass::Passage,
    resnet::ResnetBlock2D,
    text::TextSource,
    transformer::{Transformer2D, TransformerShape},
};
use crate::blocks::ParamInit;

/// A residual block, then a transformer and a residual block; diffusers' `UNetMidBlock2DCrossAttn`.
#[derive(Module, Debug)]
pub(super) struct MidBlock<B: Backend> {
    resnets: Vec<ResnetBlock2D<B>>,
    attentions: Vec<Transformer2D<B>>,
}

impl<B: Backend> MidBlock<B> {
    pub(super) fn new(
        init: &mut ParamInit<'_, B>,
        shared: &Shared,
        shape: TransformerShape,
    ) -> Self {
        let channels = [shape.channels; 2];
        let first = ResnetBlock2D::new(init, shared, channels);
        let attention = Transformer2D::new(init, shared, shape);
        let second = ResnetBlock2D::new(init, shared, channels);
        Self {
            resnets: vec![first, second],
            attentions: vec![attention],
        }
    }
}

impl<B: VisionBackend> MidBlock<B> {
    /// `x` [batch, channels, height, width] → the same.
    pub(super) fn forward(&self, mut x: Tensor<B, 4>, pass: &mut Passage<'_, B>) -> Tensor<B, 4> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, pass.time.clone());
            if let Some(attention) = self.attentions.get(layer) {
                x = attention.forward(x, pass);
            }
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
