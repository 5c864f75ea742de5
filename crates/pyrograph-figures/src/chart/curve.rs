//! Curves in the unit square, such as ROC and precision–recall curves.

use image::{Rgb, RgbImage};

use super::axis::{Axis, Scale};
use super::frame::{Frame, Labels, Shape};
use super::stroke::Stroke;
use super::{COLOURS, HALF_THICKNESS, Series, legend};
use crate::FigureError;

/// The share of the unit square that stays free around it, so that curves along its sides show.
const AROUND: f64 = 0.02;
const DIAGONAL: Rgb<u8> = Rgb([150, 150, 150]);

/// The way in which the points of a curve are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Join {
    /// By straight lines, as a ROC curve.
    #[default]
    Slopes,
    /// By steps at the height of the right one of two points, as a precision–recall curve, whose
    /// area is then the average precision.
    Steps,
}

/// The look of a chart of [`curve_chart`].
#[derive(Clone, Debug, PartialEq)]
pub struct CurveOptions {
    /// Title above the chart; empty for no title.
    pub title: String,
    /// The quantity along the horizontal axis; empty for no label.
    pub x_label: String,
    /// The quantity along the vertical axis; empty for no label.
    pub y_label: String,
    /// The way in which points are joined.
    pub join: Join,
    /// Whether to draw the diagonal, the ROC curve of random scores.
    pub diagonal: bool,
    /// Width of the picture in pixels, 240 to 8192.
    pub width: u32,
    /// Height of the picture in pixels, 240 to 8192.
    pub height: u32,
}

impl CurveOptions {
    /// True positive rate over false positive rate, with the diagonal, on 560 by 620 pixels.
    pub fn roc() -> Self {
        Self {
            title: String::new(),
            x_label: "false alarms / normal".into(),
            y_label: "found / anomalous".into(),
            join: Join::Slopes,
            diagonal: true,
            width: 560,
            height: 620,
        }
    }

    /// Precision over recall in steps, without the diagonal, on 560 by 620 pixels.
    pub fn precision_recall() -> Self {
        Self {
            x_label: "recall".into(),
            y_label: "precision".into(),
            join: Join::Steps,
            diagonal: false,
            ..Self::roc()
        }
    }
}

/// Draws curves in the unit square: both axes go from 0 to 1, and a unit is as long on either.
///
/// The points of each series must have rising x; a single point is a dot. The legend shows the
/// names, such as "search 0.95". Points with an infinite or NaN coordinate are skipped and break
/// the curve.
///
/// # Errors
/// [`FigureError::NothingToPlot`] when no point is left, [`FigureError::Range`] for a finite
/// coordinate outside [0, 1] or a picture that is too small or too large.
pub fn curve_chart(options: &CurveOptions, series: &[Series]) -> Result<RgbImage, FigureError> {
    let points = || series.iter().flat_map(|series| &series.points);
    if !points().any(is_drawable) {
        return Err(FigureError::NothingToPlot {
            series: series.len(),
            points: points().count(),
            log_y: false,
        });
    }
    let coordinates = || points().flat_map(|&(x, y)| [x, y]);
    let outside = |value: &f64| value.is_finite() && !(0.0..=1.0).contains(value);
    if let Some(seen) = coordinates().find(outside) {
        return Err(FigureError::Range {
            what: "a coordinate of a curve",
            seen,
            allowed: "0 to 1",
        });
    }
    let labels = Labels {
        title: &options.title,
        x_label: &options.x_label,
        y_label: &options.y_label,
        size: (options.width, options.height),
        shape: Shape::Square,
    };
    let axis = Axis::new((0.0, 1.0), Scale::Linear, AROUND);
    let legend = legend(series.iter().map(|series| series.name.as_str()));
    let mut frame = Frame::new(&labels, axis.clone(), axis, &legend)?;
    if options.diagonal {
        let mut stroke = Stroke::new(frame.plot_size(), HALF_THICKNESS / 2.0);
        stroke.add_dashed(frame.place(0.0, 0.0), frame.place(1.0, 1.0));
        frame.paint(&stroke, DIAGONAL, 1.0);
    }
    for (series, colour) in series.iter().zip(COLOURS.into_iter().cycle()) {
        let mut stroke = Stroke::new(frame.plot_size(), HALF_THICKNESS);
        for run in series.points.split(|point| !is_drawable(point)) {
            let places = joined(run, options.join);
            let places: Vec<_> = places.iter().map(|&(x, y)| frame.place(x, y)).collect();
            stroke.add(&places);
        }
        frame.paint(&stroke, colour, 1.0);
    }
    Ok(frame.into_picture())
}

