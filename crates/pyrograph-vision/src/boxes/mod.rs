//! Boxes around objects: representations, overlap, and detections.

mod coder;
mod nms;
mod postprocess;
mod priors;

use serde::{Deserialize, Serialize};

pub use coder::BoxCoder;
pub use nms::{nms, nms_per_class};
pub use postprocess::{DetectOptions, postprocess};
pub(crate) use priors::MAX_PRIORS;
pub use priors::{PriorClip, PriorConfig, PriorMap};

/// An axis-aligned box by its corners. The unit depends on the use: pixels of an image, or
/// fractions of its sides.
///
/// Corners lie at the edges of pixels, so the width is `x2 − x1`, without an added pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundingBox {
    /// The left edge.
    pub x1: f32,
    /// The upper edge.
    pub y1: f32,
    /// The right edge.
    pub x2: f32,
    /// The lower edge.
    pub y2: f32,
}

impl BoundingBox {
    /// A box from its corners.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// A box from its centre, width and height.
    pub fn from_center(center: CenterBox) -> Self {
        let CenterBox { cx, cy, w, h } = center;
        Self::new(cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0)
    }

    /// The box as centre, width and height.
    pub fn to_center(self) -> CenterBox {
        CenterBox {
            cx: (self.x1 + self.x2) / 2.0,
            cy: (self.y1 + self.y2) / 2.0,
            w: self.width(),
            h: self.height(),
        }
    }

    /// `x2 − x1`.
    pub fn width(self) -> f32 {
        self.x2 - self.x1
    }

    /// `y2 − y1`.
    pub fn height(self) -> f32 {
        self.y2 - self.y1
    }

    /// Whether every corner is a finite number.
    pub fn is_finite(self) -> bool {
        let corners = [self.x1, self.y1, self.x2, self.y2];
        corners.iter().all(|v| v.is_finite())
    }

    /// Whether every corner is a finite number and the box has an area: `x1 < x2` and `y1 < y2`.
    pub fn is_proper(self) -> bool {
        self.is_finite() && self.x1 < self.x2 && self.y1 < self.y2
    }

    /// The area; 0 for a box without an area.
    pub fn area(self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// The area of the intersection of both boxes.
    pub fn intersection(self, other: Self) -> f32 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, in [0, 1], never NaN: 0 if neither box has an area, or if a corner
    /// is infinite or NaN.
    pub fn iou(self, other: Self) -> f32 {
        if !(self.is_finite() && other.is_finite()) {
            return 0.0;
        }
        self.iou_of_areas(self.area(), other, other.area())
    }

    /// [`iou`](Self::iou) of finite boxes whose areas are known.
    fn iou_of_areas(self, area: f32, other: Self, other_area: f32) -> f32 {
        let both = self.intersection(other);
        let union = area + other_area - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// Clips the box to an image of `width` by `height`. A box outside of the image becomes a box
    /// without area at the edge; NaN corners stay NaN. A negative or NaN side of the image counts
    /// as 0.
    pub fn clip(self, width: f32, height: f32) -> Self {
        // `max` also takes 0 for what is not a number, so that no `clamp` below can panic.
        let (width, height) = (width.max(0.0), height.max(0.0));
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }

    /// The box in other units, for example from pixels to fractions of the sides: x is multiplied
    /// by `x`, y by `y`.
    pub fn scaled(self, x: f32, y: f32) -> Self {
        Self::new(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)
    }
}

/// A box by its centre and size, the form of priors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterBox {
    /// The centre, from the left.
    pub cx: f32,
    /// The centre, from above.
    pub cy: f32,
    /// The width.
    pub w: f32,
    /// The height.
    pub h: f32,
}

/// A detection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The box.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
    /// The score, in [0, 1].
    pub score: f32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_overlap_of_shifted_squares_is_a_third() {
        let square = BoundingBox::new(0.0, 0.0, 2.0, 2.0);
        let shifted = BoundingBox::new(1.0, 0.0, 3.0, 2.0);
        assert_eq!(square.intersection(shifted), 2.0);
        assert!((square.iou(shifted) - 1.0 / 3.0).abs() < 1e-7);
        assert_eq!(square.iou(square), 1.0);
        // They share an edge only.
        assert_eq!(square.iou(BoundingBox::new(2.0, 0.0, 4.0, 2.0)), 0.0);
    }

