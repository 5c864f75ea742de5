//! The frozen detector that a student learns from.

use std::{fs, path::Path};

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};
use pyrograph_data::detection::DetectionSet;
use pyrograph_losses::{Needs, PriorOutputs};
use pyrograph_models::{
    ModelError,
    ssd::{Detector, DetectorCard, Ssd, SsdConfig, SsdFeatures, SsdOutput},
    weights::{StateDict, load_model},
};

use super::{Distillation, SsdTraining, evaluate::judge};
use crate::{
    TrainError,
    checks::{number, refuse},
};

/// The lowest mAP@.5 of a teacher.
const LEAST_MAP: f64 = 0.05;

/// A frozen detector that tells the student's classes.
pub(super) struct Teacher<B: VisionBackend> {
    detector: Detector<B>,
    device: B::Device,
}

/// The outputs of a teacher for a batch.
#[derive(Clone)]
pub(super) struct TeacherOutputs<B: Backend> {
    /// The six source maps; empty unless a method needs them.
    pub(super) maps: Vec<Tensor<B, 4>>,
    /// Offsets and logits of every prior.
    pub(super) responses: PriorOutputs<B>,
}

impl<B: VisionBackend> Teacher<B> {
    /// The teacher of a training whose data have these classes.
    ///
    /// # Errors
    /// When the file does not read, was changed since the run was begun, or is no teacher for this
    /// student.
    pub(super) fn load(
        config: &SsdTraining,
        distillation: &Distillation,
        classes: &[String],
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let path = &distillation.teacher;
        let seen = teacher_checksum(path)?;
        if seen != distillation.teacher_checksum {
            let reason = format!(
                "this is not the teacher that the run was begun with: its checksum is {seen:08x}, but was {:08x}; bring the old file back, or begin a new run",
                distillation.teacher_checksum
            );
            return Err(TrainError::Run {
                path: path.clone(),
                reason,
            });
        }
        let (network, theirs) = load_model::<B, Ssd<B>>(path, device)?;
        let card = card_of(path, &theirs)?;
        check_pair(config, distillation, &theirs)?;
        let names = names_for(distillation, classes, &card)?;
        let detector = Detector::new(network, theirs, card, device.clone())?;
        Ok(Self {
            detector: detector.for_classes(classes, &names)?,
            device: device.clone(),
        })
    }

    pub(super) fn detector(&self) -> &Detector<B> {
        &self.detector
    }

    /// The outputs for `images` images of bytes.
    pub(super) fn forward(&self, pixels: &[f32], images: usize, needs: Needs) -> TeacherOutputs<B> {
        let side = self.detector.config().side();
        let mut values = pixels.to_vec();
        let normalisation = &self.detector.card().normalisation;
        normalisation.normalise_chw(&mut values, side * side);
        let x = host_tensor(values, [images, 3, side, side], &self.device);
        let SsdFeatures { maps, output } = self.detector.forward_features(x);
        let SsdOutput { loc, conf } = output;
        TeacherOutputs {
            maps: if needs.maps { maps } else { Vec::new() },
            responses: PriorOutputs { loc, conf },
        }
    }

    /// Its mean average precision on `set`, refused where it teaches nothing: below 0.05, or below
    /// `student`, that of the network that is to learn from it.
    pub(super) fn measure(
        &self,
        set: &DetectionSet,
        student: Option<f64>,
        config: &SsdTraining,
        any: bool,
    ) -> Result<f64, TrainError> {
        let judged = judge(&self.detector, set, config).map_err(|error| match error {
            TrainError::Model(ModelError::NonFiniteOutput { output, value, .. }) => refuse(
                "the teacher's output",
                format!("{value} in {output}"),
                "numbers",
            ),
            error => error,
        })?;
        let map = judged.report.map.unwrap_or(0.0);
        let least = student.unwrap_or(0.0).max(LEAST_MAP);
        if map < least && !any {
            let allowed = match student {
                Some(student) if student > LEAST_MAP => format!(
                    "{student:.4} or more, which the student has at its start, or be allowed by `any_teacher`"
                ),
                _ => format!(
                    "{LEAST_MAP} or more on {} images, or be allowed by `any_teacher`: an untrained teacher teaches nothing",
                    set.len()
                ),
            };
            return Err(refuse(
                "the teacher's mAP@.5",
                number((map * 1e4).round() / 1e4),
                &allowed,
            ));
        }
        Ok(map)
    }
}

