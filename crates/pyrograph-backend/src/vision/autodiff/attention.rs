//! The backward step of attention, which keeps the inputs and the output, and no scores.

use burn::{
    backend::autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{
        backend::{AutodiffBackend, Backend},
        ops::FloatTensor,
    },
};

use super::super::{AttentionOptions, AttentionPass, Products, VisionBackend};

/// Attention of a query, keys and values. Where nothing is tracked it is `B`'s own, with products of any
/// type; else the products have the type of the tensors, forward and backward.
pub(super) fn attention<B: VisionBackend, C: CheckpointStrategy>(
    [query, key, value]: [FloatTensor<Autodiff<B, C>>; 3],
    bias: Option<FloatTensor<Autodiff<B, C>>>,
    options: AttentionOptions,
) -> FloatTensor<Autodiff<B, C>> {
    let bias_is_learned = bias.as_ref().is_some_and(|bias| bias.is_tracked());
    let is_tracked = [&query, &key, &value]
        .iter()
        .any(|tensor| tensor.is_tracked());
    let bias_node = bias.as_ref().unwrap_or(&query).node.clone();
    let parents = [query.node, key.node, value.node, bias_node];
    let (query, key, value) = (query.primitive, key.primitive, value.primitive);
    let bias = bias.map(|bias| bias.primitive);
    if !(is_tracked || bias_is_learned) {
        let output = B::scaled_dot_product_attention(query, key, value, bias, options);
        return <Autodiff<B, C> as AutodiffBackend>::from_inner(output);
    }
    let options = AttentionOptions {
        products: Products::Full,
        ..options
    };
    let output = B::scaled_dot_product_attention(
        query.clone(),
        key.clone(),
        value.clone(),
        bias.clone(),
        options,
    );
    let pass = AttentionPass {
        query,
        key,
        value,
        bias,
        bias_is_learned,
        output: output.clone(),
    };
    let prepared = Attention.prepare::<C>(parents).compute_bound();
    match prepared.stateful() {
        OpsKind::Tracked(prep) => prep.finish(AttentionState::<B> { pass, options }, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Debug, Clone)]
struct AttentionState<B: Backend> {
    pass: AttentionPass<FloatTensor<B>>,
    options: AttentionOptions,
}

impl<B: VisionBackend> Backward<B, 4> for Attention {
    type State = AttentionState<B>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let AttentionState { pass, options } = ops.state;
        let found = B::attention_backward(pass, grad, options);
        // Without a bias that is learned, the fourth parent gets nothing.
        let found = [
            Some(found.query),
            Some(found.key),
            Some(found.value),
            found.bias,
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
