//! Small random shifts, turns and stretches of training images.

use crate::DataError;
use crate::order::jitter_numbers;

/// Random rotation, scaling, shearing and shifting of images on their way into a batch. The default
/// changes nothing.
///
/// Each image is rotated, scaled, sheared and shifted about its centre. Each amount is drawn
/// uniformly between minus and plus the field. The draw depends on (seed, epoch, index), and not on
/// the order or the batch size.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// The largest rotation in degrees, 0 to 180.
    pub rotation: f32,
    /// The largest relative change of size, from 0 to below 1: 0.1 is 90 % to 110 %.
    pub scale: f32,
    /// The largest shear, 0 to 1: the shift of a row in columns, for each row of distance from the
    /// centre.
    pub shear: f32,
    /// The largest shift as a fraction of the side, 0 to 0.5, drawn separately for each axis.
    pub shift: f32,
}

impl Jitter {
    /// Returns the jitter if all fields are allowed.
    ///
    /// # Errors
    /// [`DataError::Range`] names the first field that is not allowed, infinite or NaN.
    pub fn validated(self) -> Result<Self, DataError> {
        // A size may not shrink to nothing, so the scale ends just below 1.
        let below_one = 1.0_f32.next_down();
        for (what, seen, most, allowed) in [
            (
                "the rotation of the jitter",
                self.rotation,
                180.0,
                "0 to 180 degrees",
            ),
            (
                "the scale of the jitter",
                self.scale,
                below_one,
                "from 0 to below 1",
            ),
            ("the shear of the jitter", self.shear, 1.0, "0 to 1"),
            ("the shift of the jitter", self.shift, 0.5, "0 to 0.5"),
        ] {
            if !(0.0..=most).contains(&seen) {
                return Err(DataError::Range {
                    what,
                    seen: seen.into(),
                    allowed,
                });
            }
        }
        Ok(self)
    }

    /// Whether images stay unchanged.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Writes `image` (CHW), transformed by the draw of (`seed`, `epoch`, `index`), to `out` in the
    /// same layout.
    ///
    /// Every pixel of `out` is interpolated bilinearly at its source position; outside the image
    /// the value is `background`. Without any jitter `out` equals `image` exactly.
    ///
    /// # Panics
    /// If `image` or `out` does not hold `channels · height · width` values.
    #[allow(clippy::too_many_arguments)] // An image with its shape, and what its draw depends on.
    pub fn apply(
        &self,
        image: &[f32],
        channels: usize,
        height: usize,
        width: usize,
        background: f32,
        seed: u64,
        epoch: u64,
        index: usize,
        out: &mut [f32],
    ) {
        let plane = height * width;
        assert_eq!(
            image.len(),
            channels * plane,
            "the image has to fill its shape"
        );
        assert_eq!(out.len(), image.len(), "the buffer has to hold the image");
        if self.is_identity() || image.is_empty() {
            out.copy_from_slice(image);
            return;
        }
        let back = self.drawn(height, width, seed, epoch, index);
        for (source, target) in image.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
            for (y, row) in target.chunks_exact_mut(width).enumerate() {
                let start = [0, 1].map(|i| back[i][1] * y as f32 + back[i][2]);
                for (x, value) in row.iter_mut().enumerate() {
                    let from = [0, 1].map(|i| back[i][0] * x as f32 + start[i]);
                    *value = between(source, height, width, from, background);
                }
            }
        }
    }

    /// The map from a place (column, row, 1) of the moved image back to where it came from, for one draw.
    fn drawn(
        &self,
        height: usize,
        width: usize,
        seed: u64,
        epoch: u64,
        index: usize,
    ) -> [[f32; 3]; 2] {
        let [turn, size, slant, across, down] = jitter_numbers(seed, epoch, index);
        let (sine, cosine) = (self.rotation * turn).to_radians().sin_cos();
        let size = 1.0 + self.scale * size;
        let slant = self.shear * slant;
        // There: size · turn · slant, so back: -slant · -turn / size.
        let turn_back = [[cosine / size, sine / size], [-sine / size, cosine / size]];
        let linear = [
            [0, 1].map(|i| turn_back[0][i] - slant * turn_back[1][i]),
            turn_back[1],
        ];
        let middle = [width, height].map(|side| (side as f32 - 1.0) / 2.0);
        let moved = [
            middle[0] + self.shift * across * width as f32,
            middle[1] + self.shift * down * height as f32,
        ];
        [0, 1].map(|i| {
            let [a, b] = linear[i];
            [a, b, middle[i] - a * moved[0] - b * moved[1]]
        })
    }
}

