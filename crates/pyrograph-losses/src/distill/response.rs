//! Distillation of a detector's outputs, weighted by the teacher's scores.

use burn::tensor::Tensor;
use pyrograph_backend::vision::{self, VisionBackend};
use serde::{Deserialize, Serialize};

use super::{
    DistillStep, Needs, Objective, Term,
    constants::{check_temperature, check_weights, constant},
    divergence::foreground_scores,
};
use crate::LossError;

/// The least sum of scores that is divided by.
const LEAST_SCORES: f64 = 1e-9;

/// The distance of the outputs of all priors, weighted by the teacher's scores.
///
/// `Σᵢ sᵢ·(cls·T²·KL(p_t,ᵢ ‖ p_s,ᵢ) + loc·smooth L1(loc_s,ᵢ, loc_t,ᵢ)) / Σᵢ sᵢ` over all priors of
/// the batch, with `p = softmax(z / T)`, the smooth L1 distance (β = 1) summed over the four
/// offsets, and `sᵢ` the teacher's highest foreground probability at temperature 1. The soft
/// targets are those of [Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 2; the
/// weight by the teacher's score is taken from the box loss of
/// [CrossKD](https://arxiv.org/abs/2306.11369). The terms are `response_cls` and `response_loc`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseLoss {
    /// The temperature T of the KL divergence, above 0; 1.
    pub temperature: f64,
    /// The weight of the KL divergence; 1.
    pub cls: f64,
    /// The weight of the smooth L1 distance; 1.
    pub loc: f64,
}

impl Default for ResponseLoss {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            cls: 1.0,
            loc: 1.0,
        }
    }
}

impl Objective for ResponseLoss {
    fn name(&self) -> &'static str {
        "response"
    }

    fn check(&self) -> Result<(), LossError> {
        check_temperature(self.temperature)?;
        check_weights(&[
            ("the weight of the response's classes", self.cls),
            ("the weight of the response's offsets", self.loc),
        ])
    }

    fn needs(&self) -> Needs {
        Needs {
            responses: true,
            ..Needs::default()
        }
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let (student, conf) = (step.student, constant(&step.teacher.conf));
        let scores = foreground_scores(conf.clone());
        let divisor = scores.clone().sum().clamp_min(LEAST_SCORES);
        let weighted = |sum: Tensor<B, 1>, weight: f64| sum / divisor.clone() * weight;
        let weights: Tensor<B, 1> = scores.flatten(0, 2); // [images · priors]
        let divergence = vision::row_divergence(
            rows(student.conf.clone()),
            rows(conf),
            weights.clone(),
            self.temperature,
        );
        let loc = constant(&step.teacher.loc);
        let distance = vision::row_smooth_l1(rows(student.loc.clone()), rows(loc), weights);
        vec![
            Term {
                name: "response_cls",
                value: weighted(divergence, self.cls * self.temperature.powi(2)),
            },
            Term {
                name: "response_loc",
                value: weighted(distance, self.loc),
            },
        ]
    }
}

/// [images, priors, numbers] as [images · priors, numbers].
fn rows<B: VisionBackend>(outputs: Tensor<B, 3>) -> Tensor<B, 2> {
    outputs.flatten(0, 1)
}
