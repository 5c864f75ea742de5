//! Drawn digits as a set.

use pyrograph_data::{DataError, LabelledImages};

use crate::digits::{DIGIT_SIDE, stroke_digit};

/// The most images of a set.
const MOST_DIGITS: usize = 1_000_000;

/// `count` grey images of 28×28 with digits drawn by strokes, white on black: a stand-in for MNIST
/// that needs no download. The digits of `classes` alternate; as in MNIST all ten classes have a
/// name.
///
/// Every image depends only on (`seed`, its class, its index), so a shorter set is a prefix of a
/// longer one. Sets of different seeds differ in every image.
///
/// # Errors
/// [`DataError::Range`] for a count of 0 or beyond a million, or a class that is not a digit;
/// [`DataError::Parts`] if `classes` is empty.
pub fn stroke_digits(count: usize, classes: &[u8], seed: u64) -> Result<LabelledImages, DataError> {
    let range = |what, seen, allowed| DataError::Range {
        what,
        seen,
        allowed,
    };
    if !(1..=MOST_DIGITS).contains(&count) {
        let what = "the number of digits to draw";
        return Err(range(what, count as f64, "1 to 1000000"));
    }
    if let Some(&class) = classes.iter().find(|&&class| class > 9) {
        return Err(range("a digit to draw", class.into(), "0 to 9"));
    }
    if classes.is_empty() {
        return Err(DataError::Parts {
            what: "the number of digits to choose from",
            seen: 0,
            expected: "1 or more".into(),
        });
    }
    let mut pixels = Vec::with_capacity(count * DIGIT_SIDE * DIGIT_SIDE);
    let mut labels = Vec::with_capacity(count);
    for (index, &class) in classes.iter().cycle().take(count).enumerate() {
        pixels.extend(stroke_digit(class, seed, index as u64));
        labels.push(class.into());
    }
    let names = (0..10).map(|digit| digit.to_string()).collect();
    LabelledImages::new(pixels, 1, DIGIT_SIDE, DIGIT_SIDE, labels, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_digits_come_in_turn_and_a_shorter_set_is_the_beginning() {
        let set = stroke_digits(25, &[7, 8], 3).unwrap();
        assert_eq!(
            (set.len(), set.channels(), set.height(), set.width()),
            (25, 1, 28, 28)
        );
        assert_eq!(set.labels()[..4], [7, 8, 7, 8]);
        assert_eq!(set.class_names().len(), 10);
        assert_eq!(
            stroke_digits(10, &[7, 8], 3).unwrap(),
            set.head(10).unwrap()
        );
        assert_ne!(stroke_digits(25, &[7, 8], 4).unwrap(), set);
    }

    #[test]
    fn digits_that_cannot_be_drawn_are_refused() {
        let draw = |count, classes: &[u8]| stroke_digits(count, classes, 0).unwrap_err();
        assert!(draw(0, &[1]).to_string().contains("1 to 1000000"));
        assert!(matches!(draw(usize::MAX, &[1]), DataError::Range { .. }));
        assert!(draw(5, &[1, 10]).to_string().contains("10"));
        assert!(matches!(draw(5, &[]), DataError::Parts { seen: 0, .. }));
    }
}
