//! Convolutions and poolings one after the other, as one operation.

use burn::tensor::{
    Tensor,
    backend::Backend,
    ops::{ConvOptions, ConvTransposeOptions, FloatTensor},
};

use super::{
    Activation, VisionBackend, Window, plain,
    primitives::{into, tensor},
};

/// A layer of a [`ConvStack`].
#[derive(Clone, Debug)]
pub enum StackLayer<F> {
    /// A convolution with a weight [out, in / groups, kernel height, kernel width].
    Conv {
        /// Weight, scale, shift and activation.
        map: StackMap<F>,
        /// Stride, padding, dilation and groups.
        options: ConvOptions<2>,
    },
    /// A transposed convolution with a weight [in, out, kernel height, kernel width] and one group.
    ConvTranspose {
        /// Weight, scale, shift and activation.
        map: StackMap<F>,
        /// Stride, padding, output padding and dilation.
        options: ConvTransposeOptions<2>,
    },
    /// A max pooling.
    MaxPool {
        /// The windows.
        window: Window,
        /// Whether a row of zeros below the image and a column of zeros to its right belong to it.
        zeros_after: bool,
    },
}

/// `act(product · scale + shift)`, with a scale and a shift for each output channel.
#[derive(Clone, Debug)]
pub struct StackMap<F> {
    /// The kernels.
    pub weight: F,
    /// `[out]`; none for 1.
    pub scale: Option<F>,
    /// `[out]`; none for 0.
    pub shift: Option<F>,
    /// The activation.
    pub act: Activation,
}

/// The layout of a stack's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackForm {
    /// [batch, channels, height, width].
    Images,
    /// [batch, height · width, channels].
    Rows,
}

/// The images, the layers and the layout of the output.
#[derive(Clone, Debug)]
pub struct Stack<F> {
    /// [batch, in, height, width].
    pub x: F,
    /// In their order.
    pub layers: Vec<StackLayer<F>>,
    /// The layout of the output.
    pub form: StackForm,
}

/// Layers of which each reads the output of the one before, and nothing else reads it. So a backend may
/// keep these outputs in any layout and type.
///
/// Flex on AMX keeps the inputs of layers with bf16 weights in bf16, in channels-last layout; it would
/// round them to bf16 for the product anyway. Elsewhere, the layers run one by one.
#[derive(Clone, Debug)]
pub struct ConvStack<B: Backend> {
    layers: Vec<StackLayer<FloatTensor<B>>>,
}

impl<B: Backend> Default for ConvStack<B> {
    fn default() -> Self {
        Self { layers: Vec::new() }
    }
}

impl<B: VisionBackend> ConvStack<B> {
    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Adds `act(conv(x) · scale + shift)`. A weight of int8 is widened.
    ///
    /// # Shapes
    /// `weight` [out, in / groups, kernel height, kernel width], `scale` and `shift` `[out]`.
    pub fn conv2d(
        &mut self,
        weight: Tensor<B, 4>,
        [scale, shift]: [Option<Tensor<B, 1>>; 2],
        options: ConvOptions<2>,
        act: Activation,
    ) {
        let map = map(weight, scale, shift, act);
        self.layers.push(StackLayer::Conv { map, options });
    }

    /// Adds `act(conv_transpose(x) · scale + shift)`, with one group. A weight of int8 is widened.
    ///
    /// # Shapes
    /// `weight` [in, out, kernel height, kernel width], `scale` and `shift` `[out]`.
    pub fn conv_transpose2d(
        &mut self,
        weight: Tensor<B, 4>,
        [scale, shift]: [Option<Tensor<B, 1>>; 2],
        options: ConvTransposeOptions<2>,
        act: Activation,
    ) {
        let map = map(weight, scale, shift, act);
        self.layers.push(StackLayer::ConvTranspose { map, options });
    }

    /// Adds a max pooling. `zeros_after` first adds a row of zeros below the image and a column of zeros
    /// to its right.
    pub fn max_pool2d(&mut self, window: Window, zeros_after: bool) {
        self.layers.push(StackLayer::MaxPool {
            window,
            zeros_after,
        });
    }

