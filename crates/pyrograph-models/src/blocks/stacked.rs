//! Layers that are collected, so that a backend gets them as one stack.

use burn::tensor::{DType, Tensor, backend::Backend};
use pyrograph_backend::vision::{Activation, ConvStack, VisionBackend, Window};

use super::{BatchNorm2d, Conv2d, ConvTranspose2d, NormMode, watch::is_watched};

/// Images, and the layers to apply to them when [`images`](Self::images) or [`rows`](Self::rows) is
/// called.
pub(crate) struct Stacked<B: Backend> {
    x: Tensor<B, 4>,
    layers: ConvStack<B>,
}

impl<B: VisionBackend> Stacked<B> {
    /// Images [batch, channels, height, width].
    pub(crate) fn new(x: Tensor<B, 4>) -> Self {
        Self {
            x,
            layers: ConvStack::default(),
        }
    }

    /// The output of the last layer [batch, channels, height, width].
    pub(crate) fn images(self) -> Tensor<B, 4> {
        match self.layers.is_empty() {
            true => self.x,
            false => self.layers.forward(self.x),
        }
    }

    /// The same, pixel by pixel: [batch, height · width, channels].
    pub(crate) fn rows(self) -> Tensor<B, 3> {
        self.layers.forward_rows(self.x)
    }

    /// Adds [`Conv2d::forward`].
    pub(crate) fn conv(mut self, conv: &Conv2d<B>, act: Activation) -> Self {
        let weight = conv.weight.val();
        if is_applied_at_once(weight.dtype()) {
            return Self::new(conv.forward(self.images(), act));
        }
        self.layers
            .conv2d(weight, [None, conv.bias()], conv.options(), act);
        self
    }

    /// Adds [`Conv2d::forward_norm`].
    pub(crate) fn conv_norm(
        mut self,
        conv: &Conv2d<B>,
        norm: &BatchNorm2d<B>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Self {
        let weight = conv.weight.val();
        if matches!(mode, NormMode::Train(_)) || is_applied_at_once(weight.dtype()) {
            return Self::new(conv.forward_norm(self.images(), norm, act, mode));
        }
        let by = conv.scale_and_shift(norm).map(Some);
        self.layers.conv2d(weight, by, conv.options(), act);
        self
    }

    /// Adds [`ConvTranspose2d::forward`].
    pub(crate) fn conv_transpose(mut self, conv: &ConvTranspose2d<B>, act: Activation) -> Self {
        let by = [None, conv.bias()];
        self.layers
            .conv_transpose2d(conv.weight.val(), by, conv.options(), act);
        self
    }

    /// Adds [`ConvTranspose2d::forward_norm`].
    pub(crate) fn conv_transpose_norm(
        mut self,
        conv: &ConvTranspose2d<B>,
        norm: &BatchNorm2d<B>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Self {
        if matches!(mode, NormMode::Train(_)) {
            let x = self.conv_transpose(conv, Activation::Identity).images();
            return Self::new(norm.forward(x, act, mode));
        }
        let by = conv.scale_and_shift(norm).map(Some);
        self.layers
            .conv_transpose2d(conv.weight.val(), by, conv.options(), act);
        self
    }

    /// Adds the maxima of windows.
    pub(crate) fn max_pool(mut self, window: Window) -> Self {
        self.layers.max_pool2d(window, false);
        self
    }

    /// [`max_pool`](Self::max_pool) of the images with a row of zeros below them and a column of zeros to their right.
    pub(crate) fn max_pool_of_zeros_after(mut self, window: Window) -> Self {
        self.layers.max_pool2d(window, true);
        self
    }
}

/// Whether a layer with weights of this type is applied at once: a stack has no int8 products, and a
/// watcher needs the input of each layer.
fn is_applied_at_once(weights: DType) -> bool {
    matches!(weights, DType::QFloat(_)) || is_watched()
}