    #[test]
    fn boxes_without_area_overlap_nothing() {
        let point = BoundingBox::new(1.0, 1.0, 1.0, 1.0);
        let turned = BoundingBox::new(2.0, 2.0, 0.0, 0.0);
        for bbox in [point, turned] {
            assert_eq!((bbox.area(), bbox.iou(bbox)), (0.0, 0.0));
            assert!(bbox.is_finite() && !bbox.is_proper());
        }
    }

    #[test]
    fn a_clipped_box_lies_within_the_image() {
        let bbox = BoundingBox::new(-1.0, 0.5, 3.0, f32::INFINITY);
        assert_eq!(bbox.clip(2.0, 1.0), BoundingBox::new(0.0, 0.5, 2.0, 1.0));
        assert_eq!(bbox.clip(f32::NAN, -1.0), BoundingBox::default());
        assert!(
            BoundingBox::new(f32::NAN, 0.0, 1.0, 1.0)
                .clip(1.0, 1.0)
                .x1
                .is_nan()
        );
    }

    #[test]
    fn boxes_are_read_by_their_corners() {
        let bbox: BoundingBox = serde_json::from_str(r#"{"x1":0,"y1":1,"x2":2,"y2":3.5}"#).unwrap();
        assert_eq!(bbox, BoundingBox::new(0.0, 1.0, 2.0, 3.5));
        assert!(serde_json::from_str::<BoundingBox>(r#"{"x1":0,"y1":1,"x2":2,"h":3}"#).is_err());
    }

    fn corners(range: std::ops::Range<f32>) -> impl Strategy<Value = BoundingBox> {
        [range.clone(), range.clone(), range.clone(), range]
            .prop_map(|[x1, y1, x2, y2]| BoundingBox { x1, y1, x2, y2 })
    }

    proptest! {
        #[test]
        fn the_overlap_is_that_of_counted_cells(
            (a, b) in ([0_u8..9, 0..9, 0..9, 0..9], [0_u8..9, 0..9, 0..9, 0..9]),
        ) {
            let covers = |[x1, y1, x2, y2]: [u8; 4], x, y| (x1..x2).contains(&x) && (y1..y2).contains(&y);
            let cells = || (0..9).flat_map(|x| (0..9).map(move |y| (x, y)));
            let both = cells().filter(|&(x, y)| covers(a, x, y) && covers(b, x, y)).count();
            let either = cells().filter(|&(x, y)| covers(a, x, y) || covers(b, x, y)).count();
            let expected = if either == 0 { 0.0 } else { both as f32 / either as f32 };
            let bbox = |corners: [u8; 4]| {
                let [x1, y1, x2, y2] = corners.map(f32::from);
                BoundingBox { x1, y1, x2, y2 }
            };
            prop_assert_eq!(bbox(a).iou(bbox(b)), expected);
        }

        #[test]
        fn an_overlap_is_never_beyond_its_range(
            a in corners(-f32::MAX..f32::MAX), b in corners(-10.0..10.0), c in any::<[f32; 4]>(),
            broken in 0_usize..8, value in prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        ) {
            let mut c = c;
            // `any` draws none of these.
            if let Some(corner) = c.get_mut(broken) {
                *corner = value;
            }
            let [x1, y1, x2, y2] = c;
            let c = BoundingBox { x1, y1, x2, y2 };
            for (a, b) in [(a, a), (a, b), (b, b), (a, c), (b, c), (c, c)] {
                prop_assert!((0.0..=1.001).contains(&a.iou(b)), "{:?} and {:?}: {}", a, b, a.iou(b));
                prop_assert_eq!(a.iou(b), b.iou(a));
            }
        }

        #[test]
        fn centres_and_corners_say_the_same(bbox in corners(-10.0..10.0)) {
            let back = BoundingBox::from_center(bbox.to_center());
            let pairs = [(back.x1, bbox.x1), (back.y1, bbox.y1), (back.x2, bbox.x2), (back.y2, bbox.y2)];
            for (seen, expected) in pairs {
                prop_assert!((seen - expected).abs() < 1e-5);
            }
        }
    }
}
