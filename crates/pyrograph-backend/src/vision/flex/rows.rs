//! Layer norm and gated GELU: rows of features, each in one or two passes.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::Activation,
    buffers::Buffer,
    features::vectorised,
    math,
    norms::statistics,
    planes::change,
    tensors::{edited, floats, rows},
};

/// Values that go to a thread at once.
const BLOCK: usize = 1 << 14;

vectorised! {
    /// Layer norm over the last axis.
    pub(super) fn layer_norm(
        x: FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let (weight, bias) = (floats(&weight), floats(&bias));
        let features = weight.len();
        edited(x, |from, values| {
            change(from, values, features, |row| {
                let from = row.from;
                let values = row.values;
                let [mean, inverse] = statistics(from.unwrap_or(values), epsilon);
                let (weight, bias) = (&weight[..values.len()], &bias[..values.len()]);
                match from {
                    Some(from) => {
                        let from = &from[..values.len()];
                        for i in 0..values.len() {
                            values[i] = (from[i] - mean) * inverse * weight[i] + bias[i];
                        }
                    }
                    None => {
                        for i in 0..values.len() {
                            values[i] = (values[i] - mean) * inverse * weight[i] + bias[i];
                        }
                    }
                }
            });
        })
    }
}

vectorised! {
    /// `value · GELU(gate)` of rows `[value, gate]`.
    pub(super) fn geglu(x: &FlexTensor) -> FlexTensor {
        let [count, both] = x.shape().dims();
        let features = both / 2;
        let x = x.to_contiguous();
        let x = floats(&x);
        let mut out = Buffer::new(count * features);
        let at_once = (BLOCK / features.max(1)).max(1);
        out.par_chunks_mut((at_once * features).max(1))
            .zip(x.par_chunks((at_once * both).max(1)))
            .for_each(|(out, x)| {
                let each = out.chunks_mut(features.max(1)).zip(x.chunks(both.max(1)));
                for (out, x) in each {
                    let (value, gate) = (&x[..out.len()], &x[features..][..out.len()]);
                    for i in 0..out.len() {
                        out[i] = value[i] * math::value::<FUSED>(gate[i], Activation::Gelu);
                    }
                }
            });
        rows(out, [count, features])
    }
}
