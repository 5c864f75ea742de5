//! The evaluation of a network on the validation images, in the middle of its training.

use std::slice;

use burn::optim::Optimizer;
use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_data::detection::DetectionSet;
use pyrograph_models::ssd::{Detector, DetectorCard, Ssd};

use super::{
    DetectionRecord, SsdHooks, SsdTraining,
    evaluate::{Judged, judge},
    learner::Learner,
    log::Log,
    session::Session,
    training::Inputs,
};
use crate::TrainError;

/// The figures of the network on the validation images.
pub(super) fn judge_network<B: VisionBackend>(
    network: Ssd<B>,
    config: &SsdTraining,
    card: &DetectorCard,
    set: &DetectionSet,
    device: &B::Device,
) -> Result<Judged, TrainError> {
    let detector = Detector::new(network, config.model.clone(), card.clone(), device.clone())?;
    judge(&detector, set, config)
}

/// Judges the network after the step of `line`, keeps it where it is the best so far, and logs the
/// step. The network is kept before the line is written: a line with figures says that all is done.
///
/// # Errors
/// When the validation images do not read, and then the line has no figures of them; or when a file
/// cannot be written.
pub(super) fn judge_step<B, O>(
    session: &mut Session<B, O>,
    inputs: Inputs<'_, B>,
    card: &DetectorCard,
    log: &mut Log<'_, B::InnerBackend>,
    line: &mut DetectionRecord,
    progress: f64,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
) -> Result<(), TrainError>
where
    B: VisionAutodiff,
    O: Optimizer<Learner<B>, B>,
{
    let Inputs {
        config,
        run,
        validation,
        devices,
        ..
    } = inputs;
    let judged = validation
        .map(|set| judge_network(session.network(), config, card, set, devices.main()))
        .transpose();
    let judged = match judged {
        Ok(judged) => judged,
        Err(error) => {
            // What went wrong first counts.
            let _ = log.write(slice::from_ref(line), progress, hooks);
            return Err(error);
        }
    };
    let mut kept = Ok(());
    if let Some(judged) = judged {
        hooks.evaluated(line.step, &judged.report);
        line.map = judged.report.map;
        line.val_loc_loss = Some(judged.loc_loss);
        line.val_conf_loss = Some(judged.conf_loss);
        if let Some(map) = line.map {
            kept = session.keep_best(map, config, run);
        }
    }
    log.write(slice::from_ref(line), progress, hooks)?;
    kept
}
