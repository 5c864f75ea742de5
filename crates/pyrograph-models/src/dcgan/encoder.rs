//! The encoder, from images to latent vectors.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use super::{
    DcganConfig, WHOLE,
    discriminator::{Block, feature_network, features},
};
use crate::{
    ModelError,
    blocks::{BatchStatistics, Conv2d, NormMode, ParamInit},
};

/// The bound of encoded vectors, ±3: 99.7 % of a standard normal prior, from which the generator's
/// training vectors are drawn, lie within it. f-AnoGAN's own code bounds them to ±1 by a tanh,
/// which excludes much of the prior.
pub const LATENT_BOUND: f64 = 3.0;

impl DcganConfig {
    /// An encoder with random initial parameters; the same `seed` gives the same parameters on
    /// every backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_encoder<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<Encoder<B>, ModelError> {
        self.init_encoder_with(&mut ParamInit::new(device, seed))
    }

    /// An encoder whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_encoder_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<Encoder<B>, ModelError> {
        self.check()?;
        let features = self.width << (self.blocks - 1);
        Ok(Encoder {
            feature_network: feature_network(self, init),
            latent_network: Conv2d::new(init, [features, self.z_dim], WHOLE),
        })
    }
}

/// The encoder of f-AnoGAN: the discriminator's blocks, and a convolution over the remaining pixels
/// that yields a latent vector within ±[`LATENT_BOUND`].
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    feature_network: Vec<Block<B>>,
    latent_network: Conv2d<B>,
}

impl<B: VisionBackend> Encoder<B> {
    /// Latent vectors, with the running statistics of the batch norms.
    ///
    /// # Shapes
    /// `x` [batch, channels, side, side] → [batch, z_dim].
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        self.run(x, NormMode::Eval)
    }

    /// Like [`forward`](Self::forward), with the statistics of this batch, which are added to
    /// `statistics`: for training.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_training(
        &self,
        x: Tensor<B, 4>,
        statistics: &mut BatchStatistics<B>,
    ) -> Tensor<B, 2> {
        self.run(x, NormMode::Train(statistics))
    }

    fn run(&self, x: Tensor<B, 4>, mut mode: NormMode<'_, B>) -> Tensor<B, 2> {
        let x = features(&self.feature_network, x, &mut mode);
        let z: Tensor<B, 2> = self
            .latent_network
            .forward(x, Activation::Identity)
            .flatten(1, 3);
        // LATENT_BOUND · tanh(z / LATENT_BOUND): the identity near 0.
        (z / LATENT_BOUND).tanh() * LATENT_BOUND
    }
}
