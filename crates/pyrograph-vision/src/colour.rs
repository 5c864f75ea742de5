//! Normalisation of colour images for detectors.

use crate::VisionError;

/// A shift and a scale for each of red, green and blue: `value = (byte / 255 − mean) / std`.
///
/// [`Normalisation`](crate::Normalisation) has one shift and scale for all channels.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColourNormalisation {
    /// The pixel value, from 0 to 1, that maps to 0.
    pub mean: [f32; 3],
    /// The difference of pixel values, from 0 to 1, that maps to 1. Each is finite and above 0.
    pub std: [f32; 3],
}

impl ColourNormalisation {
    /// The normalisation of SSD300 with VGG-16: the mean colour (123, 117, 104) is subtracted from
    /// bytes, with the digits of torchvision's `ssd300_vgg16`.
    pub const SSD: Self = Self {
        mean: [0.48235, 0.45882, 0.40784],
        std: [1.0 / 255.0; 3],
    };

    /// The normalisation of the MobileNet detectors of
    /// [qfgaohao/pytorch-ssd](https://github.com/qfgaohao/pytorch-ssd): `(byte − 127) / 128`.
    pub const MOBILENET: Self = Self {
        mean: [127.0 / 255.0; 3],
        std: [128.0 / 255.0; 3],
    };

    /// Mean and standard deviation of ImageNet, the normalisation of torchvision's classifiers.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };

    /// Checks that every byte maps to a finite value.
    ///
    /// # Errors
    /// [`VisionError::Range`] for a mean that is not finite, a deviation that is not finite or not
    /// above 0, and for a deviation that is too small for its mean.
    pub fn check(&self) -> Result<(), VisionError> {
        let mean = |v: f32| v.is_finite();
        let std = |v: f32| v.is_finite() && v > 0.0;
        let refused =
            |values: [f32; 3], fits: fn(f32) -> bool| values.into_iter().find(|&v| !fits(v));
        let refuse = |what, seen: f32, allowed| {
            Err(VisionError::Range {
                what,
                seen: seen.into(),
                allowed,
            })
        };
        if let Some(seen) = refused(self.mean, mean) {
            return refuse("the mean of a colour", seen, "a finite number");
        }
        if let Some(seen) = refused(self.std, std) {
            return refuse("the deviation of a colour", seen, "a finite number above 0");
        }
        for channel in 0..3 {
            let (factor, summand) = self.line(channel);
            let ends = [self.values([0; 3]), self.values([255; 3])];
            if ![factor, summand, ends[0][channel], ends[1][channel]]
                .iter()
                .all(|v| v.is_finite())
            {
                let allowed = "large enough that every byte has a finite value";
                return refuse("the deviation of a colour", self.std[channel], allowed);
            }
        }
        Ok(())
    }

    /// The values of a pixel.
    pub fn values(&self, pixel: [u8; 3]) -> [f32; 3] {
        std::array::from_fn(|c| (f32::from(pixel[c]) / 255.0 - self.mean[c]) / self.std[c])
    }

    /// Turns bytes into values, in place: images one after another, channels first, each channel of
    /// `plane` bytes.
    ///
    /// # Shapes
    /// `bytes` [images, 3, plane].
    pub fn normalise_chw(&self, bytes: &mut [f32], plane: usize) {
        for (place, channel) in bytes.chunks_mut(plane.max(1)).enumerate() {
            let (factor, summand) = self.line(place % 3);
            for value in channel {
                *value = *value * factor + summand;
            }
        }
    }

    /// The factor and the summand that turn a channel's bytes into values.
    pub(crate) fn line(&self, channel: usize) -> (f32, f32) {
        let (mean, std) = (f64::from(self.mean[channel]), f64::from(self.std[channel]));
        ((1.0 / (255.0 * std)) as f32, (-mean / std) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_normalisations_give_their_values() {
        let grey = [127, 127, 127];
        // Of torchvision's five digits, times 255.
        let [red, green, blue] = ColourNormalisation::SSD.values([123, 117, 104]);
        assert!(red.abs() < 1e-3 && green.abs() < 1e-3 && blue.abs() < 1e-3);
        assert!((ColourNormalisation::SSD.values(grey)[2] - 23.0).abs() < 1e-3);
        assert_eq!(ColourNormalisation::MOBILENET.values(grey), [0.0; 3]);
        // (1 − 0.485) / 0.229 by hand.
        assert!((ColourNormalisation::IMAGENET.values([255; 3])[0] - 2.248_908).abs() < 1e-5);
    }

    #[test]
    fn values_that_are_no_normalisation_are_refused() {
        let mut own = ColourNormalisation::IMAGENET;
        assert!(own.check().is_ok());
        own.std[2] = 0.0;
        let error = own.check().unwrap_err().to_string();
        assert!(
            error.contains("deviation") && error.contains("0.0"),
            "{error}"
        );
        own.std[2] = 1e-40;
        assert!(
            own.check()
                .unwrap_err()
                .to_string()
                .contains("finite value")
        );
        own.std[2] = 0.5;
        own.mean[2] = f32::MAX;
        assert!(
            own.check()
                .unwrap_err()
                .to_string()
                .contains("finite value")
        );
        own.mean[1] = f32::NAN;
        assert!(own.check().unwrap_err().to_string().contains("mean"));
        let text = r#"{"mean": [0, 0, 0], "std": [1, 1, 1], "variance": 1}"#;
        assert!(serde_json::from_str::<ColourNormalisation>(text).is_err());
    }
}
