//! The inputs of the objectives in one training step.

use burn::tensor::{Tensor, backend::Backend};

use super::Needs;
use crate::{
    HardPriors, LossError, MatchedBoxes, MultiBoxLoss, MultiBoxTerms, PriorMatcher, TruthBox,
    multibox::check_outputs,
};

/// The outputs of a detector for every prior.
#[derive(Clone, Debug)]
pub struct PriorOutputs<B: Backend> {
    /// [batch, priors, 4]: offsets.
    pub loc: Tensor<B, 3>,
    /// [batch, priors, classes]: logits, the background first.
    pub conf: Tensor<B, 3>,
}

/// The parts of one step. Objectives treat the teacher's tensors as constants.
#[derive(Debug)]
pub struct DistillStep<'a, B: Backend> {
    /// The student's outputs.
    pub student: &'a PriorOutputs<B>,
    /// The teacher's outputs.
    pub teacher: &'a PriorOutputs<B>,
    /// The student's source maps after the projectors, [batch, channels, height, width] each; empty
    /// without an objective that needs maps.
    pub student_maps: &'a [Tensor<B, 4>],
    /// The teacher's source maps, with the channels of `student_maps`.
    pub teacher_maps: &'a [Tensor<B, 4>],
    /// Priors of a cell, for each of the teacher's maps.
    pub teacher_priors_per_cell: &'a [usize],
    /// The objects of the images.
    pub truths: &'a [Vec<TruthBox>],
    /// The student's priors.
    pub matcher: &'a PriorMatcher,
    /// The hard loss.
    pub loss: &'a MultiBoxLoss,
    /// The priors of the objects, from `matcher`, `truths` and `loss`.
    pub matched: &'a MatchedBoxes,
    /// The priors of the hard loss's cross-entropy.
    pub selected: &'a HardPriors,
    /// The terms of the hard loss.
    pub hard: &'a MultiBoxTerms<B>,
}

impl<B: Backend> DistillStep<'_, B> {
    /// Checks the parts that `needs` asks for.
    ///
    /// # Errors
    /// When the outputs do not fit the priors and the objects, when the teacher's outputs or maps
    /// do not fit those of the student, or when the priors per cell do not fit the teacher.
    pub fn check(&self, needs: Needs) -> Result<(), LossError> {
        if needs.responses {
            self.check_responses()?;
        }
        if needs.maps {
            self.check_maps()?;
        }
        if needs.scores {
            self.check_scores()?;
        }
        Ok(())
    }

    fn check_responses(&self) -> Result<(), LossError> {
        let (student, teacher) = (self.student, self.teacher);
        check_outputs(&student.loc, &student.conf, self.matcher, self.truths)?;
        check_teacher(student, teacher)?;
        let [batch, priors, _] = student.conf.dims();
        if (self.matched.batch(), self.matched.priors()) != (batch, priors) {
            return Err(LossError::Shape {
                prediction: student.conf.dims().to_vec(),
                target: vec![self.matched.batch(), self.matched.priors()],
            });
        }
        Ok(())
    }

    fn check_maps(&self) -> Result<(), LossError> {
        let (student, teacher) = (self.student_maps.len(), self.teacher_maps.len());
        if student != teacher || student == 0 {
            return Err(LossError::MapCount { student, teacher });
        }
        let pairs = self.student_maps.iter().zip(self.teacher_maps).enumerate();
        for (level, (student, teacher)) in pairs {
            let (student, teacher) = (student.dims(), teacher.dims());
            let is_empty = student.contains(&0) || teacher.contains(&0);
            if is_empty || student[..2] != teacher[..2] {
                return Err(LossError::Map {
                    level,
                    student: student.to_vec(),
                    teacher: teacher.to_vec(),
                });
            }
        }
        Ok(())
    }

    fn check_scores(&self) -> Result<(), LossError> {
        let [batch, priors, classes] = self.teacher.conf.dims();
        let per_cell = self.teacher_priors_per_cell;
        let cells = self.teacher_maps.iter().map(|map| map.dims());
        let of_maps = cells.zip(per_cell).map(|([_, _, h, w], k)| h * w * k);
        let seen = of_maps.sum();
        if per_cell.len() != self.teacher_maps.len() || per_cell.contains(&0) || seen != priors {
            return Err(LossError::PriorsPerCell {
                per_cell: per_cell.to_vec(),
                seen,
                priors,
            });
        }
        let images = self.teacher_maps.first().map_or(batch, |map| map.dims()[0]);
        if images != batch || classes < 2 {
            return Err(LossError::Shape {
                prediction: vec![batch, priors, classes],
                target: vec![images, priors, classes.max(2)],
            });
        }
        Ok(())
    }
}

/// Checks that a teacher has the shapes of its student.
///
/// # Errors
/// When one differs.
pub(super) fn check_teacher<B: Backend>(
    student: &PriorOutputs<B>,
    teacher: &PriorOutputs<B>,
) -> Result<(), LossError> {
    for (student, teacher) in [(&student.loc, &teacher.loc), (&student.conf, &teacher.conf)] {
        if student.dims() != teacher.dims() {
            return Err(LossError::Shape {
                prediction: student.dims().to_vec(),
                target: teacher.dims().to_vec(),
            });
        }
    }
    Ok(())
}
