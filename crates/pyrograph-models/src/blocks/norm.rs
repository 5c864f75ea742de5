//! Group norm, and batch norm with its running statistics.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::ParamInit;

/// PyTorch's default for both norms.
const EPSILON: f64 = 1e-5;
/// PyTorch's default: running ← 0.9·running + 0.1·batch.
const MOMENTUM: f64 = 0.1;

/// `torch.nn.GroupNorm`.
#[derive(Module, Debug)]
pub struct GroupNorm<B: Backend> {
    /// `[channels]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<B, 1>>,
    groups: usize,
    epsilon: f64,
}

impl<B: Backend> GroupNorm<B> {
    /// A norm over `groups` groups of `channels`, with PyTorch's epsilon of 1e-5. The caller checks
    /// that `groups` divides `channels`.
    pub fn new(init: &mut ParamInit<'_, B>, groups: usize, channels: usize) -> Self {
        Self {
            weight: init.constant(channels, 1.0),
            bias: init.constant(channels, 0.0),
            groups,
            epsilon: EPSILON,
        }
    }

    /// Sets `epsilon`.
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl<B: VisionBackend> GroupNorm<B> {
    /// Norm and activation.
    ///
    /// # Shapes
    /// [batch, channels, height, width] → the same.
    pub fn forward(&self, x: Tensor<B, 4>, act: Activation) -> Tensor<B, 4> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        vision::group_norm(x, weight, bias, self.groups, self.epsilon, act)
    }

    /// The parameters, with the activation that follows.
    pub(super) fn with_act(&self, act: Activation) -> vision::GroupNorm<Tensor<B, 1>> {
        vision::GroupNorm {
            weight: self.weight.val(),
            bias: self.bias.val(),
            groups: self.groups,
            epsilon: self.epsilon,
            act,
        }
    }
}

/// The statistics that batch norm uses. The mode is an argument, not a property of the backend,
/// because a search through a frozen model needs gradients with the running statistics.
#[derive(Debug)]
pub enum NormMode<'a, B: Backend> {
    /// The running statistics: a result does not depend on the other items of the batch.
    Eval,
    /// The statistics of the batch, which are collected for [`BatchStatistics::update`].
    Train(&'a mut BatchStatistics<B>),
}

/// `torch.nn.BatchNorm2d`.
#[derive(Module, Debug)]
pub struct BatchNorm2d<B: Backend> {
    /// `[channels]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<B, 1>>,
    /// `[channels]`, not trained.
    pub running_mean: Param<Tensor<B, 1>>,
    /// `[channels]`, not trained; of the unbiased variance, as in PyTorch.
    pub running_var: Param<Tensor<B, 1>>,
}

impl<B: Backend> BatchNorm2d<B> {
    /// A new norm: scale 1, shift 0, running mean 0, running variance 1.
    pub fn new(init: &mut ParamInit<'_, B>, channels: usize) -> Self {
        Self {
            weight: init.constant(channels, 1.0),
            bias: init.constant(channels, 0.0),
            running_mean: init.buffer(channels, 0.0),
            running_var: init.buffer(channels, 1.0),
        }
    }
}

impl<B: VisionBackend> BatchNorm2d<B> {
    /// Norm and activation.
    ///
    /// # Shapes
    /// [batch, channels, height, width] → the same.
    pub fn forward(
        &self,
        x: Tensor<B, 4>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match mode {
            NormMode::Eval => {
                let (mean, variance) = (self.running_mean.val(), self.running_var.val());
                vision::batch_norm(x, weight, bias, mean, variance, EPSILON, act)
            }
            NormMode::Train(statistics) => {
                let [batch, _, height, width] = x.dims();
                let out = vision::batch_norm_training(x, weight, bias, EPSILON, act);
                let unbiased = unbiased(out.variance, batch * height * width);
                statistics.record(self.running_mean.id, out.mean);
                statistics.record(self.running_var.id, unbiased);
                out.output
            }
        }
    }
}

impl<B: Backend> BatchNorm2d<B> {
    /// The norm with the running statistics, as a scale and a shift of each channel, both
    /// `[channels]`.
    pub fn scale_and_shift(&self) -> [Tensor<B, 1>; 2] {
        vision::plain::scale_and_shift(
            self.weight.val(),
            self.bias.val(),
            self.running_mean.val(),
            self.running_var.val(),
            EPSILON,
        )
    }
}

/// n/(n − 1) times the biased variance; for a single value the variance stays 0.
fn unbiased<B: Backend>(variance: Tensor<B, 1>, count: usize) -> Tensor<B, 1> {
    variance * (count as f64 / count.saturating_sub(1).max(1) as f64)
}

/// The batch statistics of one forward pass in [`NormMode::Train`], keyed by the running buffer
/// that they update.
///
/// Collecting them beside the pass, instead of writing them into the module, keeps `forward` free
/// of side effects: copies of a module (an EMA, a snapshot) share no state.
#[derive(Debug, Default)]
pub struct BatchStatistics<B: Backend> {
    observed: HashMap<ParamId, Vec<Tensor<B, 1>>>,
}

impl<B: Backend> BatchStatistics<B> {
    /// Empty statistics.
    pub fn new() -> Self {
        Self {
            observed: HashMap::new(),
        }
    }

    /// Averages the statistics of the parts of one batch, weighted by the number of images of each
    /// part, on `device`. The variance within a part is taken for the variance within the batch, as
    /// is usual when devices share a batch.
    pub fn averaged(parts: Vec<(usize, Self)>, device: &B::Device) -> Self {
        let images: usize = parts.iter().map(|(images, _)| images).sum();
        let mut average = Self::new();
        for (of_part, part) in parts {
            let share = of_part as f64 / images.max(1) as f64;
            for (buffer, values) in part.observed {
                let values = values
                    .into_iter()
                    .map(|value| value.to_device(device) * share);
                let sums = average.observed.remove(&buffer);
                let sums = match sums {
                    None => values.collect(),
                    Some(sums) => sums.into_iter().zip(values).map(|(a, b)| a + b).collect(),
                };
                average.observed.insert(buffer, sums);
            }
        }
        average
    }

    fn record(&mut self, buffer: ParamId, values: Tensor<B, 1>) {
        self.observed.entry(buffer).or_default().push(values);
    }

    /// Moves the running statistics of `module` towards the observed statistics, in the order of
    /// the passes.
    pub fn update<M: Module<B>>(mut self, module: M) -> M {
        module.map(&mut self)
    }
}

impl<B: Backend> ModuleMapper<B> for BatchStatistics<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(observed) = self.observed.remove(&param.id) else {
            return param;
        };
        param.map(|running| {
            observed.into_iter().fold(running, |running, batch| {
                let batch = batch.reshape(running.shape());
                running * (1.0 - MOMENTUM) + batch * MOMENTUM
            })
        })
    }
}
