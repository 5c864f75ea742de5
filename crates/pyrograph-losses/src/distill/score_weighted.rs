//! Distillation of feature maps where the teacher sees objects.

use std::ops::Range;

use burn::tensor::{Element, Int, Tensor, TensorData};
use pyrograph_backend::vision::{self, VisionBackend};
use serde::{Deserialize, Serialize};

use super::{
    DistillStep, Needs, Objective, Term,
    constants::{check_weights, constant},
    divergence::foreground_scores,
    resize::resize_bilinear,
};
use crate::LossError;

/// Keeps the sum of the scores from 0.
const EPSILON: f64 = 1e-9;

/// The squared distance of feature maps, weighted by the teacher's scores, as in
/// [Ultralytics YOLO](https://docs.ultralytics.com/reference/nn/distill_model).
///
/// Per level: `Σ s·(F_s − F_t)² / (C·Σ s + 1e-9)` over images, channels and cells, C channels;
/// summed over the levels, times `dis`. `s` is the teacher's highest foreground softmax probability
/// over the priors of a cell. `F_s` is the student's map behind its projector, resized bilinearly
/// to the teacher's size. The only term is `score_l2`.
///
/// The source has a further factor B, the batch size, because all losses of that program are
/// multiplied by the batch size. The losses here are not, so the factor is omitted. The source uses
/// sigmoid scores; SSD's classes share a softmax.
///
/// The order of priors is: levels, cells in row-major order, priors of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreWeightedL2 {
    /// The factor of the term; 6.
    pub dis: f64,
}

impl Default for ScoreWeightedL2 {
    fn default() -> Self {
        Self { dis: 6.0 }
    }
}

impl Objective for ScoreWeightedL2 {
    fn name(&self) -> &'static str {
        "score-l2"
    }

    fn check(&self) -> Result<(), LossError> {
        check_weights(&[("the factor `dis` of score-l2", self.dis)])
    }

    fn needs(&self) -> Needs {
        Needs {
            maps: true,
            scores: true,
            ..Needs::default()
        }
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let scores = foreground_scores(constant(&step.teacher.conf));
        let levels = step.student_maps.iter().zip(step.teacher_maps);
        let mut first = 0;
        let sum = levels
            .zip(step.teacher_priors_per_cell)
            .map(|((student, teacher), per_cell)| {
                let [batch, _, height, width] = teacher.dims();
                let end = first + height * width * per_cell;
                let scores = part(&scores, first..end);
                first = end;
                let scores = scores.reshape([batch, height, width, *per_cell]).max_dim(3);
                of_level(student, teacher, scores.reshape([batch, 1, height, width]))
            })
            .reduce(|sum, level| sum + level);
        let named = |value: Tensor<B, 1>| Term {
            name: "score_l2",
            value: value * self.dis,
        };
        sum.map(named).into_iter().collect()
    }
}

/// The scores of the priors in `range`, as a copy: on WGPU, the reshaped view of a slice that does not
/// begin at 0 held other values.
fn part<B: VisionBackend>(scores: &Tensor<B, 3>, range: Range<usize>) -> Tensor<B, 3> {
    let count = range.len();
    let places: Vec<i64> = range.map(|place| place as i64).collect();
    let options = (&scores.device(), B::IntElem::dtype());
    let places = Tensor::<B, 1, Int>::from_data(TensorData::new(places, [count]), options);
    scores.clone().select(1, places)
}

/// The weighted squared distance of one level; `scores` [batch, 1, height, width].
fn of_level<B: VisionBackend>(
    student: &Tensor<B, 4>,
    teacher: &Tensor<B, 4>,
    scores: Tensor<B, 4>,
) -> Tensor<B, 1> {
    let [_, channels, height, width] = teacher.dims();
    let student = resize_bilinear(student.clone(), [height, width]);
    let divisor = scores.clone().sum() * channels as f64 + EPSILON;
    vision::weighted_squares(student, constant(teacher), scores) / divisor
}
