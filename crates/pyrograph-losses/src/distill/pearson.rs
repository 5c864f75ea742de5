//! Distillation of the correlation between feature maps.

use burn::tensor::Tensor;
use pyrograph_backend::vision::{self, VisionBackend};
use serde::{Deserialize, Serialize};

use super::{DistillStep, Needs, Objective, Term, constants::constant, resize::resize_bilinear};
use crate::LossError;

/// Added to the standard deviation of a channel; no larger deviation makes a channel constant.
const EPSILON: f64 = 1e-6;

/// Pearson knowledge distillation (PKD,
/// [Cao et al., 2022](https://arxiv.org/abs/2207.02039), section 3).
///
/// Per level: `mean((F̂_s − F̂_t)²) / 2`, where `F̂ = (F − mean) / (std + 1e-6)` for each channel
/// over (N, H, W), with the unbiased standard deviation; summed over the levels. Up to the ratio (n
/// − 1)/n it is 1 minus the mean Pearson correlation of the channels. `F_s` is the student's map
/// behind its projector, resized bilinearly to the teacher's size. A level with fewer than two
/// values in a channel has no standard deviation and is skipped. The only term is `pkd`.
///
/// A channel with a standard deviation of 1e-6 or less counts as constant: it normalises to 0 and
/// gets no gradient. By the formula alone its gradient would have a factor of up to 1e6.
///
/// The objective has no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PearsonLoss {}

impl Objective for PearsonLoss {
    fn name(&self) -> &'static str {
        "pkd"
    }

    fn check(&self) -> Result<(), LossError> {
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs {
            maps: true,
            ..Needs::default()
        }
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let levels = step.student_maps.iter().zip(step.teacher_maps);
        let sum = levels
            .map(|(student, teacher)| of_level(student, teacher))
            .reduce(|sum, level| sum + level);
        let named = |value| Term { name: "pkd", value };
        sum.map(named).into_iter().collect()
    }
}

fn of_level<B: VisionBackend>(student: &Tensor<B, 4>, teacher: &Tensor<B, 4>) -> Tensor<B, 1> {
    let [batch, _, height, width] = teacher.dims();
    if batch * height * width < 2 {
        return student.clone().slice([0..1, 0..1, 0..1, 0..1]).sum() * 0.0;
    }
    let student = resize_bilinear(student.clone(), [height, width]);
    vision::normal_squares(student, constant(teacher), EPSILON)
}
