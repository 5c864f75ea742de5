//! Gradient clipping by the norm of all gradients together.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Tensor, backend::AutodiffBackend},
};

/// Keeps the division finite when every gradient is zero; PyTorch's value.
const EPSILON: f64 = 1e-6;

/// Scales every gradient by `min(1, max_norm / ‖g‖)`, where `‖g‖` is the norm of all gradients as
/// one vector (Pascanu et al., 2013; `torch.nn.utils.clip_grad_norm_`). Returns the norm before
/// clipping as a tensor on the device, without reading it.
///
/// burn's own clipping works parameter by parameter, which changes the direction of the step.
pub fn clip_global_norm<B: AutodiffBackend, M: Module<B>>(
    module: &M,
    gradients: &mut GradientsParams,
    max_norm: f64,
) -> Option<Tensor<B::InnerBackend, 1>> {
    let mut squares = Squares::<B> {
        gradients,
        total: None,
    };
    module.visit(&mut squares);
    let norm = squares.total?.sqrt();
    let scale = ((norm.clone() + EPSILON).recip() * max_norm).clamp_max(1.0);
    module.visit(&mut Scale::<B> { gradients, scale });
    Some(norm)
}

struct Squares<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    total: Option<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Squares<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let square = gradient.square().sum();
            self.total = Some(match self.total.take() {
                Some(total) => total + square,
                None => square,
            });
        }
    }
}

struct Scale<'a, B: AutodiffBackend> {
    gradients: &'a mut GradientsParams,
    scale: Tensor<B::InnerBackend, 1>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let scaled = gradient * self.scale.clone().reshape([1; D]);
            self.gradients
                .register::<B::InnerBackend, D>(param.id, scaled);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    type A = Autodiff<Flex>;

    /// `f32_op`: a few operations on values near 1.
    const F32_OP: f32 = 1e-6;

    #[derive(Module, Debug)]
    struct Pair<B: burn::tensor::backend::Backend> {
        a: Param<Tensor<B, 2>>,
        b: Param<Tensor<B, 1>>,
        unused: Param<Tensor<B, 1>>,
    }

    fn pair() -> Pair<A> {
        let device = Default::default();
        Pair {
            a: Param::from_tensor(Tensor::from_floats([[0.5, -1.0]], &device)),
            b: Param::from_tensor(Tensor::from_floats([2.0], &device)),
            unused: Param::from_tensor(Tensor::from_floats([7.0], &device)),
        }
    }

    /// The gradients [scale·1, scale·2] of `a` and [scale·2] of `b`: a norm of 3·scale.
    fn gradients(pair: &Pair<A>, scale: f32) -> GradientsParams {
        let of_a = Tensor::from_floats([[scale, 2.0 * scale]], &Default::default());
        let loss = (pair.a.val() * of_a).sum() + (pair.b.val() * (2.0 * scale)).sum();
        GradientsParams::from_grads(loss.backward(), pair)
    }

    fn values(pair: &Pair<A>, gradients: &GradientsParams) -> Vec<f32> {
        let a = gradients
            .get::<Flex, 2>(pair.a.id)
            .expect("of a")
            .into_data();
        let b = gradients
            .get::<Flex, 1>(pair.b.id)
            .expect("of b")
            .into_data();
        a.iter::<f32>().chain(b.iter::<f32>()).collect()
    }

    #[track_caller]
    fn assert_close(ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            // Written so that NaN fails.
            assert!(
                (a - b).abs() <= F32_OP * b.abs().max(1.0),
                "{ours:?} is not {theirs:?}"
            );
        }
    }

    #[test]
    fn gradients_beyond_the_norm_are_scaled_together() {
        let pair = pair();
        let mut gradients = gradients(&pair, 2.0);
        assert_close(&values(&pair, &gradients), &[2.0, 4.0, 4.0]);
        let norm = clip_global_norm(&pair, &mut gradients, 1.5).expect("gradients");
        assert_close(&[norm.into_scalar()], &[6.0]);
        let scale = 1.5 / (6.0 + 1e-6);
        assert_close(
            &values(&pair, &gradients),
            &[2.0 * scale, 4.0 * scale, 4.0 * scale],
        );
        assert!(gradients.get::<Flex, 1>(pair.unused.id).is_none());
    }

    #[test]
    fn the_epsilon_is_in_the_divisor() {
        // ‖g‖ = 3e-6, so that 1e-6 counts: 1e-6/(3e-6 + 1e-6) is a quarter, not a third.
        let pair = pair();
        let mut gradients = gradients(&pair, 1e-6);
        clip_global_norm(&pair, &mut gradients, 1e-6).expect("gradients");
        let seen: Vec<f32> = values(&pair, &gradients).iter().map(|v| v * 1e6).collect();
        for (seen, expected) in seen.iter().zip([0.25, 0.5, 0.5]) {
            // The squares of values near 1e-6 keep their relative precision; the constants are rounded once.
            assert!((seen - expected).abs() < 1e-5, "{seen} is not {expected}");
        }
    }

    #[test]
    fn gradients_within_the_norm_are_untouched() {
        for scale in [0.3, 0.0] {
            let pair = pair();
            let mut gradients = gradients(&pair, scale);
            let before = values(&pair, &gradients);
            let norm = clip_global_norm(&pair, &mut gradients, 1.0)
                .expect("gradients")
                .into_scalar();
            assert_close(&[norm], &[3.0 * scale]);
            assert_eq!(values(&pair, &gradients), before, "to the bit");
        }
    }

    #[test]
    fn no_gradients_have_no_norm() {
        let mut none = GradientsParams::new();
        assert!(clip_global_norm(&pair(), &mut none, 1.0).is_none());
    }
}
