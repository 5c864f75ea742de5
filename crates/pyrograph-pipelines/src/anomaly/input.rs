//! Pictures as a scorer takes them.

use pyrograph_models::dcgan::DcganConfig;
use pyrograph_vision::{Normalisation, RgbImage, resize_plane_bicubic};

use crate::PipelineError;

/// The values of a picture of any size for networks of `config`, channels first: resized as the data sets of training are.
///
/// # Errors
/// When the picture has colours and the networks take grey images, or it has no pixels.
pub fn values_of(
    image: &RgbImage,
    config: &DcganConfig,
    normalisation: Normalisation,
) -> Result<Vec<f32>, PipelineError> {
    let is_grey = |pixel: &pyrograph_vision::Rgb<u8>| pixel.0.iter().all(|c| *c == pixel.0[0]);
    if config.channels == 1 && !image.pixels().all(is_grey) {
        return Err(PipelineError::Number {
            field: "the image",
            seen: "in colour".into(),
            allowed: "grey, as those that the model was trained on".into(),
        });
    }
    let from = [image.height() as usize, image.width() as usize];
    let to = [config.side(); 2];
    let mut values = Vec::with_capacity(config.channels * to[0] * to[1]);
    for channel in 0..config.channels {
        // A channel beyond the third does not exist in pictures; nor in the models of `train dcgan`.
        let plane: Vec<u8> = image
            .pixels()
            .map(|pixel| pixel.0[channel.min(2)])
            .collect();
        let plane = match from == to {
            true => plane,
            false => resize_plane_bicubic(&plane, from, to)?,
        };
        values.extend(plane.into_iter().map(|byte| normalisation.value(byte)));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use pyrograph_vision::Rgb;

    use super::*;

    #[test]
    fn grey_models_take_grey_pictures_and_colour_models_take_both() {
        let grey = DcganConfig::default();
        let colour = DcganConfig {
            channels: 3,
            ..DcganConfig::default()
        };
        let plane = grey.side() * grey.side();
        let (white, red) = (
            RgbImage::from_pixel(50, 40, Rgb([255; 3])),
            RgbImage::from_pixel(9, 9, Rgb([255, 0, 0])),
        );
        let values = |image, config| values_of(image, config, Normalisation::TANH);
        assert_eq!(values(&white, &grey).expect("grey"), vec![1.0; plane]);
        let error = values(&red, &grey).expect_err("colours").to_string();
        assert!(error.contains("in colour"), "{error}");
        let seen = values(&red, &colour).expect("colours");
        assert_eq!((seen[0], seen[plane], seen.len()), (1.0, -1.0, 3 * plane));
    }
}