fn is_drawable(&(x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// The points with the corners between them.
fn joined(points: &[(f64, f64)], join: Join) -> Vec<(f64, f64)> {
    let corners = points.windows(2).flat_map(|ends| match join {
        Join::Slopes => vec![ends[1]],
        Join::Steps => vec![(ends[0].0, ends[1].1), ends[1]],
    });
    points.first().copied().into_iter().chain(corners).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(picture: &RgbImage, colour: Rgb<u8>) -> usize {
        picture.pixels().filter(|pixel| **pixel == colour).count()
    }

    #[test]
    fn curves_and_the_diagonal_show_in_their_colours() {
        let perfect = Series::new("perfect 1.00", vec![(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        let chance = Series::new("chance 0.50", vec![(0.0, 0.0), (1.0, 1.0)]);
        let picture = curve_chart(&CurveOptions::roc(), &[perfect.clone(), chance]).unwrap();
        assert_eq!(picture.dimensions(), (560, 620));
        assert!(count(&picture, COLOURS[0]) > 500);
        assert!(count(&picture, COLOURS[1]) > 200);
        let without = CurveOptions {
            diagonal: false,
            ..CurveOptions::roc()
        };
        let plain = curve_chart(&without, std::slice::from_ref(&perfect)).unwrap();
        let dashed = curve_chart(&CurveOptions::roc(), &[perfect]).unwrap();
        assert_ne!(plain, dashed);
    }

    #[test]
    fn steps_take_the_height_of_the_right_point() {
        let points = [(0.0, 1.0), (0.5, 0.8), (1.0, 0.4)];
        let corners = [(0.0, 1.0), (0.0, 0.8), (0.5, 0.8), (0.5, 0.4), (1.0, 0.4)];
        assert_eq!(joined(&points, Join::Steps), corners);
        assert_eq!(joined(&points, Join::Slopes), points);
        assert_eq!(joined(&[], Join::Steps), []);
    }

    #[test]
    fn one_point_is_a_dot_and_broken_points_are_left_out() {
        let points = vec![(0.2, f64::NAN), (0.5, 0.5), (f64::INFINITY, 0.1)];
        for options in [CurveOptions::roc(), CurveOptions::precision_recall()] {
            let picture = curve_chart(&options, &[Series::new("", points.clone())]).unwrap();
            assert!(count(&picture, COLOURS[0]) > 0);
        }
    }

    #[test]
    fn nothing_to_draw_and_points_outside_the_square_are_refused() {
        let refused = |points| {
            let series = [Series::new("", points)];
            curve_chart(&CurveOptions::roc(), &series).unwrap_err()
        };
        assert!(matches!(
            refused(vec![(0.0, f64::NAN)]),
            FigureError::NothingToPlot { points: 1, .. }
        ));
        assert!(curve_chart(&CurveOptions::roc(), &[]).is_err());
        assert_eq!(
            refused(vec![(0.0, 0.0), (0.5, 95.0)]).to_string(),
            "a coordinate of a curve is 95.0: allowed is 0 to 1"
        );
        let small = CurveOptions {
            width: 100,
            ..CurveOptions::roc()
        };
        let series = [Series::new("", vec![(0.0, 0.0)])];
        assert!(matches!(
            curve_chart(&small, &series),
            Err(FigureError::Range { .. })
        ));
    }
}
