//! Each operation of `VisionBackend`, forward and backward.

use burn::tensor::{
    Tensor,
    ops::{ConvOptions, ConvTransposeOptions},
};
use pyrograph::backend::{
    Device,
    rng::host_tensor,
    vision::{self, Activation, VisionAutodiff},
};

use crate::{
    draw::Draw,
    rows::{Cause, Rows},
};

const EPSILON: f64 = 1e-5;
/// Mean of the inputs of norms: away from zero, so that a variance taken as E[x²] − E[x]² loses digits and is found out.
const OFFSET: f64 = 3.0;

pub(crate) fn add<A: VisionAutodiff>(rows: &mut Rows, device: &Device<A>) {
    let draw = &mut Draw::new(device, 0);
    convolutions::<A>(rows, draw);
    transposed_convolutions::<A>(rows, draw);
    modulations::<A>(rows, draw);
    norms::<A>(rows, draw);
    activations::<A>(rows, draw, device);
    attention::<A>(rows, draw, device);
}

/// How a tensor [batch, channels, height, width] lies in memory.
#[derive(Clone, Copy)]
enum Layout {
    Contiguous,
    /// As a view of [batch, width, height, channels]. A kernel that reads storage in order would read other pixels.
    ChannelsLast,
}

impl Layout {
    /// An input in this layout, from a leaf of the shape in memory.
    fn leaf<A: VisionAutodiff>(
        self,
        draw: &mut Draw<A>,
        shape: [usize; 4],
        offset: f64,
    ) -> Tensor<A, 4> {
        let [batch, channels, height, width] = shape;
        match self {
            Self::Contiguous => draw.leaf(shape, offset, 1.0),
            Self::ChannelsLast => draw.leaf([batch, width, height, channels], offset, 1.0),
        }
    }

    /// From memory to [batch, channels, height, width] and back. On an output, its gradient comes in this layout too.
    fn view<A: VisionAutodiff>(self, tensor: &Tensor<A, 4>) -> Tensor<A, 4> {
        match self {
            Self::Contiguous => tensor.clone(),
            Self::ChannelsLast => tensor.clone().swap_dims(1, 3),
        }
    }
}

fn convolutions<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>) {
    use Layout::{ChannelsLast, Contiguous};
    let same = |padding| ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
    let uneven = ConvOptions::new([2, 1], [1, 2], [1, 2], 2);
    let cases = [
        ("3x3", Contiguous, [2, 3, 9, 8], [4, 3, 3, 3], same(1)),
        (
            "3x3 as in the network",
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
            "strided, dilated, grouped",
            Contiguous,
            [2, 4, 11, 10],
            [6, 2, 3, 3],
            uneven,
        ),
    ];
    for (case, layout, x, weight, options) in cases {
        for act in Activation::ALL {
            let x = layout.leaf(draw, x, 0.0);
            let (w, b) = (
                draw.leaf(weight, 0.0, 0.3),
                draw.leaf([weight[0]], 0.0, 1.0),
            );
            for (bias, with) in [(Some(b.clone()), ""), (None, " without bias")] {
                let name = format!("{case}, {act:?}{with}");
                let has_bias = bias.is_some();
                let y = vision::conv2d(layout.view(&x), w.clone(), bias, options.clone(), act);
                let gradients = rows.output("conv2d_act", &name, layout.view(&y), draw);
                rows.gradient("conv2d_act", &format!("{name}, x"), &x, &gradients);
                rows.gradient("conv2d_act", &format!("{name}, weight"), &w, &gradients);
                if has_bias {
                    rows.gradient("conv2d_act", &format!("{name}, bias"), &b, &gradients);
                }
            }
        }
    }
}

fn transposed_convolutions<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>) {
    let options = |[stride, padding, padding_out, dilation]: [usize; 4]| {
        let (s, p, o, d) = ([stride; 2], [padding; 2], [padding_out; 2], [dilation; 2]);
        ConvTransposeOptions::new(s, p, o, d, 1)
    };
    let cases = [
        ("2x2 of stride 2", [2, 6, 4, 5], [6, 4, 2, 2], [2, 0, 0, 1]),
        ("4x4 of stride 2", [2, 6, 4, 5], [6, 4, 4, 4], [2, 1, 0, 1]),
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
            let x = draw.leaf(x, 0.0, 1.0);
            let (w, b) = (
                draw.leaf(weight, 0.0, 0.3),
                draw.leaf([weight[1]], 0.0, 1.0),
            );
            let name = format!("{case}, {act:?}");
            let bias = Some(b.clone());
            let y = vision::conv_transpose2d(x.clone(), w.clone(), bias, options(numbers), act);
            let gradients = rows.output("conv_transpose2d_act", &name, y, draw);
            let mut add = |what: &str, tensor: &Tensor<A, 4>| {
                rows.gradient(
                    "conv_transpose2d_act",
                    &format!("{name}, {what}"),
                    tensor,
                    &gradients,
                );
            };
            add("x", &x);
            add("weight", &w);
            rows.gradient(
                "conv_transpose2d_act",
                &format!("{name}, bias"),
                &b,
                &gradients,
            );
        }
    }
}

fn modulations<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>) {
    for (name, batch) in [("a scale for each", 3), ("one scale for all", 1)] {
        let x = draw.leaf([3, 4, 5, 6], 0.0, 1.0);
        let scale = draw.leaf([batch, 4, 1, 1], 1.0, 0.5);
        let shift = draw.leaf([batch, 4, 1, 1], 0.0, 1.0);
        let y = vision::modulate(x.clone(), scale.clone(), shift.clone());
        let gradients = rows.output("modulate", name, y, draw);
        for (what, tensor) in [("x", &x), ("scale", &scale), ("shift", &shift)] {
            rows.gradient("modulate", &format!("{name}, {what}"), tensor, &gradients);
        }
    }
}

