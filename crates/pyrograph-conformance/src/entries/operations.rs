//! Each method of `VisionBackend`, and the operations of burn that models call.

use burn::tensor::Tensor;
use pyrograph_backend::{
    rng::host_tensor,
    vision::{self, Activation, VisionAutodiff, Window},
};
use pyrograph_gradcheck::{GradCheckError, HostTensor, Inputs};

use super::{
    layout::Layout::{self, ChannelsLast, Contiguous},
    sequence,
};
use crate::recorder::{Outcome, Recorder};

const EPSILON: f64 = 1e-5;
/// Mean of the inputs of norms: away from zero, so that a variance taken as E[x²] − E[x]² loses digits and is found out.
const OFFSET: f64 = 3.0;
pub(crate) fn concat_channels<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = [r.normal("x", &[3, 4, 5, 6]), r.normal("y", &[3, 7, 5, 6])];
    r.case("4 and 7 channels", &inputs, |i| {
        Ok(vision::concat_channels(i.tensor("x")?, i.tensor("y")?))
    })
}

pub(crate) fn add<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for shape in [[2, 3, 5, 7], [1, 3, 50, 70]] {
        let inputs = [r.normal("x", &shape), r.normal("y", &shape)];
        r.case(&format!("{shape:?}"), &inputs, |i| {
            Ok(vision::add(
                i.tensor::<4>("x")?,
                i.tensor("y")?,
                Activation::Silu,
            ))
        })?;
    }
    let inputs = [r.normal("x", &[4, 9]), r.normal("y", &[9, 4])];
    r.case("transposed", &inputs, |i| {
        let y = i.tensor::<2>("y")?.transpose();
        Ok(vision::add(i.tensor("x")?, y, Activation::Identity))
    })
}

pub(crate) fn modulate<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for (name, batch) in [("a scale for each", 3), ("one scale for all", 1)] {
        let scale = [batch, 4, 1, 1];
        let inputs = [
            r.normal("x", &[3, 4, 5, 6]),
            r.normal("scale", &scale).affine(0.5, 1.0),
            r.normal("shift", &scale),
        ];
        r.case(name, &inputs, |i| {
            Ok(vision::modulate(
                i.tensor("x")?,
                i.tensor("scale")?,
                i.tensor("shift")?,
            ))
        })?;
    }
    Ok(())
}

const NORM_CASES: [(&str, Layout, [usize; 4]); 3] = [
    ("small", Contiguous, [3, 8, 5, 6]),
    // More than the 2¹⁴ values of a block of the Flex kernels, in planes of odd size.
    ("large", Contiguous, [5, 12, 17, 19]),
    ("channels last", ChannelsLast, [3, 8, 5, 6]),
];

/// Every shape and activation, with the layout, the number of channels, and x, weight and bias.
fn norms<A: VisionAutodiff>(
    r: &mut Recorder<A>,
    mut case: impl FnMut(&mut Recorder<A>, &str, Layout, usize, [HostTensor; 3], Activation) -> Outcome,
) -> Outcome {
    for (name, layout, shape) in NORM_CASES {
        for act in Activation::ALL {
            let inputs = [
                r.normal("x", &layout.memory(shape)).affine(1.0, OFFSET),
                r.normal("weight", &shape[1..2]).affine(0.3, 1.0),
                r.normal("bias", &shape[1..2]).affine(0.3, 0.0),
            ];
            case(
                r,
                &format!("{name}, {act:?}"),
                layout,
                shape[1],
                inputs,
                act,
            )?;
        }
    }
    Ok(())
}

pub(crate) fn group_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    norms(r, |r, name, layout, _, inputs, act| {
        for groups in [1, 2, 4] {
            r.case(&format!("{name}, {groups} groups"), &inputs, |i| {
                let (x, w, b) = norm_inputs(i, layout)?;
                Ok(layout.view(vision::group_norm(x, w, b, groups, EPSILON, act)))
            })?;
        }
        Ok(())
    })?;
    sequence::group_norm_of_half_parameters(r)
}

