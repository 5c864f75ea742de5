//! Layers with weights in int8; a backend that does not keep such weights has the numbers that they stand for.

use burn::tensor::{Tensor, TensorData, ops::ConvOptions};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{self, Activation, Int8Products, VisionAutodiff},
};

use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

/// Steps of int8 in the standard deviation of the numbers.
const SPREAD: f32 = 40.0;

/// Numbers of int8 and a scale for each output.
fn weight<A: VisionAutodiff, const D: usize>(
    r: &mut Recorder<A>,
    shape: [usize; D],
) -> Tensor<A, D> {
    let noise = r.noise(shape.iter().product());
    let numbers: Vec<i8> = noise.map(|value| (value * SPREAD) as i8).collect();
    let scales: Vec<f32> = (1..=shape[0])
        .map(|output| 0.005 + 1e-4 * output as f32)
        .collect();
    let values = numbers.chunks(numbers.len() / shape[0]).zip(&scales);
    let values = values.flat_map(|(row, scale)| row.iter().map(move |n| scale * f32::from(*n)));
    let values: Vec<f32> = values.collect();
    let numbers = TensorData::new(numbers, shape.to_vec());
    vision::quantised_weight(numbers, scales, Int8Products::WeightsAlone, r.device())
        .unwrap_or_else(|| host_tensor(values, shape, r.device()))
}

pub(crate) fn linear<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for [rows, inner, outputs] in [[2, 19, 7], [40, 33, 20], [600, 12, 70]] {
        let name = format!("{rows} × {inner} × {outputs}");
        let w = weight::<A, 2>(r, [outputs, inner]);
        let inputs = [
            r.normal("x", &[rows, inner]),
            r.normal("bias", &[outputs]),
            r.normal("residual", &[rows, outputs]),
        ];
        r.case(&name, &inputs[..1], |i| {
            Ok(vision::linear(i.tensor::<2>("x")?, w.clone(), None))
        })?;
        r.case(&format!("{name}, with a residual"), &inputs, |i| {
            let (x, bias) = (i.tensor::<2>("x")?, Some(i.tensor("bias")?));
            Ok(vision::linear_plus(
                x,
                w.clone(),
                bias,
                i.tensor("residual")?,
            ))
        })?;
        let w = weight::<A, 2>(r, [2 * outputs, inner]);
        let inputs = [
            r.normal("x", &[rows, inner]),
            r.normal("bias", &[2 * outputs]),
        ];
        r.case(&format!("{name}, gated"), &inputs, |i| {
            let (x, bias) = (i.tensor::<2>("x")?, Some(i.tensor("bias")?));
            Ok(vision::linear_geglu(x, w.clone(), bias))
        })?;
    }
    for [inner, height, width, outputs] in [[19, 3, 5, 7], [12, 20, 30, 70]] {
        let name = format!("{inner} × {height} × {width} × {outputs}");
        // A kernel of one pixel, as networks have it for both.
        let w = vision::matrix_of(weight::<A, 4>(r, [outputs, inner, 1, 1]));
        let inputs = [
            r.normal("x", &[2, inner, height, width]),
            r.normal("bias", &[outputs]),
        ];
        r.case(&format!("{name}, of pixels"), &inputs, |i| {
            let (x, bias) = (i.tensor("x")?, Some(i.tensor("bias")?));
            Ok(vision::linear_of_pixels(x, w.clone(), bias))
        })?;
        let inputs = [
            r.normal("x", &[2, height * width, inner]),
            r.normal("bias", &[outputs]),
            r.normal("skip", &[2, outputs, height, width]),
        ];
        r.case(&format!("{name}, to pixels"), &inputs, |i| {
            let (x, bias) = (i.tensor("x")?, Some(i.tensor("bias")?));
            Ok(vision::linear_to_pixels(
                x,
                w.clone(),
                bias,
                i.tensor("skip")?,
            ))
        })?;
    }
    Ok(())
}

pub(crate) fn conv2d<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let cases = [
        ("3x3", [2, 3, 9, 8], [4, 3, 3, 3], [1, 1]),
        (
            "3x3 as in a network",
            [2, 16, 16, 16],
            [8, 16, 3, 3],
            [1, 1],
        ),
        ("3x3 of stride 2", [1, 17, 11, 9], [19, 17, 3, 3], [2, 1]),
        ("3x3, few pixels", [1, 16, 4, 4], [40, 16, 3, 3], [1, 1]),
        ("1x1", [2, 5, 4, 6], [3, 5, 1, 1], [1, 0]),
    ];
    for (name, x, kernel, [stride, padding]) in cases {
        let w = weight::<A, 4>(r, kernel);
        let inputs = [r.normal("x", &x), r.normal("bias", &kernel[..1])];
        r.case(name, &inputs, |i| {
            let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
            let (x, bias) = (i.tensor("x")?, Some(i.tensor("bias")?));
            Ok(vision::conv2d(
                x,
                w.clone(),
                bias,
                options,
                Activation::Identity,
            ))
        })?;
    }
    Ok(())
}
