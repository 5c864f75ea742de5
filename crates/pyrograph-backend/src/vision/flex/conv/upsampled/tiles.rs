//! The convolutions of the four parities in bf16 on tiles.

use super::{
    super::{
        super::{half::Values, product::Shared, scratch, words},
        finish::Finish,
        phases::Phases,
        pixel_images::{Images, PixelImages},
        pixel_target::Outputs,
        shape::Shape,
    },
    FOLDED, TAPS, fold,
};

/// Writes the outputs [batch, out, 2·height, 2·width] of `x` [batch, in, height, width].
pub(super) fn forward(
    s: &Shape,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let s = Shape {
        kernel: [2, 2],
        out: s.image,
        ..*s
    };
    let phases = Phases {
        s,
        firsts: [[0, 1]; 2],
    };
    let numbers = weight.pairs().expect("weights of bf16");
    let packed = phases.packed(
        numbers,
        ("taps of an upsampled image", &[]),
        |parity, outputs, to| {
            let of_output = s.channels_in * TAPS;
            let part = weight.part(outputs.start * of_output..outputs.end * of_output);
            let sums = |weight: &[f32]| {
                scratch::with(outputs.len() * s.channels_in * FOLDED, |sums| {
                    fold(weight, parity, sums);
                    words::narrow(sums, to);
                });
            };
            part.with(sums);
        },
    );
    let images = PixelImages::rounded(Images::Plain(x), s.input(), s.padding);
    phases.forward(&images, &packed, finish, Outputs::Planes(Shared::new(out)));
}
