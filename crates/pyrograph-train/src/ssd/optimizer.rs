//! Optimizers whose weight decay spares biases and norms.

use std::path::Path;

use burn::{
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    optim::{
        AdamWConfig, GradientsParams, Optimizer, SgdConfig, decay::WeightDecayConfig,
        momentum::MomentumConfig,
    },
    tensor::{Tensor, backend::AutodiffBackend},
};

use crate::{TrainError, adam::ADAM_EPSILON, checkpoint, resume::Resumed};

/// PyTorch's SGD: `v ← μ·v + g + λ·w`, `w ← w − η·v`, with λ for weights of convolutions alone.
pub(super) fn sgd<B: AutodiffBackend, M: AutodiffModule<B>>(
    momentum: f64,
    weight_decay: f64,
) -> Parted<impl Optimizer<M, B>> {
    let plain = SgdConfig::new().with_momentum((momentum > 0.0).then_some(MomentumConfig {
        momentum,
        // burn's own default dampens the gradient, PyTorch's does not.
        dampening: 0.0,
        nesterov: false,
    }));
    let decay = WeightDecayConfig::new(weight_decay as f32);
    Parted {
        decayed: plain.clone().with_weight_decay(Some(decay)).init(),
        plain: plain.init(),
    }
}

/// PyTorch's AdamW ([Loshchilov and Hutter](https://arxiv.org/abs/1711.05101)): β₁ is the momentum,
/// β₂ 0.999, and weights of convolutions alone shrink by `η·λ` a step.
pub(super) fn adam_w<B: AutodiffBackend, M: AutodiffModule<B>>(
    momentum: f64,
    weight_decay: f64,
) -> Parted<impl Optimizer<M, B>> {
    let config = |weight_decay: f64| {
        AdamWConfig::new()
            .with_beta_1(momentum as f32)
            .with_epsilon(ADAM_EPSILON)
            .with_weight_decay(weight_decay as f32)
            .init()
    };
    Parted {
        decayed: config(weight_decay),
        plain: config(0.0),
    }
}

/// Two of burn's optimizers: one for tensors with two axes and more, one for the others.
pub(super) struct Parted<O> {
    decayed: O,
    plain: O,
}

const DECAYED: &str = "optimizer-decayed.bin";
const PLAIN: &str = "optimizer-plain.bin";

impl<O> Parted<O> {
    pub(super) fn step<B, M>(&mut self, rate: f64, model: M, gradients: GradientsParams) -> M
    where
        B: AutodiffBackend,
        M: AutodiffModule<B>,
        O: Optimizer<M, B>,
    {
        let mut parts = Parts {
            whole: gradients,
            decayed: GradientsParams::new(),
        };
        Module::<B>::visit(&model, &mut parts);
        let model = self.decayed.step(rate, model, parts.decayed);
        self.plain.step(rate, model, parts.whole)
    }

    pub(super) fn save<B, M>(&self, folder: &Path) -> Result<(), TrainError>
    where
        B: AutodiffBackend,
        M: AutodiffModule<B>,
        O: Optimizer<M, B>,
    {
        checkpoint::save_optimizer(&self.decayed, folder, DECAYED)?;
        checkpoint::save_optimizer(&self.plain, folder, PLAIN)
    }

    /// With the state of the checkpoint that a run goes on from.
    pub(super) fn resumed<B, M>(
        self,
        resumed: &Resumed,
        device: &B::Device,
    ) -> Result<Self, TrainError>
    where
        B: AutodiffBackend,
        M: AutodiffModule<B>,
        O: Optimizer<M, B>,
    {
        Ok(Self {
            decayed: resumed.optimizer(self.decayed, DECAYED, device)?,
            plain: resumed.optimizer(self.plain, PLAIN, device)?,
        })
    }
}

/// Takes the gradients of convolutions' weights out of the whole.
struct Parts {
    whole: GradientsParams,
    decayed: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Parts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if D < 2 {
            return;
        }
        if let Some(gradient) = self.whole.remove::<B::InnerBackend, D>(param.id) {
            self.decayed
                .register::<B::InnerBackend, D>(param.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::backend::Backend};
    use burn_flex::Flex;

    use super::*;

    type A = Autodiff<Flex>;

    #[derive(Module, Debug)]
    struct Pair<B: Backend> {
        weight: Param<Tensor<B, 2>>,
        bias: Param<Tensor<B, 1>>,
    }

    #[test]
    fn two_steps_are_pytorchs_and_the_bias_does_not_decay() {
        let device = Default::default();
        let mut pair = Pair::<A> {
            weight: Param::from_tensor(Tensor::from_floats([[2.0]], &device)),
            bias: Param::from_tensor(Tensor::from_floats([2.0], &device)),
        };
        let mut sgd = sgd::<A, Pair<A>>(0.9, 0.5);
        for _ in 0..2 {
            // Both gradients are 3.
            let loss = (pair.weight.val().reshape([1]) + pair.bias.val()) * 3.0;
            let gradients = GradientsParams::from_grads(loss.backward(), &pair);
            pair = sgd.step(0.1, pair, gradients);
        }
        // Weight: v = 3 + 0.5·2 = 4, w = 1.6; v = 0.9·4 + 3 + 0.5·1.6 = 7.4, w = 0.86.
        // Bias: v = 3, b = 1.7; v = 0.9·3 + 3 = 5.7, b = 1.13.
        let (weight, bias) = (
            pair.weight.val().into_scalar(),
            pair.bias.val().into_scalar(),
        );
        assert!((weight - 0.86).abs() < 1e-6, "{weight}");
        assert!((bias - 1.13).abs() < 1e-6, "{bias}");
    }

    #[test]
    fn a_first_step_of_adam_is_the_rate_and_the_bias_does_not_decay() {
        let device = Default::default();
        let pair = Pair::<A> {
            weight: Param::from_tensor(Tensor::from_floats([[2.0]], &device)),
            bias: Param::from_tensor(Tensor::from_floats([2.0], &device)),
        };
        let loss = (pair.weight.val().reshape([1]) + pair.bias.val()) * 3.0;
        let gradients = GradientsParams::from_grads(loss.backward(), &pair);
        let pair = adam_w::<A, Pair<A>>(0.9, 0.5).step(0.1, pair, gradients);
        // m̂/√v̂ is 1 after one step; the weight shrinks by 0.1·0.5 of itself first.
        let (weight, bias) = (
            pair.weight.val().into_scalar(),
            pair.bias.val().into_scalar(),
        );
        assert!((weight - 1.8).abs() < 1e-5, "{weight}");
        assert!((bias - 1.9).abs() < 1e-5, "{bias}");
    }
}
