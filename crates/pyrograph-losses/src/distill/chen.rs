//! The multibox loss with a teacher.

use burn::tensor::{Element, Tensor, TensorData, backend::Backend};
use pyrograph_backend::vision::VisionBackend;
use serde::{Deserialize, Serialize};

use super::{
    DistillStep, Needs, Objective, PriorOutputs, TakesOver, Term,
    constants::{check_temperature, check_weights, constant},
    divergence::kl_entries,
    step::check_teacher,
};
use crate::{
    HardPriors, LossError, MatchedBoxes, MultiBoxLoss, PriorMatcher, TruthBox,
    multibox::{check_outputs, rows, zero_of},
};

/// SSD's loss with a teacher ([Chen et al., 2017](https://papers.nips.cc/paper/6676)).
///
/// `N` is the number of priors of the batch that have an object. Each term is divided by max(1, N):
///
/// - soft: `T² · Σᵢ Σ_c w_c · p_t(c) · (ln p_t(c) − ln p_s(c))` with `p = softmax(z / T)`, over the
///   priors `i` of the cross-entropy (positives and mined negatives). `w` is `background_weight`
///   for the background and `foreground_weight` for all other classes. This is the class-weighted
///   KL divergence `KL(p_t ‖ p_s)`. The paper's equation 3 is the class-weighted cross-entropy
///   `−Σ_c w_c · p_t(c) · ln p_s(c)`, which has the same gradient.
/// - bounded: the paper's teacher-bounded regression, for each positive prior: the student's
///   `‖loc_s − y‖²` if `‖loc_s − y‖² + margin > ‖loc_t − y‖²`, otherwise 0; `y` are the offsets of
///   the object.
/// - conf and loc: the cross-entropy and the smooth L1 distance of [`MultiBoxLoss`].
///
/// Class weights apply only if `background_weight` is above 1. Otherwise every class has the weight
/// 1, for any `foreground_weight`, and the soft term is the plain KL divergence. The plain
/// divergence has its minimum, 0, where student and teacher agree. The class-weighted divergence
/// does not: it draws the student towards classes of larger weight, and it can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiBoxLossKd {
    /// The temperature T of the soft term, above 0; 1.
    pub temperature: f64,
    /// The margin: the student's squared error counts if it exceeds the teacher's squared error
    /// minus `margin`; 0.
    pub margin: f64,
    /// The weight of the background class in the soft term; 1.5. Class weights apply only if it is
    /// above 1.
    pub background_weight: f64,
    /// The weight of the other classes in the soft term; 1.
    pub foreground_weight: f64,
    /// The weight of the soft term; 0.3.
    pub soft: f64,
    /// The weight of the hard cross-entropy; 0.7.
    pub conf: f64,
    /// The weight of the bounded regression; 0.5.
    pub bounded: f64,
    /// The weight of the smooth L1 distance; 1.
    pub loc: f64,
}

impl Default for MultiBoxLossKd {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            margin: 0.0,
            background_weight: 1.5,
            foreground_weight: 1.0,
            soft: 0.3,
            conf: 0.7,
            bounded: 0.5,
            loc: 1.0,
        }
    }
}

/// The terms of [`MultiBoxLossKd`], unweighted, each over max(1, N) of the whole batch.
#[derive(Clone, Debug)]
pub struct MultiBoxKdTerms<B: Backend> {
    /// `[1]`: the class-weighted KL divergence, times T².
    pub soft: Tensor<B, 1>,
    /// `[1]`: the teacher-bounded squared error.
    pub bounded: Tensor<B, 1>,
    /// `[1]`: the cross-entropy.
    pub conf: Tensor<B, 1>,
    /// `[1]`: the smooth L1 distance of the offsets.
    pub loc: Tensor<B, 1>,
    /// Priors with an object: N.
    pub positives: usize,
    /// Mined negatives.
    pub negatives: usize,
}

