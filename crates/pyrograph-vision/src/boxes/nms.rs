//! Non-maximum suppression: keeps the best of several boxes on the same object.

use std::collections::HashMap;

use super::BoundingBox;

/// Greedy non-maximum suppression: the indices of the boxes that are kept, best score first.
///
/// Boxes are processed by falling score, the lower index first for equal scores. A box is kept
/// unless its [IoU](BoundingBox::iou) with a box kept before is above `iou_threshold`. At most
/// `keep_at_most` boxes are kept.
///
/// Boxes with a corner, or a score, that is infinite or not a number are never kept. A box without
/// area overlaps nothing. If `boxes` and `scores` differ in length, the extra entries of the longer
/// one are ignored.
pub fn nms(
    boxes: &[BoundingBox],
    scores: &[f32],
    iou_threshold: f32,
    keep_at_most: usize,
) -> Vec<usize> {
    let order = by_falling_score(boxes, scores);
    let mut kept = Kept::default();
    let survives = |&index: &usize| kept.keep(boxes[index], iou_threshold);
    order
        .into_iter()
        .filter(survives)
        .take(keep_at_most)
        .collect()
}

/// [`nms`] separately for the boxes of each class; the results are merged by falling score.
///
/// `keep_at_most` applies to all classes together. Entries beyond the length of the shortest slice
/// are ignored.
pub fn nms_per_class(
    boxes: &[BoundingBox],
    scores: &[f32],
    classes: &[usize],
    iou_threshold: f32,
    keep_at_most: usize,
) -> Vec<usize> {
    let boxes = &boxes[..boxes.len().min(classes.len())];
    let order = by_falling_score(boxes, scores);
    let mut kept: HashMap<usize, Kept> = HashMap::new();
    let survives = |&index: &usize| {
        let of_class = kept.entry(classes[index]).or_default();
        of_class.keep(boxes[index], iou_threshold)
    };
    order
        .into_iter()
        .filter(survives)
        .take(keep_at_most)
        .collect()
}

