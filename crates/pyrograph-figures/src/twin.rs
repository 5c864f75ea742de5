//! Figures of an image, its twin (the nearest normal image of a model), and their difference.

use image::RgbImage;
use pyrograph_vision::{VisionError, enlarge, from_chw, pick_factor};

use crate::canvas::WHITE;
use crate::{FigureError, heat_map, labelled_grid};

/// The side in pixels up to which images are enlarged.
const SIDE: u32 = 128;
/// Pixels around and between the images.
const GAP: u32 = 10;

/// A row of [`twin_figure`].
#[derive(Clone, Debug, PartialEq)]
pub struct TwinRow {
    /// The caption at the left, such as "2 score 312.4 anomalous".
    pub caption: String,
    /// The image.
    pub input: RgbImage,
    /// The twin: the nearest image that the model can generate.
    pub twin: RgbImage,
    /// A [`heat_map`] of their difference.
    pub residual: RgbImage,
}

impl TwinRow {
    /// The row of an image and its twin, both with values in [-1, 1], channels first (CHW).
    ///
    /// The heat map shows |input − twin|, averaged over the channels, with pale yellow at
    /// `scale_max` and beyond. Values in [-1, 1] differ by at most 2. `None` uses the largest value
    /// of the row; rows that are compared need a common scale.
    ///
    /// # Errors
    /// Those of [`from_chw`] for either image, [`FigureError::Range`] for a `scale_max` that is not
    /// finite or not above 0.
    pub fn from_chw(
        caption: impl Into<String>,
        input: &[f32],
        twin: &[f32],
        (channels, height, width): (usize, usize, usize),
        scale_max: Option<f32>,
    ) -> Result<Self, FigureError> {
        let image = |values| from_chw(values, channels, height, width);
        let (input_image, twin_image) = (image(input)?, image(twin)?);
        // Both have `channels · height · width` values, or there would be no images.
        let plane = height * width;
        let missed = |pixel: usize| {
            let at = |channel| channel * plane + pixel;
            let differences = (0..channels).map(|c| (input[at(c)] - twin[at(c)]).abs());
            differences.sum::<f32>() / channels as f32
        };
        let residual: Vec<f32> = (0..plane).map(missed).collect();
        Ok(Self {
            caption: caption.into(),
            input: input_image,
            twin: twin_image,
            residual: heat_map(&residual, height, width, scale_max)?,
        })
    }

    fn images(&self) -> [&RgbImage; 3] {
        [&self.input, &self.twin, &self.residual]
    }
}

/// Draws rows of an image, its twin and the heat map of their difference on white, with the caption
/// at the left and the three titles above. All images are enlarged by one whole factor, to at most
/// about 128 pixels.
///
/// # Errors
/// [`FigureError::Empty`] without rows, [`VisionError::TooLarge`] beyond 2²⁸ pixels.
pub fn twin_figure(titles: &[&str; 3], rows: &[TwinRow]) -> Result<RgbImage, FigureError> {
    let side = |image: &RgbImage| image.width().max(image.height());
    let sides = rows.iter().flat_map(TwinRow::images).map(side);
    let factor = pick_factor(sides.max().unwrap_or(1), SIDE);
    let enlarged = |row: &TwinRow| {
        let images: Result<Vec<RgbImage>, VisionError> = row
            .images()
            .map(|image| enlarge(image, factor))
            .into_iter()
            .collect();
        Ok((row.caption.clone(), images?))
    };
    let rows: Vec<_> = rows
        .iter()
        .map(enlarged)
        .collect::<Result<_, FigureError>>()?;
    labelled_grid(&rows, titles, GAP, WHITE)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{TextSize, text_size};

    const TITLES: [&str; 3] = ["input", "twin", "residual"];

    #[test]
    fn the_residual_is_the_mean_difference_over_the_channels() {
        let input = [1.0, -1.0, 0.5, -1.0];
        let twin = [-1.0, -1.0, 0.5, -1.0];
        // Differences of 2 and 0 in the two channels of the first pixel, of nothing in the second.
        let row = TwinRow::from_chw("", &input, &twin, (2, 1, 2), Some(1.0)).unwrap();
        assert_eq!(
            row.residual,
            heat_map(&[1.0, 0.0], 1, 2, Some(1.0)).unwrap()
        );
        assert_eq!(row.input.dimensions(), (2, 1));
    }

    #[test]
    fn rows_stand_under_their_titles_beside_their_captions() {
        let caption = "2  score 312.4  anomalous";
        let row =
            TwinRow::from_chw(caption, &[1.0; 784], &[-1.0; 784], (1, 28, 28), Some(2.0)).unwrap();
        let figure = twin_figure(&TITLES, &[row.clone(), row]).unwrap();
        // 28 pixels four times as large, in three columns and two rows.
        let (caption_width, line) = text_size(caption, TextSize::Label);
        assert_eq!(figure.width(), caption_width + 6 + 3 * 112 + 4 * GAP);
        assert_eq!(figure.height(), line + 6 + 2 * 112 + 3 * GAP);
        let middle = |column| {
            let x = caption_width + 6 + GAP + column * (112 + GAP) + 56;
            *figure.get_pixel(x, line + 6 + GAP + 56)
        };
        assert_eq!(middle(0), Rgb([255, 255, 255]));
        assert_eq!(middle(1), Rgb([0, 0, 0]));
        assert_eq!(middle(2), Rgb([0xfc, 0xff, 0xa4]));
    }

    #[test]
    fn broken_images_and_no_rows_are_refused() {
        let row = |input: &[f32], twin: &[f32]| {
            TwinRow::from_chw("", input, twin, (1, 1, 2), None).unwrap_err()
        };
        assert!(matches!(
            row(&[0.0; 2], &[0.0, f32::NAN]),
            FigureError::Vision(VisionError::NonFinite { column: 1, .. })
        ));
        assert!(matches!(
            row(&[0.0; 2], &[0.0; 3]),
            FigureError::Vision(VisionError::Length { seen: 3, .. })
        ));
        assert!(matches!(
            twin_figure(&TITLES, &[]),
            Err(FigureError::Empty { .. })
        ));
    }
}
