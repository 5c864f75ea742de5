//! From what becomes of a class's detections to its figures.

use super::super::precision::Envelope;
use super::super::scorer::ClassItems;
use super::matching::{Judged, counts, judge_image};
use super::{AREAS, CocoClass, CocoFigures, IOU_75, IOUS, MOST_DETECTIONS};

/// The number of recalls at which the precision is read, less one.
const HUNDREDTHS: usize = 100;

/// Precision and recall of one range of areas at each of [`IOUS`], where objects are to be found.
struct Averages {
    precisions: [f64; IOUS.len()],
    recalls: [f64; IOUS.len()],
}

/// The figures of one class.
pub(super) fn class_report(items: &ClassItems) -> CocoClass {
    let mut judged = Vec::with_capacity(items.detections.len());
    for (truths, detections) in items.images() {
        judge_image(truths, detections, &mut judged);
    }
    judged.sort_by(|a, b| b.score.total_cmp(&a.score));

    let truths = AREAS.map(|range| {
        let counted = items.truths.iter().filter(|truth| counts(truth, range));
        counted.count()
    });
    let [all, small, medium, large] =
        std::array::from_fn(|area| averages(&judged, area, truths[area]));
    let recall_with = |most| recall(&judged, most, truths[0]);
    let ap = |averages: &Option<Averages>| averages.as_ref().map(|it| mean(&it.precisions));
    let ar = |averages: &Option<Averages>| averages.as_ref().map(|it| mean(&it.recalls));
    CocoClass {
        truths: truths[0],
        detections: items.detections.len(),
        figures: CocoFigures {
            ap: ap(&all),
            ap50: all.as_ref().map(|it| it.precisions[0]),
            ap75: all.as_ref().map(|it| it.precisions[IOU_75]),
            ap_small: ap(&small),
            ap_medium: ap(&medium),
            ap_large: ap(&large),
            ar_1: recall_with(1),
            ar_10: recall_with(10),
            ar_100: recall_with(MOST_DETECTIONS),
            ar_small: ar(&small),
            ar_medium: ar(&medium),
            ar_large: ar(&large),
        },
    }
}

/// What the detections achieve in the range of areas at `area`; `None` without `truths` in it.
fn averages(judged: &[Judged], area: usize, truths: usize) -> Option<Averages> {
    // To the last bit numpy's `linspace(0, 1, 101)`: a recall may equal one of them.
    let recalls: [f64; HUNDREDTHS + 1] = std::array::from_fn(|index| index as f64 * 0.01);
    let envelopes = (truths > 0).then(|| {
        std::array::from_fn::<_, { IOUS.len() }, _>(|place| {
            let outcomes = judged.iter().map(|detection| detection.outcomes[area]);
            let counted = outcomes.filter(|outcome| outcome.ignored >> place & 1 == 0);
            Envelope::new(counted.map(|outcome| outcome.hit >> place & 1 == 1), truths)
        })
    })?;
    Some(Averages {
        precisions: envelopes.each_ref().map(|it| it.mean_at(&recalls)),
        recalls: envelopes.each_ref().map(Envelope::recall),
    })
}

/// The recall of all areas with the first `most` detections of each image; `None` without `truths`.
fn recall(judged: &[Judged], most: usize, truths: usize) -> Option<f64> {
    let first = judged.iter().filter(|detection| detection.rank < most);
    let hits: usize = first
        .map(|detection| detection.outcomes[0].hit.count_ones() as usize)
        .sum();
    (truths > 0).then(|| hits as f64 / (truths * IOUS.len()) as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
