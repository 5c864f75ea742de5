//! Finished images whose values leave the range of the data.

use std::fmt;

use super::SpriteSamples;

/// Beyond this a value is far outside of [−1, 1]; a trained model overshoots by less.
const FAR: f32 = 1.5;
/// An image is far outside with more than this share of such values …
const SHARE: f64 = 0.05;
/// … or with a single value beyond this.
const FARTHEST: f32 = 3.0;

/// Images whose values leave the range of the data, [−1, 1], by far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeyondRange {
    /// How many they are.
    pub images: usize,
    /// Of how many.
    pub of: usize,
    /// The share of values beyond ±1.5, over all images.
    pub share: f64,
    /// The largest magnitude of a value.
    pub largest: f32,
}

impl SpriteSamples {
    /// The images that leave the range of the data by far: more than a twentieth of an image's values
    /// beyond ±1.5, or one beyond ±3. Nothing where there are none.
    pub fn beyond_range(&self) -> Option<BeyondRange> {
        let [of, rest @ ..] = self.shape;
        let width = rest.iter().product::<usize>().max(1);
        let far = |image: &[f32]| image.iter().filter(|value| value.abs() > FAR).count();
        let largest = |image: &[f32]| image.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        let images = self.values.chunks(width).filter(|image| {
            far(image) as f64 > SHARE * image.len() as f64 || largest(image) > FARTHEST
        });
        let images = images.count();
        (images > 0).then(|| BeyondRange {
            images,
            of,
            share: far(&self.values) as f64 / self.values.len() as f64,
            largest: largest(&self.values),
        })
    }
}

impl fmt::Display for BeyondRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, largest) = (self.share * 100.0, self.largest);
        let (images, leave) = match self.of {
            1 => ("image", "leaves"),
            _ => ("images", if self.images == 1 { "leaves" } else { "leave" }),
        };
        write!(
            f,
            "{} of {} {images} {leave} the range of pixels, -1 to 1, by far: {share:.0} % of all values \
             lie beyond 1.5, the largest at {largest:.1}",
            self.images, self.of
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: Vec<f32>, images: usize) -> SpriteSamples {
        SpriteSamples {
            shape: [images, 1, 1, values.len() / images],
            values,
            frames: Vec::new(),
            steps: 1,
        }
    }

    #[test]
    fn a_slight_overshoot_is_within_the_range() {
        let mut values = vec![-1.2; 200];
        values[3] = 2.5;
        assert_eq!(samples(values, 2).beyond_range(), None);
    }

    #[test]
    fn confetti_is_counted_by_image() {
        let mut values = vec![0.5; 400];
        values[..20].fill(-2.0); // a fifth of the first of four images
        values[399] = 21.9; // one value of the last
        let beyond = samples(values, 4).beyond_range().expect("far outside");
        assert_eq!((beyond.images, beyond.of, beyond.largest), (2, 4, 21.9));
        assert!((beyond.share - 21.0 / 400.0).abs() < 1e-12);
        let text = beyond.to_string();
        assert!(
            text.contains("2 of 4 images leave") && text.contains("5 %") && text.contains("21.9"),
            "{text}"
        );
    }

    #[test]
    fn one_image_is_counted_in_the_singular() {
        let beyond = samples(vec![9.0; 4], 1).beyond_range().expect("far");
        assert!(
            beyond.to_string().contains("1 of 1 image leaves"),
            "{beyond}"
        );
    }
}
