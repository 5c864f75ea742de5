//! Convolutions and poolings one after the other on tiles: each layer writes its output in bf16, in the
//! layout that the next layer reads.

#![allow(unsafe_code)] // Threads turn pixels of their own.

use burn::tensor::{DType, Shape as TensorShape, TensorMetadata, ops::ConvOptions};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::{
        super::{Stack, StackForm, StackLayer, StackMap},
        buffers::Buffer,
        convolutions::layer_alone,
        half::{Values, parameter},
        pooling::Pooling,
        product::Shared,
        shapes::transposed_of,
        tensors::{floats, image, shaped},
        words::tiles_are_in_force,
    },
    channels_last::of_pixels,
    finish::Finish,
    phases::Phases,
    pixel_images::{Images, PixelImages},
    pixel_target::{Outputs, PixelTarget},
    pixels::LEAST_CHANNELS,
    shape::Shape,
};

/// The largest number of values that a window holds for [`Method::Windows`].
const WINDOW: usize = 64;
/// Pixels that a thread turns at once.
const PIXELS: usize = 1024;

/// How a layer is computed.
enum Method {
    /// A convolution in channels-last layout.
    Pixels(Shape),
    /// A 1×1 convolution, whose pixels are the windows of a convolution with few input channels.
    Windows {
        s: Shape,
        of_windows: Shape,
    },
    /// A transposed convolution; `c` is the convolution whose input gradient it is.
    Phases {
        c: Shape,
        phases: Phases,
    },
    MaxPool(Pooling),
    /// The backend's operation for this layer alone.
    Alone,
}

struct Step {
    layer: StackLayer<FlexTensor>,
    method: Method,
    /// [batch, channels, height, width].
    output: [usize; 4],
}

/// Where the outputs of a layer are, or are to be.
enum State {
    Planes(FlexTensor),
    Rows(FlexTensor),
    Pixels(PixelImages),
}

enum Wanted {
    Planes,
    Rows,
    /// With so much padding.
    Pixels([usize; 2]),
}

/// How the layers of a stack are computed.
pub(in super::super) struct StackPlan(Vec<(Method, [usize; 4])>);

impl StackPlan {
    /// None where no layer is for tiles.
    pub(in super::super) fn of(stack: &Stack<FlexTensor>) -> Option<Self> {
        if stack.x.dtype() != DType::F32 || !tiles_are_in_force() {
            return None;
        }
        let mut shape = stack.x.shape().dims();
        let mut methods = Vec::with_capacity(stack.layers.len());
        for layer in &stack.layers {
            let (method, output) = method(shape, layer)?;
            shape = output;
            methods.push((method, output));
        }
        let is_alone = |(method, _): &_| matches!(method, Method::Alone | Method::MaxPool(_));
        (!methods.iter().all(is_alone)).then_some(Self(methods))
    }

    /// The outputs of the stack of which this is the plan.
    pub(in super::super) fn forward(self, stack: Stack<FlexTensor>) -> FlexTensor {
        let Stack { x, layers, form } = stack;
        let steps = layers.into_iter().zip(self.0);
        let steps: Vec<Step> = steps
            .map(|(layer, (method, output))| Step {
                layer,
                method,
                output,
            })
            .collect();
        // On a thread of the pool: another thread would wake the pool and wait for it in each layer.
        rayon::scope(|_| run(x, &steps, form))
    }
}

fn run(x: FlexTensor, steps: &[Step], form: StackForm) -> FlexTensor {
    let mut state = State::Planes(x.to_contiguous());
    for (place, step) in steps.iter().enumerate() {
        state = step.run(state, wanted(&steps[place + 1..], form));
    }
    match (state, form) {
        (State::Planes(x), StackForm::Rows) => rows_of(&x),
        (State::Planes(x) | State::Rows(x), _) => x,
        (State::Pixels(_), _) => unreachable!("the last layer writes f32"),
    }
}

