//! Detectors, at their only size of image and as narrow as they can be.
//!
//! A hundred passes of 300×300 in f64 would take minutes, so that the slope is that of the input alone; and gradients through
//! norms are not compared: the last maps have two values a channel, and of millions of corners of ReLU and ReLU6 some fall on
//! either side by rounding (PyTorch's own f32 and f64 differ by a hundredth there). Each layer has an entry of its own.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_gradcheck::{GradCheckError, HostTensor};
use pyrograph_losses::{MultiBoxLoss, PriorMatcher, TruthBox};
use pyrograph_models::{
    blocks::{BatchStatistics, ParamInit},
    ssd::{L2Norm, SsdConfig, SsdOutput},
};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};

use super::lived_in::lived_in;
use crate::recorder::{Outcome, Recorder};

const SEED: u64 = 6;
const CLASSES: usize = 3;

fn whole<A: VisionAutodiff>(output: SsdOutput<A>) -> Tensor<A, 3> {
    Tensor::cat(vec![output.loc, output.conf], 2)
}

/// Both detectors.
pub(crate) fn networks<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    vgg(r)?;
    mobilenet(r)
}

fn vgg<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let plain = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(CLASSES)
    };
    let x = [r.normal("x", &[1, 3, 300, 300])];
    let model = plain
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    if !r.compares() {
        return r.case("VGG16, of its input", &x, |i| {
            Ok(whole(model.forward(i.tensor("x")?)))
        });
    }
    r.module("VGG16", &model, &x, |model, i| {
        Ok(whole(model.forward(i.tensor("x")?)))
    })?;
    let normed = SsdConfig {
        batch_norm: true,
        ..plain
    };
    let x = [r.normal("x", &[2, 3, 300, 300])];
    let model = normed
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    r.still("VGG16, the batch's statistics", &x, |i| {
        let (x, seen) = (i.tensor("x")?, &mut BatchStatistics::new());
        Ok(whole(model.forward_training(x, seen)))
    })
}

fn mobilenet<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let config = SsdConfig {
        width: 0.0625,
        ..SsdConfig::mobilenet_v2(CLASSES)
    };
    let x = [r.normal("x", &[2, 3, 300, 300])];
    let model = config
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let model = lived_in(model);
    // Not the batch's statistics: of the last map a channel has two values, whose difference is mostly rounding.
    r.still("MobileNetV2, running statistics", &x, |i| {
        Ok(whole(model.forward(i.tensor("x")?)))
    })
}

/// Both terms, for images with two objects, with one and with none.
pub(crate) fn multibox<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let priors: Vec<CenterBox> = (0..36)
        .map(|i| CenterBox {
            cx: ((i % 6) as f32 + 0.5) / 6.0,
            cy: ((i / 6) as f32 + 0.5) / 6.0,
            w: 0.25,
            h: 0.2,
        })
        .collect();
    let count = priors.len();
    let matcher = PriorMatcher::new(priors, BoxCoder::SSD);
    let truth = |class, x1, y1, x2, y2| TruthBox {
        bbox: BoundingBox::new(x1, y1, x2, y2),
        class,
    };
    let truths = [
        vec![truth(0, 0.1, 0.1, 0.4, 0.3), truth(1, 0.5, 0.5, 0.8, 0.75)],
        vec![truth(1, 0.3, 0.6, 0.5, 0.8)],
        Vec::new(),
    ];
    let loss = MultiBoxLoss {
        negatives_for_hard: 5,
        ..MultiBoxLoss::default()
    };
    let inputs: [HostTensor; 2] = [
        r.normal("loc", &[3, count, 4]).affine(2.0, 0.0),
        r.normal("conf", &[3, count, CLASSES]).affine(2.0, 0.0),
    ];
    r.case("", &inputs, |i| {
        let terms = loss
            .forward(i.tensor("loc")?, i.tensor("conf")?, &matcher, &truths)
            .map_err(GradCheckError::function)?;
        Ok(Tensor::cat(vec![terms.loc, terms.conf], 0))
    })
}

/// The norm over channels.
pub(crate) fn l2_norm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let init = &mut ParamInit::new(r.device(), SEED);
    let layer = L2Norm::new(init, 5);
    let x = [r.normal("x", &[2, 5, 3, 4])];
    r.module("", &layer, &x, |layer, i| Ok(layer.forward(i.tensor("x")?)))
}
