//! The backward steps, and what each keeps from its forward pass.

use burn::{
    backend::autodiff::{
        NodeId,
        checkpoint::base::Checkpointer,
        grads::Gradients,
        ops::{Backward, Ops},
    },
    tensor::{
        Shape, Slice,
        backend::Backend,
        ops::{ConvOptions, FloatTensor},
    },
};

use super::super::{Activation, NormStatistics, VisionBackend, Window};

/// Hands each parent that wants one its gradient.
fn register_each<B: Backend>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; 3],
    values: [FloatTensor<B>; 3],
) {
    for (parent, value) in parents.into_iter().zip(values) {
        if let Some(id) = parent {
            grads.register::<B>(id, value);
        }
    }
}

/// Hands the only parent its gradient, made of the step's state and the gradient of its output.
pub(super) fn register_one<B: Backend, S>(
    ops: Ops<S, 1>,
    grads: &mut Gradients,
    of: impl FnOnce(S, FloatTensor<B>) -> FloatTensor<B>,
) {
    let grad = grads.consume::<B>(&ops.node);
    let [parent] = ops.parents;
    if let Some(node) = parent {
        grads.register::<B>(node.id, of(ops.state, grad));
    }
}

#[derive(Debug)]
pub(super) struct Activate;

#[derive(Debug, Clone)]
pub(super) struct ActivateState<B: Backend> {
    pub(super) input: FloatTensor<B>,
    pub(super) act: Activation,
}

impl<B: VisionBackend> Backward<B, 1> for Activate {
    type State = ActivateState<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        register_one::<B, _>(ops, grads, |state, grad| {
            B::activate_backward(state.input, grad, state.act)
        });
    }
}

#[derive(Debug)]
pub(super) struct Concat;

#[derive(Debug, Clone)]
pub(super) struct ConcatState {
    pub(super) first: Shape,
    pub(super) second: Shape,
}

impl<B: VisionBackend> Backward<B, 2> for Concat {
    type State = ConcatState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ConcatState { first, second } = ops.state;
        let mut begin = 0;
        for (parent, shape) in ops.parents.into_iter().zip([first, second]) {
            let end = begin + shape[1];
            if let Some(node) = parent {
                let ranges = [0..shape[0], begin..end, 0..shape[2], 0..shape[3]];
                let part = B::float_slice(grad.clone(), &ranges.map(Slice::from));
                grads.register::<B>(node.id, part);
            }
            begin = end;
        }
    }
}

#[derive(Debug)]
pub(super) struct L2Norm;

impl<B: VisionBackend> Backward<B, 2> for L2Norm {
    /// Input and weight.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state;
        let (x, weight) = B::l2_norm_backward(x, weight, grad);
        for (parent, gradient) in ops.parents.into_iter().zip([x, weight]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct PoolState<B: Backend> {
    pub(super) input: FloatTensor<B>,
    pub(super) window: Window,
}

#[derive(Debug)]
pub(super) struct MaxPool;

impl<B: VisionBackend> Backward<B, 1> for MaxPool {
    type State = PoolState<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        register_one::<B, _>(ops, grads, |state, grad| {
            B::max_pool2d_window_backward(state.input, grad, state.window)
        });
    }
}

#[derive(Debug)]
pub(super) struct AvgPool;

impl<B: VisionBackend> Backward<B, 1> for AvgPool {
    type State = PoolState<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        register_one::<B, _>(ops, grads, |state, grad| {
            B::avg_pool2d_window_backward(state.input, grad, state.window)
        });
    }
}

#[derive(Debug)]
pub(super) struct Softmax;

impl<B: VisionBackend> Backward<B, 1> for Softmax {
    /// The output.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        register_one::<B, _>(ops, grads, B::softmax_last_backward);
    }
}

#[derive(Debug)]
pub(super) struct ConvAct;

#[derive(Debug, Clone)]
pub(super) struct ConvState<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) weight: FloatTensor<B>,
    pub(super) has_bias: bool,
    /// Kept where an activation is fused, for its slope.
    pub(super) output: Option<(FloatTensor<B>, Activation)>,
    pub(super) options: ConvOptions<2>,
}

