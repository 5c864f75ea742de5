//! The MultiBox loss.

use burn::tensor::{Element, Int, Tensor, TensorData, activation::log_softmax, backend::Backend};
use serde::{Deserialize, Serialize};

use super::{
    HardPriors, MatchedBoxes, PriorMatcher, TruthBox,
    rows::{rows, smooth_l1, zero_of},
};
use crate::LossError;

/// SSD's loss ([Liu et al., 2016](https://arxiv.org/abs/1512.02325), equation 1): `(L_conf + L_loc) / max(1, N)` with
///
/// - `N` the number of priors of the batch that have an object (see [`PriorMatcher::matches`]);
/// - `L_loc` the sum over these priors of the smooth L1 distance (β = 1) between the offsets and
///   the encoded object;
/// - `L_conf` the sum of the cross-entropy over these priors and over the hardest negatives of each
///   image.
///
/// There are two differences to the paper, which has no loss for a batch without objects: the loss
/// of such a batch is divided by 1, and an image without objects has `negatives_for_hard`
/// negatives, so that the network also learns from empty images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiBoxLoss {
    /// The least IoU at which a prior is matched to an object; 0.5.
    pub iou_threshold: f32,
    /// Hard negatives for each positive of an image; 3. At least 1.
    pub negatives_per_positive: usize,
    /// Hard negatives of an image without objects; 100.
    pub negatives_for_hard: usize,
}

impl Default for MultiBoxLoss {
    fn default() -> Self {
        Self {
            iou_threshold: 0.5,
            negatives_per_positive: 3,
            negatives_for_hard: 100,
        }
    }
}

/// Both parts of a loss, each divided by the max(1, N) of the whole batch.
#[derive(Clone, Debug)]
pub struct MultiBoxTerms<B: Backend> {
    /// `[1]`: the smooth L1 distance of the offsets.
    pub loc: Tensor<B, 1>,
    /// `[1]`: the cross-entropy.
    pub conf: Tensor<B, 1>,
    /// Priors with an object: N.
    pub positives: usize,
    /// Mined negatives.
    pub negatives: usize,
}

impl<B: Backend> MultiBoxTerms<B> {
    /// The loss to minimise: the sum of both parts, `[1]`.
    pub fn total(&self) -> Tensor<B, 1> {
        self.loc.clone() + self.conf.clone()
    }
}

impl MultiBoxLoss {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self) -> Result<(), LossError> {
        if !(self.iou_threshold > 0.0 && self.iou_threshold <= 1.0) {
            return Err(LossError::Range {
                what: "the IoU from which a prior has an object",
                seen: self.iou_threshold.into(),
                allowed: "above 0, up to 1",
            });
        }
        if self.negatives_per_positive == 0 {
            return Err(LossError::Range {
                what: "the number of negatives for each positive",
                seen: 0.0,
                allowed: "1 or more",
            });
        }
        Ok(())
    }

    /// The loss of a batch, with one list of objects for each image.
    ///
    /// Matching and mining run on the host: the logits are read from the device once.
    ///
    /// # Shapes
    /// `loc` [batch, priors, 4], `conf` [batch, priors, classes], the background first.
    ///
    /// # Errors
    /// When the shapes, the number of priors or the number of lists do not fit, when there are no
    /// images, no priors or no class besides the background, or when an object has an unknown
    /// class.
    pub fn forward<B: Backend>(
        &self,
        loc: Tensor<B, 3>,
        conf: Tensor<B, 3>,
        matcher: &PriorMatcher,
        truths: &[Vec<TruthBox>],
    ) -> Result<MultiBoxTerms<B>, LossError> {
        self.check()?;
        check_outputs(&loc, &conf, matcher, truths)?;
        let matched = matcher.matches(truths, self.iou_threshold);
        Ok(self.forward_matched(loc, conf, &matched))
    }

    /// The loss for boxes that are already matched. Shapes are as in [`forward`](Self::forward);
    /// the caller checks them.
    pub fn forward_matched<B: Backend>(
        &self,
        loc: Tensor<B, 3>,
        conf: Tensor<B, 3>,
        matched: &MatchedBoxes,
    ) -> MultiBoxTerms<B> {
        let selected = self.select(&conf, matched);
        self.forward_selected(loc, conf, matched, &selected)
    }

    /// Selects the priors of the cross-entropy: all positives and the hardest negatives.
    ///
    /// Mining runs on the host: the logits are read from the device.
    ///
    /// # Shapes
    /// `conf` [batch, priors, classes], the background first.
    pub fn select<B: Backend>(&self, conf: &Tensor<B, 3>, matched: &MatchedBoxes) -> HardPriors {
        let logits: Vec<f32> = conf.to_data().iter::<f32>().collect();
        HardPriors::mine(
            &logits,
            matched,
            self.negatives_per_positive,
            self.negatives_for_hard,
        )
    }

    /// The loss for matched boxes and selected priors.
    ///
    /// # Shapes
    /// As in [`forward`](Self::forward); the caller checks the shapes.
    pub fn forward_selected<B: Backend>(
        &self,
        loc: Tensor<B, 3>,
        conf: Tensor<B, 3>,
        matched: &MatchedBoxes,
        selected: &HardPriors,
    ) -> MultiBoxTerms<B> {
        let positives = matched.positives.len();
        let divisor = matched.divisor();
        MultiBoxTerms {
            loc: localisation(loc, matched) / divisor,
            conf: classification(conf, matched, selected.places()) / divisor,
            positives,
            negatives: selected.places().len() - positives,
        }
    }
}

