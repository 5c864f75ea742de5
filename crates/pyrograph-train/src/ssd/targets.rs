//! The distillation terms of a step.

use burn::tensor::{Tensor, backend::AutodiffBackend};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_losses::{
    DistillStep, HardPriors, MatchedBoxes, MultiBoxLoss, MultiBoxTerms, Objective, PriorMatcher,
    PriorOutputs, TruthBox,
};

use super::{Distillation, learner::Learner, teacher::TeacherOutputs};
use crate::TrainError;

/// The teacher's outputs to a batch, and what they are compared with.
pub(super) struct TeacherTargets<'a, B: AutodiffBackend> {
    pub(super) distillation: &'a Distillation,
    pub(super) outputs: TeacherOutputs<B::InnerBackend>,
    pub(super) loss: &'a MultiBoxLoss,
    pub(super) matcher: &'a PriorMatcher,
    pub(super) truths: &'a [Vec<TruthBox>],
    pub(super) teacher_priors_per_cell: &'a [usize],
}

/// The outputs of the student for a batch.
pub(super) struct StudentOutputs<'a, B: AutodiffBackend> {
    pub(super) maps: &'a [Tensor<B, 4>],
    pub(super) outputs: &'a PriorOutputs<B>,
    pub(super) matched: &'a MatchedBoxes,
    pub(super) selected: &'a HardPriors,
    pub(super) hard: &'a MultiBoxTerms<B>,
}

/// A term of a distillation by its name, times the weight of its method.
pub(super) type NamedTerm<B> = (&'static str, Tensor<B, 1>);

impl<B: VisionAutodiff> TeacherTargets<'_, B> {
    /// Every term that was asked for.
    ///
    /// # Errors
    /// When the teacher's outputs do not fit the student's.
    pub(super) fn terms(
        &self,
        learner: &Learner<B>,
        student: &StudentOutputs<'_, B>,
    ) -> Result<Vec<NamedTerm<B>>, TrainError> {
        let constant = |tensor| Tensor::<B, 4>::from_inner(tensor);
        let teacher = PriorOutputs {
            loc: Tensor::from_inner(self.outputs.responses.loc.clone()),
            conf: Tensor::from_inner(self.outputs.responses.conf.clone()),
        };
        let teacher_maps: Vec<_> = self.outputs.maps.iter().cloned().map(constant).collect();
        let projected = learner.projectors.forward(student.maps);
        let step = DistillStep {
            student: student.outputs,
            teacher: &teacher,
            student_maps: &projected,
            teacher_maps: &teacher_maps,
            teacher_priors_per_cell: self.teacher_priors_per_cell,
            loss: self.loss,
            matcher: self.matcher,
            truths: self.truths,
            matched: student.matched,
            selected: student.selected,
            hard: student.hard,
        };
        step.check(self.distillation.needs())?;
        let mut terms = Vec::new();
        for weighted in self.distillation.active() {
            for term in weighted.method.terms(&step) {
                terms.push((term.name, scaled(term.value, weighted.weight)));
            }
        }
        Ok(terms)
    }

    /// What a step minimises: the hard losses as far as they count, and the terms.
    pub(super) fn total(&self, hard: &MultiBoxTerms<B>, terms: &[NamedTerm<B>]) -> Tensor<B, 1> {
        let (loc, conf) = self.distillation.hard_shares();
        let hard = scaled(hard.loc.clone(), loc) + scaled(hard.conf.clone(), conf);
        let terms = terms.iter().map(|(_, value)| value.clone());
        terms.fold(hard, |total, term| total + term)
    }
}

/// A loss times a factor; by 1 it is the loss itself.
fn scaled<B: AutodiffBackend>(loss: Tensor<B, 1>, factor: f64) -> Tensor<B, 1> {
    match factor == 1.0 {
        true => loss,
        false => loss * factor,
    }
}