/// The method of a layer, and its output; none where the kernels of this module do not hold.
fn method(x: [usize; 4], layer: &StackLayer<FlexTensor>) -> Option<(Method, [usize; 4])> {
    let is_bf16 = |map: &StackMap<FlexTensor>| map.weight.dtype() == DType::BF16;
    Some(match layer {
        StackLayer::Conv { map, options } => {
            let weight: [usize; 4] = map.weight.shape().dims();
            let Some(s) = Shape::new(x, weight, options) else {
                return Some((Method::Alone, output_of_groups(x, weight, options)?));
            };
            let taps = s.kernel[0] * s.kernel[1];
            let method = if !is_bf16(map) || s.is_depthwise || s.is_dense() {
                Method::Alone
            } else if s.channels_in >= LEAST_CHANNELS {
                Method::Pixels(s)
            } else if s.taps() <= WINDOW {
                let of_windows = Shape {
                    channels_in: s.channels_in * taps,
                    image: s.out,
                    kernel: [1, 1],
                    stride: [1, 1],
                    padding: [0, 0],
                    dilation: [1, 1],
                    ..s
                };
                Method::Windows { s, of_windows }
            } else {
                Method::Alone
            };
            (method, s.output())
        }
        StackLayer::ConvTranspose { map, options } => {
            let c = transposed_of(x, map.weight.shape().dims(), options)?;
            let phases = Phases::of_transposed(&c).filter(|_| is_bf16(map) && !c.is_dense());
            let method = match phases {
                Some(phases) => Method::Phases { c, phases },
                None => Method::Alone,
            };
            (method, c.input())
        }
        StackLayer::MaxPool {
            window,
            zeros_after,
        } => {
            let pooling = Pooling::with_zeros(x, *window, *zeros_after);
            let [height, width] = pooling.out();
            (Method::MaxPool(pooling), [x[0], x[1], height, width])
        }
    })
}

/// The output of a convolution of groups of several channels, as that of one without groups.
fn output_of_groups(
    x: [usize; 4],
    [channels_out, _, height, width]: [usize; 4],
    options: &ConvOptions<2>,
) -> Option<[usize; 4]> {
    let options = ConvOptions {
        groups: 1,
        ..options.clone()
    };
    let s = Shape::new(x, [channels_out, x[1], height, width], &options)?;
    Some(s.output())
}

/// What the layers that follow read.
fn wanted(rest: &[Step], form: StackForm) -> Wanted {
    let Some(next) = rest.first() else {
        return match form {
            StackForm::Images => Wanted::Planes,
            StackForm::Rows => Wanted::Rows,
        };
    };
    match &next.method {
        Method::Pixels(s)
        | Method::Phases {
            phases: Phases { s, .. },
            ..
        } => Wanted::Pixels(s.padding),
        Method::MaxPool(_) => match wanted(&rest[1..], form) {
            Wanted::Pixels(_) => Wanted::Pixels([0, 0]),
            Wanted::Planes | Wanted::Rows => Wanted::Planes,
        },
        Method::Windows { .. } | Method::Alone => Wanted::Planes,
    }
}

