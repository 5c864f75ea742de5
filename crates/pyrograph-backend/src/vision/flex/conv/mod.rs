//! Convolutions, their gradients and transposed convolutions as blocks of matrix products: by Winograd's method where that takes
//! fewer multiplications, else by unfolding.
//!
//! A stride becomes phases of the input or of the output, a dilation lattices of the output (see [`correlation`]), so that there is
//! one path for all of them and nothing is scattered. Those of a kernel for each channel have too little arithmetic for products, and
//! a path of their own ([`depthwise`]).
//!
//! Error of Winograd's method in f32: F(4×4) is within 2e-5 of the output's scale for the channel counts of these models, F(2×2)
//! within 5e-6. [`set_exact_convolutions`](crate::vision::set_exact_convolutions) does without it.

mod blocked;
mod bytes;
mod channels_last;
mod correlation;
mod depthwise;
mod finish;
mod gather;
mod interleaved;
mod method;
mod minimal;
mod outputs;
mod paired;
mod phases;
mod pixel_images;
mod pixel_target;
mod pixels;
mod plan;
mod shape;
mod stack;
#[cfg(test)]
mod tests;
mod tiles;
mod transposed;
mod unfolded;
mod upsampled;
mod winograd;

pub(super) use finish::Finish;
pub(super) use shape::Shape;
pub(super) use stack::{StackPlan, rows_of};
pub(super) use transposed::on_tiles as transposed_on_tiles;
pub(super) use upsampled::forward as forward_of_upsampled;

use super::{
    buffers::Buffer,
    half::Values,
    norms::FoldedNorm,
    product::{Into, Matrix, product},
};
use correlation::Correlation;
use pixel_images::Images;
use plan::Plan;

/// Convolution, bias and activation. `weight` [out, in / groups, kh, kw].
pub(super) fn forward(s: &Shape, x: &[f32], weight: Values<'_>, finish: Finish<'_>) -> Buffer {
    let mut out = Buffer::new(s.output().iter().product());
    if s.is_depthwise {
        weight.with(|weight| depthwise::forward(s, x, weight, finish, &mut out));
        return out;
    }
    if s.is_dense() {
        let images = Matrix::by_rows(x, s.batch, s.taps());
        weight.with(|weight| {
            let kernel = Matrix::by_rows(weight, s.channels_out, s.taps()).transposed();
            product(&mut out, images, kernel, Into::Overwrite);
        });
        out.chunks_mut(s.channels_out)
            .for_each(|out| finish.planes(out, 1));
        return out;
    }
    if let Some(numbers) = weight.bytes()
        && bytes::pays(s)
    {
        bytes::forward(s, x, numbers, finish, &mut out);
        return out;
    }
    if lays_pixels_out(s, &weight) {
        channels_last::forward(s, Images::Plain(x), weight, finish, &mut out);
        return out;
    }
    Plan::with_weights(Correlation::of(s), &weight).forward(x, weight, finish, &mut out);
    out
}

/// Whether [`forward`] lays the pixels out anew, so that [`forward_of_norm`] can normalise them on the way.
pub(super) fn lays_pixels_out(s: &Shape, weight: &Values<'_>) -> bool {
    !s.is_dense() && weight.is_paired() && channels_last::pays(s)
}

/// [`forward`] of the normal images.
pub(super) fn forward_of_norm(
    s: &Shape,
    x: &[f32],
    norm: &FoldedNorm,
    weight: Values<'_>,
    finish: Finish<'_>,
) -> Buffer {
    let mut out = Buffer::new(s.output().iter().product());
    channels_last::forward(s, Images::Normal(x, norm), weight, finish, &mut out);
    out
}

/// ∂x [batch, in, height, width]; also a transposed convolution, which is the same thing by another name, and then has a bias and
/// an activation.
pub(super) fn input_gradient(
    s: &Shape,
    weight: &[f32],
    grad: &[f32],
    finish: Finish<'_>,
) -> Buffer {
    let mut out = Buffer::new(s.input().iter().product());
    input_gradient_of(s, weight, grad, finish, &mut out);
    out
}

/// [`input_gradient`] to `out`.
fn input_gradient_of(s: &Shape, weight: &[f32], grad: &[f32], finish: Finish<'_>, out: &mut [f32]) {
    if s.is_depthwise {
        return depthwise::input_gradient(s, weight, grad, finish, out);
    }
    if s.is_dense() {
        let grads = Matrix::by_rows(grad, s.batch, s.channels_out);
        let kernel = Matrix::by_rows(weight, s.channels_out, s.taps());
        product(out, grads, kernel, Into::Overwrite);
        let plane = s.image[0] * s.image[1];
        out.chunks_mut(s.taps())
            .for_each(|out| finish.planes(out, plane));
        return;
    }
    for residue in Correlation::input_gradients(s) {
        Plan::of(residue).forward(grad, Values::F32(weight), finish, out);
    }
}

/// ∂weight [out, in / groups, kh, kw].
pub(super) fn weight_gradient(s: &Shape, x: &[f32], grad: &[f32]) -> Buffer {
    let mut out = Buffer::new(s.channels_out * s.taps());
    if s.is_depthwise {
        depthwise::weight_gradient(s, x, grad, &mut out);
        return out;
    }
    if s.is_dense() {
        let grads = Matrix::by_rows(grad, s.batch, s.channels_out).transposed();
        let images = Matrix::by_rows(x, s.batch, s.taps());
        product(&mut out, grads, images, Into::Overwrite);
        return out;
    }
    Plan::of(Correlation::of(s)).weight_gradient(x, grad, &mut out);
    out
}