/// The value of a plane at (column, row), between the pixels around it.
fn between(plane: &[f32], height: usize, width: usize, [x, y]: [f32; 2], background: f32) -> f32 {
    // Casts saturate, so that what lies far outside stays outside.
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    let inside = left >= 0 && top >= 0 && left + 1 < width as i64 && top + 1 < height as i64;
    let [a, b, c, d] = if inside {
        let first = top as usize * width + left as usize;
        let (upper, lower) = (&plane[first..first + 2], &plane[first + width..][..2]);
        [upper[0], upper[1], lower[0], lower[1]]
    } else {
        let pixel = |row: i64, column: i64| {
            let (row, column) = (usize::try_from(row), usize::try_from(column));
            match (row, column) {
                (Ok(row), Ok(column)) if row < height && column < width => {
                    plane[row * width + column]
                }
                _ => background,
            }
        };
        [
            pixel(top, left),
            pixel(top, left + 1),
            pixel(top + 1, left),
            pixel(top + 1, left + 1),
        ]
    };
    let upper = a + (b - a) * across;
    let lower = c + (d - c) * across;
    upper + (lower - upper) * down
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A jitter applied to one 9×7 image whose values are all different.
    fn moved(jitter: Jitter, epoch: u64, index: usize) -> Vec<f32> {
        let image = ramp();
        let mut out = vec![9.0; image.len()];
        jitter.apply(&image, 1, 7, 9, -1.0, 3, epoch, index, &mut out);
        out
    }

    fn ramp() -> Vec<f32> {
        (0..63).map(|i| i as f32 / 62.0).collect()
    }

    fn some() -> Jitter {
        Jitter {
            rotation: 10.0,
            scale: 0.1,
            shear: 0.1,
            shift: 0.1,
        }
    }

    #[test]
    fn no_jitter_leaves_the_image_untouched() {
        assert!(Jitter::default().is_identity());
        assert_eq!(moved(Jitter::default(), 0, 0), ramp());
    }

    #[test]
    fn what_happens_is_decided_by_seed_epoch_and_index() {
        assert_eq!(moved(some(), 1, 2), moved(some(), 1, 2));
        assert_ne!(moved(some(), 1, 2), moved(some(), 2, 1));
        assert_ne!(moved(some(), 1, 2), ramp());
    }

    #[test]
    fn a_turn_about_the_middle_leaves_the_middle_and_turns_the_rest() {
        let jitter = Jitter {
            rotation: 180.0,
            ..Jitter::default()
        };
        // The draw with the largest turn of many is almost half a turn.
        let turn = |&index: &usize| jitter_numbers::<1>(0, 0, index)[0].abs();
        let index = (0..5000)
            .max_by(|a, b| turn(a).total_cmp(&turn(b)))
            .unwrap();
        let image: Vec<f32> = (0..25).map(|i| i as f32).collect();
        let mut out = vec![0.0; 25];
        jitter.apply(&image, 1, 5, 5, -1.0, 0, 0, index, &mut out);
        assert!((out[12] - 12.0).abs() < 1e-3, "{out:?}");
        // What was right of the middle is left of it, and above is below.
        assert!(
            (out[11] - 13.0).abs() < 0.1 && (out[7] - 17.0).abs() < 0.1,
            "{out:?}"
        );
    }

    #[test]
    fn a_shift_moves_every_pixel_alike_and_lets_the_background_in() {
        let jitter = Jitter {
            shift: 0.5,
            ..Jitter::default()
        };
        let [_, _, _, across, down] = jitter_numbers::<5>(7, 0, 0);
        let (columns, rows) = (0.5 * across * 40.0, 0.5 * down * 40.0);
        let image: Vec<f32> = (0..1600)
            .map(|i| (i % 40) as f32 + 100.0 * (i / 40) as f32)
            .collect();
        let mut out = vec![0.0; 1600];
        jitter.apply(&image, 1, 40, 40, -1.0, 7, 0, 0, &mut out);
        // The middle came from its place less the shift; a bilinear blend of a ramp is exact.
        let expected = (20.0 - columns) + 100.0 * (20.0 - rows);
        assert!((out[20 * 40 + 20] - expected).abs() < 0.01, "{expected}");
        let corner = if columns > 0.0 { 0 } else { 39 };
        assert!(columns.abs() > 1.0 && out[20 * 40 + corner] == -1.0);
    }

    #[test]
    fn channels_move_together() {
        let image: Vec<f32> = [ramp(), ramp(), ramp()].concat();
        let mut out = vec![0.0; image.len()];
        some().apply(&image, 3, 7, 9, -1.0, 3, 1, 2, &mut out);
        let single = moved(some(), 1, 2);
        assert!(out.chunks_exact(63).all(|plane| plane == single));
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        assert!(some().validated().is_ok() && Jitter::default().validated().is_ok());
        type Set = fn(&mut Jitter, f32);
        let cases: [(&str, Set, &[f32]); 4] = [
            (
                "rotation",
                |jitter, to| jitter.rotation = to,
                &[180.5, -1.0],
            ),
            ("scale", |jitter, to| jitter.scale = to, &[1.0, -0.1]),
            (
                "shear",
                |jitter, to| jitter.shear = to,
                &[1.1, f32::INFINITY],
            ),
            ("shift", |jitter, to| jitter.shift = to, &[0.6, f32::NAN]),
        ];
        for (name, set, values) in cases {
            for &value in values {
                let mut jitter = some();
                set(&mut jitter, value);
                let error = jitter.validated().unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn values_stay_between_those_of_the_image_and_the_background(
            (rotation, scale, shear, shift) in (0_f32..=180.0, 0_f32..0.999, 0_f32..=1.0, 0_f32..=0.5),
            (seed, epoch, index) in any::<(u64, u64, usize)>(),
            (height, width) in (1_usize..12, 1_usize..12),
        ) {
            let jitter = Jitter { rotation, scale, shear, shift }.validated().unwrap();
            let image: Vec<f32> = (0..height * width).map(|i| (i % 5) as f32 / 4.0).collect();
            let mut out = vec![f32::NAN; image.len()];
            jitter.apply(&image, 1, height, width, -1.0, seed, epoch, index, &mut out);
            prop_assert!(out.iter().all(|value| (-1.0001..=1.0001).contains(value)));
        }
    }
}
