//! Convolutions: the methods of `VisionBackend`.

use burn::tensor::{
    Tensor,
    ops::{ConvOptions, ConvTransposeOptions},
};
use pyrograph_backend::vision::{self, Activation, VisionAutodiff, VisionBackend, Window};

use super::{
    layout::Layout::{ChannelsLast, Contiguous},
    sequence,
};
use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

/// A scale for the weights of so many products, which keeps outputs near 1: a bounded activation of larger ones would be held
/// to their rounding.
fn near_one(products: usize) -> f64 {
    1.0 / (products as f64).sqrt()
}

/// Of 3×3 kernels, one for each channel.
fn depthwise(channels: usize, stride: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [1, 1], [1, 1], channels)
}

pub(crate) fn conv2d<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let same = |padding| ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
    let halving = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    let uneven = ConvOptions::new([2, 1], [1, 2], [1, 2], 2);
    let cases = [
        ("3x3", Contiguous, [2, 3, 9, 8], [4, 3, 3, 3], same(1)),
        (
            "3x3 as in a network",
            Contiguous,
            [2, 16, 16, 16],
            [8, 16, 3, 3],
            same(1),
        ),
        (
            "3x3 channels last",
            ChannelsLast,
            [2, 3, 9, 8],
            [4, 3, 3, 3],
            same(1),
        ),
        ("1x1", Contiguous, [2, 5, 4, 6], [3, 5, 1, 1], same(0)),
        (
            "4x4 of stride 2",
            Contiguous,
            [2, 3, 8, 10],
            [4, 3, 4, 4],
            halving,
        ),
        (
            "strided, dilated, grouped",
            Contiguous,
            [2, 4, 11, 10],
            [6, 2, 3, 3],
            uneven,
        ),
        // Flex works on groups of images and sums parts of a batch.
        (
            "3x3, five images",
            Contiguous,
            [5, 3, 7, 5],
            [4, 3, 3, 3],
            same(1),
        ),
        (
            "3x3, 33 images",
            Contiguous,
            [33, 4, 6, 6],
            [5, 4, 3, 3],
            same(1),
        ),
        (
            "3x3 on 2x2",
            Contiguous,
            [2, 8, 2, 2],
            [8, 8, 3, 3],
            same(1),
        ),
        (
            "4x4 of stride 2 as in a network",
            Contiguous,
            [3, 8, 16, 16],
            [12, 8, 4, 4],
            ConvOptions::new([2, 2], [1, 1], [1, 1], 1),
        ),
        (
            "3x3 dilated as in a network",
            Contiguous,
            [1, 8, 13, 13],
            [24, 8, 3, 3],
            ConvOptions::new([1, 1], [6, 6], [6, 6], 1),
        ),
        (
            "4x4 of stride 2, 33 images",
            Contiguous,
            [33, 2, 6, 4],
            [3, 2, 4, 4],
            ConvOptions::new([2, 2], [1, 1], [1, 1], 1),
        ),
        (
            "depthwise 3x3",
            Contiguous,
            [2, 6, 9, 8],
            [6, 1, 3, 3],
            depthwise(6, 1),
        ),
        (
            "depthwise 3x3 channels last",
            ChannelsLast,
            [2, 6, 9, 8],
            [6, 1, 3, 3],
            depthwise(6, 1),
        ),
        (
            "depthwise 3x3 of stride 2",
            Contiguous,
            [3, 5, 10, 11],
            [5, 1, 3, 3],
            depthwise(5, 2),
        ),
        // Several blocks of planes, and several bands of rows, of the Flex kernels.
        (
            "depthwise 3x3 as in a network",
            Contiguous,
            [1, 48, 19, 19],
            [48, 1, 3, 3],
            depthwise(48, 1),
        ),
        (
            "depthwise 3x3 of stride 2 as in a network",
            Contiguous,
            [1, 2, 75, 75],
            [2, 1, 3, 3],
            depthwise(2, 2),
        ),
        // More pixels than some shaders may loop over, whose weight gradient is a sum of bands (docs/upstream.md).
        (
            "3x3 of a large image",
            Contiguous,
            [2, 1, 150, 140],
            [2, 1, 3, 3],
            same(1),
        ),
        (
            "depthwise, strided, dilated",
            Contiguous,
            [2, 3, 11, 10],
            [3, 1, 2, 5],
            ConvOptions::new([1, 3], [1, 2], [2, 1], 3),
        ),
    ];
    for (case, layout, x, weight, options) in cases {
        for act in Activation::ALL {
            let (x, w) = (
                r.normal("x", &layout.memory(x)),
                r.normal("weight", &weight)
                    .affine(near_one(weight[1..].iter().product()), 0.0),
            );
            let b = r.normal("bias", &weight[..1]);
            r.case(
                &format!("{case}, {act:?}"),
                &[x.clone(), w.clone(), b],
                |i| {
                    let (x, b) = (layout.view(i.tensor("x")?), Some(i.tensor("bias")?));
                    let y = vision::conv2d(x, i.tensor("weight")?, b, options.clone(), act);
                    Ok(layout.view(y))
                },
            )?;
            r.case(&format!("{case}, {act:?} without bias"), &[x, w], |i| {
                let x = layout.view(i.tensor("x")?);
                let y = vision::conv2d(x, i.tensor("weight")?, None, options.clone(), act);
                Ok(layout.view(y))
            })?;
        }
    }
    sequence::half_parameters(r)
}

