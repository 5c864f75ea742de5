//! Adam with PyTorch's epsilon.

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, Optimizer},
    tensor::backend::AutodiffBackend,
};

/// PyTorch's; burn's own default is 1e-5.
pub(crate) const ADAM_EPSILON: f32 = 1e-8;

/// Adam with these betas.
pub(crate) fn adam<B: AutodiffBackend, M: AutodiffModule<B>>(
    betas: [f64; 2],
) -> impl Optimizer<M, B> {
    AdamConfig::new()
        .with_beta_1(betas[0] as f32)
        .with_beta_2(betas[1] as f32)
        .with_epsilon(ADAM_EPSILON)
        .init()
}
