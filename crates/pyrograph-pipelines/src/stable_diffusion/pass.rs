//! One pass of the UNet over walks.

use burn::tensor::Tensor;
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};
use pyrograph_models::stable_diffusion::unet::{
    PassDepth, PassOptions, PassOutput, TextKeys, TokenMerging,
};

use super::{
    pipeline::StableDiffusion,
    request::refuse,
    schedule::{Depth, PassKind, TextUse},
    walk::{ImageWalk, Side},
};
use crate::PipelineError;

/// A walk of a pass, and what the pass is for it.
type Passenger<'a, B> = (&'a mut ImageWalk<B>, PassKind);

impl<B: VisionBackend> StableDiffusion<B> {
    /// Takes every walk one step further. Walks whose next passes run the same layers share one pass of the UNet: all that have no
    /// [`Acceleration`](super::Acceleration), and of the others those with the same settings at the same stage. What a pass keeps
    /// for later ones stays with each walk.
    ///
    /// # Errors
    /// When latents differ in size, or a walk is done.
    pub fn advance(&self, walks: &mut [&mut ImageWalk<B>]) -> Result<(), PipelineError> {
        let Some(first) = walks.first() else {
            return Ok(());
        };
        let size = first.latents().dims();
        if let Some(other) = walks
            .iter()
            .map(|walk| walk.latents().dims())
            .find(|dims| *dims != size)
        {
            return Err(refuse(
                "the latents of a pass",
                format!("{other:?}"),
                &format!("{size:?}, as those of the first walk"),
            ));
        }
        if walks.iter().any(|walk| walk.is_done()) {
            return Err(refuse("a walk", "done", "a walk with steps left"));
        }
        let passengers = walks.iter_mut().map(|walk| {
            let kind = walk.next_pass();
            (&mut **walk, kind)
        });
        let mut waiting: Vec<Passenger<'_, B>> = passengers.collect();
        while let Some((_, kind)) = waiting.first() {
            let kind = *kind;
            let shares = |(_, other): &Passenger<'_, B>| other.shares_a_pass_with(kind);
            let (mut together, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(shares);
            self.pass(&mut together)?;
            waiting = later;
        }
        Ok(())
    }

    /// One pass over walks of kinds that share it.
    fn pass(&self, walks: &mut [Passenger<'_, B>]) -> Result<(), PipelineError> {
        // The rows: those of negative prompts of all guided walks, then those of all prompts.
        let inputs: Option<Vec<_>> = walks.iter().map(|(walk, _)| walk.input()).collect();
        let inputs = inputs.ok_or_else(|| refuse("a walk", "done", "a walk with steps left"))?;
        let guided: Vec<_> = (0..walks.len())
            .filter(|place| walks[*place].1.is_guided)
            .collect();
        let negatives = guided.iter().map(|place| (*place, Side::Unconditional));
        let prompts = (0..walks.len()).map(|place| (place, Side::Conditional));
        let rows: Vec<(usize, Side)> = negatives.chain(prompts).collect();
        let of_rows = |values: &dyn Fn(usize) -> f64| -> Vec<f32> {
            let values = rows.iter().map(|(place, _)| values(*place) as f32);
            values.collect()
        };
        let on_device = |values: Vec<f32>| {
            let count = values.len();
            host_tensor::<B, 1>(values, [count], &self.device)
        };
        let embeds_guidance = self.rules.unet.embeds_guidance;
        let guidance =
            embeds_guidance.then(|| of_rows(&|place| walks[place].0.guidance_scale() - 1.0));
        let mut times = of_rows(&|place| inputs[place].1);
        if guidance.is_none() && times.iter().all(|time| *time == times[0]) {
            times.truncate(1); // One embedding for all rows.
        }
        let samples = rows.iter().map(|(place, _)| inputs[*place].0.clone());
        let texts: Vec<_> = rows
            .iter()
            .map(|(place, side)| walks[*place].0.text_row(*side))
            .collect();
        let merging = merging(walks, &rows);
        let options = PassOptions {
            depth: depth(walks, &rows),
            merging: merging.as_ref(),
            keeps_text_outputs: walks.iter().any(|(_, kind)| kind.text == TextUse::Keeps),
            guidance: guidance.map(on_device),
        };
        let output = self.unet.pass(
            Tensor::cat(samples.collect(), 0),
            on_device(times),
            &TextKeys::gather(&texts),
            &options,
        );
        take(walks, &guided, &output)
    }
}

/// Gives each walk its rows of the output.
fn take<B: VisionBackend>(
    walks: &mut [Passenger<'_, B>],
    guided: &[usize],
    output: &PassOutput<B>,
) -> Result<(), PipelineError> {
    let row = |place: usize| output.sample.clone().narrow(0, place, 1);
    for (place, (walk, kind)) in walks.iter_mut().enumerate() {
        let negative = guided.iter().position(|other| *other == place);
        let prompt = guided.len() + place;
        let rows: Vec<usize> = negative.into_iter().chain([prompt]).collect();
        walk.keep_for_later(*kind, output, &rows);
        walk.absorb(negative.map(row), row(prompt))?;
    }
    Ok(())
}

/// The depth that all walks of a pass have, with the features of their rows.
fn depth<B: VisionBackend>(walks: &[Passenger<'_, B>], rows: &[(usize, Side)]) -> PassDepth<B> {
    let features = || {
        let rows = rows.iter();
        let rows = rows.map(|(place, side)| walks[*place].0.features_row(*side));
        rows.collect::<Option<Vec<_>>>()
    };
    match walks[0].1.depth {
        Depth::Full => PassDepth::Full,
        Depth::Keep(branch) => PassDepth::Keep { branch },
        Depth::Shallow(branch) => match features() {
            Some(features) => PassDepth::Shallow {
                branch,
                features: Tensor::cat(features, 0),
            },
            // The first pass of a schedule is full: no shallow one comes before it.
            None => PassDepth::Keep { branch },
        },
    }
}

/// The merging that all walks of a pass have, with the draws of their rows.
fn merging<B: VisionBackend>(
    walks: &[Passenger<'_, B>],
    rows: &[(usize, Side)],
) -> Option<TokenMerging> {
    let settings = walks[0].1.merging?;
    Some(TokenMerging {
        ratio: settings.ratio,
        levels: settings.levels,
        draws: rows
            .iter()
            .map(|(place, _)| walks[*place].0.merging_draw())
            .collect(),
    })
}
