//! Colours of classes.

use image::Rgb;

/// Colours of which each, from the first, is as far as possible from all before it in Oklab, with
/// lightness between 0.42 and 0.92 and a chroma above 0.11, so that none is lost on a grey picture.
const PALETTE: [[u8; 3]; 24] = [
    [225, 30, 45],
    [0, 255, 0],
    [0, 0, 255],
    [105, 210, 255],
    [210, 0, 255],
    [60, 90, 0],
    [255, 195, 60],
    [90, 60, 135],
    [255, 165, 240],
    [0, 180, 120],
    [180, 0, 135],
    [150, 120, 255],
    [135, 60, 0],
    [150, 255, 180],
    [0, 120, 165],
    [165, 135, 45],
    [105, 0, 225],
    [255, 150, 135],
    [180, 105, 150],
    [0, 120, 255],
    [255, 75, 210],
    [165, 195, 0],
    [30, 60, 180],
    [150, 0, 60],
];

/// The colour of a class: one of 24 colours, which then repeat.
pub fn class_colour(class: usize) -> Rgb<u8> {
    Rgb(PALETTE[class % PALETTE.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_colours_of_the_palette_are_alike() {
        let distance = |a: [u8; 3], b: [u8; 3]| -> f32 {
            let squares = (0..3).map(|c| (f32::from(a[c]) - f32::from(b[c])).powi(2));
            squares.sum::<f32>().sqrt()
        };
        for (index, &colour) in PALETTE.iter().enumerate() {
            for &other in &PALETTE[..index] {
                assert!(distance(colour, other) > 60.0, "{colour:?} and {other:?}");
            }
        }
    }

    #[test]
    fn classes_beyond_the_palette_start_anew() {
        assert_eq!(class_colour(0), class_colour(PALETTE.len()));
        assert_eq!(class_colour(usize::MAX), Rgb(PALETTE[usize::MAX % 24]));
    }
}