impl Step {
    fn run(&self, x: State, wanted: Wanted) -> State {
        let pixels = |x: State, s: &Shape| match x {
            State::Pixels(images) => images,
            State::Planes(x) | State::Rows(x) => {
                PixelImages::rounded(Images::Plain(floats(&x)), s.input(), s.padding)
            }
        };
        match (&self.method, x) {
            (Method::Pixels(s), x) => {
                let x = pixels(x, s);
                self.with_map(|weight, finish| {
                    self.write(wanted, |out| of_pixels(s, &x, weight, finish, out))
                })
            }
            (Method::Windows { s, of_windows }, State::Planes(x)) => {
                let x = PixelImages::of_windows(floats(&x), s);
                self.with_map(|weight, finish| {
                    self.write(wanted, |out| of_pixels(of_windows, &x, weight, finish, out))
                })
            }
            (Method::Phases { c, phases }, x) => {
                let x = pixels(x, &phases.s);
                self.with_map(|weight, finish| {
                    let Values::Bf16(weight) = weight else {
                        unreachable!("`method` has asked for bf16");
                    };
                    let packed = phases.packed_of_transposed(c, weight);
                    self.write(wanted, |out| phases.forward(&x, &packed, finish, out))
                })
            }
            (Method::MaxPool(pooling), State::Pixels(x)) => {
                let Wanted::Pixels(padding) = wanted else {
                    unreachable!("what reads these pixels reads bf16");
                };
                State::Pixels(x.max_pooled(pooling, padding))
            }
            (_, State::Planes(x) | State::Rows(x)) => {
                State::Planes(layer_alone(x, self.layer.clone()).to_contiguous())
            }
            (Method::Windows { .. } | Method::Alone, State::Pixels(_)) => {
                unreachable!("these layers read f32")
            }
        }
    }

    /// Makes the place that is wanted, and has the outputs written there.
    fn write(&self, wanted: Wanted, write: impl FnOnce(Outputs<'_>)) -> State {
        let shape = self.output;
        match wanted {
            Wanted::Pixels(padding) => {
                let mut images = PixelImages::new(shape, padding);
                write(Outputs::Pixels(images.target()));
                State::Pixels(images)
            }
            Wanted::Planes => {
                let mut out = Buffer::new(shape.iter().product());
                write(Outputs::Planes(Shared::new(&mut out)));
                State::Planes(image(out, shape))
            }
            Wanted::Rows => {
                let mut out = Buffer::new(shape.iter().product());
                write(Outputs::Rows(PixelTarget::of_rows(&mut out, shape)));
                State::Rows(shaped(out, rows_shape(shape)))
            }
        }
    }

    /// Hands on the weight, and what becomes of the products.
    fn with_map<R>(&self, body: impl FnOnce(Values<'_>, Finish<'_>) -> R) -> R {
        let (StackLayer::Conv { map, .. } | StackLayer::ConvTranspose { map, .. }) = &self.layer
        else {
            unreachable!("a pooling has no weight");
        };
        let weight = map.weight.to_contiguous();
        let vector = |vector: &Option<FlexTensor>| {
            let vector = vector.clone()?;
            Some(parameter(vector, DType::F32).to_contiguous())
        };
        let (scale, shift) = (vector(&map.scale), vector(&map.shift));
        let finish = Finish {
            scale: scale.as_ref().map(floats),
            shift: shift.as_ref().map(floats),
            act: map.act,
        };
        body(Values::of(&weight), finish)
    }
}

fn rows_shape([batch, channels, height, width]: [usize; 4]) -> TensorShape {
    TensorShape::from([batch, height * width, channels])
}

/// [batch, channels, height, width] as [batch, height · width, channels], of f32 on a processor with wide vectors.
pub(in super::super) fn rows_of(x: &FlexTensor) -> FlexTensor {
    let shape: [usize; 4] = x.shape().dims();
    let [batch, channels, height, width] = shape;
    let (x, plane) = (x.to_contiguous(), height * width);
    let from = floats(&x);
    let mut out = Buffer::new(from.len());
    let to = Shared::new(&mut out);
    let blocks = plane.div_ceil(PIXELS);
    (0..batch * blocks).into_par_iter().for_each(|number| {
        let (item, first) = (number / blocks, number % blocks * PIXELS);
        let count = PIXELS.min(plane - first);
        let image = item * channels * plane;
        // SAFETY: these pixels are in one task, which one thread has.
        let mut to = unsafe { to.block(image + first * channels, channels, [count, channels]) };
        to.turn_from(0, &from[image + first..], plane, [channels, count]);
    });
    shaped(out, rows_shape(shape))
}

#[cfg(test)]
mod tests;
