//! The white level of images whose values use a part of their range.

use super::LabelledImages;

/// White levels that are guessed for pictures of 16 bits, from below: 8, 10 and 12 bits.
const PARTS_OF_16_BITS: [u16; 3] = [255, 1023, 4095];
/// A set whose largest byte is this or less is nearly black: that of 14 bits in 16 is.
const DARK: u8 = 64;

/// The white level of pictures of 16 bits whose largest value is `largest`.
pub(super) fn of_deep(largest: u16) -> u16 {
    let parts = PARTS_OF_16_BITS.into_iter();
    let mut enough = parts.filter(|&level| level >= largest);
    enough.next().filter(|_| largest > 0).unwrap_or(u16::MAX)
}

/// `value` of a white level of at most 255, as a byte; rounded to the nearest.
pub(super) fn byte_of(value: u8, white: u8) -> u8 {
    let white = u32::from(white.max(1));
    // At most 255.
    ((u32::from(value).min(white) * 255 + white / 2) / white) as u8
}

/// A sentence on a set that is nearly black; `deepest` is the largest value of its pictures of 16
/// bits, if there are some.
pub(super) fn remark_on_dark(set: &LabelledImages, deepest: Option<u16>) -> Option<String> {
    let largest = set.pixels.iter().copied().max().unwrap_or(0);
    let (seen, of, white) = match deepest {
        None => (largest.into(), u8::MAX.into(), u16::from(largest.max(1))),
        // All bits up to the highest that is used.
        Some(seen) => (
            seen,
            u16::MAX,
            u16::MAX.checked_shr(seen.leading_zeros()).unwrap_or(1),
        ),
    };
    (largest <= DARK).then(|| {
        format!(
            "the images are nearly black: no pixel is above {seen} of {of}; if white is less, say so, as with \
             --white-level {white}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_number_of_bits_that_holds_all_values_is_taken() {
        for (largest, white) in [
            (0, 65_535),
            (1, 255),
            (255, 255),
            (256, 1023),
            (4095, 4095),
            (4096, 65_535),
            (65_535, 65_535),
        ] {
            assert_eq!(of_deep(largest), white, "{largest}");
        }
    }

    #[test]
    fn white_becomes_255_and_halves_are_rounded_up() {
        assert_eq!([0, 1, 2].map(|value| byte_of(value, 1)), [0, 255, 255]);
        assert_eq!([0, 1, 8, 16].map(|v| byte_of(v, 16)), [0, 16, 128, 255]);
        assert!((0..=255).all(|value| byte_of(value, 255) == value));
    }
}
