//! [`VisionBackend`] for `Autodiff<B>`: training reaches `B`'s kernels through hand-written backward steps.
//!
//! Operations without a backward step of their own here (attention, batch norm with given statistics) keep the default bodies, which burn differentiates operation by operation.

mod steps;

use burn::{
    backend::autodiff::{
        Autodiff,
        checkpoint::strategy::CheckpointStrategy,
        ops::{Backward, OpsKind},
    },
    tensor::{
        backend::AutodiffBackend,
        ops::{ConvOptions, ConvTransposeOptions, FloatTensor},
    },
};

use super::{Activation, BatchNormOutput, VisionBackend};
use steps::{
    Activate, ActivateState, ConvAct, ConvState, GroupNormAct, GroupNormState, Modulate,
    ModulateState, NormAct, NormState, TransposedConv, TransposedState,
};

impl<B: VisionBackend, C: CheckpointStrategy> VisionBackend for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, act: Activation) -> FloatTensor<Self> {
        if act == Activation::Identity {
            return x;
        }
        let input = x.primitive.clone();
        let output = B::activate(x.primitive, act);
        match Activate.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(ActivateState::<B> { input, act }, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn conv2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        // ReLU's mask can be read off the output; other activations need their input, so they get a step of their own.
        let fused = match act {
            Activation::Identity | Activation::Relu => act,
            Activation::Gelu | Activation::Silu => {
                let y = Self::conv2d_act(x, weight, bias, options, Activation::Identity);
                return Self::activate(y, act);
            }
        };
        let bias_node = bias.as_ref().map_or(&x, |bias| bias).node.clone();
        let state = ConvState::<B> {
            x: x.primitive,
            weight: weight.primitive,
            has_bias: bias.is_some(),
            output: None,
            options,
        };
        let output = B::conv2d_act(
            state.x.clone(),
            state.weight.clone(),
            bias.map(|bias| bias.primitive),
            state.options.clone(),
            fused,
        );
        match ConvAct
            .prepare::<C>([x.node, weight.node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = (fused == Activation::Relu).then(|| output.clone());
                let state = ConvState {
                    output: kept,
                    ..state
                };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn conv_transpose2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvTransposeOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        if act != Activation::Identity {
            let y = Self::conv_transpose2d_act(x, weight, bias, options, Activation::Identity);
            return Self::activate(y, act);
        }
        let bias_node = bias.as_ref().map_or(&x, |bias| bias).node.clone();
        let state = TransposedState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            has_bias: bias.is_some(),
            options: ConvOptions::new(
                options.stride,
                options.padding,
                options.dilation,
                options.groups,
            ),
        };
        let output = B::conv_transpose2d_act(
            x.primitive,
            weight.primitive,
            bias.map(|bias| bias.primitive),
            options,
            act,
        );
        match TransposedConv
            .prepare::<C>([x.node, weight.node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn modulate(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let state = ModulateState::<B> {
            x: x.primitive.clone(),
            scale: scale.primitive.clone(),
        };
        let output = B::modulate(x.primitive, scale.primitive, shift.primitive);
        match Modulate
            .prepare::<C>([x.node, scale.node, shift.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn group_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        act: Activation,
    ) -> FloatTensor<Self> {
        let state = GroupNormState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            bias: bias.primitive.clone(),
            groups,
            epsilon,
            act,
        };
        let output = B::group_norm_act(
            x.primitive,
            weight.primitive,
            bias.primitive,
            groups,
            epsilon,
            act,
        );
        match GroupNormAct
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn batch_norm_training_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        act: Activation,
    ) -> BatchNormOutput<FloatTensor<Self>> {
        let out = B::batch_norm_training_act(
            x.primitive.clone(),
            weight.primitive.clone(),
            bias.primitive.clone(),
            epsilon,
            act,
        );
        let state = NormState::<B> {
            x: x.primitive,
            weight: weight.primitive,
            bias: bias.primitive,
            mean: out.mean.clone(),
            variance: out.variance.clone(),
            epsilon,
            act,
        };
        let output = match NormAct
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, out.output),
            OpsKind::UnTracked(prep) => prep.finish(out.output),
        };
        BatchNormOutput {
            output,
            mean: <Self as AutodiffBackend>::from_inner(out.mean),
            variance: <Self as AutodiffBackend>::from_inner(out.variance),
        }
    }
}
