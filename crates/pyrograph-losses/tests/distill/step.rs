//! A step that owns its parts.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use pyrograph_losses::{
    DistillStep, HardPriors, MatchedBoxes, MultiBoxLoss, MultiBoxTerms, PriorMatcher, PriorOutputs,
    TruthBox,
};

/// The parts of a [`DistillStep`].
pub(crate) struct Parts<B: Backend> {
    pub(crate) student: PriorOutputs<B>,
    pub(crate) teacher: PriorOutputs<B>,
    pub(crate) student_maps: Vec<Tensor<B, 4>>,
    pub(crate) teacher_maps: Vec<Tensor<B, 4>>,
    pub(crate) per_cell: Vec<usize>,
    pub(crate) truths: Vec<Vec<TruthBox>>,
    pub(crate) matcher: PriorMatcher,
    pub(crate) loss: MultiBoxLoss,
    pub(crate) matched: MatchedBoxes,
    pub(crate) selected: HardPriors,
    pub(crate) hard: MultiBoxTerms<B>,
}

impl<B: Backend> Parts<B> {
    /// A step without feature maps.
    pub(crate) fn new(
        student: PriorOutputs<B>,
        teacher: PriorOutputs<B>,
        truths: Vec<Vec<TruthBox>>,
        matcher: PriorMatcher,
        loss: MultiBoxLoss,
    ) -> Self {
        let matched = matcher.matches(&truths, loss.iou_threshold);
        let selected = loss.select(&student.conf, &matched);
        let (loc, conf) = (student.loc.clone(), student.conf.clone());
        let hard = loss.forward_selected(loc, conf, &matched, &selected);
        Self {
            student,
            teacher,
            student_maps: Vec::new(),
            teacher_maps: Vec::new(),
            per_cell: Vec::new(),
            truths,
            matcher,
            loss,
            matched,
            selected,
            hard,
        }
    }

    pub(crate) fn step(&self) -> DistillStep<'_, B> {
        DistillStep {
            student: &self.student,
            teacher: &self.teacher,
            student_maps: &self.student_maps,
            teacher_maps: &self.teacher_maps,
            teacher_priors_per_cell: &self.per_cell,
            truths: &self.truths,
            matcher: &self.matcher,
            loss: &self.loss,
            matched: &self.matched,
            selected: &self.selected,
            hard: &self.hard,
        }
    }
}

pub(crate) fn tensor<B: Backend, const D: usize>(
    values: &[f32],
    shape: [usize; D],
) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Default::default())
}
