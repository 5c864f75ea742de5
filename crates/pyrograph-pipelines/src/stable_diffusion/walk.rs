//! One picture on its way from noise to latents.

use burn::tensor::{DType, Tensor};
use pyrograph_backend::{
    rng::{NoiseKey, NoiseSource, Purpose},
    vision::VisionBackend,
};
use pyrograph_diffusion::Walk;
use pyrograph_models::stable_diffusion::unet::{PassOutput, TextKeys};

use super::{
    guide::Guidance,
    host::values_of,
    schedule::{Depth, PassKind, PassSchedule, TextUse},
};
use crate::PipelineError;

/// One picture on its way from noise to latents: its scheduler's state, its context, its noise.
///
/// [`StableDiffusion::advance`](super::StableDiffusion::advance) takes any number of walks a step further in one pass of the UNet;
/// they may belong to different requests, stand at different steps and have different schedulers, as long as their latents are of one
/// size. What accelerated steps reuse is the walk's own.
#[derive(Debug)]
pub struct ImageWalk<B: VisionBackend> {
    walk: Walk<B, 4>,
    context: Context<B>,
    inpaint: Inpaint<B>,
    /// The noise of steps that add some.
    noise: NoiseSource,
    /// What the last full pass kept for shallow ones, row by row as the text's.
    features: Option<Tensor<B, 4>>,
    /// The finished latents as the last step predicts them.
    expected: Option<Tensor<B, 4>>,
    /// One sum a step of the latents' magnitudes, on the device: not finite from the step on at which a value is not.
    sums: Vec<Tensor<B, 1>>,
}

/// What a UNet reads beside the latents, and which pass each step is.
#[derive(Debug)]
pub(super) struct Context<B: VisionBackend> {
    /// Keys of the negative prompt where there is guidance by a second row, and of the prompt; after T-GATE's step, outputs for one
    /// row.
    pub(super) text: TextKeys<B>,
    pub(super) guidance: Guidance,
    pub(super) schedule: PassSchedule,
    /// The seed of the tokens that others merge into.
    pub(super) seed: u64,
}

/// A row of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// That of the negative prompt: the first of two.
    Unconditional,
    /// That of the prompt: the last.
    Conditional,
}

impl Side {
    /// The place among `rows` rows.
    fn place(self, rows: usize) -> usize {
        match self {
            Self::Unconditional => 0,
            Self::Conditional => rows - 1,
        }
    }
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
            features: None,
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

    /// The rows that the next pass of the UNet has for this walk: 2 with guidance, else 1. At the end those of the last pass.
    pub fn rows(&self) -> usize {
        self.next_pass().rows()
    }

    /// What the next pass is; at the end, what the last one was.
    pub(super) fn next_pass(&self) -> PassKind {
        let last = self.steps().saturating_sub(1);
        self.context.schedule.pass(self.taken().min(last))
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

    /// What the next pass reads of the text in one row.
    pub(super) fn text_row(&self, side: Side) -> (&TextKeys<B>, usize) {
        let text = &self.context.text;
        (text, side.place(text.rows()))
    }

    /// What a shallow pass takes in one row, where a full pass has kept it: [1, channels, height, width].
    pub(super) fn features_row(&self, side: Side) -> Option<Tensor<B, 4>> {
        let features = self.features.clone()?;
        let [rows, _, _, _] = features.dims();
        Some(features.narrow(0, side.place(rows), 1))
    }

    /// The scale of guidance, for a UNet that reads it as an input.
    pub(super) fn guidance_scale(&self) -> f64 {
        self.context.guidance.scale
    }

    /// Where the next pass draws the tokens that others merge into.
    pub(super) fn merging_draw(&self) -> NoiseKey {
        let step = self.taken() as u64;
        NoiseKey::new(self.context.seed, Purpose::TokenMerging, step)
    }

    /// Keeps of the `rows` of a pass what later ones take.
    pub(super) fn keep_for_later(
        &mut self,
        kind: PassKind,
        output: &PassOutput<B>,
        rows: &[usize],
    ) {
        if let (Depth::Keep(_), Some(features)) = (kind.depth, &output.features) {
            self.features = Some(rows_of(features, rows));
        }
        if let (TextUse::Keeps, Some(outputs)) = (kind.text, &output.text_outputs) {
            self.context.text = outputs.mean(rows);
        }
    }

    /// Takes a step by the UNet's output for this walk's rows.
    pub(super) fn absorb(
        &mut self,
        unconditional: Option<Tensor<B, 4>>,
        conditional: Tensor<B, 4>,
    ) -> Result<(), PipelineError> {
        let guidance = self.context.guidance;
        let output = match unconditional {
            Some(unconditional) => guidance.apply(unconditional, conditional),
            None => conditional,
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

/// These rows of a batch.
fn rows_of<B: VisionBackend>(batch: &Tensor<B, 4>, rows: &[usize]) -> Tensor<B, 4> {
    let rows = rows.iter().map(|row| batch.clone().narrow(0, *row, 1));
    Tensor::cat(rows.collect(), 0)
}
