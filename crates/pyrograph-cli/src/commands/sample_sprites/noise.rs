//! Noise that is given as a file.

use std::path::Path;

use anyhow::{anyhow, bail};
use pyrograph::{
    backend::vision::VisionBackend, models::weights::StateDict, pipelines::sprites::SpritePipeline,
};

/// The number of images in `x_T`, and its values.
pub(super) fn read_noise<B: VisionBackend>(
    path: &Path,
    pipeline: &SpritePipeline<B>,
) -> anyhow::Result<(usize, Vec<f32>)> {
    let dict = StateDict::open(path)?;
    let tensor = dict
        .get("x_T")
        .ok_or_else(|| anyhow!("{}: it has no tensor `x_T`", path.display()))?;
    let config = pipeline.config();
    let side = config.height;
    match tensor.shape() {
        &[count, channels, h, w] if channels == config.in_channels && h == side && w == side => {
            Ok((count, tensor.to_f32()))
        }
        shape => bail!(
            "{}: x_T has shape {shape:?}, but must be [images, {}, {side}, {side}]",
            path.display(),
            config.in_channels
        ),
    }
}
