//! The losses of a generator and a discriminator.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::LossError;

/// The losses of discriminator and generator, given the logits `D(x)` of real images and `D(G(z))`
/// of generated ones.
///
/// | | discriminator | generator |
/// | --- | --- | --- |
/// | [`Bce`](Self::Bce) | `mean(−s·log σ(D(x)) − (1−s)·log(1−σ(D(x)))) + mean(−log(1−σ(D(G(z)))))` | `mean(−log σ(D(G(z))))` |
/// | [`Hinge`](Self::Hinge) | `mean(max(0, 1−D(x))) + mean(max(0, 1+D(G(z))))` | `mean(−D(G(z)))` |
/// | [`Wasserstein`](Self::Wasserstein) | `mean(D(G(z))) − mean(D(x))` | `mean(−D(G(z)))` |
///
/// Sources: [GAN](https://arxiv.org/abs/1406.2661) section 3 (the non-saturating loss of the
/// generator), with one-sided label smoothing `s` of [Salimans et
/// al.](https://arxiv.org/abs/1606.03498) section 3.4; [Geometric
/// GAN](https://arxiv.org/abs/1705.02894); [WGAN](https://arxiv.org/abs/1701.07875), which needs a
/// [`GradientPenalty`](crate::GradientPenalty).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdversarialLoss {
    /// Binary cross-entropy with logits.
    Bce,
    /// The hinge loss.
    Hinge,
    /// The Wasserstein distance of a critic.
    Wasserstein,
}

impl AdversarialLoss {
    /// The discriminator's loss; `real_label` is `s` above, in (0, 1], and affects
    /// [`Bce`](Self::Bce) only.
    ///
    /// # Shapes
    /// `real` and `fake` of any shape, the batch first; result `[1]`.
    ///
    /// # Errors
    /// When the label is outside (0, 1].
    pub fn discriminator<B: Backend, const D: usize>(
        self,
        real: Tensor<B, D>,
        fake: Tensor<B, D>,
        real_label: f64,
    ) -> Result<Tensor<B, 1>, LossError> {
        if !(real_label > 0.0 && real_label <= 1.0) {
            return Err(LossError::Range {
                what: "the label of real images",
                seen: real_label,
                allowed: "above 0, up to 1",
            });
        }
        Ok(match self {
            // −s·log σ(x) − (1−s)·log(1−σ(x)) is softplus(x) − s·x.
            Self::Bce => {
                (softplus(real.clone()) - real * real_label).mean() + softplus(fake).mean()
            }
            Self::Hinge => hinge(real.neg()).mean() + hinge(fake).mean(),
            Self::Wasserstein => fake.mean() - real.mean(),
        })
    }

    /// The generator's loss.
    ///
    /// # Shapes
    /// `fake` of any shape, the batch first; result `[1]`.
    pub fn generator<B: Backend, const D: usize>(self, fake: Tensor<B, D>) -> Tensor<B, 1> {
        match self {
            Self::Bce => softplus(fake.neg()).mean(),
            Self::Hinge | Self::Wasserstein => fake.neg().mean(),
        }
    }
}

/// `ln(1 + eˣ)` as `(x + |x|)/2 + ln(1 + e^(−|x|))`: no term overflows, and its derivative at 0 is ½, as it should be.
fn softplus<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let size = x.clone().abs();
    (x + size.clone()) * 0.5 + size.neg().exp().log1p()
}

/// `max(0, 1 + x)`.
fn hinge<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    burn::tensor::activation::relu(x + 1.0)
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    type A = Autodiff<Flex>;

    const ALL: [AdversarialLoss; 3] = [
        AdversarialLoss::Bce,
        AdversarialLoss::Hinge,
        AdversarialLoss::Wasserstein,
    ];
    /// `f32_op`: a few operations on values near 1.
    const F32_OP: f32 = 1e-5;

    fn logits(values: &[f32]) -> Tensor<A, 1> {
        Tensor::from_floats(values, &Default::default()).require_grad()
    }

    fn scalar(loss: Tensor<A, 1>) -> f32 {
        loss.into_scalar()
    }

    #[track_caller]
    fn assert_close(ours: f32, theirs: f32) {
        assert!(
            (ours - theirs).abs() <= F32_OP * theirs.abs().max(1.0),
            "{ours} is not {theirs}"
        );
    }

    #[test]
    fn values_are_those_worked_out_by_hand() {
        let (real, fake) = (|| logits(&[2.0, -1.0]), || logits(&[0.5, -3.0]));
        // log(1 + e^-2) = 0.126928, log(1 + e^1) = 1.313262; log(1 + e^0.5) = 0.974077, log(1 + e^-3) = 0.048587.
        let bce = |s| {
            AdversarialLoss::Bce
                .discriminator(real(), fake(), s)
                .expect("legal")
        };
        assert_close(scalar(bce(1.0)), 0.720_095 + 0.511_332);
        // Smoothed to 0.9: each real term gains 0.1·x.
        assert_close(scalar(bce(0.9)), 0.720_095 + 0.1 * 0.5 + 0.511_332);
        let hinge = AdversarialLoss::Hinge
            .discriminator(real(), fake(), 1.0)
            .expect("legal");
        assert_close(scalar(hinge), (0.0 + 2.0) / 2.0 + (1.5 + 0.0) / 2.0);
        let critic = AdversarialLoss::Wasserstein.discriminator(real(), fake(), 1.0);
        assert_close(scalar(critic.expect("legal")), -1.25 - 0.5);
        assert_close(
            scalar(AdversarialLoss::Bce.generator(fake())),
            (0.474_077 + 3.048_587) / 2.0,
        );
        assert_close(scalar(AdversarialLoss::Hinge.generator(fake())), 1.25);
        assert_close(scalar(AdversarialLoss::Wasserstein.generator(fake())), 1.25);
    }

    #[test]
    fn the_gradient_of_the_cross_entropy_is_the_sigmoid_less_the_label_at_zero_too() {
        let values = [0.0, 3.0, -2.0, 40.0];
        let (real, fake) = (logits(&values), logits(&values));
        let loss = AdversarialLoss::Bce
            .discriminator(real.clone(), fake.clone(), 0.9)
            .expect("legal");
        let gradients = loss.backward();
        let of = |x: &Tensor<A, 1>| x.grad(&gradients).expect("tracked").into_data();
        for (label, gradient) in [(0.9, of(&real)), (0.0, of(&fake))] {
            for (x, ours) in values.iter().zip(gradient.iter::<f32>()) {
                assert_close(ours, (1.0 / (1.0 + (-x).exp()) - label) / 4.0);
            }
        }
    }

    #[test]
    fn logits_far_out_stay_finite() {
        for loss in ALL {
            for far in [1e4, -1e4, 3e37] {
                let x = logits(&[far, -far]);
                let value = loss
                    .discriminator(x.clone(), x.clone(), 0.9)
                    .expect("legal")
                    + loss.generator(x.clone());
                assert!(scalar(value.clone()).is_finite(), "{loss:?} at {far}");
                let gradient = x.grad(&value.backward()).expect("tracked").into_data();
                assert!(
                    gradient.iter::<f32>().all(f32::is_finite),
                    "{loss:?} at {far}"
                );
            }
        }
    }

    #[test]
    fn labels_that_are_no_probability_are_refused() {
        for label in [0.0, -0.1, 1.1, f64::NAN] {
            let x = || logits(&[0.0]);
            let refused = AdversarialLoss::Bce.discriminator(x(), x(), label);
            let message = refused.expect_err("refused").to_string();
            assert!(message.contains("above 0, up to 1"), "{message}");
        }
    }
}