impl<B: VisionBackend> Backward<B, 3> for ConvAct {
    type State = ConvState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node, bias_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let ConvState {
            x,
            weight,
            has_bias,
            output,
            options,
        } = ops.state;
        let grad = match output {
            Some((output, act)) => B::activate_backward(output, grad, act),
            None => grad,
        };
        if let Some(node) = x_node {
            let value =
                B::conv2d_input_gradient(x.clone(), weight.clone(), grad.clone(), options.clone());
            grads.register::<B>(node.id, value);
        }
        if let Some(node) = weight_node {
            let value = B::conv2d_weight_gradient(x, weight, grad.clone(), options);
            grads.register::<B>(node.id, value);
        }
        if let (Some(node), true) = (bias_node, has_bias) {
            grads.register::<B>(node.id, B::channel_sum(grad));
        }
    }
}

#[derive(Debug)]
pub(super) struct NormAct;

#[derive(Debug, Clone)]
pub(super) struct NormState<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) weight: FloatTensor<B>,
    pub(super) bias: FloatTensor<B>,
    pub(super) mean: FloatTensor<B>,
    pub(super) variance: FloatTensor<B>,
    pub(super) statistics: NormStatistics,
    pub(super) epsilon: f64,
    pub(super) act: Activation,
}

impl<B: VisionBackend> Backward<B, 3> for NormAct {
    type State = NormState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (parents, state) = (ops.parents.map(|node| node.map(|node| node.id)), ops.state);
        let out = B::batch_norm_act_backward(
            state.x,
            state.weight,
            state.bias,
            state.mean,
            state.variance,
            state.statistics,
            state.epsilon,
            state.act,
            grad,
        );
        register_each::<B>(grads, parents, [out.x, out.weight, out.bias]);
    }
}

#[derive(Debug)]
pub(super) struct TransposedConv;

#[derive(Debug, Clone)]
pub(super) struct TransposedState<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) weight: FloatTensor<B>,
    pub(super) has_bias: bool,
    /// Of the convolution whose input gradient this is.
    pub(super) options: ConvOptions<2>,
}

impl<B: VisionBackend> Backward<B, 3> for TransposedConv {
    type State = TransposedState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node, bias_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let TransposedState {
            x,
            weight,
            has_bias,
            options,
        } = ops.state;
        if let Some(node) = x_node {
            let value = B::conv2d_act(
                grad.clone(),
                weight.clone(),
                None,
                options.clone(),
                Activation::Identity,
            );
            grads.register::<B>(node.id, value);
        }
        if let Some(node) = weight_node {
            // That convolution goes from the large image to the small one, so x has the place of its output's gradient.
            let value = B::conv2d_weight_gradient(grad.clone(), weight, x, options);
            grads.register::<B>(node.id, value);
        }
        if let (Some(node), true) = (bias_node, has_bias) {
            grads.register::<B>(node.id, B::channel_sum(grad));
        }
    }
}

#[derive(Debug)]
pub(super) struct Modulate;

#[derive(Debug, Clone)]
pub(super) struct ModulateState<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) scale: FloatTensor<B>,
}

impl<B: VisionBackend> Backward<B, 3> for Modulate {
    type State = ModulateState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (parents, state) = (ops.parents.map(|node| node.map(|node| node.id)), ops.state);
        let out = B::modulate_backward(state.x, state.scale, grad);
        register_each::<B>(grads, parents, [out.x, out.scale, out.shift]);
    }
}

#[derive(Debug)]
pub(super) struct GroupNormAct;

#[derive(Debug, Clone)]
pub(super) struct GroupNormState<B: Backend> {
    pub(super) x: FloatTensor<B>,
    pub(super) weight: FloatTensor<B>,
    pub(super) bias: FloatTensor<B>,
    pub(super) groups: usize,
    pub(super) epsilon: f64,
    pub(super) act: Activation,
}

impl<B: VisionBackend> Backward<B, 3> for GroupNormAct {
    type State = GroupNormState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (parents, state) = (ops.parents.map(|node| node.map(|node| node.id)), ops.state);
        let out = B::group_norm_act_backward(
            state.x,
            state.weight,
            state.bias,
            state.groups,
            state.epsilon,
            state.act,
            grad,
        );
        register_each::<B>(grads, parents, [out.x, out.weight, out.bias]);
    }
}
