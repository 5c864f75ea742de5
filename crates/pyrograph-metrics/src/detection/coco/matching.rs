//! Which detection of an image finds which truth.

use super::super::TruthKind;
use super::super::overlap::{Over, area, overlap};
use super::super::scorer::{DetectionItem, TruthItem};
use super::{AREAS, IOUS, MOST_DETECTIONS};

/// What becomes of a detection for one range of areas: a bit for each of [`IOUS`], the lowest for
/// the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// It finds a truth that counts.
    pub(super) hit: u16,
    /// It is left out.
    pub(super) ignored: u16,
}

/// A detection and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) score: f32,
    /// Its place among the detections of the image and the class, from 0.
    pub(super) rank: usize,
    /// One for each of [`AREAS`].
    pub(super) outcomes: [Outcome; AREAS.len()],
}

/// Whether a truth counts in a range of areas.
pub(super) fn counts(truth: &TruthItem, range: (f64, f64)) -> bool {
    truth.kind == TruthKind::Counted && within(truth.area, range)
}

fn within(area: f64, (least, most): (f64, f64)) -> bool {
    (least..=most).contains(&area)
}

/// Judges the detections of one image and class, and adds them to `judged` by falling score.
pub(super) fn judge_image(
    truths: &[TruthItem],
    detections: &[DetectionItem],
    judged: &mut Vec<Judged>,
) {
    let mut ranked: Vec<_> = detections.iter().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked.truncate(MOST_DETECTIONS);
    let first = judged.len();
    judged.extend(ranked.iter().zip(0..).map(|(detection, rank)| Judged {
        score: detection.score,
        rank,
        outcomes: [Outcome::default(); AREAS.len()],
    }));
    let judged = &mut judged[first..];

    let overlaps: Vec<f64> = ranked
        .iter()
        .flat_map(|detection| truths.iter().map(|truth| measure(detection, truth)))
        .collect();
    for (index, &range) in AREAS.iter().enumerate() {
        let mut candidates: Vec<_> = (0..truths.len())
            .map(|truth| Candidate {
                truth,
                ignored: !counts(&truths[truth], range),
                crowd: truths[truth].kind == TruthKind::Crowd,
                found: 0,
            })
            .collect();
        // Those that count first, otherwise in the order of the truths.
        candidates.sort_by_key(|candidate| candidate.ignored);
        for (place, detection) in ranked.iter().enumerate() {
            let overlaps = &overlaps[place * truths.len()..][..truths.len()];
            let outside = !within(area(detection.bbox), range);
            judged[place].outcomes[index] = judge(overlaps, &mut candidates, outside);
        }
    }
}

fn measure(detection: &DetectionItem, truth: &TruthItem) -> f64 {
    let over = match truth.kind {
        TruthKind::Crowd => Over::Detection,
        TruthKind::Counted | TruthKind::Difficult => Over::Union,
    };
    overlap(detection.bbox, truth.bbox, over)
}

/// A truth in one range of areas.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its place in the image.
    truth: usize,
    ignored: bool,
    crowd: bool,
    /// A bit for each of [`IOUS`] at which it was found.
    found: u16,
}

/// What becomes of the next detection, whose `overlaps` are in the order of the image's truths.
fn judge(overlaps: &[f64], candidates: &mut [Candidate], outside: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for (place, &threshold) in IOUS.iter().enumerate() {
        let bit = 1_u16 << place;
        match pick(overlaps, candidates, threshold, bit) {
            Some(picked) => {
                candidates[picked].found |= bit;
                if candidates[picked].ignored {
                    outcome.ignored |= bit;
                } else {
                    outcome.hit |= bit;
                }
            }
            None if outside => outcome.ignored |= bit,
            None => {}
        }
    }
    outcome
}

/// The candidate that a detection finds: of those that count the one it overlaps most, or else
/// of the others; the last of several.
fn pick(overlaps: &[f64], candidates: &[Candidate], threshold: f64, bit: u16) -> Option<usize> {
    let mut largest = threshold;
    let mut picked: Option<usize> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.found & bit != 0 && !candidate.crowd {
            continue;
        }
        if candidate.ignored && picked.is_some_and(|index| !candidates[index].ignored) {
            break;
        }
        let overlap = overlaps[candidate.truth];
        if overlap >= largest {
            largest = overlap;
            picked = Some(index);
        }
    }
    picked
}
