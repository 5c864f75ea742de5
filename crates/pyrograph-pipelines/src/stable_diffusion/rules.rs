//! What a request is checked against before anything is computed.

use std::sync::Arc;

use pyrograph_diffusion::SamplerPlan;

use super::{
    memory::{MemoryNeed, NetworkSizes},
    pipeline::Channels,
    request::{ImageRequest, ImageStart, refuse},
    scheduler::Scheduler,
};
use crate::PipelineError;

/// Channels that an inpainting UNet has beside the latents: the mask and the masked picture's latents.
const MASK_CHANNELS: usize = 1;

/// What a checkpoint allows, without its weights: a server checks requests by it on any thread.
#[derive(Clone, Debug)]
pub struct RequestRules {
    pub(super) scheduler: Scheduler,
    pub(super) sizes: NetworkSizes,
    pub(super) channels: Channels,
    /// Pixels a latent in each direction.
    pub(super) factor: usize,
    /// Side of a picture in training, in latents.
    pub(super) own_side: usize,
    /// Side of a tile in latents, for a VAE that decodes by tiles.
    pub(super) tile: Option<usize>,
}

/// A request that a checkpoint can serve, where memory does.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    /// Width and height of its pictures.
    pub size: [usize; 2],
    /// The memory that it needs beside the weights.
    pub memory: MemoryNeed,
    pub(super) plan: Arc<SamplerPlan>,
}

impl CheckedRequest {
    /// The passes of the UNet for one picture: more than the steps asked for with some schedulers, fewer for a start from a picture.
    pub fn steps(&self) -> usize {
        self.plan.len()
    }
}

impl RequestRules {
    /// Pixels a latent in each direction: width and height of a picture are multiples of it.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Width and height of the pictures that the UNet was trained on.
    pub fn own_size(&self) -> [usize; 2] {
        [self.own_side * self.factor; 2]
    }

    /// Whether the UNet is for inpainting alone: it needs a picture and a mask.
    pub fn is_inpainting(&self) -> bool {
        self.channels.input != self.channels.latents
    }

    /// Checks everything that can be known of `request` without the weights, but for the memory that is free.
    ///
    /// # Errors
    /// Names the first value that is not allowed.
    pub fn check(&self, request: &ImageRequest) -> Result<CheckedRequest, PipelineError> {
        request.check()?;
        let size = self.size(request)?;
        self.check_start(request, size)?;
        Ok(CheckedRequest {
            size,
            memory: self.memory_need(request)?,
            plan: Arc::new(self.scheduler.plan(request)?),
        })
    }

    /// Width and height of the pictures of `request`.
    ///
    /// # Errors
    /// When a side is no multiple of [`factor`](Self::factor).
    pub fn size(&self, request: &ImageRequest) -> Result<[usize; 2], PipelineError> {
        request.size(self.factor, self.own_side)
    }

    /// The memory that `request` needs beside the weights.
    ///
    /// # Errors
    /// As [`size`](Self::size).
    pub fn memory_need(&self, request: &ImageRequest) -> Result<MemoryNeed, PipelineError> {
        let [width, height] = self.size(request)?.map(|side| side / self.factor);
        let rows = request.images.len() * (1 + usize::from(request.is_guided()));
        let decoded = match self.tile.filter(|_| request.tiled) {
            Some(tile) => [height.min(tile), width.min(tile)],
            None => [height, width],
        };
        Ok(self.sizes.need(rows, [height, width], decoded))
    }

    pub(super) fn latent_shape(&self, images: usize, [width, height]: [usize; 2]) -> [usize; 4] {
        let factor = self.factor;
        [
            images,
            self.channels.latents,
            height / factor,
            width / factor,
        ]
    }

    /// Refuses a start that does not go with this UNet, and latents of another shape.
    fn check_start(&self, request: &ImageRequest, size: [usize; 2]) -> Result<(), PipelineError> {
        let Channels { input, latents } = self.channels;
        let expected = match request.start {
            ImageStart::Inpaint { .. } => vec![latents, 2 * latents + MASK_CHANNELS],
            _ => vec![latents],
        };
        if !expected.contains(&input) {
            let allowed = match request.start {
                ImageStart::Inpaint { .. } => format!(
                    "{latents} or {} for inpainting",
                    2 * latents + MASK_CHANNELS
                ),
                _ => format!(
                    "{latents}; a UNet with more is for inpainting, and needs a picture and a mask"
                ),
            };
            return Err(refuse(
                "the number of the UNet's input channels",
                input,
                &allowed,
            ));
        }
        match &request.start {
            ImageStart::Latents(latents) => {
                latents.check(self.latent_shape(request.images.len(), size))
            }
            _ => Ok(()),
        }
    }
}
