//! Places for the labels of points, so that none covers another one or a point.

use crate::text::{TextSize, text_size};

/// Pixels between a point and its label.
const GAP: f32 = 5.0;
/// Pixels between labels above each other.
const LEADING: f32 = 2.0;
/// A label moves up or down by at most so many of its heights.
const MOST_LINES: i8 = 8;
/// The cost of moving a label by a line, in pixels of an overlap.
const MOVE: f32 = 4.0;
/// The cost of a pixel of a label that lies outside the chart, in pixels of an overlap.
const OUTSIDE: f32 = 20.0;

/// A label with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tag<'a> {
    pub(super) text: &'a str,
    /// Its upper left corner, in pixels of the area for the data.
    pub(super) corner: (f32, f32),
    /// The line that joins it to its point; empty where it lies beside the point.
    pub(super) leader: Vec<(f32, f32)>,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug)]
struct Rect {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl Rect {
    /// The area of both rectangles together.
    fn overlap(&self, other: &Self) -> f32 {
        let side = |a: f32, a_size: f32, b: f32, b_size: f32| {
            (f32::min(a + a_size, b + b_size) - f32::max(a, b)).max(0.0)
        };
        side(self.left, self.width, other.left, other.width)
            * side(self.top, self.height, other.top, other.height)
    }
}

/// Places for the labels `texts` of `points`, whose radius is `radius`, in an area of `size`
/// pixels. Empty labels have none.
pub(super) fn arrange<'a>(
    points: &[(f32, f32)],
    texts: impl Iterator<Item = &'a str>,
    radius: f32,
    size: (u32, u32),
) -> Vec<Tag<'a>> {
    let dot = |&(x, y): &(f32, f32)| Rect {
        left: x - radius,
        top: y - radius,
        width: 2.0 * radius,
        height: 2.0 * radius,
    };
    let mut taken: Vec<Rect> = points.iter().map(dot).collect();
    // Sides of pictures are at most 8192 pixels.
    let area = Rect {
        left: 0.0,
        top: 0.0,
        width: size.0 as f32,
        height: size.1 as f32,
    };
    let mut tags = Vec::new();
    for (&point, text) in points
        .iter()
        .zip(texts)
        .filter(|(_, text)| !text.is_empty())
    {
        let cost = |rect: &Rect, line: i8| {
            let covered: f32 = taken.iter().map(|other| rect.overlap(other)).sum();
            let outside = rect.width * rect.height - rect.overlap(&area);
            covered + OUTSIDE * outside + MOVE * f32::from(line.unsigned_abs())
        };
        let best = candidates(point, text, radius)
            .map(|(rect, line)| (cost(&rect, line), rect, line))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        // There is always a candidate.
        let Some((_, rect, line)) = best else {
            continue;
        };
        taken.push(rect);
        tags.push(Tag {
            text,
            corner: (rect.left, rect.top),
            leader: leader(point, &rect, line),
        });
    }
    tags
}

/// Places at the right and the left of a point, each with the lines that it lies above or below.
fn candidates((x, y): (f32, f32), text: &str, radius: f32) -> impl Iterator<Item = (Rect, i8)> {
    let (width, height) = text_size(text, TextSize::Label);
    let (width, height) = (width as f32, height as f32);
    let sides = [x + radius + GAP, x - radius - GAP - width];
    (-MOST_LINES..=MOST_LINES).flat_map(move |line| {
        sides.map(|left| {
            let top = y - height / 2.0 + f32::from(line) * (height + LEADING);
            let rect = Rect {
                left,
                top,
                width,
                height,
            };
            (rect, line)
        })
    })
}

/// The line from a point to its label, none where they are on one line.
fn leader(point: (f32, f32), rect: &Rect, line: i8) -> Vec<(f32, f32)> {
    if line == 0 {
        return Vec::new();
    }
    let near = if rect.left > point.0 {
        rect.left
    } else {
        rect.left + rect.width
    };
    vec![point, (near, rect.top + rect.height / 2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(tag: &Tag<'_>) -> Rect {
        let (width, height) = text_size(tag.text, TextSize::Label);
        Rect {
            left: tag.corner.0,
            top: tag.corner.1,
            width: width as f32,
            height: height as f32,
        }
    }

    #[test]
    fn a_lone_label_lies_at_the_right_of_its_point_or_at_the_left_where_there_is_no_room() {
        let place = |x| arrange(&[(x, 100.0)], ["label"].into_iter(), 4.0, (400, 200));
        let right = place(50.0);
        assert!(right[0].corner.0 > 50.0 && right[0].leader.is_empty());
        let left = place(390.0);
        assert!(left[0].corner.0 < 360.0 && left[0].leader.is_empty());
    }

    #[test]
    fn labels_of_near_points_cover_neither_each_other_nor_a_point() {
        let points: Vec<_> = (0..8_u8).map(|n| (200.0, 100.0 + f32::from(n))).collect();
        let names = ["a one", "b two", "c three", "d", "e", "f", "g", "h eight"];
        let tags = arrange(&points, names.into_iter(), 4.0, (400, 300));
        assert_eq!(tags.len(), 8);
        for (place, tag) in tags.iter().enumerate() {
            for other in &tags[..place] {
                assert_eq!(rect(tag).overlap(&rect(other)), 0.0, "{tag:?} {other:?}");
            }
        }
        assert!(tags.iter().any(|tag| tag.leader.len() == 2));
    }

    #[test]
    fn empty_labels_have_no_place() {
        let tags = arrange(&[(1.0, 1.0); 2], ["", "b"].into_iter(), 4.0, (300, 300));
        assert_eq!(tags.len(), 1);
        assert_eq!(tags[0].text, "b");
    }
}