/// With given statistics, which are no variables.
pub(crate) fn batch_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    norms(r, |r, name, layout, channels, inputs, act| {
        let mean = r.noise(channels).map(|n| n + OFFSET as f32);
        let mean: Tensor<A, 1> = host_tensor(mean.collect(), [channels], r.device());
        let variance = r.noise(channels).map(|n| n * n + 0.5);
        let variance: Tensor<A, 1> = host_tensor(variance.collect(), [channels], r.device());
        r.case(name, &inputs, |i| {
            let (x, w, b) = norm_inputs(i, layout)?;
            let (mean, variance) = (mean.clone(), variance.clone());
            Ok(layout.view(vision::batch_norm(x, w, b, mean, variance, EPSILON, act)))
        })
    })
}

pub(crate) fn batch_norm_training<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    norms(r, |r, name, layout, _, inputs, act| {
        r.case(name, &inputs, |i| {
            let (x, w, b) = norm_inputs(i, layout)?;
            Ok(layout.view(vision::batch_norm_training(x, w, b, EPSILON, act).output))
        })?;
        // The statistics have no gradient.
        r.still(&format!("{name}, statistics"), &inputs, |i| {
            let (x, w, b) = norm_inputs(i, layout)?;
            let out = vision::batch_norm_training(x, w, b, EPSILON, act);
            Ok(Tensor::stack::<2>(vec![out.mean, out.variance], 0))
        })
    })
}

fn norm_inputs<A: VisionAutodiff>(
    i: &Inputs<A>,
    layout: Layout,
) -> Result<NormInputs<A>, GradCheckError> {
    Ok((
        layout.view(i.tensor("x")?),
        i.tensor("weight")?,
        i.tensor("bias")?,
    ))
}

type NormInputs<A> = (Tensor<A, 4>, Tensor<A, 1>, Tensor<A, 1>);

pub(crate) fn activate<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    // Far enough for exp to reach zero and infinity in f32; zero, where ReLU's slope jumps. A tensor for each size, since errors
    // are measured by the largest value.
    let far = [0.0, 10.0, 40.0, 90.0, 200.0, 1e4, 1e30];
    for act in Activation::ALL {
        // More than the 2¹² values of a block of the Flex kernels.
        let near = r.normal("x", &[83, 101]).affine(2.0, 0.0);
        let plain = |i: &Inputs<A>| Ok(vision::activate(i.tensor::<2>("x")?, act));
        let turned =
            |i: &Inputs<A>| Ok(vision::activate(i.tensor::<2>("x")?.transpose(), act).transpose());
        // The gradient of a plain sum is one number, expanded.
        let summed = |i: &Inputs<A>| Ok(vision::activate(i.tensor::<2>("x")?, act).sum());
        let near = &[near];
        r.case(&format!("{act:?}"), near, plain)?;
        r.case(&format!("{act:?} transposed"), near, turned)?;
        r.case(&format!("{act:?} summed"), near, summed)?;
        for size in far {
            let x = HostTensor::new("x", &[2, 1], vec![size, -size])?.affine(1.0, 0.0);
            r.case_at_a_kink(&format!("{act:?} at ±{size:.0e}"), &[x], plain)?;
        }
    }
    Ok(())
}

