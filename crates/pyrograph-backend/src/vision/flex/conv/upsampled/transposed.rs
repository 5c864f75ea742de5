//! The convolutions of the four parities as one transposed convolution, whose residues they are: 4×4 taps, stride 2.

use rayon::prelude::*;

use super::{
    super::{
        super::{buffers::Buffer, half::Values},
        finish::Finish,
        input_gradient_of,
        shape::Shape,
    },
    FOLDED, PARITIES, TAPS, folded,
};

/// Taps of the transposed convolution.
const SPREAD: usize = 16;
/// Pixels of all images below which making the kernel would take longer than it saves.
const PIXELS: usize = 1024;
/// Channels below which Winograd's method does not pay.
const CHANNELS: usize = 8;

/// Whether there is enough to compute.
pub(super) fn pays(s: &Shape) -> bool {
    let pixels = s.batch * s.image[0] * s.image[1];
    pixels >= PIXELS && s.channels_in.min(s.channels_out) >= CHANNELS
}

/// Writes the outputs [batch, out, 2·height, 2·width] of `x` [batch, in, height, width].
pub(super) fn forward(
    s: &Shape,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let [height, width] = s.image;
    // The convolution whose input gradient the outputs are.
    let of_outputs = Shape {
        channels_in: s.channels_out,
        channels_out: s.channels_in,
        image: [2 * height, 2 * width],
        kernel: [4, 4],
        out: s.image,
        stride: [2, 2],
        ..*s
    };
    let mut kernel = Buffer::new(s.channels_in * s.channels_out * SPREAD);
    weight.with(|weight| spread(weight, s, &mut kernel));
    input_gradient_of(&of_outputs, &kernel, x, finish, out);
}

/// The kernels [in, out, 4, 4] of the transposed convolution from those [out, in, 3, 3] of the convolution. An even
/// output reads the taps 3 and 1 along an axis, an odd one 2 and 0.
fn spread(weight: &[f32], s: &Shape, to: &mut [f32]) {
    let (kernels, _) = weight.as_chunks::<TAPS>();
    to.par_chunks_mut(s.channels_out * SPREAD)
        .enumerate()
        .for_each(|(input, to)| {
            let (to, _) = to.as_chunks_mut::<SPREAD>();
            let of_input = kernels.iter().skip(input).step_by(s.channels_in);
            for (to, kernel) in to.iter_mut().zip(of_input) {
                for parity in PARITIES {
                    let sums = folded(kernel, parity);
                    for (place, sum) in sums.into_iter().enumerate().take(FOLDED) {
                        let tap = |axis: usize, tap: usize| 3 - parity[axis] - 2 * tap;
                        to[4 * tap(0, place / 2) + tap(1, place % 2)] = sum;
                    }
                }
            }
        });
}
