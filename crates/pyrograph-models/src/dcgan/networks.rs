//! Networks that are stored in one file.

use burn::{module::Module, tensor::backend::Backend};

use super::{DcganConfig, Discriminator, Encoder, Generator};
use crate::{ModelError, blocks::ParamInit};

/// A generator and its discriminator, the networks of adversarial training.
#[derive(Module, Debug)]
pub struct Dcgan<B: Backend> {
    /// From latent vectors to images.
    pub generator: Generator<B>,
    /// From images to logits.
    pub discriminator: Discriminator<B>,
}

/// A generator, its discriminator and an encoder, the networks of an anomaly scorer.
#[derive(Module, Debug)]
pub struct AnoGan<B: Backend> {
    /// From latent vectors to images.
    pub generator: Generator<B>,
    /// The discriminator, whose features are compared.
    pub discriminator: Discriminator<B>,
    /// From images to latent vectors.
    pub encoder: Encoder<B>,
}

/// Each network draws from a seed of its own.
const APART: u64 = 0x9E37_79B9_7F4A_7C15;

impl DcganConfig {
    /// A generator and a discriminator with random initial parameters.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(&self, device: &B::Device, seed: u64) -> Result<Dcgan<B>, ModelError> {
        Ok(Dcgan {
            generator: self.init_generator(device, seed)?,
            discriminator: self.init_discriminator(device, seed.wrapping_add(APART))?,
        })
    }

    /// A generator, a discriminator and an encoder with random initial parameters.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_anogan<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<AnoGan<B>, ModelError> {
        let Dcgan {
            generator,
            discriminator,
        } = self.init(device, seed)?;
        Ok(AnoGan {
            generator,
            discriminator,
            encoder: self.init_encoder(device, seed.wrapping_add(APART.wrapping_mul(2)))?,
        })
    }

    /// A generator and a discriminator whose parameters `init` makes.
    pub(super) fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<Dcgan<B>, ModelError> {
        Ok(Dcgan {
            generator: self.init_generator_with(init)?,
            discriminator: self.init_discriminator_with(init)?,
        })
    }

    /// A generator, a discriminator and an encoder whose parameters `init` makes.
    pub(super) fn init_anogan_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<AnoGan<B>, ModelError> {
        Ok(AnoGan {
            generator: self.init_generator_with(init)?,
            discriminator: self.init_discriminator_with(init)?,
            encoder: self.init_encoder_with(init)?,
        })
    }
}
