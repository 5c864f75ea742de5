//! Convolution, as networks mean it: cross-correlation with stride, zero padding and dilation.

use super::{Array, expect, places};
use crate::GradCheckError;

/// How the kernel walks, as [height, width].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// The distance between two places of the kernel.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// The distance between neighbours within the kernel.
    pub dilation: [usize; 2],
}

impl Default for ConvGeometry {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        }
    }
}

impl ConvGeometry {
    /// The output's size for planes and a kernel of these sizes.
    fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], GradCheckError> {
        let axis = |at: usize| {
            if self.dilation[at] == 0 || kernel[at] == 0 {
                let allowed = "1 or more".to_owned();
                let what = "a dilation or a side of the kernel";
                return Err(GradCheckError::Size {
                    what,
                    seen: 0,
                    allowed,
                });
            }
            let reach = (kernel[at] - 1) * self.dilation[at] + 1;
            let size = input[at] + 2 * self.padding[at];
            places("the reach of the kernel", size, reach, self.stride[at])
        };
        Ok([axis(0)?, axis(1)?])
    }
}

/// `z[n,o,y,x] = b[o] + Σ_{c,i,j} w[o,c,i,j] · x̂[n, c, y·s + i·d, x·s + j·d]`, with `x̂` the input within zeros
/// ([Dumoulin and Visin](https://arxiv.org/abs/1603.07285), chapters 2 and 5.1).
///
/// # Shapes
/// `x` [batch, in, h, w], `weight` [out, in, kh, kw], `bias` `[out]`; result [batch, out, h', w'].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn conv2d(
    x: &Array<4>,
    weight: &Array<4>,
    bias: &[f64],
    geometry: ConvGeometry,
) -> Result<Array<4>, GradCheckError> {
    let ([batch, channels, h, w], [out, inward, kh, kw]) = (x.shape(), weight.shape());
    expect("the kernel's input channels", inward, channels)?;
    expect("the length of the bias", bias.len(), out)?;
    let [oh, ow] = geometry.output([h, w], [kh, kw])?;
    let spread = weight.upsample(geometry.dilation);
    let padded = x.pad(geometry.padding);
    let ([sy, sx], [_, _, reach_y, reach_x]) = (geometry.stride, spread.shape());
    Ok(Array::from_fn([batch, out, oh, ow], |[n, o, y, x]| {
        let mut sum = bias[o];
        for c in 0..channels {
            for i in 0..reach_y {
                for j in 0..reach_x {
                    sum += spread.at([o, c, i, j]) * padded.at([n, c, y * sy + i, x * sx + j]);
                }
            }
        }
        sum
    }))
}

/// `∂x = full(δ↑, rot180(w))`: the full convolution of the δ that is upsampled by the stride with the kernel turned by 180
/// degrees, summed over output channels; the padding is cut off after ([Dumoulin and
/// Visin](https://arxiv.org/abs/1603.07285), chapter 4).
///
/// # Shapes
/// `delta` [batch, out, h', w'], `weight` [out, in, kh, kw]; result [batch, in, h, w] with `input` = [h, w].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn conv2d_input_gradient(
    delta: &Array<4>,
    weight: &Array<4>,
    input: [usize; 2],
    geometry: ConvGeometry,
) -> Result<Array<4>, GradCheckError> {
    let ([batch, out, ..], [kernels, channels, ..]) = (delta.shape(), weight.shape());
    expect("the number of kernels", kernels, out)?;
    fits(delta, weight.shape(), input, geometry)?;
    let turned = weight.upsample(geometry.dilation).rotate180();
    let [_, _, reach_y, reach_x] = turned.shape();
    // Full: the kernel touches the upsampled δ with its last corner first.
    let framed = delta
        .upsample(geometry.stride)
        .pad([reach_y - 1, reach_x - 1]);
    let [_, _, fh, fw] = framed.shape();
    let size = [batch, channels, fh - reach_y + 1, fw - reach_x + 1];
    let full = Array::from_fn(size, |[n, c, y, x]| {
        let mut sum = 0.0;
        for o in 0..out {
            for i in 0..reach_y {
                for j in 0..reach_x {
                    sum += turned.at([o, c, i, j]) * framed.at([n, o, y + i, x + j]);
                }
            }
        }
        sum
    });
    // Rows and columns that the stride never reaches lie beyond `full`, and get zeros.
    Ok(full.window(geometry.padding, input))
}

/// `∂w = valid(x̂, δ↑)`: the valid convolution of the padded input with the δ that is upsampled by the stride, summed over the
/// batch; of the result, every `dilation`-th place belongs to the kernel.
///
/// # Shapes
/// `x` [batch, in, h, w], `delta` [batch, out, h', w']; result [out, in, kh, kw] with `kernel` = [kh, kw].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn conv2d_weight_gradient(
    x: &Array<4>,
    delta: &Array<4>,
    kernel: [usize; 2],
    geometry: ConvGeometry,
) -> Result<Array<4>, GradCheckError> {
    let ([batch, channels, h, w], [items, out, ..]) = (x.shape(), delta.shape());
    expect("the batch of the delta", items, batch)?;
    let shape = [out, channels, kernel[0], kernel[1]];
    fits(delta, shape, [h, w], geometry)?;
    let padded = x.pad(geometry.padding);
    let spread = delta.upsample(geometry.stride);
    let ([dy, dx], [_, _, rows, columns]) = (geometry.dilation, spread.shape());
    Ok(Array::from_fn(shape, |[o, c, i, j]| {
        let mut sum = 0.0;
        for n in 0..batch {
            for y in 0..rows {
                for x in 0..columns {
                    sum += spread.at([n, o, y, x]) * padded.at([n, c, y + i * dy, x + j * dx]);
                }
            }
        }
        sum
    }))
}

/// `∂b[o] = Σ_{n,y,x} δ[n,o,y,x]`.
pub fn conv2d_bias_gradient(delta: &Array<4>) -> Vec<f64> {
    let mut gradient = vec![0.0; delta.shape()[1]];
    for (flat, value) in delta.values().iter().enumerate() {
        gradient[delta.index(flat)[1]] += value;
    }
    gradient
}

/// Whether a δ has the size that the convolution's output has.
fn fits(
    delta: &Array<4>,
    [_, _, kh, kw]: [usize; 4],
    input: [usize; 2],
    geometry: ConvGeometry,
) -> Result<(), GradCheckError> {
    let [oh, ow] = geometry.output(input, [kh, kw])?;
    expect("the delta's height", delta.shape()[2], oh)?;
    expect("the delta's width", delta.shape()[3], ow)
}
