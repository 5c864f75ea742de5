//! The layers of `pyrograph-models`.

use pyrograph_backend::vision::{Activation, VisionAutodiff};
use pyrograph_models::blocks::{
    BatchNorm2d, BatchStatistics, Conv2d, ConvTranspose2d, GroupNorm, Kernel, Linear, NormMode,
    ParamInit,
};

use super::lived_in::lived_in;
use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

const SEED: u64 = 9;
/// The window of a DCGAN's blocks.
const DOUBLES: Kernel = Kernel {
    size: 4,
    stride: 2,
    padding: 1,
};

pub(crate) fn conv2d<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    r.outputs_differ_by(Cause::Winograd);
    let x = [r.normal("x", &[2, 5, 6, 7])];
    for kernel in [1, 3] {
        let layer = Conv2d::same(&mut ParamInit::new(r.device(), SEED), [5, 4], kernel);
        for act in Activation::ALL {
            r.module(
                &format!("{kernel}x{kernel}, {act:?}"),
                &layer,
                &x,
                |layer, i| Ok(layer.forward(i.tensor("x")?, act)),
            )?;
        }
    }
    let init = &mut ParamInit::new(r.device(), SEED);
    let layer = (
        Conv2d::same(init, [5, 8], 3),
        lived_in(BatchNorm2d::new(init, 8)),
    );
    for act in Activation::ALL {
        r.module(
            &format!("3x3 with batch norm in it, {act:?}"),
            &layer,
            &x,
            |(conv, norm): &(Conv2d<_>, BatchNorm2d<_>), i| {
                Ok(conv.forward_norm(i.tensor("x")?, norm, act, &mut NormMode::Eval))
            },
        )?;
    }
    let init = &mut ParamInit::new(r.device(), SEED);
    let layer = Conv2d::new(init, [5, 4], DOUBLES).without_bias();
    r.module("4x4 of stride 2", &layer, &x, |layer, i| {
        Ok(layer.forward(i.tensor("x")?, Activation::LeakyRelu(0.1)))
    })?;
    r.module("without its bias", &layer, &x, |layer, i| {
        Ok(layer.forward_linear(i.tensor("x")?))
    })
}

pub(crate) fn conv_transpose2d<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[2, 5, 4, 3])];
    for factor in [2, 4] {
        let init = &mut ParamInit::new(r.device(), SEED);
        let layer = ConvTranspose2d::enlarging(init, [5, 4], factor);
        r.module(&format!("by {factor}"), &layer, &x, |layer, i| {
            Ok(layer.forward(i.tensor("x")?, Activation::Identity))
        })?;
    }
    let init = &mut ParamInit::new(r.device(), SEED);
    let layer = (
        ConvTranspose2d::new(init, [5, 4], DOUBLES).without_bias(),
        lived_in(BatchNorm2d::new(init, 4)),
    );
    r.module(
        "4x4 of stride 2 with batch norm in it",
        &layer,
        &x,
        |(conv, norm): &(ConvTranspose2d<_>, BatchNorm2d<_>), i| {
            let mode = &mut NormMode::Eval;
            Ok(conv.forward_norm(i.tensor("x")?, norm, Activation::Relu, mode))
        },
    )
}

pub(crate) fn linear<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[6, 11])];
    let layer = Linear::new(&mut ParamInit::new(r.device(), SEED), 11, 7);
    r.module("", &layer, &x, |layer, i| {
        Ok(layer.forward(i.tensor::<2>("x")?))
    })?;
    let x = [r.normal("x", &[2, 5, 11])];
    r.module("rank 3", &layer, &x, |layer, i| {
        Ok(layer.forward(i.tensor::<3>("x")?))
    })?;
    let layer = Linear::without_bias(&mut ParamInit::new(r.device(), SEED), 11, 7);
    r.module("without bias", &layer, &x, |layer, i| {
        Ok(layer.forward(i.tensor::<3>("x")?))
    })
}

pub(crate) fn group_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[3, 8, 5, 4]).affine(1.0, 1.0)];
    let layer = lived_in(GroupNorm::new(&mut ParamInit::new(r.device(), SEED), 4, 8));
    for act in Activation::ALL {
        r.module(&format!("{act:?}"), &layer, &x, |layer, i| {
            Ok(layer.forward(i.tensor("x")?, act))
        })?;
    }
    Ok(())
}

pub(crate) fn batch_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let x = [r.normal("x", &[3, 8, 5, 4]).affine(1.0, 1.0)];
    let layer: BatchNorm2d<A> =
        lived_in(BatchNorm2d::new(&mut ParamInit::new(r.device(), SEED), 8));
    for act in Activation::ALL {
        r.module(
            &format!("running statistics, {act:?}"),
            &layer,
            &x,
            |layer, i| Ok(layer.forward(i.tensor("x")?, act, &mut NormMode::Eval)),
        )?;
        r.module(&format!("the batch's, {act:?}"), &layer, &x, |layer, i| {
            let mut statistics = BatchStatistics::new();
            Ok(layer.forward(i.tensor("x")?, act, &mut NormMode::Train(&mut statistics)))
        })?;
    }
    // What the running statistics become.
    let moved = |layer: &BatchNorm2d<A>, x| {
        let mut statistics = BatchStatistics::new();
        layer.forward(
            x,
            Activation::Identity,
            &mut NormMode::Train(&mut statistics),
        );
        statistics.update(layer.clone())
    };
    r.still("running mean", &x, |i| {
        Ok(moved(&layer, i.tensor("x")?).running_mean.val())
    })?;
    r.still("running variance", &x, |i| {
        Ok(moved(&layer, i.tensor("x")?).running_var.val())
    })
}
