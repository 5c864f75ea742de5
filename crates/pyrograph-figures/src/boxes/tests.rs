use proptest::prelude::*;

use super::*;
use crate::canvas::WHITE;

const RED: Rgb<u8> = Rgb([200, 0, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 200]);

fn label(bbox: [f32; 4], colour: Rgb<u8>, caption: &str, score: f32) -> BoxLabel {
    let [x1, y1, x2, y2] = bbox;
    BoxLabel {
        bbox: BoundingBox::new(x1, y1, x2, y2),
        colour,
        caption: caption.into(),
        score,
    }
}

fn blank() -> RgbImage {
    RgbImage::from_pixel(100, 80, WHITE)
}

#[test]
fn an_outline_lies_within_its_box_and_leaves_the_inside() {
    let picture = draw_boxes(&blank(), &[label([10.0, 20.0, 50.0, 60.0], RED, "", 1.0)]);
    for (x, y, &pixel) in picture.enumerate_pixels() {
        let within = |by: u32| (10 + by..50 - by).contains(&x) && (20 + by..60 - by).contains(&y);
        let expected = if within(0) && !within(2) { RED } else { WHITE };
        assert_eq!(pixel, expected, "at {x}, {y}");
    }
}

#[test]
fn outlines_grow_with_the_picture() {
    let large = RgbImage::from_pixel(1300, 20, WHITE);
    let picture = draw_boxes(&large, &[label([10.0, -50.0, 200.0, 50.0], RED, "", 1.0)]);
    let row: Vec<u32> = (0..100)
        .filter(|&x| *picture.get_pixel(x, 10) == RED)
        .collect();
    assert_eq!(row, [10, 11, 12, 13]);
}

#[test]
fn higher_scores_are_drawn_over_lower_ones_whatever_their_order() {
    let bbox = [10.0, 20.0, 50.0, 60.0];
    let (low, high) = (label(bbox, BLUE, "", 0.1), label(bbox, RED, "", 0.9));
    for items in [[low.clone(), high.clone()], [high, low]] {
        assert_eq!(*draw_boxes(&blank(), &items).get_pixel(10, 30), RED);
    }
}

/// The pixels with the tag's colour beyond the box: their least and largest x and y.
fn extent(bbox: [f32; 4], caption: &str) -> (u32, u32, u32, u32) {
    let picture = draw_boxes(&blank(), &[label(bbox, RED, caption, 1.0)]);
    let bare = draw_boxes(&blank(), &[label(bbox, RED, "", 1.0)]);
    let changed: Vec<(u32, u32)> = picture
        .enumerate_pixels()
        .filter(|&(x, y, pixel)| pixel != bare.get_pixel(x, y))
        .map(|(x, y, _)| (x, y))
        .collect();
    let xs = || changed.iter().map(|p| p.0);
    let ys = || changed.iter().map(|p| p.1);
    (
        xs().min().unwrap(),
        ys().min().unwrap(),
        xs().max().unwrap(),
        ys().max().unwrap(),
    )
}

#[test]
fn a_tag_stands_above_its_box_or_within_where_there_is_no_room() {
    // Lines are 16 pixels high.
    assert_eq!(extent([10.0, 30.0, 50.0, 60.0], "a"), (10, 14, 22, 29));
    let (_, top, _, bottom) = extent([10.0, 10.0, 50.0, 60.0], "a");
    assert!(top >= 10 && bottom < 10 + 16, "{top} {bottom}");
    // Moved to the left so as to end with the picture.
    let (left, _, right, _) = extent([90.0, 30.0, 99.0, 60.0], "abc");
    assert!(left < 80 && right == 99, "{left} {right}");
    // Longer than the picture: it begins within.
    let (left, _, right, _) = extent([90.0, 30.0, 99.0, 60.0], &"abc".repeat(20));
    assert_eq!((left, right), (0, 99));
}

#[test]
fn boxes_beyond_the_picture_are_cut_and_those_outside_left_out() {
    let cut = draw_boxes(&blank(), &[label([-1e30, 10.0, 1e30, 60.0], RED, "", 1.0)]);
    assert_eq!((*cut.get_pixel(0, 10), *cut.get_pixel(99, 59)), (RED, RED));
    // No edge shows at the left and at the right, where there is none.
    assert_eq!(
        (*cut.get_pixel(0, 30), *cut.get_pixel(99, 30)),
        (WHITE, WHITE)
    );
    for bbox in [
        [200.0, 10.0, 300.0, 60.0],
        [10.0, -60.0, 50.0, -10.0],
        [f32::NAN, 10.0, 50.0, 60.0],
        [10.0, 10.0, f32::INFINITY, 60.0],
        [50.0, 10.0, 10.0, 60.0],
    ] {
        assert_eq!(draw_boxes(&blank(), &[label(bbox, RED, "x", 1.0)]), blank());
    }
}

#[test]
fn a_detection_becomes_a_box_with_name_and_score() {
    let detection = Detection {
        bbox: BoundingBox::new(20.0, 20.0, 100.0, 60.0),
        class: 1,
        score: 0.934,
    };
    let label = BoxLabel::from_detection(&detection, "RBC");
    assert_eq!(label.bbox, BoundingBox::new(20.0, 20.0, 100.0, 60.0));
    assert_eq!(
        (label.caption.as_str(), label.colour),
        ("RBC 0.93", class_colour(1))
    );
}

proptest! {
    #[test]
    fn nothing_makes_drawing_panic(
        (x1, y1, x2, y2) in (any::<f32>(), -100_f32..100.0, -100_f32..100.0, any::<f32>()),
        (width, height) in (0_u32..40, 0_u32..40),
        caption in proptest::collection::vec(any::<char>(), 0..12),
        score: f32,
    ) {
        let image = RgbImage::from_pixel(width, height, WHITE);
        let caption = String::from_iter(caption);
        let picture = draw_boxes(&image, &[label([x1, y1, x2, y2], RED, &caption, score)]);
        prop_assert_eq!(picture.dimensions(), image.dimensions());
    }
}
