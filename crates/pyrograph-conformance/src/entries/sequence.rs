//! Operations and layers of transformers, and parameters in half precision.

use burn::tensor::{DType, Tensor, module, ops::ConvOptions};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{self, Activation, VisionAutodiff},
};
use pyrograph_gradcheck::{GradCheckError, HostTensor, Inputs};
use pyrograph_models::blocks::{Embedding, LayerNorm, ParamInit};

use super::lived_in::lived_in;
use crate::recorder::{Outcome, Recorder};

const EPSILON: f64 = 1e-5;
const SEED: u64 = 9;
/// Mean of the inputs of norms, away from zero.
const OFFSET: f64 = 3.0;

pub(crate) fn linear<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    // Few rows, one block of the Flex kernel, and several.
    for [rows, inner, outputs] in [[2, 19, 7], [40, 33, 20], [600, 12, 70]] {
        let inputs = [
            r.normal("x", &[rows, inner]),
            r.normal("weight", &[outputs, inner]).affine(0.2, 0.0),
            r.normal("bias", &[outputs]),
        ];
        let name = format!("{rows} × {inner} × {outputs}");
        r.case(&name, &inputs, |i| {
            let (x, weight) = (i.tensor::<2>("x")?, i.tensor("weight")?);
            Ok(vision::linear(x, weight, Some(i.tensor("bias")?)))
        })?;
        r.case(&format!("{name}, without bias"), &inputs[..2], |i| {
            Ok(vision::linear(
                i.tensor::<2>("x")?,
                i.tensor("weight")?,
                None,
            ))
        })?;
    }
    let inputs = [r.normal("x", &[2, 9, 5]), r.normal("weight", &[4, 9])];
    r.case("a view of rank 3", &inputs, |i| {
        let x = i.tensor::<3>("x")?.swap_dims(1, 2);
        Ok(vision::linear(x, i.tensor("weight")?, None))
    })?;
    let weight = brain::<A, 2>(r, [20, 33]);
    let x = [r.normal("x", &[40, 33])];
    r.case("a bf16 weight", &x, |i| {
        Ok(vision::linear(i.tensor::<2>("x")?, weight.clone(), None))
    })?;
    linear_forms(r)
}

/// Linear layers with what goes before and after them.
fn linear_forms<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for [tokens, inner, outputs] in [[3, 19, 7], [600, 12, 70]] {
        let inputs = [
            r.normal("x", &[2, tokens, inner]),
            r.normal("weight", &[outputs, inner]).affine(0.2, 0.0),
            r.normal("bias", &[outputs]),
            r.normal("residual", &[2, tokens, outputs]),
        ];
        let name = format!("{tokens} × {inner} × {outputs}");
        r.case(&format!("{name}, with a residual"), &inputs, |i| {
            let (x, weight) = (i.tensor::<3>("x")?, i.tensor("weight")?);
            let bias = Some(i.tensor("bias")?);
            Ok(vision::linear_plus(x, weight, bias, i.tensor("residual")?))
        })?;
        let inputs = [
            r.normal("x", &[2, tokens, inner]),
            r.normal("weight", &[2 * outputs, inner]).affine(0.2, 0.0),
            r.normal("bias", &[2 * outputs]),
        ];
        r.case(&format!("{name}, gated"), &inputs, |i| {
            let (x, weight) = (i.tensor::<3>("x")?, i.tensor("weight")?);
            Ok(vision::linear_geglu(x, weight, Some(i.tensor("bias")?)))
        })?;
    }
    for [inner, height, width, outputs] in [[19, 3, 5, 7], [12, 20, 30, 70]] {
        let weights = [
            r.normal("weight", &[outputs, inner]).affine(0.2, 0.0),
            r.normal("bias", &[outputs]),
        ];
        let name = format!("{inner} × {height} × {width} × {outputs}");
        let [weight, bias] = weights.clone();
        let inputs = [r.normal("x", &[2, inner, height, width]), weight, bias];
        r.case(&format!("{name}, of pixels"), &inputs, |i| {
            let (x, weight) = (i.tensor("x")?, i.tensor("weight")?);
            Ok(vision::linear_of_pixels(x, weight, Some(i.tensor("bias")?)))
        })?;
        let [weight, bias] = weights;
        let inputs = [
            r.normal("x", &[2, height * width, inner]),
            weight,
            bias,
            r.normal("skip", &[2, outputs, height, width]),
        ];
        r.case(&format!("{name}, to pixels"), &inputs, |i| {
            let (x, weight) = (i.tensor("x")?, i.tensor("weight")?);
            let bias = Some(i.tensor("bias")?);
            Ok(vision::linear_to_pixels(x, weight, bias, i.tensor("skip")?))
        })?;
    }
    Ok(())
}

