//! Losses.

use burn::nn::loss::CrossEntropyLossConfig;
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_gradcheck::{GradCheckError, HostTensor};
use pyrograph_losses::DenoisingLoss;

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