/// Checks the outputs of a network against priors and objects.
///
/// # Errors
/// As [`MultiBoxLoss::forward`].
pub(crate) fn check_outputs<B: Backend>(
    loc: &Tensor<B, 3>,
    conf: &Tensor<B, 3>,
    matcher: &PriorMatcher,
    truths: &[Vec<TruthBox>],
) -> Result<(), LossError> {
    let [batch, priors, classes] = conf.dims();
    if loc.dims() != [batch, priors, 4] {
        return Err(LossError::Shape {
            prediction: loc.dims().to_vec(),
            target: vec![batch, priors, 4],
        });
    }
    let is_empty = batch == 0 || priors == 0 || classes < 2;
    if is_empty || priors != matcher.priors().len() || truths.len() != batch {
        return Err(LossError::Shape {
            prediction: conf.dims().to_vec(),
            target: vec![
                truths.len().max(1),
                matcher.priors().len().max(1),
                classes.max(2),
            ],
        });
    }
    if let Some(truth) = truths.iter().flatten().find(|t| t.class >= classes - 1) {
        return Err(LossError::Class {
            seen: truth.class,
            classes: classes - 1,
        });
    }
    Ok(())
}

/// Σ smooth L1 over the priors with an object, `[1]`.
fn localisation<B: Backend>(loc: Tensor<B, 3>, matched: &MatchedBoxes) -> Tensor<B, 1> {
    let Some(found) = rows(loc.clone(), &matched.positive_places()) else {
        return zero_of(loc);
    };
    let targets = matched.positive_offsets(&found.device());
    smooth_l1(found, targets).sum()
}

/// Σ cross-entropy over the priors that count, `[1]`.
fn classification<B: Backend>(
    conf: Tensor<B, 3>,
    matched: &MatchedBoxes,
    kept: &[usize],
) -> Tensor<B, 1> {
    let device = conf.device();
    let Some(logits) = rows(conf.clone(), kept) else {
        return zero_of(conf);
    };
    let targets: Vec<i64> = kept
        .iter()
        .map(|place| matched.classes[*place] as i64)
        .collect();
    let targets = TensorData::new(targets, [kept.len(), 1]);
    let targets = Tensor::<B, 2, Int>::from_data(targets, (&device, B::IntElem::dtype()));
    log_softmax(logits, 1).gather(1, targets).sum().neg()
}
