//! Label-assignment distillation.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use serde::{Deserialize, Serialize};

use super::{DistillStep, Needs, Objective, TakesOver, Term};
use crate::LossError;

/// Label-assignment distillation (LAD,
/// [Nguyen et al., WACV 2022](https://arxiv.org/abs/2108.10520)): the teacher decides which priors
/// are positive.
///
/// [`PriorMatcher::matches_by_teacher`](crate::PriorMatcher::matches_by_teacher) ranks the
/// candidates of an object by `teacher's probability of its class · IoU(teacher's box, object)` and
/// keeps as many as the plain match gives to the object. The terms `lad_loc` and `lad_conf` are
/// those of [`MultiBoxLoss`](crate::MultiBoxLoss) on that matching, with hard negatives mined again
/// from the student's logits. Both are divided by max(1, N) with the N of the plain match. The
/// objective replaces both hard terms. The paper's detector scores anchors by its own losses; for
/// SSD the product of score and IoU takes their place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelAssignment {
    /// The least IoU of a prior with an object to be its candidate; 0.25. Above 0, up to 1.
    pub candidate_iou: f32,
}

impl Default for LabelAssignment {
    fn default() -> Self {
        Self {
            candidate_iou: 0.25,
        }
    }
}

impl Objective for LabelAssignment {
    fn name(&self) -> &'static str {
        "lad"
    }

    fn check(&self) -> Result<(), LossError> {
        if self.candidate_iou > 0.0 && self.candidate_iou <= 1.0 {
            return Ok(());
        }
        Err(LossError::Range {
            what: "the IoU from which a prior is a candidate",
            seen: self.candidate_iou.into(),
            allowed: "above 0, up to 1",
        })
    }

    fn needs(&self) -> Needs {
        Needs {
            responses: true,
            ..Needs::default()
        }
    }

    fn takes_over(&self) -> TakesOver {
        TakesOver {
            loc: 1.0,
            conf: 1.0,
        }
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let host = |tensor: &Tensor<B, 3>| tensor.to_data().iter::<f32>().collect::<Vec<_>>();
        let matched = step.matcher.matches_by_teacher(
            step.truths,
            step.matched,
            &host(&step.teacher.loc),
            &host(&step.teacher.conf),
            self.candidate_iou,
        );
        let (loc, conf) = (step.student.loc.clone(), step.student.conf.clone());
        let terms = step.loss.forward_matched(loc, conf, &matched);
        vec![
            Term {
                name: "lad_loc",
                value: terms.loc,
            },
            Term {
                name: "lad_conf",
                value: terms.conf,
            },
        ]
    }
}
