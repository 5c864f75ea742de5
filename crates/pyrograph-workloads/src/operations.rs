//! Operations at the shapes that the jobs have.

use burn::tensor::{
    Tensor,
    ops::{ConvOptions, ConvTransposeOptions},
};
use pyrograph_backend::{
    Device, lock_autodiff,
    rng::{NoiseKey, Purpose},
    vision::{self, Activation, VisionAutodiff, VisionBackend, Window},
};
use serde::Deserialize;

use crate::Workload;

const EPSILON: f64 = 1e-5;

/// One entry of `operations.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    name: String,
    op: Op,
    x: [usize; 4],
    weight: Option<[usize; 4]>,
    #[serde(default = "one")]
    stride: usize,
    #[serde(default)]
    padding: usize,
    #[serde(default = "one")]
    dilation: usize,
    #[serde(default = "one")]
    groups: usize,
    #[serde(default = "identity")]
    act: Activation,
    /// Forward, and back to every input from the output's sum.
    #[serde(default)]
    backward: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Conv2d,
    ConvTranspose2d,
    Activate,
    GroupNorm,
    BatchNormTraining,
    MaxPool2d,
    AvgPool2d,
    Softmax,
    Attention,
    Linear,
}

fn one() -> usize {
    1
}

fn identity() -> Activation {
    Activation::Identity
}

pub(crate) fn all<A: VisionAutodiff>(device: &Device<A>) -> Vec<Workload> {
    let list: Vec<Operation> =
        serde_json::from_str(include_str!("../operations.json")).expect("our own file");
    let list = list.into_iter().map(|operation| {
        let name = format!("ops/{}", operation.name);
        Workload::new::<A, _>(name, device, move |device| {
            operation.clone().work::<A>(device)
        })
    });
    list.collect()
}

/// What an operation takes.
#[derive(Clone)]
struct Inputs<B: VisionBackend> {
    x: Tensor<B, 4>,
    weight: Option<Tensor<B, 4>>,
    /// Scale and shift of a norm; the second is a convolution's bias.
    vectors: [Tensor<B, 1>; 2],
}

impl Operation {
    fn work<A: VisionAutodiff>(self, device: &Device<A>) -> impl FnMut() + use<A> {
        let inputs = self.inputs::<A::InnerBackend>(device);
        move || {
            if !self.backward {
                drop(self.run(inputs.clone()));
                return;
            }
            let _turn = lock_autodiff();
            let tracked = Inputs::<A> {
                x: Tensor::from_inner(inputs.x.clone()).require_grad(),
                weight: inputs
                    .weight
                    .clone()
                    .map(|w| Tensor::from_inner(w).require_grad()),
                vectors: inputs
                    .vectors
                    .clone()
                    .map(|v| Tensor::from_inner(v).require_grad()),
            };
            drop(self.run(tracked).sum().backward());
        }
    }

    fn inputs<B: VisionBackend>(&self, device: &Device<B>) -> Inputs<B> {
        let noise = |stream| NoiseKey::new(0, Purpose::Other, stream);
        let channels = match (self.op, self.weight) {
            (Op::Conv2d | Op::Linear, Some(weight)) => weight[0],
            (Op::ConvTranspose2d, Some(weight)) => weight[1],
            _ => self.x[1],
        };
        Inputs {
            x: noise(0).normal_tensor(0, self.x, device),
            weight: self
                .weight
                .map(|shape| noise(1).normal_tensor(0, shape, device)),
            vectors: [2, 3].map(|stream| noise(stream).normal_tensor(0, [channels], device)),
        }
    }

    fn run<B: VisionBackend>(&self, inputs: Inputs<B>) -> Tensor<B, 4> {
        let Inputs {
            x,
            weight,
            vectors: [scale, shift],
        } = inputs;
        let [s, p, d] = [self.stride, self.padding, self.dilation].map(|n| [n; 2]);
        let weight = || weight.expect("operations.json gives convolutions a weight");
        match self.op {
            Op::Conv2d => {
                let options = ConvOptions::new(s, p, d, 1);
                vision::conv2d(x, weight(), Some(shift), options, self.act)
            }
            Op::ConvTranspose2d => {
                let options = ConvTransposeOptions::new(s, p, [0, 0], d, 1);
                vision::conv_transpose2d(x, weight(), Some(shift), options, self.act)
            }
            Op::Activate => vision::activate(x, self.act),
            Op::GroupNorm => vision::group_norm(x, scale, shift, self.groups, EPSILON, self.act),
            Op::BatchNormTraining => {
                vision::batch_norm_training(x, scale, shift, EPSILON, self.act).output
            }
            // The stride is the window's side.
            Op::MaxPool2d => vision::max_pool2d(x, Window::tiles(self.stride)),
            Op::AvgPool2d => vision::avg_pool2d(x, Window::tiles(self.stride)),
            Op::Softmax => vision::softmax(x),
            Op::Attention => {
                let scale = 1.0 / (self.x[3] as f64).sqrt();
                vision::attention(x.clone(), x.clone(), x, None, scale)
            }
            // Its weight is [out, in, 1, 1].
            Op::Linear => {
                let weight = weight();
                let [out, inward, _, _] = weight.dims();
                vision::linear(x, weight.reshape([out, inward]), Some(shift))
            }
        }
    }
}