fn norms<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>) {
    let cases = [
        ("small", Layout::Contiguous, [3, 8, 5, 6]),
        // More than the 2¹⁴ values of a block of the Flex kernels, in planes of odd size.
        ("large", Layout::Contiguous, [5, 12, 17, 19]),
        ("channels last", Layout::ChannelsLast, [3, 8, 5, 6]),
    ];
    for (case, layout, shape) in cases {
        for act in Activation::ALL {
            norms_of::<A>(rows, draw, &format!("{case}, {act:?}"), layout, shape, act);
        }
    }
}

fn norms_of<A: VisionAutodiff>(
    rows: &mut Rows,
    draw: &mut Draw<A>,
    name: &str,
    layout: Layout,
    shape: [usize; 4],
    act: Activation,
) {
    let channels = shape[1];
    let x = layout.leaf(draw, shape, OFFSET);
    let (w, b) = (
        draw.leaf([channels], 1.0, 0.3),
        draw.leaf([channels], 0.0, 0.3),
    );
    let (mean, variance) = (
        draw.normal([channels]) + OFFSET,
        draw.normal([channels]).square() + 0.5,
    );
    let mut add = |operation: &str, name: &str, y: Tensor<A, 4>| {
        let gradients = rows.output(operation, name, layout.view(&y), draw);
        rows.gradient(operation, &format!("{name}, x"), &x, &gradients);
        rows.gradient(operation, &format!("{name}, weight"), &w, &gradients);
        rows.gradient(operation, &format!("{name}, bias"), &b, &gradients);
    };
    let inputs = || (layout.view(&x), w.clone(), b.clone());

    for groups in [1, 4, channels] {
        let (x, w, b) = inputs();
        let y = vision::group_norm(x, w, b, groups, EPSILON, act);
        add("group_norm_act", &format!("{name}, {groups} groups"), y);
    }
    let (x, w, b) = inputs();
    add(
        "batch_norm_act",
        name,
        vision::batch_norm(x, w, b, mean, variance, EPSILON, act),
    );
    let (x, w, b) = inputs();
    let out = vision::batch_norm_training(x, w, b, EPSILON, act);
    add("batch_norm_training_act", name, out.output);
    rows.tensor(
        "batch statistics",
        &format!("{name}, mean"),
        Cause::F32Op,
        out.mean.inner(),
    );
    rows.tensor(
        "batch statistics",
        &format!("{name}, variance"),
        Cause::F32Op,
        out.variance.inner(),
    );
}

fn activations<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>, device: &Device<A>) {
    // Far enough for exp to reach zero and infinity in f32; zero, where ReLU's slope jumps.
    let far = vec![
        -1e4, -200.0, -90.0, -40.0, 0.0, -0.0, 40.0, 90.0, 200.0, 1e4,
    ];
    for act in Activation::ALL {
        // More than the 2¹² values of a block of the Flex kernels.
        let near = draw.leaf([83, 101], 0.0, 2.0);
        let far: Tensor<A, 2> = host_tensor(far.clone(), [2, 5], device).require_grad();
        for (name, x) in [
            (format!("{act:?}"), near),
            (format!("{act:?} far out"), far),
        ] {
            let y = vision::activate(x.clone(), act);
            let gradients = rows.output("activate", &name, y, draw);
            rows.gradient("activate", &format!("{name}, x"), &x, &gradients);

            let y = vision::activate(x.clone().transpose(), act);
            let gradients = rows.output(
                "activate",
                &format!("{name} transposed"),
                y.transpose(),
                draw,
            );
            rows.gradient("activate", &format!("{name} transposed, x"), &x, &gradients);

            // The gradient of a plain sum is one number, expanded.
            let gradients = vision::activate(x.clone(), act).sum().backward();
            rows.gradient("activate", &format!("{name} summed, x"), &x, &gradients);
        }
    }
}

fn attention<A: VisionAutodiff>(rows: &mut Rows, draw: &mut Draw<A>, device: &Device<A>) {
    let (q, k, v) = (
        draw.leaf([2, 2, 5, 4], 0.0, 1.0),
        draw.leaf([2, 2, 7, 4], 0.0, 1.0),
        draw.leaf([2, 2, 7, 3], 0.0, 1.0),
    );
    let bias = draw.leaf([1, 2, 5, 7], 0.0, 1.0);
    let mask = [
        0.0,
        f32::NEG_INFINITY,
        0.0,
        0.0,
        f32::NEG_INFINITY,
        0.0,
        0.0,
    ];
    let mask: Tensor<A, 4> = host_tensor(mask.to_vec(), [1, 1, 1, 7], device);
    for (name, given) in [
        ("plain", None),
        ("bias", Some(bias.clone())),
        ("mask", Some(mask)),
    ] {
        let y = vision::attention(q.clone(), k.clone(), v.clone(), given, 0.5);
        let gradients = rows.output("attention", name, y, draw);
        for (input, tensor) in [("query", &q), ("key", &k), ("value", &v)] {
            rows.gradient("attention", &format!("{name}, {input}"), tensor, &gradients);
        }
        if name == "bias" {
            rows.gradient("attention", "bias, bias", &bias, &gradients);
        }
    }
}
