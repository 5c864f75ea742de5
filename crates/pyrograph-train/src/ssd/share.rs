//! What one device computes of a step.

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionAutodiff};
use pyrograph_losses::{HardPriors, MatchedBoxes, MultiBoxLoss, MultiBoxTerms, PriorOutputs};
use pyrograph_models::{
    blocks::BatchStatistics,
    ssd::{Ssd, SsdFeatures},
};

use super::{
    SsdTraining,
    learner::Learner,
    targets::{NamedTerm, StudentOutputs, TeacherTargets},
};
use crate::{TrainError, clip_global_norm};

/// Images of a batch for one device: a batch norm needs two.
const FEWEST: usize = 2;

/// The images of a batch that one device sees.
#[derive(Clone)]
pub(super) struct Share<B: Backend> {
    pub(super) images: usize,
    side: usize,
    /// Normalised for the student.
    values: Vec<f32>,
    matched: MatchedBoxes,
    loss: MultiBoxLoss,
    device: B::Device,
}

/// What comes of a share, or of a batch.
pub(super) struct Computed<B: VisionAutodiff> {
    pub(super) gradients: GradientsParams,
    pub(super) terms: MultiBoxTerms<B::InnerBackend>,
    /// The terms of a distillation; none in a plain step.
    pub(super) taught: Vec<NamedTerm<B::InnerBackend>>,
    pub(super) statistics: BatchStatistics<B>,
}

impl<B: Backend> Share<B> {
    /// The batch in as equal shares as there are devices, but none of one image.
    pub(super) fn of_batch(
        pixels: &[f32],
        matched: MatchedBoxes,
        config: &SsdTraining,
        devices: &[B::Device],
    ) -> Vec<Self> {
        let (images, side) = (matched.batch(), config.model.side());
        let shares = devices.len().min(images / FEWEST).max(1);
        let size = 3 * side * side;
        let dealt = devices.iter().take(shares).enumerate();
        dealt
            .map(|(place, device)| {
                let range = place * images / shares..(place + 1) * images / shares;
                let mut values = pixels[range.start * size..range.end * size].to_vec();
                config.normalisation.normalise_chw(&mut values, side * side);
                Self {
                    images: range.len(),
                    side,
                    values,
                    matched: match shares {
                        1 => matched.clone(),
                        _ => matched.part(range),
                    },
                    loss: config.loss,
                    device: device.clone(),
                }
            })
            .collect()
    }
}

/// One forward pass that can be differentiated.
struct Pass<B: VisionAutodiff> {
    maps: Vec<Tensor<B, 4>>,
    outputs: PriorOutputs<B>,
    selected: HardPriors,
    hard: MultiBoxTerms<B>,
    statistics: BatchStatistics<B>,
}

impl<B: VisionAutodiff> Share<B> {
    /// Forward, loss, backward of a plain step; `network` is on the share's device.
    pub(super) fn compute(self, network: &Ssd<B>) -> Computed<B> {
        let turn_to_differentiate = lock_autodiff();
        let pass = self.forward(network, false);
        let gradients = GradientsParams::from_grads(pass.hard.total().backward(), network);
        drop(turn_to_differentiate);
        Computed {
            gradients,
            terms: inner_terms(pass.hard),
            taught: Vec::new(),
            statistics: pass.statistics,
        }
    }

    /// The same of a step that a teacher's outputs belong to.
    ///
    /// # Errors
    /// When the teacher's outputs do not fit the student's.
    pub(super) fn compute_taught(
        self,
        learner: &Learner<B>,
        targets: &TeacherTargets<'_, B>,
    ) -> Result<Computed<B>, TrainError> {
        let turn_to_differentiate = lock_autodiff();
        let pass = self.forward(&learner.network, targets.distillation.needs().maps);
        let taught = targets.terms(learner, &self.student(&pass))?;
        let total = targets.total(&pass.hard, &taught);
        let gradients = GradientsParams::from_grads(total.backward(), learner);
        drop(turn_to_differentiate);
        let taught = taught.into_iter();
        Ok(Computed {
            gradients,
            terms: inner_terms(pass.hard),
            taught: taught.map(|(name, value)| (name, value.inner())).collect(),
            statistics: pass.statistics,
        })
    }

    /// The names of the terms from which no gradient reaches the network: each term is
    /// differentiated by itself.
    ///
    /// # Errors
    /// As [`compute_taught`](Self::compute_taught).
    pub(super) fn terms_without_gradient(
        &self,
        learner: &Learner<B>,
        targets: &TeacherTargets<'_, B>,
    ) -> Result<Vec<&'static str>, TrainError> {
        let _turn_to_differentiate = lock_autodiff();
        let mut silent = Vec::new();
        for place in 0.. {
            // A graph is differentiated once.
            let pass = self.forward(&learner.network, targets.distillation.needs().maps);
            let terms = targets.terms(learner, &self.student(&pass))?;
            let Some((name, value)) = terms.into_iter().nth(place) else {
                break;
            };
            if !has_gradient(&learner.network, value) {
                silent.push(name);
            }
        }
        Ok(silent)
    }

    fn forward(&self, network: &Ssd<B>, with_maps: bool) -> Pass<B> {
        let shape = [self.images, 3, self.side, self.side];
        let images = host_tensor(self.values.clone(), shape, &self.device);
        let mut statistics = BatchStatistics::new();
        let (maps, output) = match with_maps {
            true => {
                let SsdFeatures { maps, output } =
                    network.forward_features_training(images, &mut statistics);
                (maps, output)
            }
            false => (
                Vec::new(),
                network.forward_training(images, &mut statistics),
            ),
        };
        let selected = self.loss.select(&output.conf, &self.matched);
        let (loc, conf) = (output.loc, output.conf);
        let hard = self
            .loss
            .forward_selected(loc.clone(), conf.clone(), &self.matched, &selected);
        Pass {
            maps,
            outputs: PriorOutputs { loc, conf },
            selected,
            hard,
            statistics,
        }
    }

    fn student<'a>(&'a self, pass: &'a Pass<B>) -> StudentOutputs<'a, B> {
        StudentOutputs {
            maps: &pass.maps,
            outputs: &pass.outputs,
            matched: &self.matched,
            selected: &pass.selected,
            hard: &pass.hard,
        }
    }
}

/// Whether differentiating `value` moves any parameter.
fn has_gradient<B: VisionAutodiff, M: Module<B> + burn::module::AutodiffModule<B>>(
    module: &M,
    value: Tensor<B, 1>,
) -> bool {
    let mut gradients = GradientsParams::from_grads(value.backward(), module);
    // A norm beyond every gradient's leaves them as they are.
    let norm = clip_global_norm::<B, _>(module, &mut gradients, f64::MAX);
    let norm = norm.map(|norm| norm.into_data().iter::<f32>().sum::<f32>());
    // Written so that NaN counts as a gradient: the log names it.
    norm.is_some_and(|norm| norm != 0.0)
}

fn inner_terms<B: VisionAutodiff>(terms: MultiBoxTerms<B>) -> MultiBoxTerms<B::InnerBackend> {
    MultiBoxTerms {
        loc: terms.loc.inner(),
        conf: terms.conf.inner(),
        positives: terms.positives,
        negatives: terms.negatives,
    }
}
