//! The interface of distillation objectives.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::vision::VisionBackend;

use super::DistillStep;
use crate::LossError;

/// The parts of a step that an objective reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Offsets and logits of student and teacher, for equal priors.
    pub responses: bool,
    /// The teacher's logits for the priors of each cell of its feature maps.
    pub scores: bool,
    /// Feature maps of student and teacher.
    pub maps: bool,
}

impl Needs {
    /// The parts that one of two objectives reads.
    pub fn union(self, other: Self) -> Self {
        Self {
            responses: self.responses || other.responses,
            scores: self.scores || other.scores,
            maps: self.maps || other.maps,
        }
    }
}

/// The share of the hard loss that an objective of weight 1 replaces.
///
/// With objectives of weights `w`, a training loop minimises
///
/// `(1 − Σ w·loc)·L_loc + (1 − Σ w·conf)·L_conf + Σ w·Σ terms`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TakesOver {
    /// The share of the smooth L1 distance.
    pub loc: f64,
    /// The share of the cross-entropy.
    pub conf: f64,
}

/// One named term of an objective.
#[derive(Clone, Debug)]
pub struct Term<B: Backend> {
    /// The name, unique among all objectives.
    pub name: &'static str,
    /// `[1]`: the value with the formula's inner weights, without the objective's weight in a run.
    pub value: Tensor<B, 1>,
}

/// An objective that a teacher adds to the training of a student.
pub trait Objective {
    /// The name that selects the objective, such as `cwd`.
    fn name(&self) -> &'static str;

    /// Checks the fields.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    fn check(&self) -> Result<(), LossError>;

    /// The parts of a step that the objective reads.
    fn needs(&self) -> Needs;

    /// The share of the hard loss that the objective replaces.
    fn takes_over(&self) -> TakesOver {
        TakesOver::default()
    }

    /// The terms of one step.
    ///
    /// The caller first checks the step by [`DistillStep::check`]. For a step without objects, or
    /// without anything to compare, the terms are 0 and differentiable. No gradient reaches the
    /// teacher.
    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>>;
}