pub(crate) fn layer_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for shape in [[2, 5, 12], [3, 70, 129]] {
        let inputs = [
            r.normal("x", &shape).affine(1.0, OFFSET),
            r.normal("weight", &shape[2..]).affine(0.3, 1.0),
            r.normal("bias", &shape[2..]),
        ];
        r.case(&format!("{shape:?}"), &inputs, |i| {
            let (weight, bias) = (i.tensor("weight")?, i.tensor("bias")?);
            Ok(vision::layer_norm(
                i.tensor::<3>("x")?,
                weight,
                bias,
                EPSILON,
            ))
        })?;
    }
    let inputs = [
        r.normal("x", &[12, 7]).affine(1.0, OFFSET),
        r.normal("weight", &[12]).affine(0.3, 1.0),
        r.normal("bias", &[12]),
    ];
    r.case("transposed", &inputs, |i| {
        let x = i.tensor::<2>("x")?.transpose();
        Ok(vision::layer_norm(
            x,
            i.tensor("weight")?,
            i.tensor("bias")?,
            EPSILON,
        ))
    })?;
    let (weight, bias) = (brain::<A, 1>(r, [12]), brain::<A, 1>(r, [12]));
    let x = [r.normal("x", &[7, 12]).affine(1.0, OFFSET)];
    r.case("bf16 parameters", &x, |i| {
        let x = i.tensor::<2>("x")?;
        Ok(vision::layer_norm(x, weight.clone(), bias.clone(), EPSILON))
    })
}

pub(crate) fn geglu<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for shape in [[3, 4, 10], [2, 90, 220]] {
        let x = [r.normal("x", &shape).affine(2.0, 0.0)];
        r.case(&format!("{shape:?}"), &x, |i| {
            Ok(vision::geglu(i.tensor::<3>("x")?))
        })?;
    }
    let x = [r.normal("x", &[10, 7])];
    r.case("transposed", &x, |i| {
        Ok(vision::geglu(i.tensor::<2>("x")?.transpose()))
    })
}

pub(crate) fn upsample_nearest<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for (shape, factor) in [([2, 3, 5, 4], 2), ([1, 2, 4, 3], 3), ([2, 6, 40, 33], 2)] {
        let x = [r.normal("x", &shape)];
        r.case(&format!("{shape:?} by {factor}"), &x, |i| {
            Ok(vision::upsample_nearest(i.tensor("x")?, factor))
        })?;
    }
    let x = [r.normal("x", &[2, 4, 5, 3])];
    r.case("channels last", &x, |i| {
        let x: Tensor<A, 4> = i.tensor("x")?;
        Ok(vision::upsample_nearest(x.swap_dims(1, 3), 2))
    })
}