impl MultiBoxLossKd {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self) -> Result<(), LossError> {
        check_temperature(self.temperature)?;
        check_weights(&[
            ("the margin of the bounded regression", self.margin),
            ("the background's weight", self.background_weight),
            ("the foreground's weight", self.foreground_weight),
            ("the weight of the soft term", self.soft),
            ("the weight of the cross-entropy", self.conf),
            ("the weight of the bounded regression", self.bounded),
            ("the weight of the smooth L1 distance", self.loc),
        ])
    }

    /// The terms for a batch, with one list of objects for each image. No gradient reaches
    /// `teacher`.
    ///
    /// # Shapes
    /// As in [`MultiBoxLoss::forward`], for student and teacher.
    ///
    /// # Errors
    /// When a field of this loss or of `hard` is out of its range, when the student's outputs do
    /// not fit priors and objects, or when the teacher's outputs have other shapes.
    pub fn forward<B: Backend>(
        &self,
        hard: &MultiBoxLoss,
        student: PriorOutputs<B>,
        teacher: PriorOutputs<B>,
        matcher: &PriorMatcher,
        truths: &[Vec<TruthBox>],
    ) -> Result<MultiBoxKdTerms<B>, LossError> {
        self.check()?;
        hard.check()?;
        check_outputs(&student.loc, &student.conf, matcher, truths)?;
        check_teacher(&student, &teacher)?;
        let matched = matcher.matches(truths, hard.iou_threshold);
        let selected = hard.select(&student.conf, &matched);
        let soft = self.soft_term(&student, &teacher, &matched, &selected);
        let bounded = self.bounded_term(&student, &teacher, &matched);
        let hard = hard.forward_selected(student.loc, student.conf, &matched, &selected);
        Ok(MultiBoxKdTerms {
            soft,
            bounded,
            conf: hard.conf,
            loc: hard.loc,
            positives: hard.positives,
            negatives: hard.negatives,
        })
    }

    /// The weighted sum of the terms, `[1]`.
    pub fn total<B: Backend>(&self, terms: &MultiBoxKdTerms<B>) -> Tensor<B, 1> {
        terms.soft.clone() * self.soft
            + terms.conf.clone() * self.conf
            + terms.bounded.clone() * self.bounded
            + terms.loc.clone() * self.loc
    }

    /// The class-weighted KL divergence over max(1, N), `[1]`.
    fn soft_term<B: Backend>(
        &self,
        student: &PriorOutputs<B>,
        teacher: &PriorOutputs<B>,
        matched: &MatchedBoxes,
        selected: &HardPriors,
    ) -> Tensor<B, 1> {
        let places = selected.places();
        let logits = rows(student.conf.clone(), places);
        let (Some(logits), Some(teacher)) = (logits, rows(constant(&teacher.conf), places)) else {
            return zero_of(student.conf.clone());
        };
        let divergence = kl_entries(teacher, logits, self.temperature, 1);
        let divergence = match self.class_weights(&divergence) {
            Some(weights) => divergence * weights,
            None => divergence,
        };
        divergence.sum() * self.temperature.powi(2) / matched.divisor()
    }

    /// [1, classes]: the weights of the classes of `like`, where they act.
    fn class_weights<B: Backend>(&self, like: &Tensor<B, 2>) -> Option<Tensor<B, 2>> {
        if self.background_weight <= 1.0 {
            return None;
        }
        let classes = like.dims()[1];
        let mut weights = vec![self.foreground_weight as f32; classes];
        if let Some(background) = weights.first_mut() {
            *background = self.background_weight as f32;
        }
        let weights = TensorData::new(weights, [1, classes]);
        Some(Tensor::from_data(
            weights,
            (&like.device(), B::FloatElem::dtype()),
        ))
    }

    /// The teacher-bounded squared error over max(1, N), `[1]`.
    fn bounded_term<B: Backend>(
        &self,
        student: &PriorOutputs<B>,
        teacher: &PriorOutputs<B>,
        matched: &MatchedBoxes,
    ) -> Tensor<B, 1> {
        let places = matched.positive_places();
        let found = rows(student.loc.clone(), &places);
        let (Some(found), Some(teacher)) = (found, rows(constant(&teacher.loc), &places)) else {
            return zero_of(student.loc.clone());
        };
        let target = matched.positive_offsets(&found.device());
        let error = |offsets: Tensor<B, 2>| (offsets - target.clone()).square().sum_dim(1);
        let (of_student, of_teacher) = (error(found), error(teacher));
        let counts = (of_student.clone() + self.margin).greater(of_teacher);
        of_student.mask_fill(counts.bool_not(), 0.0).sum() / matched.divisor()
    }
}

/// Adds the terms `soft` and `bounded` with their weights, each unless its weight is 0, and takes
/// over the rest of the hard loss: at weight 1 a run minimises [`MultiBoxLossKd::total`].
impl Objective for MultiBoxLossKd {
    fn name(&self) -> &'static str {
        "chen"
    }

    fn check(&self) -> Result<(), LossError> {
        Self::check(self)
    }

    fn needs(&self) -> Needs {
        Needs {
            responses: true,
            ..Needs::default()
        }
    }

    fn takes_over(&self) -> TakesOver {
        TakesOver {
            loc: 1.0 - self.loc,
            conf: 1.0 - self.conf,
        }
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        let (student, teacher) = (step.student, step.teacher);
        let soft = self.soft_term(student, teacher, step.matched, step.selected);
        let bounded = self.bounded_term(student, teacher, step.matched);
        [
            ("soft", soft, self.soft),
            ("bounded", bounded, self.bounded),
        ]
        .into_iter()
        .filter(|(_, _, weight)| *weight > 0.0)
        .map(|(name, value, weight)| Term {
            name,
            value: value * weight,
        })
        .collect()
    }
}
