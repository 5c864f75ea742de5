//! What a sampling writes.

use std::{collections::HashMap, path::Path};

use pyrograph::{
    figures::{GifOptions, write_gif},
    models::weights::{StateDict, TensorEntry},
    pipelines::sprites::{SpriteSamples, denoising_frames},
};

/// Milliseconds a moment is shown.
const MOMENT_MS: u32 = 60;

/// Writes the animation of the moments that were kept.
pub(super) fn write_animation(
    path: &Path,
    samples: &SpriteSamples,
    labels: &[String],
) -> anyhow::Result<()> {
    let options = GifOptions {
        delay_ms: MOMENT_MS,
        ..GifOptions::default()
    };
    Ok(write_gif(
        path,
        &denoising_frames(samples, labels)?,
        &options,
    )?)
}

/// Writes the images as the tensor `samples`; with `moments`, those as `intermediate`
/// [moments, images, channels, side, side], and the timestep of each one's last step as `timesteps`.
pub(super) fn save(path: &Path, samples: &SpriteSamples, moments: bool) -> anyhow::Result<()> {
    let mut dict = StateDict::new();
    let shape = samples.shape.to_vec();
    dict.insert(
        "samples",
        TensorEntry::from_f32(shape.clone(), samples.values.clone()),
    );
    if moments {
        let frames = &samples.frames;
        let values = frames.iter().flat_map(|frame| &frame.values).copied();
        dict.insert(
            "intermediate",
            TensorEntry::from_f32([vec![frames.len()], shape].concat(), values.collect()),
        );
        let timesteps: Vec<f32> = frames
            .iter()
            .map(|frame| frame.timestep.unwrap_or_default() as f32)
            .collect();
        dict.insert(
            "timesteps",
            TensorEntry::from_f32(vec![timesteps.len()], timesteps),
        );
    }
    dict.save(path, HashMap::new())?;
    Ok(())
}