/// The indices of all boxes that can be kept.
fn by_falling_score(boxes: &[BoundingBox], scores: &[f32]) -> Vec<usize> {
    let candidates = boxes.iter().zip(scores).enumerate();
    let mut order: Vec<usize> = candidates
        .filter(|(_, (bbox, score))| score.is_finite() && bbox.is_finite())
        .map(|(index, _)| index)
        .collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

/// The boxes kept so far, with their areas.
#[derive(Default)]
struct Kept(Vec<(BoundingBox, f32)>);

impl Kept {
    /// Keeps a box, and says that it does, unless it overlaps one of those kept by more than the threshold.
    fn keep(&mut self, bbox: BoundingBox, iou_threshold: f32) -> bool {
        let area = bbox.area();
        let suppressed = |&(other, other_area): &(BoundingBox, f32)| {
            bbox.iou_of_areas(area, other, other_area) > iou_threshold
        };
        if self.0.iter().any(suppressed) {
            return false;
        }
        self.0.push((bbox, area));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the definition says, one comparison after the other and with nothing ordered ahead.
    fn oracle(boxes: &[BoundingBox], scores: &[f32], threshold: f32, most: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..boxes.len())
            .filter(|&i| scores[i].is_finite() && boxes[i].is_finite())
            .collect();
        let mut kept = Vec::new();
        while kept.len() < most && !left.is_empty() {
            // The first of the best, as `left` stays in the order of the indices.
            let first = left[0];
            let best = left.iter().fold(
                first,
                |best, &i| {
                    if scores[i] > scores[best] { i } else { best }
                },
            );
            kept.push(best);
            left.retain(|&i| i != best && boxes[best].iou(boxes[i]) <= threshold);
        }
        kept
    }

    #[test]
    fn the_best_of_overlapping_boxes_is_kept() {
        let boxes = [
            BoundingBox::new(0.0, 0.0, 10.0, 10.0),
            BoundingBox::new(1.0, 0.0, 11.0, 10.0),
            BoundingBox::new(20.0, 0.0, 30.0, 10.0),
        ];
        // 9/11 of the first two is shared.
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1], 0.45, 10), [1, 2]);
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1], 0.82, 10), [1, 0, 2]);
        assert_eq!(nms(&boxes, &[0.5, 0.9, 0.1], 0.45, 1), [1]);
        assert_eq!(
            nms_per_class(&boxes, &[0.5, 0.9, 0.1], &[7, 0, 7], 0.45, 10),
            [1, 0, 2]
        );
    }

    #[test]
    fn of_equal_scores_the_first_box_is_kept() {
        let boxes = [BoundingBox::new(0.0, 0.0, 1.0, 1.0); 4];
        assert_eq!(nms(&boxes, &[0.5; 4], 0.5, 4), [0]);
        // The threshold itself does not suppress.
        assert_eq!(nms(&boxes, &[0.5; 4], 1.0, 4), [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_no_box_is_never_kept() {
        let fine = BoundingBox::new(0.0, 0.0, 1.0, 1.0);
        let broken = BoundingBox::new(f32::NAN, 0.0, 1.0, 1.0);
        let endless = BoundingBox::new(0.0, 0.0, f32::INFINITY, 1.0);
        assert_eq!(nms(&[broken, endless, fine], &[0.9, 0.8, 0.1], 0.5, 3), [2]);
        let scores = [f32::NAN, f32::INFINITY, 0.1];
        assert_eq!(nms(&[fine; 3], &scores, 0.5, 3), [2]);
        assert_eq!(nms(&[fine; 3], &[], 0.5, 3), [0; 0]);
        assert_eq!(nms_per_class(&[fine; 3], &[0.1; 3], &[4], 0.5, 3), [0]);
    }

    fn coordinate() -> impl Strategy<Value = f32> {
        prop_oneof![
            // Few places, so that boxes coincide, touch and have no area.
            20 => (0_u8..8).prop_map(f32::from),
            1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::MAX, -f32::MAX]),
        ]
    }

    fn scored_box() -> impl Strategy<Value = (BoundingBox, f32, usize)> {
        let corners = [coordinate(), coordinate(), coordinate(), coordinate()];
        let bbox = corners.prop_map(|[x1, y1, x2, y2]| BoundingBox { x1, y1, x2, y2 });
        let score = prop_oneof![
            10 => (1_u8..6).prop_map(|tenths| f32::from(tenths) / 10.0),
            1 => Just(f32::NAN),
        ];
        (bbox, score, 0_usize..3)
    }

    proptest! {
        #[test]
        fn the_kept_are_those_of_the_definition(
            items in proptest::collection::vec(scored_box(), 0..40),
            threshold in prop_oneof![Just(0.0), Just(1.0), 0_f32..1.0],
            most in 0_usize..45,
        ) {
            let boxes: Vec<_> = items.iter().map(|item| item.0).collect();
            let scores: Vec<_> = items.iter().map(|item| item.1).collect();
            let kept = nms(&boxes, &scores, threshold, most);
            prop_assert_eq!(kept, oracle(&boxes, &scores, threshold, most));
        }

        #[test]
        fn each_class_is_suppressed_as_if_alone(
            items in proptest::collection::vec(scored_box(), 0..40),
            threshold in 0_f32..1.0,
            most in 0_usize..45,
        ) {
            let boxes: Vec<_> = items.iter().map(|item| item.0).collect();
            let scores: Vec<_> = items.iter().map(|item| item.1).collect();
            let classes: Vec<_> = items.iter().map(|item| item.2).collect();
            let mut alone = Vec::new();
            for class in 0..3 {
                let members: Vec<usize> = (0..items.len()).filter(|&i| classes[i] == class).collect();
                let of = |i: &usize| (boxes[*i], scores[*i]);
                let (boxes, scores): (Vec<_>, Vec<_>) = members.iter().map(of).unzip();
                let kept = nms(&boxes, &scores, threshold, usize::MAX);
                alone.extend(kept.into_iter().map(|index| members[index]));
            }
            alone.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            alone.truncate(most);
            prop_assert_eq!(nms_per_class(&boxes, &scores, &classes, threshold, most), alone);
        }
    }
}
