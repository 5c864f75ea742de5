//! Drawing boxes on a picture.

use image::{Rgb, RgbImage};
use pyrograph_vision::{BoundingBox, Detection};

use crate::{TextSize, canvas, class_colour, draw_text, text_size};

/// Pixels of a picture's longer side for each pixel that an outline is thick.
const SIDE_PER_STROKE: u32 = 320;
/// The thinnest and the thickest outline, in pixels.
const STROKE: (u32, u32) = (2, 6);
/// The longer side, in pixels, from which on captions are written large.
const SIDE_OF_LARGE_TEXT: u32 = 900;
/// Pixels of colour at the left and the right of a caption.
const TAG_PAD: i64 = 3;

/// A box to draw, with a caption.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxLabel {
    /// The box, in pixels of the picture.
    pub bbox: BoundingBox,
    /// The colour of the outline and of the caption's tag.
    pub colour: Rgb<u8>,
    /// The caption of the box, such as "RBC 0.93"; empty for no caption.
    pub caption: String,
    /// The score: boxes of higher scores are drawn over boxes of lower scores.
    pub score: f32,
}

impl BoxLabel {
    /// A detection whose box is in pixels, in the [colour of its class](class_colour), with name and score.
    pub fn from_detection(detection: &Detection, name: &str) -> Self {
        Self {
            bbox: detection.bbox,
            colour: class_colour(detection.class),
            caption: format!("{name} {:.2}", detection.score),
            score: detection.score,
        }
    }
}

/// Draws outlines and captions of boxes on an image.
///
/// Outlines are drawn first and captions over them, each by rising score. A caption stands on a tag
/// above its box, or inside the box if there is no room above, and is moved into the picture. Boxes
/// that extend beyond the picture are clipped; boxes without an area, with corners that are not
/// finite, or entirely outside the picture are skipped.
pub fn draw_boxes(image: &RgbImage, items: &[BoxLabel]) -> RgbImage {
    let mut picture = image.clone();
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    let stroke = (longer / SIDE_PER_STROKE).clamp(STROKE.0, STROKE.1);
    let size = if longer < SIDE_OF_LARGE_TEXT {
        TextSize::Label
    } else {
        TextSize::Title
    };
    let mut visible: Vec<(&BoxLabel, Area)> = items
        .iter()
        .filter_map(|item| Some((item, Area::of(item.bbox, width, height, stroke)?)))
        .collect();
    visible.sort_by(|(a, _), (b, _)| a.score.total_cmp(&b.score));
    for (item, area) in &visible {
        outline(&mut picture, *area, stroke.into(), item.colour);
    }
    for (item, area) in &visible {
        tag(&mut picture, *area, item, size);
    }
    picture
}

/// A box in whole pixels: left and upper edge within, right and lower edge beyond.
#[derive(Clone, Copy)]
struct Area {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Area {
    /// The pixels of a box, unless it has none in a picture of this size. Edges outside the picture stay outside.
    fn of(bbox: BoundingBox, width: u32, height: u32, stroke: u32) -> Option<Self> {
        if !bbox.is_proper() {
            return None;
        }
        // Far enough outside that no outline shows, and near enough that the cast is exact.
        let pixel = |edge: f32, side: u32| {
            let (side, stroke) = (f64::from(side), f64::from(stroke));
            f64::from(edge).round().clamp(-stroke, side + stroke) as i64
        };
        let area = Self {
            left: pixel(bbox.x1, width),
            top: pixel(bbox.y1, height),
            right: pixel(bbox.x2, width),
            bottom: pixel(bbox.y2, height),
        };
        let (width, height) = (i64::from(width), i64::from(height));
        let within = area.left < width && area.right > 0 && area.top < height && area.bottom > 0;
        within.then_some(area)
    }
}

/// The four sides of a box, drawn inwards from its edges.
fn outline(picture: &mut RgbImage, area: Area, stroke: i64, colour: Rgb<u8>) {
    let Area {
        left,
        top,
        right,
        bottom,
    } = area;
    let sides = [
        Area {
            bottom: top + stroke,
            ..area
        },
        Area {
            top: bottom - stroke,
            ..area
        },
        Area {
            right: left + stroke,
            ..area
        },
        Area {
            left: right - stroke,
            ..area
        },
    ];
    for side in sides {
        // Of a box thinner than its outline only the box is filled.
        let side = Area {
            left: side.left.max(left),
            top: side.top.max(top),
            right: side.right.min(right.max(left + 1)),
            bottom: side.bottom.min(bottom.max(top + 1)),
        };
        fill(picture, side, colour);
    }
}

/// The caption of a box on a tag of its colour.
fn tag(picture: &mut RgbImage, area: Area, item: &BoxLabel, size: TextSize) {
    if item.caption.is_empty() {
        return;
    }
    let (text_width, line) = text_size(&item.caption, size);
    let (tag_width, line) = (i64::from(text_width) + 2 * TAG_PAD, i64::from(line));
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    let top = if area.top >= line {
        area.top - line
    } else {
        area.top
    };
    // First to the left, then to the right: what is longer than the picture begins within.
    let left = area.left.min(width - tag_width).max(0);
    let top = top.min(height - line).max(0);
    let ground = Area {
        left,
        top,
        right: left + tag_width,
        bottom: top + line,
    };
    fill(picture, ground, item.colour);
    let ink = canvas::ink_on(item.colour);
    draw_text(picture, left + TAG_PAD, top, &item.caption, size, ink);
}

/// Paints what of an area lies within the picture.
fn fill(picture: &mut RgbImage, area: Area, colour: Rgb<u8>) {
    // Clamped to the picture, whose sides fit u32.
    let cut = |edge: i64, side: u32| edge.clamp(0, side.into()) as u32;
    let (width, height) = picture.dimensions();
    for y in cut(area.top, height)..cut(area.bottom, height) {
        for x in cut(area.left, width)..cut(area.right, width) {
            picture.put_pixel(x, y, colour);
        }
    }
}

#[cfg(test)]
mod tests;
