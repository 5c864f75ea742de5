//! Post-processing: from the outputs of a detector to detections.

use serde::{Deserialize, Serialize};

use super::{BoxCoder, CenterBox, Detection, MAX_PRIORS, nms_per_class};
use crate::VisionError;

/// Options of post-processing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectOptions {
    /// Boxes whose score is not above this are dropped; in [0, 1].
    pub score_threshold: f32,
    /// The number of best boxes of each class that enter the suppression; at least 1.
    pub candidates: usize,
    /// Boxes whose IoU with a better one of their class is above this are dropped; in [0, 1].
    pub iou_threshold: f32,
    /// The number of boxes of all classes together that are returned; at least 1.
    pub keep: usize,
}

impl DetectOptions {
    /// The options of torchvision's `ssd300_vgg16`, the default.
    pub const TORCHVISION: Self = Self {
        score_threshold: 0.01,
        candidates: 400,
        iou_threshold: 0.45,
        keep: 200,
    };

    /// The options of ssd.pytorch, with half as many candidates. ssd.pytorch keeps 200 boxes of
    /// each class; here it is 200 in total.
    pub fn ssd_pytorch() -> Self {
        Self {
            candidates: 200,
            ..Self::TORCHVISION
        }
    }

    /// Checks that all options are within their ranges.
    ///
    /// # Errors
    /// [`VisionError::Range`] for a threshold that is not in [0, 1], [`VisionError::Zero`] for
    /// `candidates` or `keep` of 0.
    pub fn check(&self) -> Result<(), VisionError> {
        for (what, seen) in [
            ("the score threshold of a detection", self.score_threshold),
            ("the IoU threshold of a detection", self.iou_threshold),
        ] {
            if !(0.0..=1.0).contains(&seen) {
                return Err(VisionError::Range {
                    what,
                    seen: seen.into(),
                    allowed: "0 to 1",
                });
            }
        }
        for (what, seen) in [
            ("the number of candidates of a class", self.candidates),
            ("the number of detections that are kept", self.keep),
        ] {
            if seen == 0 {
                return Err(VisionError::Zero { what });
            }
        }
        Ok(())
    }
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self::TORCHVISION
    }
}

