//! What a request is checked against before anything is computed.

use std::sync::Arc;

use pyrograph_diffusion::SamplerPlan;

use super::{
    memory::{MemoryNeed, NetworkSizes},
    pipeline::Channels,
    request::{ImageRequest, ImageStart, refuse},
    schedule::{PassSchedule, UNetTraits},
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
    pub(super) unet: UNetTraits,
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
    pub(super) schedule: PassSchedule,
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
        let plan = self.scheduler.plan(request)?;
        let is_guided = self.rows_a_picture(request) == 2;
        let schedule = request
            .acceleration
            .schedule(plan.len(), is_guided, self.unet)?;
        Ok(CheckedRequest {
            size,
            memory: self.memory_need(request)?,
            plan: Arc::new(plan),
            schedule,
        })
    }

    /// Width and height of the pictures of `request`.
    ///
    /// # Errors
    /// When a side is no multiple of [`factor`](Self::factor).
    pub fn size(&self, request: &ImageRequest) -> Result<[usize; 2], PipelineError> {
        request.size(self.factor, self.own_side)
    }

    /// The most rows that a pass of the UNet has for a picture of `request`: 2 with guidance, unless guidance is an input of the
    /// UNet.
    pub fn rows_a_picture(&self, request: &ImageRequest) -> usize {
        1 + usize::from(request.is_guided() && !self.unet.embeds_guidance)
    }

    /// The memory that `request` needs beside the weights.
    ///
    /// # Errors
    /// As [`size`](Self::size).
    pub fn memory_need(&self, request: &ImageRequest) -> Result<MemoryNeed, PipelineError> {
        let [width, height] = self.size(request)?.map(|side| side / self.factor);
        let images = request.images.len();
        let rows = images * self.rows_a_picture(request);
        let decoded = match self.tile.filter(|_| request.tiled) {
            Some(tile) => [height.min(tile), width.min(tile)],
            None => [height, width],
        };
        let latents = [height, width];
        let mut need = self.sizes.need(rows, latents, decoded);
        need.unet += self
            .sizes
            .kept(images, rows, latents, &request.acceleration);
        Ok(need)
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
