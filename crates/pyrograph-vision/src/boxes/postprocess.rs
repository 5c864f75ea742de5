//! From what a detector puts out to what it found.

use serde::{Deserialize, Serialize};

use super::{BoxCoder, CenterBox, Detection, MAX_PRIORS, nms_per_class};
use crate::VisionError;

/// Which of a detector's boxes are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectOptions {
    /// Boxes whose score is not above this are dropped; in [0, 1].
    pub score_threshold: f32,
    /// How many boxes of each class, the best ones, enter the suppression; at least 1.
    pub candidates: usize,
    /// Boxes whose IoU with a better one of their class is above this are dropped; in [0, 1].
    pub iou_threshold: f32,
    /// How many boxes of all classes together are handed out; at least 1.
    pub keep: usize,
}

impl DetectOptions {
    /// Those of torchvision's `ssd300_vgg16`, which are the default.
    pub const TORCHVISION: Self = Self {
        score_threshold: 0.01,
        candidates: 400,
        iou_threshold: 0.45,
        keep: 200,
    };

    /// Those of ssd.pytorch, which has half as many candidates. It keeps 200 boxes of each class, here they are 200 in all.
    pub fn ssd_pytorch() -> Self {
        Self {
            candidates: 200,
            ..Self::TORCHVISION
        }
    }

    /// Whether all numbers are within their ranges.
    ///
    /// # Errors
    /// [`VisionError::Range`] for a threshold that is not in [0, 1], [`VisionError::Zero`] for `candidates` or `keep` of 0.
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

/// What a detector of the SSD kind found in one image, best first.
///
/// `loc` holds the offsets of each of P priors (P·4 values), `logits` for each prior the background and then the classes
/// (P·C values). As torchvision's `SSD.postprocess_detections` does it:
///
/// 1. scores are the softmax over a prior's logits; those above `score_threshold` count,
/// 2. of each class the best `candidates` are decoded and cut at the image's edges,
/// 3. of boxes of one class that overlap by more than `iou_threshold` the best stays,
/// 4. of all classes together the best `keep` are handed out.
///
/// Of equal scores the lower class comes first, then the lower prior. Boxes are in shares of the image's sides; the class
/// of a [`Detection`] does not count the background. A prior yields nothing where one of its logits is not a number or
/// +∞ or one of its offsets is not finite.
///
/// # Errors
/// [`VisionError::Empty`] without priors, [`VisionError::HeadLength`] unless `loc` has 4 values for each prior and `logits`
/// one number of values for each that is at least 2, otherwise those of [`DetectOptions::check`].
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
/// A score is at most `1 / (1 + exp(lead))`, as if background and class were all there is. A hundredth more makes up for
/// rounding. Most priors see background, so this spares most of the exponentials.
fn hopeless_lead(threshold: f32) -> f32 {
    const ROUNDING: f32 = 0.01;
    ((1.0 - threshold) / threshold).ln() + ROUNDING
}

/// The best so many candidates, best first, of equal scores the lower prior first.
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
