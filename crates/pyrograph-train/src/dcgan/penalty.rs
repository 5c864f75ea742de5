//! The gradient penalty of a step.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{
    rng::{NoiseKey, Purpose, host_tensor},
    vision::VisionAutodiff,
};
use pyrograph_losses::GradientPenalty;
use pyrograph_models::dcgan::Discriminator;

/// The penalty's value, and a loss whose gradient for the discriminator is that of the penalty; see
/// [`GradientPenalty`].
pub(super) fn penalise<B: VisionAutodiff>(
    penalty: GradientPenalty,
    discriminator: &Discriminator<B>,
    images: Tensor<B::InnerBackend, 4>,
    device: &B::Device,
) -> (Tensor<B::InnerBackend, 1>, Tensor<B, 1>) {
    let x = Tensor::<B, 4>::from_inner(images.clone()).require_grad();
    let logits = discriminator.clone().no_grad().forward(x.clone()).logit;
    let gradients = logits.sum().backward();
    // Tracked above, so there is a gradient.
    let slopes = x
        .grad(&gradients)
        .unwrap_or_else(|| Tensor::zeros(images.dims(), device));
    let directions = Tensor::from_inner(penalty.directions(slopes.clone()));
    let surrogate = discriminator
        .directional_derivative(Tensor::from_inner(images), directions)
        .sum();
    (penalty.value(slopes), surrogate)
}

/// A random point between each real image and its generated neighbour: `εx + (1 − ε)G(z)` with ε from U[0, 1).
pub(super) fn mixed<B: Backend>(
    real: Tensor<B, 4>,
    fake: Tensor<B, 4>,
    seed: u64,
    draw: u64,
    device: &B::Device,
) -> Tensor<B, 4> {
    let batch = real.dims()[0];
    let share = NoiseKey::new(seed, Purpose::Mixture, draw).uniform(0, batch);
    let share: Tensor<B, 4> = host_tensor(share, [batch, 1, 1, 1], device);
    fake.clone() + (real - fake) * share
}