/// Checks that the teacher of a training can be loaded and fits the student.
///
/// # Errors
/// When the file cannot be read, was changed since the run was begun, or has other classes, priors
/// or images than the student.
pub fn check_teacher<B: VisionBackend>(
    config: &SsdTraining,
    classes: &[String],
    device: &B::Device,
) -> Result<(), TrainError> {
    match &config.distillation {
        Some(distillation) => Teacher::<B>::load(config, distillation, classes, device).map(|_| ()),
        None => Ok(()),
    }
}

/// CRC-32 of a teacher's file, by which a resumed run recognises the teacher.
///
/// # Errors
/// When the file cannot be read.
pub fn teacher_checksum(path: &Path) -> Result<u32, TrainError> {
    let mut file = fs::File::open(path).map_err(|error| TrainError::io(path, error))?;
    let mut hasher = Checksum(crc32fast::Hasher::new());
    std::io::copy(&mut file, &mut hasher).map_err(|error| TrainError::io(path, error))?;
    Ok(hasher.0.finalize())
}

/// Hashes what is written.
struct Checksum(crc32fast::Hasher);

impl std::io::Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn card_of(path: &Path, config: &SsdConfig) -> Result<DetectorCard, TrainError> {
    let dict = StateDict::open(path)?;
    DetectorCard::of(&dict, config)?.ok_or_else(|| TrainError::Run {
        path: path.into(),
        reason: "the teacher's file does not name its classes: give one that `train ssd` wrote"
            .into(),
    })
}

/// The teacher's name of each of the student's classes.
fn names_for(
    distillation: &Distillation,
    classes: &[String],
    card: &DetectorCard,
) -> Result<Vec<String>, TrainError> {
    let names = match distillation.teacher_classes.is_empty() {
        true => classes,
        false => &distillation.teacher_classes,
    };
    let is_new = |(place, name): (usize, &String)| !names[..place].contains(name);
    let known = |name: &String| card.classes.contains(name);
    if names.len() == classes.len()
        && names.iter().all(known)
        && names.iter().enumerate().all(is_new)
    {
        return Ok(names.to_vec());
    }
    let data = classes.join(", ");
    let allowed = match distillation.teacher_classes.is_empty() {
        true => format!(
            "the data's ({data}), or be mapped to them with `teacher_classes` (--teacher-classes): the teacher's name of each, in their order"
        ),
        false => format!(
            "those that `teacher_classes` (--teacher-classes) names, a different one for each of the data's ({data}); it names {}",
            names.join(", ")
        ),
    };
    Err(refuse(
        "the teacher's classes",
        card.classes.join(", "),
        &allowed,
    ))
}

/// Whether the outputs of a network of these numbers can be compared with the student's.
fn check_pair(
    config: &SsdTraining,
    distillation: &Distillation,
    theirs: &SsdConfig,
) -> Result<(), TrainError> {
    if theirs.side() != config.model.side() {
        let allowed = format!("{}, the student's", config.model.side());
        return Err(refuse(
            "the side of the teacher's images",
            theirs.side(),
            &allowed,
        ));
    }
    if distillation.compares_priors() && theirs.prior_boxes()? != config.model.prior_boxes()? {
        let priors =
            |config: &SsdConfig| format!("{} on {}", config.prior_table(), config.backbone);
        let allowed = format!(
            "the student's, {}, for the methods chen, response and lad, which compare both prior by prior; cwd, pkd and score-l2 take any",
            priors(&config.model)
        );
        return Err(refuse("the teacher's priors", priors(theirs), &allowed));
    }
    Ok(())
}
