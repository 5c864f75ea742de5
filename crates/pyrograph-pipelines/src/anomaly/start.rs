//! Where searches start.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use pyrograph_backend::{
    rng::{NoiseKey, Purpose, host_tensor},
    vision::VisionBackend,
};
use pyrograph_models::dcgan::Generator;

use super::SearchConfig;
use crate::PipelineError;

/// Images a forward pass, when the pool is filled.
const BATCH: usize = 64;

/// The pool of the last search: the next one with the same numbers starts from it too, which spares most of the work of a single
/// image.
#[derive(Debug)]
pub(super) struct LastPool<B: VisionBackend>(Mutex<Option<Kept<B>>>);

/// The seed and the size of a pool, and the pool.
type Kept<B> = ((u64, usize), Arc<Pool<B>>);

impl<B: VisionBackend> LastPool<B> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, key: (u64, usize), make: impl FnOnce() -> Pool<B>) -> Arc<Pool<B>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((kept, pool)) if *kept == key => Arc::clone(pool),
            _ => {
                let pool = Arc::new(make());
                *last = Some((key, Arc::clone(&pool)));
                pool
            }
        }
    }
}

/// Latent vectors to start from. Every choice depends on the seed and the image alone: not on its neighbours, nor its place.
pub(super) enum Starts<B: VisionBackend> {
    /// Vectors drawn for each image.
    Drawn { seed: u64, z_dim: usize },
    /// The nearest of many.
    Pool(Arc<Pool<B>>),
}

/// Random latent vectors and their images.
#[derive(Debug)]
pub(super) struct Pool<B: VisionBackend> {
    latents: Vec<f32>,
    z_dim: usize,
    /// [vectors, values of an image].
    images: Tensor<B, 2>,
}

impl<B: VisionBackend> Starts<B> {
    pub(super) fn new(
        config: &SearchConfig,
        generator: &Generator<B>,
        z_dim: usize,
        last: &LastPool<B>,
        device: &B::Device,
    ) -> Self {
        if config.pool == 0 {
            let seed = config.seed;
            return Self::Drawn { seed, z_dim };
        }
        Self::Pool(last.get((config.seed, config.pool), || {
            Pool::new(config, generator, z_dim, device)
        }))
    }

    /// `count` starts for one image, the most promising first.
    pub(super) fn of(
        &self,
        image: &[f32],
        count: usize,
        device: &B::Device,
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        match self {
            Self::Drawn { seed, z_dim } => {
                let seed = seed ^ fingerprint(image);
                let start = |restart: usize| {
                    NoiseKey::new(seed, Purpose::SearchStart, restart as u64).normal(0, *z_dim)
                };
                Ok((0..count).map(start).collect())
            }
            Self::Pool(pool) => pool.nearest(image, count, device),
        }
    }
}

impl<B: VisionBackend> Pool<B> {
    fn new(
        config: &SearchConfig,
        generator: &Generator<B>,
        z_dim: usize,
        device: &B::Device,
    ) -> Self {
        let key = NoiseKey::new(config.seed, Purpose::SearchStart, 0);
        let latents = key.normal(0, config.pool * z_dim);
        let images = latents.chunks(BATCH * z_dim).map(|z| {
            let shape = [z.len() / z_dim, z_dim];
            generator
                .forward(host_tensor(z.to_vec(), shape, device))
                .flatten(1, 3)
        });
        let images = Tensor::cat(images.collect(), 0);
        Self {
            latents,
            z_dim,
            images,
        }
    }

    /// The vectors whose images have the smallest residual.
    fn nearest(
        &self,
        image: &[f32],
        count: usize,
        device: &B::Device,
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        let image: Tensor<B, 2> = host_tensor(image.to_vec(), [1, image.len()], device);
        let residuals = (self.images.clone() - image).abs().sum_dim(1);
        let data = residuals
            .try_into_data()
            .map_err(|error| PipelineError::Device(format!("{error:?}")))?;
        let residuals: Vec<f32> = data.iter::<f32>().collect();
        let mut order: Vec<usize> = (0..residuals.len()).collect();
        order.sort_by(|&a, &b| residuals[a].total_cmp(&residuals[b]));
        let latent = |&place: &usize| self.latents[place * self.z_dim..][..self.z_dim].to_vec();
        Ok(order[..count].iter().map(latent).collect())
    }
}

/// FNV-1a over an image's bits: its search starts where its own values say, whatever stands beside it.
fn fingerprint(image: &[f32]) -> u64 {
    const OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let bytes = image.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}
