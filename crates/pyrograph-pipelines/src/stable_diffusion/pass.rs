//! One pass of the UNet over walks.

use burn::tensor::Tensor;
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};

use super::{pipeline::StableDiffusion, request::refuse, walk::ImageWalk};
use crate::PipelineError;

impl<B: VisionBackend> StableDiffusion<B> {
    /// Takes every walk one step further, in one pass of the UNet.
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
        // The rows: those of negative prompts of all guided walks, then those of all prompts.
        let inputs: Option<Vec<_>> = walks.iter().map(|walk| walk.input()).collect();
        let inputs = inputs.ok_or_else(|| refuse("a walk", "done", "a walk with steps left"))?;
        let guided: Vec<_> = (0..walks.len())
            .filter(|place| walks[*place].context.guided.is_some())
            .collect();
        let rows: Vec<_> = guided.iter().copied().chain(0..walks.len()).collect();
        let samples = rows.iter().map(|place| inputs[*place].0.clone()).collect();
        let mut times: Vec<_> = rows.iter().map(|place| inputs[*place].1 as f32).collect();
        if times.iter().all(|time| *time == times[0]) {
            times.truncate(1); // One embedding for all rows.
        }
        let negatives = walks.iter().filter_map(|walk| {
            walk.context
                .guided
                .as_ref()
                .map(|(negative, _)| negative.clone())
        });
        let contexts = negatives.chain(walks.iter().map(|walk| walk.context.conditional.clone()));
        let output = self.unet.forward(
            Tensor::cat(samples, 0),
            host_tensor(times.clone(), [times.len()], &self.device),
            Tensor::cat(contexts.collect(), 0),
        );
        let row = |place: usize| output.clone().narrow(0, place, 1);
        for (place, walk) in walks.iter_mut().enumerate() {
            let negative = guided.iter().position(|other| *other == place);
            walk.absorb(negative.map(row), row(guided.len() + place))?;
        }
        Ok(())
    }
}
