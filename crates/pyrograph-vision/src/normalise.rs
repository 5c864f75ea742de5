//! Normalisation of images for models.

use std::fmt;
use std::str::FromStr;

use crate::VisionError;

/// A shift and a scale of pixel values: `value = (byte / 255 - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The pixel value, from 0 to 1, that maps to 0.
    pub mean: f32,
    /// The difference of pixel values, from 0 to 1, that maps to 1. It is finite and above 0.
    pub std: f32,
}

impl Normalisation {
    /// Values in [-1, 1], the range of a generator that ends in tanh.
    pub const TANH: Self = Self {
        mean: 0.5,
        std: 0.5,
    };

    /// Mean and standard deviation of MNIST's training pixels, as used by a published article on
    /// AnoGAN.
    ///
    /// Values go from -0.42 to 2.82. A generator that ends in tanh reaches at most 1, so the
    /// residual of AnoGAN cannot become 0 for an image with white pixels. Use it only for
    /// comparisons with that article.
    pub const MNIST: Self = Self {
        mean: 0.1307,
        std: 0.3081,
    };

    /// The names that are understood, each with what it stands for.
    const NAMED: [(&str, Self); 2] = [("tanh", Self::TANH), ("mnist", Self::MNIST)];

    /// The value of a byte.
    pub fn value(&self, byte: u8) -> f32 {
        (f32::from(byte) / 255.0 - self.mean) / self.std
    }

    /// The byte nearest to a value: clamped to 0 and 255, and 0 for a value that is not a number.
    pub fn byte(&self, value: f32) -> u8 {
        // Clamped to the range of a byte, so the cast only drops a fraction of zero.
        ((value * self.std + self.mean) * 255.0)
            .round()
            .clamp(0.0, 255.0) as u8
    }

    /// The values of black and of white, the range of all values.
    pub fn range(&self) -> (f32, f32) {
        (self.value(0), self.value(255))
    }
}

/// The name, or the two numbers if it has no name.
impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.pad(name),
            None => write!(f, "mean {} and deviation {}", self.mean, self.std),
        }
    }
}

/// By name: `tanh` or `mnist`.
impl FromStr for Normalisation {
    type Err = VisionError;

    fn from_str(name: &str) -> Result<Self, VisionError> {
        let known = Self::NAMED.iter().find(|(known, _)| *known == name);
        known
            .map(|&(_, normalisation)| normalisation)
            .ok_or_else(|| VisionError::UnknownNormalisation { seen: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tanh_takes_black_to_minus_one_and_white_to_one() {
        assert_eq!(Normalisation::TANH.range(), (-1.0, 1.0));
        // As the rest of this crate maps bytes.
        assert_eq!(
            Normalisation::TANH.value(77),
            crate::bytes_to_chw(&[77], 1, 1, 1).unwrap()[0]
        );
    }

    #[test]
    fn the_values_of_the_article_leave_the_range_of_tanh() {
        let (black, white) = Normalisation::MNIST.range();
        // (0 - 0.1307) / 0.3081 and (1 - 0.1307) / 0.3081 by hand.
        assert!(
            (black + 0.424_213).abs() < 1e-5,
            "the value of black is {black}"
        );
        assert!(
            (white - 2.821_486).abs() < 1e-5,
            "the value of white is {white}"
        );
    }

    #[test]
    fn values_beyond_the_range_are_clamped() {
        let normalisation = Normalisation::TANH;
        assert_eq!(
            [-7.5, 7.5, f32::NEG_INFINITY, f32::INFINITY, f32::NAN]
                .map(|value| normalisation.byte(value)),
            [0, 255, 0, 255, 0]
        );
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["tanh", "mnist"] {
            assert_eq!(name.parse::<Normalisation>().unwrap().to_string(), name);
        }
        let error = "Tanh".parse::<Normalisation>().unwrap_err().to_string();
        assert!(
            error.contains("\"Tanh\"") && error.contains("mnist"),
            "{error}"
        );
        let own = Normalisation {
            mean: 0.25,
            std: 2.0,
        };
        assert_eq!(own.to_string(), "mean 0.25 and deviation 2");
    }

    proptest! {
        #[test]
        fn every_byte_survives_the_round_trip(byte: u8, mean in 0_f32..=1.0, std in 0.05_f32..=1.0) {
            let own = Normalisation { mean, std };
            for normalisation in [own, Normalisation::TANH, Normalisation::MNIST] {
                prop_assert_eq!(normalisation.byte(normalisation.value(byte)), byte);
            }
        }
    }
}
