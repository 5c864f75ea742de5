//! Channel-wise distillation.

use burn::tensor::Tensor;
use pyrograph_backend::vision::{self, VisionBackend};
use serde::{Deserialize, Serialize};

use super::{
    DistillStep, Needs, Objective, Term,
    constants::{check_temperature, constant},
    resize::resize_bilinear,
};
use crate::LossError;

/// Channel-wise knowledge distillation (CWD,
/// [Shu et al., 2021](https://arxiv.org/abs/2011.13256), section 3).
///
/// Per level: `T² / (C·N) · Σ_{n,c} KL(softmax(F_t[n,c] / T) ‖ softmax(F_s[n,c] / T))`, with the
/// softmax over the H·W places of a channel, for C channels and N images, summed over the levels.
/// `F_s` is the student's map behind its projector, resized bilinearly to the teacher's size. A
/// level with a single place contributes 0. The only term is `cwd`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelWiseKl {
    /// The temperature T, above 0; 1.
    pub temperature: f64,
}

impl Default for ChannelWiseKl {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl Objective for ChannelWiseKl {
    fn name(&self) -> &'static str {
        "cwd"
    }

    fn check(&self) -> Result<(), LossError> {
        check_temperature(self.temperature)
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
            .map(|(student, teacher)| self.of_level(student, teacher))
            .reduce(|sum, level| sum + level);
        let named = |value| Term { name: "cwd", value };
        sum.map(named).into_iter().collect()
    }
}

impl ChannelWiseKl {
    fn of_level<B: VisionBackend>(
        &self,
        student: &Tensor<B, 4>,
        teacher: &Tensor<B, 4>,
    ) -> Tensor<B, 1> {
        let [batch, channels, height, width] = teacher.dims();
        let student = resize_bilinear(student.clone(), [height, width]);
        let divergence = vision::channel_divergence(student, constant(teacher), self.temperature);
        divergence * (self.temperature.powi(2) / (batch * channels) as f64)
    }
}
