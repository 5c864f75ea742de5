//! One picture on its way from noise to latents.

use burn::tensor::{DType, Tensor};
use pyrograph_backend::{
    rng::{NoiseSource, Purpose},
    vision::VisionBackend,
};
use pyrograph_diffusion::Walk;

use super::{guide::Guidance, host::values_of};
use crate::PipelineError;

/// One picture on its way from noise to latents: its scheduler's state, its context, its noise.
///
/// [`StableDiffusion::advance`](super::StableDiffusion::advance) takes any number of walks a step further in one pass of the UNet;
/// they may belong to different requests, stand at different steps and have different schedulers, as long as their latents are of one
/// size.
#[derive(Debug)]
pub struct ImageWalk<B: VisionBackend> {
    walk: Walk<B, 4>,
    pub(super) context: Context<B>,
    inpaint: Inpaint<B>,
    /// The noise of steps that add some.
    noise: NoiseSource,
    /// The finished latents as the last step predicts them.
    expected: Option<Tensor<B, 4>>,
    /// One sum a step of the latents' magnitudes, on the device: not finite from the step on at which a value is not.
    sums: Vec<Tensor<B, 1>>,
}

/// What a UNet reads of the prompt.
#[derive(Debug)]
pub(super) struct Context<B: VisionBackend> {
    /// Hidden states of the prompt: [1, length, width].
    pub(super) conditional: Tensor<B, 3>,
    /// Hidden states of the negative prompt and the guidance; one row is enough without.
    pub(super) guided: Option<(Tensor<B, 3>, Guidance)>,
}

/// What inpainting adds.
#[derive(Debug)]
pub(super) enum Inpaint<B: VisionBackend> {
    /// Nothing is kept.
    No,
    /// A plain UNet: outside the mask the latents are, after each step, those of the picture with that step's noise.
    Kept {
        /// 1 where the picture is painted anew: [1, 1, height, width].
        mask: Tensor<B, 4>,
        /// The picture's latents.
        latents: Tensor<B, 4>,
        /// The walk's first noise.
        noise: Tensor<B, 4>,
    },
    /// An inpainting UNet: mask and masked picture are inputs beside the latents: [1, 1 + channels, height, width].
    Beside(Tensor<B, 4>),
}

impl<B: VisionBackend> ImageWalk<B> {
    pub(super) fn new(
        walk: Walk<B, 4>,
        context: Context<B>,
        inpaint: Inpaint<B>,
        noise: NoiseSource,
    ) -> Self {
        Self {
            walk,
            context,
            inpaint,
            noise,
            expected: None,
            sums: Vec::new(),
        }
    }

    /// The steps that this walk takes: passes of the UNet.
    pub fn steps(&self) -> usize {
        self.walk.plan().len()
    }

    /// The steps taken.
    pub fn taken(&self) -> usize {
        self.walk.position()
    }

    /// Whether the latents are finished.
    pub fn is_done(&self) -> bool {
        self.walk.is_done()
    }

    /// The rows that the next pass of the UNet has for this walk: 2 with guidance, else 1.
    pub fn rows(&self) -> usize {
        1 + usize::from(self.context.guided.is_some())
    }

    /// The latents as they are now: [1, channels, height, width].
    pub fn latents(&self) -> Tensor<B, 4> {
        self.walk.sample()
    }

    /// The finished latents as the last step predicts them, for a preview: [1, channels, height, width].
    pub fn expected(&self) -> Tensor<B, 4> {
        self.expected.clone().unwrap_or_else(|| self.latents())
    }

    /// The next input of the UNet, [1, channels, height, width], and its timestep; nothing at the end.
    pub(super) fn input(&self) -> Option<(Tensor<B, 4>, f64)> {
        let (sample, timestep) = self.walk.input()?;
        Some(match &self.inpaint {
            Inpaint::Beside(more) => (Tensor::cat(vec![sample, more.clone()], 1), timestep),
            Inpaint::No | Inpaint::Kept { .. } => (sample, timestep),
        })
    }

    /// Takes a step by the UNet's output for this walk's rows.
    pub(super) fn absorb(
        &mut self,
        unconditional: Option<Tensor<B, 4>>,
        conditional: Tensor<B, 4>,
    ) -> Result<(), PipelineError> {
        let output = match (unconditional, &self.context.guided) {
            (Some(unconditional), Some((_, guidance))) => {
                guidance.apply(unconditional, conditional)
            }
            _ => conditional,
        };
        let shape = output.dims();
        let noise = self.walk.needs_noise().then(|| {
            let step = self.walk.position() as u64;
            self.noise
                .normal(Purpose::StepNoise, step, 0, shape, &output.device())
        });
        self.expected = Some(self.walk.predict_x0(output.clone())?);
        self.walk.absorb(output, noise)?;
        self.keep()?;
        // In f32: the sum of many numbers of f16 leaves its range.
        self.sums.push(self.latents().cast(DType::F32).abs().sum());
        Ok(())
    }

    /// Puts the picture back outside the mask, with the noise of the next step.
    fn keep(&mut self) -> Result<(), PipelineError> {
        let Inpaint::Kept {
            mask,
            latents,
            noise,
        } = &self.inpaint
        else {
            return Ok(());
        };
        let kept = match self.walk.is_done() {
            true => latents.clone(),
            false => {
                let (plan, next) = (self.walk.plan(), self.walk.position());
                plan.add_noise(next, latents.clone(), noise.clone())?
            }
        };
        let outside = mask.clone().neg().add_scalar(1.0);
        let painted = self.walk.sample() * mask.clone();
        self.walk.replace_sample(kept * outside + painted)?;
        Ok(())
    }

    /// Refuses latents that were not finite at some step, and names the first such step.
    ///
    /// # Errors
    /// [`PipelineError::Stage`], or when the device cannot be read.
    pub fn check(&self) -> Result<(), PipelineError> {
        if self.sums.is_empty() {
            return Ok(());
        }
        let sums = values_of(Tensor::cat(self.sums.clone(), 0))?;
        match sums.iter().position(|sum| !sum.is_finite()) {
            Some(step) => Err(PipelineError::Stage {
                stage: format!("the UNet at step {} of {}", step + 1, self.steps()),
                value: sums[step],
            }),
            None => Ok(()),
        }
    }
}