/// Heads as models make them, views of [batch, rows, heads·d]; more keys than a thread of Flex holds at once.
pub(crate) fn attention_of_views<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for (n, m) in [(9, 5), (140, 530)] {
        let inputs = [
            r.normal("query", &[2, n, 2, 8]),
            r.normal("key", &[2, m, 2, 8]),
            r.normal("value", &[2, m, 2, 8]),
            r.normal("bias", &[1, 1, n, m]),
        ];
        let heads = |i: &Inputs<A>, name: &str| Ok(i.tensor::<4>(name)?.swap_dims(1, 2));
        r.case(&format!("views, {n} × {m}"), &inputs, |i| {
            let (q, k, v) = (heads(i, "query")?, heads(i, "key")?, heads(i, "value")?);
            let y = vision::attention(q, k, v, Some(i.tensor("bias")?), 0.3);
            Ok(y.swap_dims(1, 2).reshape([2, n, 16]))
        })?;
    }
    Ok(())
}

/// A convolution and a group norm with parameters in bf16.
pub(crate) fn half_parameters<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    // By Winograd's method and by definition.
    for (side, stride) in [(12, 1), (9, 2)] {
        let (weight, bias) = (brain::<A, 4>(r, [8, 8, 3, 3]), brain::<A, 1>(r, [8]));
        let x = [r.normal("x", &[2, 8, side, side])];
        r.case(&format!("bf16 weight, stride {stride}"), &x, |i| {
            let options = ConvOptions::new([stride; 2], [1, 1], [1, 1], 1);
            let (weight, bias) = (weight.clone(), bias.clone());
            let act = Activation::Silu;
            Ok(vision::conv2d(
                i.tensor("x")?,
                weight,
                Some(bias),
                options,
                act,
            ))
        })?;
    }
    Ok(())
}

pub(crate) fn group_norm_of_half_parameters<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let (weight, bias) = (brain::<A, 1>(r, [8]), brain::<A, 1>(r, [8]));
    let x = [r.normal("x", &[3, 8, 5, 6]).affine(1.0, OFFSET)];
    r.case("bf16 parameters", &x, |i| {
        let (weight, bias) = (weight.clone(), bias.clone());
        Ok(vision::group_norm(
            i.tensor("x")?,
            weight,
            bias,
            4,
            EPSILON,
            Activation::Silu,
        ))
    })
}

pub(crate) fn layer_norm_layer<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[3, 6, 10]).affine(1.0, 1.0)];
    let init = &mut ParamInit::new(r.device(), SEED);
    let layer = lived_in(LayerNorm::new(init, 10, EPSILON));
    r.module("", &layer, &x, |layer, i| {
        Ok(layer.forward(i.tensor::<3>("x")?))
    })
}

pub(crate) fn embedding<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = [r.normal("table", &[11, 6]), repeated_ids()?];
    r.case("repeated entries", &inputs, |i| {
        Ok(module::embedding(i.tensor("table")?, i.int("ids")?))
    })
}

pub(crate) fn embedding_layer<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let layer = Embedding::new(&mut ParamInit::new(r.device(), SEED), 11, 6);
    r.module("", &layer, &[repeated_ids()?], |layer, i| {
        Ok(layer.forward(i.int("ids")?))
    })
}

/// Some entries several times, others never.
fn repeated_ids() -> Result<HostTensor, GradCheckError> {
    HostTensor::int("ids", &[2, 4], vec![3, 0, 10, 3, 3, 7, 0, 1])
}

/// A parameter that is not trained, in bf16 where the backend has that type, and else with the same numbers in its own.
fn brain<A: VisionAutodiff, const D: usize>(
    r: &mut Recorder<A>,
    shape: [usize; D],
) -> Tensor<A, D> {
    let values = r.noise(shape.iter().product());
    // The upper half of an f32: a bf16, if rounded towards zero.
    let values = values.map(|value| f32::from_bits((0.3 * value).to_bits() & 0xffff_0000));
    let tensor: Tensor<A, D> = host_tensor(values.collect(), shape, r.device());
    if A::supports_dtype(r.device(), DType::BF16) {
        tensor.cast(DType::BF16)
    } else {
        tensor
    }
}