    /// The output of the last layer: [batch, in, height, width] → [batch, out, height′, width′].
    pub fn forward(self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        tensor(B::conv_stack(self.of(into(x), StackForm::Images)))
    }

    /// The same, pixel by pixel: [batch, in, height, width] → [batch, height′ · width′, out].
    pub fn forward_rows(self, x: Tensor<B, 4>) -> Tensor<B, 3> {
        tensor(B::conv_stack(self.of(into(x), StackForm::Rows)))
    }

    fn of(self, x: FloatTensor<B>, form: StackForm) -> Stack<FloatTensor<B>> {
        let layers = self.layers;
        Stack { x, layers, form }
    }
}

fn map<B: Backend>(
    weight: Tensor<B, 4>,
    scale: Option<Tensor<B, 1>>,
    shift: Option<Tensor<B, 1>>,
    act: Activation,
) -> StackMap<FloatTensor<B>> {
    StackMap {
        weight: into(weight),
        scale: scale.map(into),
        shift: shift.map(into),
        act,
    }
}

/// The layers one by one.
pub(super) fn composed<B: VisionBackend>(stack: Stack<FloatTensor<B>>) -> FloatTensor<B> {
    let images = stack.layers.into_iter().fold(stack.x, alone::<B>);
    match stack.form {
        StackForm::Images => images,
        StackForm::Rows => rows_of::<B>(images),
    }
}

/// [batch, channels, height, width] as [batch, height · width, channels].
pub(super) fn rows_of<B: Backend>(images: FloatTensor<B>) -> FloatTensor<B> {
    let images = tensor::<B, 4>(images);
    let [batch, channels, height, width] = images.dims();
    let rows = images.permute([0, 2, 3, 1]);
    into(rows.reshape([batch, height * width, channels]))
}

/// A layer as an operation of its own.
pub(super) fn alone<B: VisionBackend>(
    x: FloatTensor<B>,
    layer: StackLayer<FloatTensor<B>>,
) -> FloatTensor<B> {
    match layer {
        StackLayer::Conv { map, options } => {
            let StackMap {
                weight,
                scale,
                shift,
                act,
            } = map;
            match (scale, shift) {
                (Some(scale), Some(shift)) => {
                    B::conv2d_scaled_act(x, weight, scale, shift, options, act)
                }
                (Some(scale), None) => {
                    let weight = plain::scaled_weight(tensor::<B, 4>(weight), tensor(scale), 0);
                    B::conv2d_act(x, into(weight), None, options, act)
                }
                (None, shift) => B::conv2d_act(x, weight, shift, options, act),
            }
        }
        StackLayer::ConvTranspose { map, options } => {
            let weight = match map.scale {
                Some(scale) => scaled_transposed::<B>(map.weight, scale),
                None => map.weight,
            };
            B::conv_transpose2d_act(x, weight, map.shift, options, map.act)
        }
        StackLayer::MaxPool {
            window,
            zeros_after,
        } => {
            let x = match zeros_after {
                true => into(with_zeros_after(tensor::<B, 4>(x))),
                false => x,
            };
            B::max_pool2d_window(x, window)
        }
    }
}

/// The weight [in, out, kernel height, kernel width] times the scale of each output.
pub(super) fn scaled_transposed<B: Backend>(
    weight: FloatTensor<B>,
    scale: FloatTensor<B>,
) -> FloatTensor<B> {
    into(plain::scaled_weight(
        tensor::<B, 4>(weight),
        tensor(scale),
        1,
    ))
}

/// Adds a row of zeros below `x` and a column of zeros to its right, in the type of `x`. (burn's
/// `pad` uses the default type of the device, see docs/upstream.md.)
///
/// # Shapes
/// [batch, channels, height, width] → [batch, channels, height + 1, width + 1].
pub fn with_zeros_after<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let row = x.clone().narrow(2, 0, 1);
    let x = Tensor::cat(vec![x, row.zeros_like()], 2);
    let column = x.clone().narrow(3, 0, 1);
    Tensor::cat(vec![x, column.zeros_like()], 3)
}
