//! Distillation of the correlation between feature maps.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use super::{DistillStep, Needs, Objective, Term, constants::constant, resize::resize_bilinear};
use crate::LossError;

/// Added to the standard deviation of a channel; no larger deviation makes a channel constant.
const EPSILON: f64 = 1e-6;

/// Pearson knowledge distillation (PKD,
/// [Cao et al., 2022](https://arxiv.org/abs/2207.02039), section 3).
///
/// Per level: `mean((F̂_s − F̂_t)²) / 2`, where `F̂ = (F − mean) / (std + 1e-6)` for each channel
/// over (N, H, W), with the unbiased standard deviation; summed over the levels. Up to the ratio
/// (n − 1)/n it is 1 minus the mean Pearson correlation of the channels. `F_s` is the student's map
/// behind its projector, resized bilinearly to the teacher's size. A level with fewer than two
/// values a channel has no deviation and is left out. The only term is `pkd`.
///
/// A channel with a standard deviation of 1e-6 or less counts as constant: it normalises to 0 and
/// gets no gradient. The formula alone would give its gradient a factor of up to 1e6.
///
/// The objective has no numbers.
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

    fn terms<B: Backend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let levels = step.student_maps.iter().zip(step.teacher_maps);
        let sum = levels
            .map(|(student, teacher)| of_level(student, teacher))
            .reduce(|sum, level| sum + level);
        let named = |value| Term { name: "pkd", value };
        sum.map(named).into_iter().collect()
    }
}

fn of_level<B: Backend>(student: &Tensor<B, 4>, teacher: &Tensor<B, 4>) -> Tensor<B, 1> {
    let [batch, _, height, width] = teacher.dims();
    if batch * height * width < 2 {
        return student.clone().slice([0..1, 0..1, 0..1, 0..1]).sum() * 0.0;
    }
    let student = normalised(resize_bilinear(student.clone(), [height, width]));
    let teacher = normalised(constant(teacher));
    (student - teacher).square().mean() / 2.0
}

/// Normalises each channel to mean 0 and standard deviation 1.
///
/// # Shapes
/// `map` [batch, channels, height, width]; result [channels, batch · height · width].
fn normalised<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, channels, height, width] = map.dims();
    let count = batch * height * width;
    let map = map.swap_dims(0, 1).reshape([channels, count]);
    let centred = map.clone() - map.mean_dim(1);
    let variance = centred.clone().square().sum_dim(1) / (count - 1) as f64;
    // The slope of the root has no bound at 0, and neither has that of the quotient.
    let is_constant = variance.clone().lower_equal_elem(EPSILON * EPSILON);
    let deviation = variance.mask_fill(is_constant.clone(), 1.0).sqrt();
    let is_constant = is_constant.expand([channels, count]);
    centred.mask_fill(is_constant, 0.0) / (deviation + EPSILON)
}