pub(crate) fn attention<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = [
        r.normal("query", &[2, 2, 5, 4]),
        r.normal("key", &[2, 2, 7, 4]),
        r.normal("value", &[2, 2, 7, 3]),
        r.normal("bias", &[1, 2, 5, 7]),
    ];
    // More queries than a thread of Flex holds at once.
    let many = [
        r.normal("query", &[1, 3, 70, 8]),
        r.normal("key", &[1, 3, 33, 8]),
        r.normal("value", &[1, 3, 33, 8]),
    ];
    let masked = [
        0.0,
        f32::NEG_INFINITY,
        0.0,
        0.0,
        f32::NEG_INFINITY,
        0.0,
        0.0,
    ];
    let mask: Tensor<A, 4> = host_tensor(masked.to_vec(), [1, 1, 1, 7], r.device());
    let attend = |i: &Inputs<A>, bias| {
        let (q, k, v) = (i.tensor("query")?, i.tensor("key")?, i.tensor("value")?);
        Ok(vision::attention(q, k, v, bias, 0.5))
    };
    r.case("plain", &inputs[..3], |i| attend(i, None))?;
    r.case("many queries", &many, |i| attend(i, None))?;
    r.case("mask", &inputs[..3], |i| attend(i, Some(mask.clone())))?;
    r.case("bias", &inputs, |i| attend(i, Some(i.tensor("bias")?)))?;
    for shape in [[2, 1, 1, 7], [1, 2, 5, 1], [1, 1, 1, 1]] {
        let mut inputs = inputs[..3].to_vec();
        inputs.push(r.normal("bias", &shape));
        r.case(&format!("bias {shape:?}"), &inputs, |i| {
            attend(i, Some(i.tensor("bias")?))
        })?;
    }
    sequence::attention_of_views(r)
}

pub(crate) fn l2_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let weight = r.normal("weight", &[5]);
    for shape in [[2, 5, 3, 4], [1, 5, 11, 13]] {
        let inputs = [r.normal("x", &shape), weight.clone()];
        r.case(&format!("{shape:?}"), &inputs, |i| {
            Ok(vision::l2_norm(i.tensor("x")?, i.tensor("weight")?))
        })?;
    }
    Ok(())
}

pub(crate) fn max_pool<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    pool(r, vision::max_pool2d)
}

pub(crate) fn avg_pool<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    pool(r, vision::avg_pool2d)
}

fn pool<A: VisionAutodiff>(
    r: &mut Recorder<A>,
    of: impl Fn(Tensor<A, 4>, Window) -> Tensor<A, 4>,
) -> Outcome {
    let uneven = Window {
        size: [3, 2],
        stride: [2, 1],
        padding: [1, 0],
    };
    let overlapping = Window {
        size: [3; 2],
        stride: [1; 2],
        padding: [1; 2],
    };
    let cases = [
        ("2x2", Contiguous, [2, 3, 9, 7], Window::tiles(2)),
        (
            "2x2, channels last",
            ChannelsLast,
            [2, 3, 8, 6],
            Window::tiles(2),
        ),
        // More than the 2¹⁴ values of a block of the Flex kernels.
        (
            "2x2, many planes",
            Contiguous,
            [5, 60, 8, 8],
            Window::tiles(2),
        ),
        ("3x3", Contiguous, [2, 3, 9, 7], Window::tiles(3)),
        ("4x4", Contiguous, [2, 3, 9, 13], Window::tiles(4)),
        ("3x3 of stride 1", Contiguous, [2, 3, 9, 7], overlapping),
        ("uneven", Contiguous, [2, 3, 9, 7], uneven),
    ];
    for (name, layout, shape, window) in cases {
        let x = r.normal("x", &layout.memory(shape));
        r.case(name, &[x], |i| {
            Ok(layout.view(of(layout.view(i.tensor("x")?), window)))
        })?;
    }
    Ok(())
}

pub(crate) fn softmax<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = r.normal("x", &[7, 5, 33]).affine(3.0, 0.0);
    r.case("rows of 33", &[x], |i| {
        Ok(vision::softmax(i.tensor::<3>("x")?))
    })?;
    let x = r.normal("x", &[3, 8]).affine(40.0, 0.0);
    r.case("far apart", &[x], |i| {
        Ok(vision::softmax(i.tensor::<2>("x")?))
    })?;
    let x = r.normal("x", &[40, 601]);
    r.case("long rows, transposed", &[x], |i| {
        Ok(vision::softmax(i.tensor::<2>("x")?.transpose()))
    })
}
