//! Boxes around objects: forms, overlap, and what a detector found.

use serde::{Deserialize, Serialize};

/// An axis-aligned box by its corners. The unit is that of the place it is used in: pixels of an image, or shares of its sides.
///
/// A corner lies at the edge of a pixel, so that the width is `x2 − x1`, with no pixel added.
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
    /// From corners.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// From the centre, the width and the height.
    pub fn from_center(center: CenterBox) -> Self {
        let CenterBox { cx, cy, w, h } = center;
        Self::new(cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0)
    }

    /// As centre, width and height.
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

    /// Whether every corner is a finite number and the box has an area: `x1 < x2` and `y1 < y2`.
    pub fn is_proper(self) -> bool {
        let corners = [self.x1, self.y1, self.x2, self.y2];
        corners.iter().all(|v| v.is_finite()) && self.x1 < self.x2 && self.y1 < self.y2
    }

    /// The area; 0 for a box that has none.
    pub fn area(self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// The area that both cover.
    pub fn intersection(self, other: Self) -> f32 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, in [0, 1]; 0 where neither box has an area, never NaN.
    pub fn iou(self, other: Self) -> f32 {
        let both = self.intersection(other);
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// The part within an image of `width` by `height`.
    pub fn clip(self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }

    /// In other units: as from pixels to shares of the sides.
    pub fn scaled(self, x: f32, y: f32) -> Self {
        Self::new(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)
    }
}

/// A box by its centre, as priors are.
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

/// What a detector found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Where.
    pub bbox: BoundingBox,
    /// What: the class, from 0, background not counted.
    pub class: usize,
    /// How sure, in [0, 1].
    pub score: f32,
}
