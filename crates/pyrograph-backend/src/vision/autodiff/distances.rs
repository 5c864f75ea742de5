//! The backward step of distances, whose gradients come with their values.

use burn::{
    backend::autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{Shape, TensorMetadata, backend::AutodiffBackend, ops::FloatTensor},
};

use super::{
    super::{Distance, VisionBackend},
    steps::register_one,
};

#[derive(Debug)]
struct DistanceFrom;

impl<B: VisionBackend> Backward<B, 1> for DistanceFrom {
    /// The gradient, in the shape of the first argument.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        register_one::<B, _>(ops, grads, |gradient, grad| {
            let ones = Shape::from(vec![1; gradient.shape().rank()]);
            B::float_mul(gradient, B::float_reshape(grad, ones))
        });
    }
}

/// A distance of `x`, found by `B` with its gradient.
pub(super) fn differentiable<B: VisionBackend, C: CheckpointStrategy>(
    x: &FloatTensor<Autodiff<B, C>>,
    Distance { value, gradient }: Distance<FloatTensor<B>>,
) -> Distance<FloatTensor<Autodiff<B, C>>> {
    let prepared = DistanceFrom.prepare::<C>([x.node.clone()]);
    let constant = <Autodiff<B, C> as AutodiffBackend>::from_inner(gradient.clone());
    let value = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(gradient, value),
        OpsKind::UnTracked(prep) => prep.finish(value),
    };
    Distance {
        value,
        gradient: constant,
    }
}