/// Computes the detections of an SSD detector in one image, best first.
///
/// `loc` holds the offsets of each of P priors (P·4 values), `logits` for each prior the background
/// and then the classes (P·C values). The steps are those of torchvision's
/// `SSD.postprocess_detections`:
///
/// 1. scores are the softmax over a prior's logits; scores above `score_threshold` count,
/// 2. the best `candidates` of each class are decoded and clipped to the image,
/// 3. of the boxes of a class that overlap by more than `iou_threshold` only the best is kept,
/// 4. the best `keep` of all classes together are returned.
///
/// For equal scores the lower class comes first, then the lower prior. Boxes are in fractions of
/// the image's sides; the class of a [`Detection`] does not count the background. A prior with a
/// logit that is NaN or +∞, or with an offset that is not finite, gives no detection.
///
/// # Errors
/// [`VisionError::Empty`] without priors, [`VisionError::HeadLength`] unless `loc` has 4 values for
/// each prior and `logits` an equal number of at least 2 values for each prior; also the errors of
/// [`DetectOptions::check`].
pub fn postprocess(
    loc: &[f32],
    logits: &[f32],
    priors: &[CenterBox],
    coder: &BoxCoder,
    options: &DetectOptions,
) -> Result<Vec<Detection>, VisionError> {
    options.check()?;
    let outputs = check_outputs(loc, logits, priors.len())?;
    let (mut boxes, mut scores, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    let candidates = candidates(loc, logits, outputs, options.score_threshold);
    for (class, mut candidates) in candidates.into_iter().enumerate() {
        for candidate in best(&mut candidates, options.candidates) {
            let prior = candidate.prior as usize;
            let bbox = coder.decode(offsets(loc, prior), priors[prior]);
            boxes.push(bbox.clip(1.0, 1.0));
            scores.push(candidate.score);
            classes.push(class);
        }
    }
    // Boxes lie in the order of their classes and, of equal scores, their priors, which is also how suppression orders ties.
    let kept = nms_per_class(
        &boxes,
        &scores,
        &classes,
        options.iou_threshold,
        options.keep,
    );
    let detection = |index: usize| Detection {
        bbox: boxes[index],
        class: classes[index],
        score: scores[index],
    };
    Ok(kept.into_iter().map(detection).collect())
}

/// The number of values for each prior in `logits`: the classes and the background.
fn check_outputs(loc: &[f32], logits: &[f32], priors: usize) -> Result<usize, VisionError> {
    if priors == 0 {
        return Err(VisionError::Empty {
            what: "the priors of a detector",
        });
    }
    if priors > MAX_PRIORS {
        return Err(VisionError::TooManyPriors { seen: priors });
    }
    let refuse = |what, seen, needed| {
        Err(VisionError::HeadLength {
            what,
            seen,
            priors,
            needed,
        })
    };
    if loc.len() != 4 * priors {
        return refuse("offsets", loc.len(), "4 for each");
    }
    if logits.len() < 2 * priors || !logits.len().is_multiple_of(priors) {
        return refuse("logits", logits.len(), "one number for each, at least 2");
    }
    Ok(logits.len() / priors)
}

/// The offsets of a prior.
fn offsets(loc: &[f32], prior: usize) -> [f32; 4] {
    std::array::from_fn(|k| loc[4 * prior + k])
}

/// A prior that scores for a class.
#[derive(Clone, Copy)]
struct Candidate {
    score: f32,
    /// Below [`MAX_PRIORS`]: half the size of an index, as a detector that knows nothing yet makes many.
    prior: u32,
}

/// For each class but the background, all priors that score above the threshold.
fn candidates(loc: &[f32], logits: &[f32], outputs: usize, threshold: f32) -> Vec<Vec<Candidate>> {
    let mut candidates = vec![Vec::new(); outputs - 1];
    let mut exponentials = vec![0.0; outputs];
    let lead = hopeless_lead(threshold);
    for (prior, logits) in (0..).zip(logits.chunks_exact(outputs)) {
        let (background, classes) = (logits[0], &logits[1..]);
        let best = classes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if background - best > lead {
            continue;
        }
        let largest = best.max(background);
        let mut sum = 0.0;
        for (exponential, logit) in exponentials.iter_mut().zip(logits) {
            *exponential = (logit - largest).exp();
            sum += *exponential;
        }
        let usable = sum.is_finite() && offsets(loc, prior as usize).iter().all(|v| v.is_finite());
        if !usable {
            continue;
        }
        for (candidates, exponential) in candidates.iter_mut().zip(&exponentials[1..]) {
            let score = exponential / sum;
            if score > threshold {
                candidates.push(Candidate { score, prior });
            }
        }
    }
    candidates
}

/// By how much a background's logit leads where no class can score above the threshold.
///
/// A score is at most `1 / (1 + exp(lead))`, as if background and class were all there is. A
/// hundredth more makes up for rounding. Most priors see background, so this spares most of the
/// exponentials.
fn hopeless_lead(threshold: f32) -> f32 {
    const ROUNDING: f32 = 0.01;
    ((1.0 - threshold) / threshold).ln() + ROUNDING
}

/// The best `limit` candidates, best first; for equal scores the lower prior first.
fn best(candidates: &mut [Candidate], limit: usize) -> &[Candidate] {
    let order = |a: &Candidate, b: &Candidate| {
        let score = b.score.total_cmp(&a.score);
        score.then(a.prior.cmp(&b.prior))
    };
    let limit = limit.min(candidates.len());
    if limit < candidates.len() {
        candidates.select_nth_unstable_by(limit, order);
    }
    let best = &mut candidates[..limit];
    best.sort_unstable_by(order);
    best
}

#[cfg(test)]
mod tests;