pub(crate) fn conv2d_of_group_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    for (name, groups, side, stride) in
        [("3x3", 2, 3, 1), ("1x1", 4, 1, 1), ("of stride 2", 1, 3, 2)]
    {
        let kernel = [6, 8, side, side];
        let inputs = [
            r.normal("x", &[2, 8, 7, 9]),
            r.normal("scale", &[8]).affine(0.2, 1.0),
            r.normal("shift", &[8]),
            r.normal("kernel", &kernel)
                .affine(near_one(8 * side * side), 0.0),
            r.normal("bias", &[6]),
        ];
        r.case(name, &inputs, |i| {
            let norm = vision::GroupNorm {
                weight: i.tensor("scale")?,
                bias: i.tensor("shift")?,
                groups,
                epsilon: 1e-5,
                act: Activation::Silu,
            };
            let options = ConvOptions::new([stride; 2], [side / 2; 2], [1, 1], 1);
            let (kernel, bias) = (i.tensor("kernel")?, i.tensor("bias")?);
            let x = i.tensor("x")?;
            Ok(vision::conv2d_of_group_norm(
                x,
                norm,
                kernel,
                Some(bias),
                options,
            ))
        })?;
    }
    Ok(())
}

pub(crate) fn conv2d_of_upsampled<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    for (name, factor, side, image) in [
        ("3x3", 2, 3, [5, 7]),
        ("3x3 as in a network", 2, 3, [33, 32]),
        ("1x1", 2, 1, [5, 7]),
        ("by 3", 3, 3, [5, 7]),
    ] {
        let (kernel, padding) = ([9, 8, side, side], side / 2);
        let inputs = [
            r.normal("x", &[1, 8, image[0], image[1]]),
            r.normal("kernel", &kernel)
                .affine(near_one(8 * side * side), 0.0),
            r.normal("bias", &[9]),
        ];
        r.case(name, &inputs, |i| {
            let options = ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
            let (kernel, bias) = (i.tensor("kernel")?, i.tensor("bias")?);
            let x = i.tensor("x")?;
            Ok(vision::conv2d_of_upsampled(
                x,
                factor,
                kernel,
                Some(bias),
                options,
            ))
        })?;
    }
    Ok(())
}

/// Convolutions with and without a norm, a transposed one and both kinds of poolings, one after the other.
pub(crate) fn conv_stack<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let kernels = [
        ("kernel1", vec![26, 3, 3, 3], 27),
        ("kernel2", vec![24, 26, 3, 3], 26 * 9),
        ("kernel3", vec![24, 25, 4, 4], 24 * 4),
        ("kernel4", vec![7, 25, 1, 1], 25),
    ];
    for rows in [false, true] {
        let mut inputs = vec![
            r.normal("x", &[2, 3, 9, 11]),
            r.normal("scale", &[24]).affine(0.2, 1.0),
            r.normal("shift", &[24]),
            r.normal("bias", &[7]),
        ];
        for (name, shape, seen) in &kernels {
            inputs.push(r.normal(name, shape).affine(near_one(*seen), 0.0));
        }
        let name = if rows { "to rows" } else { "to images" };
        r.case(name, &inputs, |i| {
            let mut stack = vision::ConvStack::default();
            let same = |padding: usize| ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
            stack.conv2d(
                i.tensor("kernel1")?,
                [None, None],
                same(1),
                Activation::Relu,
            );
            stack.max_pool2d(Window::tiles(2), true);
            let by = [Some(i.tensor("scale")?), Some(i.tensor("shift")?)];
            stack.conv2d(i.tensor("kernel2")?, by, same(1), Activation::Gelu);
            let twice = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
            stack.conv_transpose2d(i.tensor("kernel3")?, [None, None], twice, Activation::Silu);
            stack.max_pool2d(Window::tiles(2), false);
            let bias = [None, Some(i.tensor("bias")?)];
            stack.conv2d(i.tensor("kernel4")?, bias, same(0), Activation::Identity);
            let x = i.tensor("x")?;
            Ok(match rows {
                true => stack.forward_rows(x).flatten::<2>(0, 1),
                false => stack.forward(x).flatten::<2>(1, 3),
            })
        })?;
    }
    Ok(())
}

