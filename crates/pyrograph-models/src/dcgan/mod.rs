//! The DCGAN of the anomaly job: a generator of images from latent vectors, a discriminator that
//! distinguishes them from real images, and an encoder from images to latent vectors.
//!
//! - [`Generator`] and [`Discriminator`]: [DCGAN](https://arxiv.org/abs/1511.06434) with the layers
//!   of the public AnoGAN that this project was measured against (wsj-create/AnoGAN-pytorch): 4×4
//!   kernels, batch norm on every layer of the discriminator, the first included, and leaky ReLU of
//!   0.1.
//! - [`Encoder`]: [f-AnoGAN](https://doi.org/10.1016/j.media.2019.01.010)'s, the discriminator's
//!   layers with a latent vector at their end.
//! - [`Dcgan`] and [`AnoGan`]: the networks that a training and a fitted scorer store in one file.
//!
//! Images are 4·2^blocks pixels wide: 64 with the default of four blocks.

mod config;
mod discriminator;
mod encoder;
mod generator;
mod infer;
mod networks;
mod sequential;
mod weights;

pub use config::{DcganConfig, DiscriminatorConfig};
pub use discriminator::{Discriminator, Judgement};
pub use encoder::{Encoder, LATENT_BOUND};
pub use generator::Generator;
pub use networks::{AnoGan, Dcgan};
pub(crate) use weights::networks_in;

use crate::blocks::Kernel;

/// Side of the feature maps between generator's first layer and its blocks, and before the critic.
const CORE: usize = 4;
/// From one latent pixel to the core, and back.
const WHOLE: Kernel = Kernel {
    size: CORE,
    stride: 1,
    padding: 0,
};
/// Halves the side, or doubles it.
const HALF: Kernel = Kernel {
    size: 4,
    stride: 2,
    padding: 1,
};
