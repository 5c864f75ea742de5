//! Transposed convolutions of stride 2 with weights of bf16, on tiles.

use burn_std::bf16;

use super::{
    super::{
        buffers::Buffer, half::Values, prepared::Packed, product::Shared, words::tiles_are_in_force,
    },
    finish::Finish,
    phases::{Parity, Phases},
    pixel_images::{Images, PixelImages},
    pixel_target::Outputs,
    pixels::LEAST_CHANNELS,
    shape::Shape,
};

impl Phases {
    /// The convolutions of a transposed convolution of stride 2 with an even kernel: output `o` reads
    /// pixel `i` by tap `o + padding − 2·i`. `c` is the convolution whose input gradient it is.
    pub(super) fn of_transposed(c: &Shape) -> Option<Self> {
        let taps = c.kernel.map(|taps| taps / 2);
        let firsts = c.padding.map(|padding| [padding / 2, padding.div_ceil(2)]);
        let s = Shape {
            channels_in: c.channels_out,
            channels_out: c.channels_in,
            image: c.out,
            kernel: taps,
            out: c.image.map(|side| side / 2),
            stride: [1, 1],
            padding: taps.map(|taps| taps.saturating_sub(1)),
            ..*c
        };
        let is_even = |sides: [usize; 2]| sides.iter().all(|side| side.is_multiple_of(2));
        let is_ours = [c.stride, c.dilation] == [[2, 2], [1, 1]]
            && is_even(c.kernel)
            && is_even(c.image)
            && s.channels_in >= LEAST_CHANNELS;
        is_ours.then_some(Self { s, firsts })
    }

    /// Packs the weights [in, out, kernel height, kernel width] of that transposed convolution.
    pub(super) fn packed_of_transposed(&self, c: &Shape, weight: &[bf16]) -> Packed {
        let ([_, taps], channels) = (self.s.kernel, [c.channels_out, c.channels_in]);
        let [height, width] = c.kernel;
        // The padding decides which taps a parity has.
        let parities = c.padding.map(|padding| padding % 2);
        self.packed(
            weight,
            ("taps of a transposed convolution", &parities),
            |parity, outputs, to| {
                let tap = |axis: usize, place: usize| tap(c, parity, axis, place);
                let of_output = to.chunks_exact_mut(to.len() / outputs.len());
                for (output, to) in outputs.zip(of_output) {
                    let of_input = to.chunks_exact_mut(to.len() / channels[0]);
                    for (input, to) in of_input.enumerate() {
                        let first = (input * channels[1] + output) * height * width;
                        for (place, to) in to.iter_mut().enumerate() {
                            let [row, column] = [tap(0, place / taps), tap(1, place % taps)];
                            *to = weight[first + row * width + column];
                        }
                    }
                }
            },
        )
    }
}

/// The tap by which an output of a parity reads the pixel at `place`, counted among those that it reads.
fn tap(c: &Shape, parity: Parity, axis: usize, place: usize) -> usize {
    let first = (parity[axis] + c.padding[axis]) % 2;
    first + 2 * (c.kernel[axis] / 2 - 1 - place)
}

/// The transposed convolution of `x`, as the input gradient of the convolution `c`. `None` where tiles
/// do not apply.
pub(in super::super) fn on_tiles(
    c: &Shape,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
) -> Option<Buffer> {
    let weight = weight.pairs().filter(|_| tiles_are_in_force())?;
    let phases = Phases::of_transposed(c).filter(|_| !c.is_dense())?;
    let mut out = Buffer::new(c.input().iter().product());
    let images = PixelImages::rounded(Images::Plain(x), phases.s.input(), phases.s.padding);
    let packed = phases.packed_of_transposed(c, weight);
    phases.forward(
        &images,
        &packed,
        finish,
        Outputs::Planes(Shared::new(&mut out)),
    );
    Some(out)
}
