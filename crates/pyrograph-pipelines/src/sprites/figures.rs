//! Pictures of samples: pixel art enlarged by whole factors.

use pyrograph_vision::{
    Rgb, RgbImage, batch_from_chw, enlarge, labelled_grid, panels, pick_factor,
};

use super::SpriteSamples;
use crate::PipelineError;

const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// How wide one sprite should come out.
const TARGET_SIDE: u32 = 64;
/// Sprites in a row of a class that has more.
const COLUMNS: usize = 12;

/// The images of `samples` with a row for each run of equal labels (several where one is long).
///
/// `labels` names the class of each image, in order.
///
/// # Errors
/// When the values are no images of the samples' shape, or not as many as the labels.
pub fn class_sheet(samples: &SpriteSamples, labels: &[String]) -> Result<RgbImage, PipelineError> {
    sheet(&samples.values, samples.shape, labels)
}

/// One sheet for each moment that was kept, the end last: the pictures of an animation.
///
/// # Errors
/// As [`class_sheet`].
pub fn denoising_frames(
    samples: &SpriteSamples,
    labels: &[String],
) -> Result<Vec<RgbImage>, PipelineError> {
    samples
        .frames
        .iter()
        .map(|frame| sheet(&frame.values, samples.shape, labels))
        .collect()
}

/// Two sheets beside each other: the same noise and contexts, sampled with the extra noise of each step and without.
///
/// # Errors
/// As [`class_sheet`].
pub fn with_and_without_noise(
    with: &SpriteSamples,
    without: &SpriteSamples,
    labels: &[String],
) -> Result<RgbImage, PipelineError> {
    let figures = [
        ("with extra noise", class_sheet(with, labels)?),
        ("without extra noise", class_sheet(without, labels)?),
    ];
    Ok(panels(&figures)?)
}

fn sheet(values: &[f32], shape: [usize; 4], labels: &[String]) -> Result<RgbImage, PipelineError> {
    let [_, channels, height, width] = shape;
    let factor = pick_factor(width as u32, TARGET_SIDE);
    let images = batch_from_chw(values, channels, height, width)?
        .iter()
        .map(|image| enlarge(image, factor))
        .collect::<Result<Vec<_>, _>>()?;
    if images.len() != labels.len() {
        return Err(PipelineError::Number {
            field: "the number of labels",
            seen: labels.len().to_string(),
            allowed: format!("{}, one an image", images.len()),
        });
    }
    let mut rows: Vec<(&str, Vec<RgbImage>)> = Vec::new();
    for (image, label) in images.into_iter().zip(labels) {
        let begun = rows
            .iter()
            .rev()
            .take_while(|(name, _)| name.is_empty() || *name == label.as_str());
        let same_class = begun.clone().any(|(name, _)| *name == label.as_str());
        match rows.last_mut() {
            Some((_, row)) if same_class && row.len() < COLUMNS => row.push(image),
            // A long class goes on in a row without a name.
            _ if same_class => rows.push(("", vec![image])),
            _ => rows.push((label, vec![image])),
        }
    }
    Ok(labelled_grid(&rows, &[], GAP, PAPER)?)
}
