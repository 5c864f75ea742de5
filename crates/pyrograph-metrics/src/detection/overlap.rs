//! Areas of boxes in f64, so that an overlap equal to a threshold reaches it.

use pyrograph_vision::BoundingBox;

/// What the common area of a detection and a truth is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The area that either covers: intersection over union.
    Union,
    /// The area of the detection: the share of it that lies in a crowd.
    Detection,
}

/// The area of a box, in the square of its unit.
pub(super) fn area(bbox: BoundingBox) -> f64 {
    let [x1, y1, x2, y2] = corners(bbox);
    (x2 - x1) * (y2 - y1)
}

/// The overlap of two boxes that are not inverted, in [0, 1]; 0 where they touch or have no area.
///
/// No pixel is added to a side. Products of f32 differences stay far within the range of f64.
pub(super) fn overlap(detection: BoundingBox, truth: BoundingBox, over: Over) -> f64 {
    let ([x1, y1, x2, y2], [left, top, right, bottom]) = (corners(detection), corners(truth));
    let (width, height) = (x2.min(right) - x1.max(left), y2.min(bottom) - y1.max(top));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    both / match over {
        Over::Union => area(detection) + area(truth) - both,
        Over::Detection => area(detection),
    }
}

fn corners(bbox: BoundingBox) -> [f64; 4] {
    [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_box_half_within_another_has_its_known_overlaps() {
        let detection = BoundingBox::new(0.0, 0.0, 2.0, 2.0);
        let truth = BoundingBox::new(1.0, 0.0, 3.0, 2.0);
        assert_eq!(overlap(detection, truth, Over::Union), 2.0 / 6.0);
        assert_eq!(overlap(detection, truth, Over::Detection), 0.5);
    }

    #[test]
    fn boxes_that_touch_or_have_no_area_do_not_overlap() {
        let unit = BoundingBox::new(0.0, 0.0, 1.0, 1.0);
        let beside = BoundingBox::new(1.0, 0.0, 2.0, 1.0);
        let line = BoundingBox::new(0.5, 0.0, 0.5, 1.0);
        for over in [Over::Union, Over::Detection] {
            for other in [beside, line] {
                assert_eq!(overlap(unit, other, over), 0.0);
                assert_eq!(overlap(other, unit, over), 0.0);
            }
            assert_eq!(overlap(line, line, over), 0.0);
        }
    }

    #[test]
    fn the_largest_boxes_overlap_fully() {
        let all = BoundingBox::new(-f32::MAX, -f32::MAX, f32::MAX, f32::MAX);
        assert_eq!(overlap(all, all, Over::Union), 1.0);
    }

    proptest! {
        #[test]
        fn the_overlap_is_that_of_the_box_type(corners in prop::array::uniform8(0_u8..20)) {
            let at = |i: usize| f32::from(corners[i]);
            let bbox = |i: usize| BoundingBox::new(
                at(i).min(at(i + 2)), at(i + 1).min(at(i + 3)),
                at(i).max(at(i + 2)), at(i + 1).max(at(i + 3)),
            );
            let (one, other) = (bbox(0), bbox(4));
            let seen = overlap(one, other, Over::Union);
            prop_assert!((0.0..=1.0).contains(&seen));
            prop_assert!((seen - f64::from(one.iou(other))).abs() < 1e-6);
            prop_assert_eq!(seen, overlap(other, one, Over::Union));
        }
    }
}
