//! Ends of operations: the step is registered where a gradient is asked for.

use burn::{
    backend::autodiff::{
        Autodiff,
        checkpoint::strategy::CheckpointStrategy,
        ops::{Backward, OpsKind},
    },
    tensor::ops::FloatTensor,
};

use super::{
    super::{Activation, VisionBackend},
    steps::{NormAct, NormState},
};

/// Whether an activation's slope at its output is that at its input, as a sign shows it: then the output alone is kept. The
/// others need their input, and get a step of their own.
pub(super) fn has_slope_of_output(act: Activation) -> bool {
    match act {
        Activation::Identity | Activation::Relu | Activation::Relu6 => true,
        Activation::LeakyRelu(slope) => slope >= 0.0,
        Activation::Gelu | Activation::QuickGelu | Activation::Silu | Activation::Tanh => false,
    }
}

/// A batch norm's output, with its step where a gradient is asked for.
pub(super) fn finish_batch_norm<B: VisionBackend, C: CheckpointStrategy>(
    state: NormState<B>,
    inputs: [FloatTensor<Autodiff<B, C>>; 3],
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let parents = inputs.map(|input| input.node);
    match NormAct.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}
