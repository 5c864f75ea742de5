//! A 3×3 convolution of an image that was upsampled to twice its sides, without the upsampled image.
//!
//! An output at an even place sees two pixels of the small image along an axis: one by the first tap, the other by the
//! second and the third; at an odd place, one by the first two taps, the other by the third. So the outputs of each of
//! four parities are those of a 2×2 convolution whose weights are sums: 16 products where the definition has 36.

mod tiles;
mod transposed;

use std::ops::Range;

use super::{
    super::{super::exact_convolutions, buffers::Buffer, half::Values},
    channels_last,
    finish::Finish,
    phases::{PARITIES, Parity},
    shape::Shape,
};

/// Taps of the definition, and of a parity.
const TAPS: usize = 9;
const FOLDED: usize = 4;

/// The outputs [batch, out, 2·height, 2·width] of `x` [batch, in, height, width], `s` being the convolution of the small
/// image. None where the upsampled image has to be made.
pub(in super::super) fn forward(
    s: &Shape,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
) -> Option<Buffer> {
    let is_same = [s.kernel, s.padding, s.stride, s.dilation] == [[3, 3], [1, 1], [1, 1], [1, 1]];
    if !is_same || s.is_depthwise {
        return None;
    }
    let by = if weight.pairs().is_some() && channels_last::pays(s) {
        tiles::forward
    } else if transposed::pays(s) && !exact_convolutions() {
        transposed::forward
    } else {
        return None;
    };
    let mut out = Buffer::new(4 * s.output().iter().product::<usize>());
    by(s, x, weight, finish, &mut out);
    Some(out)
}

/// The taps of the definition that a tap of a parity adds up.
fn taps(parity: usize, tap: usize) -> Range<usize> {
    match (parity, tap) {
        (0, 0) => 0..1,
        (0, _) => 1..3,
        (_, 0) => 0..2,
        _ => 2..3,
    }
}

/// The sums of the taps of a kernel.
fn folded(kernel: &[f32; TAPS], [down, across]: Parity) -> [f32; FOLDED] {
    std::array::from_fn(|place| {
        let rows = taps(down, place / 2);
        let of_row = |row: usize| {
            let columns = taps(across, place % 2);
            columns.map(move |column| kernel[3 * row + column])
        };
        rows.flat_map(of_row).sum()
    })
}

/// Adds up the taps of kernels [.., 3, 3] to [.., 2, 2].
fn fold(weight: &[f32], parity: Parity, to: &mut [f32]) {
    let (kernels, _) = weight.as_chunks::<TAPS>();
    let (sums, _) = to.as_chunks_mut::<FOLDED>();
    for (sums, kernel) in sums.iter_mut().zip(kernels) {
        *sums = folded(kernel, parity);
    }
}

#[cfg(test)]
mod tests {
    use burn_std::bf16;
    use proptest::prelude::*;

    use super::{
        super::{
            super::{super::Activation, features::multiplies_tiles},
            tests::{assert_close, finish, products, values},
        },
        *,
    };

    /// Both ways against the definition on the upsampled image, with weights whose sums bf16 holds exactly.
    fn assert_agrees([batch, channels_in, channels_out]: [usize; 3], [height, width]: [usize; 2]) {
        let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let weight = [channels_out, channels_in, 3, 3];
        let shape = |sides: [usize; 2]| {
            let x = [batch, channels_in, sides[0], sides[1]];
            Shape::new(x, weight, &options).expect("a legal shape")
        };
        let (small, large) = (shape([height, width]), shape([2 * height, 2 * width]));
        let x: Vec<f32> = values(batch * channels_in * height * width, 3)
            .into_iter()
            .map(|value| bf16::from_f32(value).to_f32())
            .collect();
        let weight: Vec<bf16> = values(channels_out * channels_in * TAPS, 7)
            .into_iter()
            .map(|value| bf16::from_f32((value * 16.0).round() / 16.0))
            .collect();
        let shift = values(channels_out, 11);
        let plane = 4 * height * width;
        let mut exact = vec![0.0; batch * channels_out * plane];
        products(&large, |output, input, place| {
            let (image, pixel) = (input / plane, input % plane);
            let (row, column) = (pixel / (2 * width), pixel % (2 * width));
            let from = (image * height + row / 2) * width + column / 2;
            exact[output] += f64::from(x[from]) * weight[place].to_f64();
        });
        for (place, exact) in exact.iter_mut().enumerate() {
            *exact = (*exact + f64::from(shift[place / plane % channels_out])).max(0.0);
        }
        let widened: Vec<f32> = weight.iter().map(|value| value.to_f32()).collect();
        let what = format!("{small:?}");
        let mut out = vec![f32::NAN; exact.len()];
        let finish = finish(None, Some(&shift), Activation::Relu);
        transposed::forward(&small, &x, Values::F32(&widened), finish, &mut out);
        assert_close(&what, &out, &exact, 2e-5);
        if multiplies_tiles() {
            out.fill(f32::NAN);
            tiles::forward(&small, &x, Values::Bf16(&weight), finish, &mut out);
            assert_close(&what, &out, &exact, 2e-6);
        }
    }

    #[test]
    fn several_blocks_and_panels_agree_with_the_definition() {
        for (channels, sides) in [
            ([2, 40, 70], [20, 33]),
            ([1, 33, 16], [64, 64]),
            ([1, 24, 96], [1, 7]),
        ] {
            assert_agrees(channels, sides);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn all_kinds_of_shapes_agree_with_the_definition(
            channels in [1..3_usize, 1..70_usize, 1..100_usize],
            image in [1..14_usize, 1..24_usize],
        ) {
            assert_agrees(channels, image);
        }
    }
}
