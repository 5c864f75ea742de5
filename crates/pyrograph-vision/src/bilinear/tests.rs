use image::Rgb;
use proptest::prelude::*;

use super::*;
use crate::splitmix::splitmix;

/// Of a few operations in 32 bits, for values up to 1.
const F32_OP: f32 = 1e-5;
/// Leaves shares of 1: (byte / 255 − 0) / 1.
const PLAIN: ColourNormalisation = ColourNormalisation {
    mean: [0.0; 3],
    std: [1.0; 3],
};

#[derive(serde::Deserialize)]
struct Case {
    width: u32,
    height: u32,
    values: Vec<f32>,
}

/// The image of the fixture.
fn made_up(width: u32, height: u32) -> RgbImage {
    // The highest byte of each number.
    let mut bytes = splitmix(3).map(|output| (output >> 56) as u8);
    RgbImage::from_fn(width, height, |_, _| {
        Rgb(std::array::from_fn(|_| bytes.next().unwrap()))
    })
}

fn chw(image: &RgbImage, width: u32, height: u32, normalisation: &ColourNormalisation) -> Vec<f32> {
    let mut out = vec![f32::NAN; 3 * (width * height) as usize];
    resize_bilinear_chw(image, width, height, normalisation, &mut out).unwrap();
    out
}

#[test]
fn values_are_those_of_torch() {
    let text = include_str!("../../tests/fixtures/bilinear/reference.json");
    let image = made_up(23, 17);
    for case in serde_json::from_str::<Vec<Case>>(text).unwrap() {
        let (width, height) = (case.width, case.height);
        let seen = chw(&image, width, height, &PLAIN);
        assert_eq!(seen.len(), case.values.len());
        for (index, (seen, byte)) in seen.iter().zip(&case.values).enumerate() {
            let expected = byte / 255.0;
            assert!(
                (seen - expected).abs() < F32_OP,
                "{index} of {width} by {height}: {seen} for {expected}"
            );
        }
        let rounded = resize_bilinear(&image, width, height).unwrap();
        let plane = (width * height) as usize;
        for (pixel, index) in rounded.pixels().zip(0..) {
            for channel in 0..3 {
                let expected = case.values[channel * plane + index];
                assert!((f32::from(pixel.0[channel]) - expected).abs() <= 0.501);
            }
        }
    }
}

#[test]
fn an_image_in_its_own_size_is_only_normalised() {
    let image = made_up(7, 5);
    assert_eq!(resize_bilinear(&image, 7, 5).unwrap(), image);
    for normalisation in [
        ColourNormalisation::SSD,
        ColourNormalisation::MOBILENET,
        ColourNormalisation::IMAGENET,
    ] {
        let seen = chw(&image, 7, 5, &normalisation);
        for (index, pixel) in image.pixels().enumerate() {
            for (channel, expected) in normalisation.values(pixel.0).into_iter().enumerate() {
                let seen = seen[channel * 35 + index];
                // Of values up to 151.
                assert!(
                    (seen - expected).abs() < 151.0 * F32_OP,
                    "{seen} {expected}"
                );
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let image = RgbImage::new(2, 2);
    let run = |width, height, normalisation: &ColourNormalisation, values: usize| {
        let mut out = vec![0.0; values];
        resize_bilinear_chw(&image, width, height, normalisation, &mut out)
    };
    assert!(matches!(
        run(3, 2, &PLAIN, 17),
        Err(VisionError::Length {
            seen: 17,
            expected: 18,
            ..
        })
    ));
    assert!(matches!(
        run(0, 2, &PLAIN, 0),
        Err(VisionError::Zero { .. })
    ));
    assert!(matches!(
        run(u32::MAX, u32::MAX, &PLAIN, 0),
        Err(VisionError::TooLarge { .. })
    ));
    let endless = ColourNormalisation {
        std: [f32::INFINITY; 3],
        ..PLAIN
    };
    assert!(matches!(
        run(1, 1, &endless, 3),
        Err(VisionError::Range { .. })
    ));
    assert!(matches!(
        resize_bilinear(&RgbImage::new(0, 2), 2, 2),
        Err(VisionError::Zero { .. })
    ));
    assert!(resize_bilinear(&image, 1 << 20, 1 << 20).is_err());
}

proptest! {
    #[test]
    fn each_value_is_the_mean_of_the_four_pixels_around_it(
        (from_width, from_height) in (1_u32..20, 1_u32..20),
        (width, height) in (1_u32..30, 1_u32..30),
    ) {
        let image = made_up(from_width, from_height);
        let seen = chw(&image, width, height, &PLAIN);
        // A tent of one pixel around the centre, over all pixels, with those beyond the edge the same as at it.
        let tent = |at: f64, from: u32| -> Vec<(u32, f64)> {
            let reach = (-1_i64..=i64::from(from)).map(|i| (i, 1.0 - (at - i as f64).abs()));
            let inside = |i: i64| i.clamp(0, i64::from(from) - 1) as u32;
            reach.filter(|&(_, weight)| weight > 0.0).map(|(i, weight)| (inside(i), weight)).collect()
        };
        let centre = |i: u32, from: u32, to: u32| (f64::from(i) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
        for y in 0..height {
            for x in 0..width {
                let rows = tent(centre(y, from_height, height), from_height);
                let columns = tent(centre(x, from_width, width), from_width);
                for channel in 0..3 {
                    let mut expected = 0.0;
                    for &(row, above) in &rows {
                        for &(column, beside) in &columns {
                            let byte = image.get_pixel(column, row).0[channel];
                            expected += above * beside * f64::from(byte) / 255.0;
                        }
                    }
                    let index = (channel as u32 * height + y) * width + x;
                    let seen = f64::from(seen[index as usize]);
                    prop_assert!((seen - expected).abs() < f64::from(F32_OP), "{} for {}", seen, expected);
                }
            }
        }
    }
}

#[test]
fn bytes_that_are_normalised_later_are_the_values_to_the_bit() {
    let image = RgbImage::from_fn(31, 17, |x, y| {
        Rgb([x as u8 * 7, y as u8 * 11, (x * y) as u8])
    });
    for normalisation in [
        ColourNormalisation::SSD,
        ColourNormalisation::MOBILENET,
        ColourNormalisation::IMAGENET,
    ] {
        let at_once = chw(&image, 23, 19, &normalisation);
        let mut later = vec![0.0; 3 * 23 * 19];
        crate::resize_bilinear_bytes_chw(&image, 23, 19, &mut later).unwrap();
        assert!(later.iter().all(|byte| (0.0..=255.0).contains(byte)));
        normalisation.normalise_chw(&mut later, 23 * 19);
        assert_eq!(at_once, later);
    }
}