/// The third pass of a layer, which has the form that the second one made.
pub(crate) fn prepare_weight<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let kernel = [16, 12, 3, 3];
    let inputs = [
        r.normal("x", &[1, 12, 18, 17]),
        r.normal("kernel", &kernel).affine(near_one(12 * 9), 0.0),
    ];
    r.case("convolution", &inputs, |i| {
        let (x, kernel) = (i.tensor("x")?, i.tensor("kernel")?);
        Ok(third_pass(kernel, |kernel: Tensor<A, 4>| {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            vision::conv2d(x.clone(), kernel, None, options, Activation::Identity)
        }))
    })?;
    let inputs = [
        r.normal("x", &[40, 24]),
        r.normal("matrix", &[70, 24]).affine(near_one(24), 0.0),
    ];
    r.case("linear layer", &inputs, |i| {
        let (x, matrix) = (i.tensor("x")?, i.tensor("matrix")?);
        Ok(third_pass(matrix, |matrix: Tensor<A, 2>| {
            vision::linear(x.clone(), matrix, None)
        }))
    })
}

fn third_pass<A: VisionAutodiff, const D: usize>(
    weight: Tensor<A, D>,
    pass: impl Fn(Tensor<A, D>) -> Tensor<A, D>,
) -> Tensor<A, D> {
    let primitive = weight.clone().inner().into_primitive();
    let _prepared = A::InnerBackend::prepare_weight(primitive);
    for _ in 0..2 {
        drop(pass(weight.clone()));
    }
    pass(weight)
}

pub(crate) fn conv2d_scaled<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let whole = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    for (case, x, weight, options) in [
        ("few channels", [2, 3, 9, 8], [4, 3, 3, 3], whole.clone()),
        ("as in a network", [3, 16, 16, 16], [24, 16, 3, 3], whole),
        ("depthwise", [2, 6, 9, 8], [6, 1, 3, 3], depthwise(6, 1)),
        (
            "depthwise of stride 2",
            [2, 6, 19, 10],
            [6, 1, 3, 3],
            depthwise(6, 2),
        ),
    ] {
        for act in Activation::ALL {
            let of_weight = near_one(weight[1..].iter().product());
            let inputs = [
                r.normal("x", &x),
                r.normal("weight", &weight).affine(of_weight, 0.0),
                r.normal("scale", &weight[..1]).affine(0.3, 1.0),
                r.normal("shift", &weight[..1]),
            ];
            r.case(&format!("{case}, {act:?}"), &inputs, |i| {
                let (x, weight) = (i.tensor("x")?, i.tensor("weight")?);
                let (scale, shift) = (i.tensor("scale")?, i.tensor("shift")?);
                Ok(vision::conv2d_scaled(
                    x,
                    weight,
                    scale,
                    shift,
                    options.clone(),
                    act,
                ))
            })?;
        }
    }
    Ok(())
}
pub(crate) fn conv_transpose2d<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let options = |[stride, padding, padding_out, dilation]: [usize; 4]| {
        let (s, p, o, d) = ([stride; 2], [padding; 2], [padding_out; 2], [dilation; 2]);
        ConvTransposeOptions::new(s, p, o, d, 1)
    };
    let cases = [
        ("2x2 of stride 2", [2, 6, 4, 5], [6, 4, 2, 2], [2, 0, 0, 1]),
        ("4x4 of stride 2", [2, 6, 4, 5], [6, 4, 4, 4], [2, 1, 0, 1]),
        (
            "4x4 of stride 2 as in a network",
            [5, 16, 8, 8],
            [16, 8, 4, 4],
            [2, 1, 0, 1],
        ),
        ("2x2 of stride 3", [2, 6, 4, 5], [6, 4, 2, 2], [3, 0, 0, 1]),
        (
            "4x4 from one pixel",
            [3, 8, 1, 1],
            [8, 4, 4, 4],
            [4, 0, 0, 1],
        ),
        (
            "dilated, with an output padding",
            [1, 2, 4, 3],
            [2, 3, 3, 2],
            [3, 1, 2, 2],
        ),
    ];
    for (case, x, weight, numbers) in cases {
        for act in Activation::ALL {
            let (x, w) = (
                r.normal("x", &x),
                r.normal("weight", &weight)
                    .affine(near_one(weight[0] * 4), 0.0),
            );
            let b = r.normal("bias", &weight[1..2]);
            r.case(&format!("{case}, {act:?}"), &[x, w, b], |i| {
                let (x, w, b) = (i.tensor("x")?, i.tensor("weight")?, i.tensor("bias")?);
                Ok(vision::conv_transpose2d(
                    x,
                    w,
                    Some(b),
                    options(numbers),
                    act,
                ))
            })?;
        }
    }
    Ok(())
}
