//! Losses.

use burn::nn::loss::CrossEntropyLossConfig;
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_gradcheck::{GradCheckError, HostTensor};
use pyrograph_losses::{
    AdversarialLoss, AnomalyScore, DenoisingLoss, EncoderLoss, GradientPenalty,
};

use crate::recorder::{Outcome, Recorder};

pub(crate) fn denoising<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let shape = [4, 3, 5, 5];
    let inputs = [r.normal("prediction", &shape), r.normal("target", &shape)];
    let losses = [
        ("uniform", DenoisingLoss::uniform()),
        (
            "weighted",
            DenoisingLoss::weighted(vec![1.0, 0.5, 0.0, 3.0]),
        ),
    ];
    for (name, loss) in losses {
        // The mean over many values has gradients far below 1, where differences are judged absolutely.
        r.case(name, &inputs, |i| {
            let (prediction, target) = (i.tensor::<4>("prediction")?, i.tensor("target")?);
            let loss = loss
                .forward(prediction, target)
                .map_err(GradCheckError::function)?;
            Ok(loss * 100.0)
        })?;
    }
    Ok(())
}

/// burn's, which the class judge trains with.
pub(crate) fn cross_entropy<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let labels = HostTensor::int("labels", &[5], vec![0, 3, 1, 1, 2])?;
    let inputs = [r.normal("logits", &[5, 4]).affine(3.0, 0.0), labels];
    r.case("", &inputs, |i| {
        let (logits, labels) = (i.tensor::<2>("logits")?, i.int::<1>("labels")?);
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        Ok(loss.forward(logits, labels))
    })
}

pub(crate) fn adversarial<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let shape = [6, 1, 1, 1];
    // Logits of both signs, and some far out.
    let inputs = [
        r.normal("real", &shape).affine(4.0, 1.0),
        r.normal("fake", &shape).affine(4.0, -1.0),
    ];
    for loss in [
        AdversarialLoss::Bce,
        AdversarialLoss::Hinge,
        AdversarialLoss::Wasserstein,
    ] {
        r.case(&format!("{loss:?}, discriminator"), &inputs, |i| {
            let (real, fake) = (i.tensor::<4>("real")?, i.tensor("fake")?);
            loss.discriminator(real, fake, 0.9)
                .map_err(GradCheckError::function)
        })?;
        r.case(&format!("{loss:?}, generator"), &inputs[1..], |i| {
            Ok(loss.generator(i.tensor::<4>("fake")?))
        })?;
    }
    Ok(())
}

pub(crate) fn gradient_penalty<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = [r.normal("slopes", &[3, 2, 4, 4])];
    for penalty in [GradientPenalty::Unit(10.0), GradientPenalty::Zero(2.0)] {
        r.case(&format!("{penalty:?}, value"), &inputs, |i| {
            Ok(penalty.value(i.tensor("slopes")?))
        })?;
        r.case(&format!("{penalty:?}, directions"), &inputs, |i| {
            Ok(penalty.directions(i.tensor("slopes")?))
        })?;
    }
    Ok(())
}

pub(crate) fn anomaly_score<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = image_and_twin(r);
    r.case("", &inputs, |i| {
        let parts = AnomalyScore::default()
            .forward(
                i.tensor("x")?,
                i.tensor("twin")?,
                i.tensor("x features")?,
                i.tensor("twin features")?,
            )
            .map_err(GradCheckError::function)?;
        Ok(parts.score)
    })
}

pub(crate) fn encoder<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let inputs = image_and_twin(r);
    r.case("", &inputs, |i| {
        let loss = EncoderLoss { kappa: 0.7 }
            .forward(
                i.tensor("x")?,
                i.tensor("twin")?,
                i.tensor("x features")?,
                i.tensor("twin features")?,
            )
            .map_err(GradCheckError::function)?;
        // As above: the mean of many has small gradients.
        Ok(loss * 10.0)
    })
}

fn image_and_twin<A: VisionAutodiff>(r: &mut Recorder<A>) -> [HostTensor; 4] {
    let (image, features) = ([2, 1, 4, 4], [2, 10]);
    [
        r.normal("x", &image),
        r.normal("twin", &image),
        r.normal("x features", &features),
        r.normal("twin features", &features),
    ]
}
