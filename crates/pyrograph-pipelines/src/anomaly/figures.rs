//! Images beside their twins.

use pyrograph_figures::{TwinRow, twin_figure};
use pyrograph_models::dcgan::DcganConfig;
use pyrograph_vision::{Normalisation, RgbImage};

use super::ScoredImage;
use crate::PipelineError;

/// Where a heat map is brightest: half of what values in [−1, 1] can differ by.
const SCALE: f32 = 1.0;

/// A row of an image, its twin and the heat map of what differs, one scale for all.
///
/// # Errors
/// When the values do not fill an image.
pub fn twin_row(
    caption: impl Into<String>,
    image: &[f32],
    scored: &ScoredImage,
    config: &DcganConfig,
    normalisation: Normalisation,
) -> Result<TwinRow, PipelineError> {
    let shape = (config.channels, config.side(), config.side());
    let (input, twin) = (
        shown(image, normalisation),
        shown(&scored.twin, normalisation),
    );
    Ok(TwinRow::from_chw(
        caption,
        &input,
        &twin,
        shape,
        Some(SCALE),
    )?)
}

/// Rows of [`twin_row`] under their titles.
///
/// # Errors
/// Without rows.
pub fn twin_sheet(rows: &[TwinRow]) -> Result<RgbImage, PipelineError> {
    Ok(twin_figure(&["image", "twin", "residual"], rows)?)
}

/// Values of `normalisation` as pictures take them, in [−1, 1] where pixels go from black to white.
pub fn shown(values: &[f32], normalisation: Normalisation) -> Vec<f32> {
    let to_picture = |&value: &f32| 2.0 * (value * normalisation.std + normalisation.mean) - 1.0;
    values.iter().map(to_picture).collect()
}
