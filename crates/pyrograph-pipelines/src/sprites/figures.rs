//! Pictures of samples: pixel art enlarged by whole factors.

use pyrograph_figures::{labelled_grid, panels};
use pyrograph_vision::{Rgb, RgbImage, batch_from_chw, enlarge, pick_factor};

use super::{Frame, SpriteSamples};
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

/// The moments that were kept as columns, each with the timestep of its last step above, the finished
/// images under `end`, and the first image of each run of equal labels as a row.
///
/// # Errors
/// As [`class_sheet`].
pub fn denoising_strip(
    samples: &SpriteSamples,
    labels: &[String],
) -> Result<RgbImage, PipelineError> {
    let [count, channels, height, width] = samples.shape;
    check_labels(count, labels)?;
    let firsts = (0..count).filter(|&i| i == 0 || labels[i] != labels[i - 1]);
    let image_values = channels * height * width;
    let row = |place: usize| {
        let values = samples.frames.iter().flat_map(|frame| {
            frame.values[place * image_values..(place + 1) * image_values].iter()
        });
        let values: Vec<f32> = values.copied().collect();
        enlarged(&values, samples.shape).map(|images| (labels[place].as_str(), images))
    };
    let rows = firsts.map(row).collect::<Result<Vec<_>, _>>()?;
    let titles = samples.frames.iter();
    let titles: Vec<_> = titles.map(|frame| title(frame, samples.steps)).collect();
    let titles: Vec<_> = titles.iter().map(String::as_str).collect();
    Ok(labelled_grid(&rows, &titles, GAP, PAPER)?)
}

/// The timestep after which a moment was kept.
fn title(frame: &Frame, steps: usize) -> String {
    match frame.timestep {
        _ if frame.step == steps => "end".into(),
        None => "noise".into(),
        Some(timestep) if timestep.fract() == 0.0 => format!("{timestep:.0}"),
        Some(timestep) => format!("{timestep:.1}"),
    }
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
    let images = enlarged(values, shape)?;
    check_labels(images.len(), labels)?;
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

/// Images [channels, height, width] one after another, as pixel art of a size that can be seen.
fn enlarged(values: &[f32], shape: [usize; 4]) -> Result<Vec<RgbImage>, PipelineError> {
    let [_, channels, height, width] = shape;
    let factor = pick_factor(width as u32, TARGET_SIDE);
    let images = batch_from_chw(values, channels, height, width)?;
    let images = images.iter().map(|image| enlarge(image, factor));
    Ok(images.collect::<Result<_, _>>()?)
}

fn check_labels(images: usize, labels: &[String]) -> Result<(), PipelineError> {
    if images == labels.len() {
        return Ok(());
    }
    Err(PipelineError::Number {
        field: "the number of labels",
        seen: labels.len().to_string(),
        allowed: format!("{images}, one an image"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_titled_by_their_steps_and_the_last_is_the_end() {
        let title = |step, timestep| {
            let frame = Frame {
                step,
                timestep,
                signal: 1.0,
                values: Vec::new(),
            };
            super::title(&frame, 20)
        };
        let seen = [
            title(0, None),
            title(1, Some(500.0)),
            title(2, Some(474.75)),
        ];
        assert_eq!(seen, ["noise", "500", "474.8"]);
        assert_eq!(title(20, Some(25.0)), "end");
    }
}
