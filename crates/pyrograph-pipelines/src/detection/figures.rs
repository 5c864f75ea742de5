//! Pictures of what was found.

use pyrograph_figures::{BoxLabel, CurveOptions, Series, class_colour, curve_chart, draw_boxes};
use pyrograph_metrics::VocReport;
use pyrograph_vision::{BoundingBox, Rgb, RgbImage};

use super::{FoundImage, FoundObject};
use crate::PipelineError;

/// The colour of what was to be found.
const TRUTH: Rgb<u8> = Rgb([255, 255, 255]);
/// Curves that one chart shows: as many as it has colours.
const CURVES: usize = 10;

/// The image with a box around each object, its name and its score.
pub fn draw_found(image: &RgbImage, found: &FoundImage) -> RgbImage {
    let label = |object: &FoundObject| BoxLabel {
        bbox: object.bbox(),
        colour: class_colour(object.class),
        caption: format!("{} {:.2}", object.label, object.score),
        score: object.score,
    };
    let labels: Vec<_> = found.detections.iter().map(label).collect();
    draw_boxes(image, &labels)
}

/// The same with a thin white line around each of `truths`, in pixels, over all: what was to be found.
pub fn draw_compared(image: &RgbImage, found: &FoundImage, truths: &[BoundingBox]) -> RgbImage {
    let mut picture = draw_found(image, found);
    for truth in truths.iter().filter(|truth| truth.is_finite()) {
        thin_outline(&mut picture, *truth);
    }
    picture
}

/// A line of one pixel along the inner side of a box's edges, as far as they lie within the picture.
fn thin_outline(picture: &mut RgbImage, bbox: BoundingBox) {
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 {
        return;
    }
    // Clamped to the picture, whose sides fit u32.
    let pixel = |edge: f32, side: u32| edge.round().clamp(0.0, (side - 1) as f32) as u32;
    let (left, right) = (pixel(bbox.x1, width), pixel(bbox.x2 - 1.0, width));
    let (top, bottom) = (pixel(bbox.y1, height), pixel(bbox.y2 - 1.0, height));
    for x in left..=right {
        picture.put_pixel(x, top, TRUTH);
        picture.put_pixel(x, bottom, TRUTH);
    }
    for y in top..=bottom {
        picture.put_pixel(left, y, TRUTH);
        picture.put_pixel(right, y, TRUTH);
    }
}

/// Precision over recall, a curve for each class that has objects to be found, ten classes a picture. None where no class has.
///
/// # Errors
/// When a curve leaves the unit square, which those of a report do not.
pub fn precision_recall_charts(
    classes: &[String],
    report: &VocReport,
) -> Result<Vec<RgbImage>, PipelineError> {
    let curves = classes
        .iter()
        .zip(&report.classes)
        .filter_map(|(name, class)| {
            let points = class
                .curve
                .iter()
                .map(|point| (point.recall, point.precision));
            // A class of which nothing was detected has an average precision and no curve.
            let label = format!("{name} {:.3}", class.ap?);
            (!class.curve.is_empty()).then(|| Series::new(label, points.collect()))
        });
    let curves: Vec<_> = curves.collect();
    let options = CurveOptions {
        title: "precision over recall".into(),
        ..CurveOptions::precision_recall()
    };
    let charts = curves
        .chunks(CURVES)
        .map(|curves| curve_chart(&options, curves));
    Ok(charts.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(corners: [f32; 4]) -> FoundImage {
        FoundImage {
            image: None,
            width: 60,
            height: 40,
            detections: vec![FoundObject {
                class: 1,
                label: "cell".into(),
                score: 0.5,
                corners,
            }],
        }
    }

    #[test]
    fn a_box_is_drawn_where_it_is_in_pixels() {
        let image = RgbImage::new(60, 40);
        let picture = draw_found(&image, &found([10.0, 20.0, 50.0, 36.0]));
        assert_eq!(*picture.get_pixel(30, 35), class_colour(1));
        assert_eq!(picture.get_pixel(30, 30).0, [0; 3]);
        assert_eq!(picture.get_pixel(30, 38).0, [0; 3]);
    }

    #[test]
    fn truths_are_thin_white_lines_also_over_the_box_of_a_detection() {
        let image = RgbImage::new(60, 40);
        let truths = [
            BoundingBox::new(10.0, 20.0, 50.0, 36.0),
            BoundingBox::new(-9.0, -9.0, 900.0, 9.0),
            BoundingBox::new(f32::NAN, 0.0, 1.0, 1.0),
        ];
        let picture = draw_compared(&image, &found([10.0, 20.0, 50.0, 36.0]), &truths);
        assert_eq!(picture.get_pixel(30, 35).0, [255; 3]);
        assert_eq!(*picture.get_pixel(30, 34), class_colour(1));
        assert_eq!(picture.get_pixel(59, 8).0, [255; 3]);
        // Within the second box nothing is filled.
        assert_eq!(picture.get_pixel(30, 3).0, [0; 3]);
    }
}
