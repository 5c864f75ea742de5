//! Line charts, such as losses over the steps of a training.

use image::{Rgb, RgbImage};

use super::axis::{Axis, Scale};
use super::frame::{self, Frame, Labels, Shape};
use super::stroke::Stroke;
use super::{COLOURS, FAR, HALF_THICKNESS, Series, legend, range};
use crate::FigureError;

/// Opacity of a raw line under its smoothed one.
const FAINT: f32 = 0.25;
/// The radius of the dot of a series of one point, in pixels.
const LONE_POINT: f32 = 3.0;

/// The look of a line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartOptions {
    /// Title above the chart; empty for no title.
    pub title: String,
    /// The quantity along the horizontal axis; empty for no label.
    pub x_label: String,
    /// The quantity along the vertical axis; empty for no label.
    pub y_label: String,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// The weight of the exponential moving average of the smoothed line, in [0, 1), bias-corrected
    /// as TensorBoard's slider. At 0 only the raw line is drawn; otherwise the raw line is drawn
    /// faintly under the smoothed one.
    pub smoothing: f64,
    /// Width of the picture in pixels, 240 to 8192.
    pub width: u32,
    /// Height of the picture in pixels, 240 to 8192.
    pub height: u32,
}

impl Default for ChartOptions {
    /// A loss over steps, smoothed by 0.9, on 960 by 540 pixels.
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: "step".into(),
            y_label: "loss".into(),
            log_y: false,
            smoothing: 0.9,
            width: 960,
            height: 540,
        }
    }
}

/// Draws the series as lines: raw and faint, with the smoothed line over it.
///
/// Points with a coordinate that is infinite, NaN or beyond 10¹⁰⁰ are skipped and break the line,
/// and so are points at or below zero on a logarithmic axis.
///
/// # Errors
/// [`FigureError::NothingToPlot`] when no point is left, [`FigureError::Range`] for a smoothing
/// outside [0, 1) or a picture that is too small or too large.
pub fn line_chart(options: &ChartOptions, series: &[Series]) -> Result<RgbImage, FigureError> {
    line_chart_with_right(options, series, None)
}

/// Lines with an axis of their own at the right, for another unit, such as a fraction beside
/// losses. They are not smoothed.
#[derive(Clone, Debug, PartialEq)]
pub struct RightAxis {
    /// The label of the axis.
    pub label: String,
    /// The values at the lower and the upper end of the axis; values outside are drawn at the ends.
    pub range: (f64, f64),
    /// The lines.
    pub series: Vec<Series>,
}

/// [`line_chart`] with further lines that have an axis of their own at the right.
///
/// # Errors
/// As [`line_chart`]; and [`FigureError::Range`] for an axis whose upper end is not above its lower
/// one.
pub fn line_chart_with_right(
    options: &ChartOptions,
    series: &[Series],
    right: Option<&RightAxis>,
) -> Result<RgbImage, FigureError> {
    if let Some((low, high)) = right.map(|right| right.range)
        && !(low.abs() <= FAR && high.abs() <= FAR && low < high)
    {
        return Err(FigureError::Range {
            what: "the upper end of the axis at the right",
            seen: high,
            allowed: "above the lower end",
        });
    }
    if !(0.0..1.0).contains(&options.smoothing) {
        let allowed = "0 (none) to just below 1";
        return Err(FigureError::Range {
            what: "smoothing",
            seen: options.smoothing,
            allowed,
        });
    }
    let drawable = |&(x, y): &(f64, f64)| is_drawable(x, y, options.log_y);
    let points = || {
        series
            .iter()
            .flat_map(|series| &series.points)
            .copied()
            .filter(drawable)
    };
    let (Some(x_range), Some(y_range)) = (
        range(points().map(|(x, _)| x)),
        range(points().map(|(_, y)| y)),
    ) else {
        let points = series.iter().map(|series| series.points.len()).sum();
        let log_y = options.log_y;
        return Err(FigureError::NothingToPlot {
            series: series.len(),
            points,
            log_y,
        });
    };
    let y_scale = if options.log_y {
        Scale::Log
    } else {
        Scale::Linear
    };
    let labels = Labels {
        title: &options.title,
        x_label: &options.x_label,
        y_label: &options.y_label,
        size: (options.width, options.height),
        shape: Shape::Free,
    };
    let x_axis = Axis::new(x_range, Scale::Linear, 0.0);
    let y_axis = Axis::new(y_range, y_scale, frame::HEADROOM);
    let at_right = right.map_or(&[][..], |right| &right.series);
    let names = series.iter().chain(at_right);
    let legend = legend(names.map(|series| series.name.as_str()));
    let right_axis = right.map(|right| {
        let axis = Axis::new(right.range, Scale::Linear, frame::HEADROOM);
        (axis, right.label.as_str())
    });
    let mut frame = Frame::with_right(&labels, x_axis, y_axis, right_axis, &legend)?;
    let coloured = series.iter().zip(COLOURS.into_iter().cycle());
    for (series, colour) in coloured.clone() {
        let opacity = if options.smoothing > 0.0 { FAINT } else { 1.0 };
        draw_line(&mut frame, &series.points, options.log_y, colour, opacity);
    }
    if options.smoothing > 0.0 {
        for (series, colour) in coloured {
            let smooth = smoothed(&series.points, options.smoothing, options.log_y);
            draw_line(&mut frame, &smooth, options.log_y, colour, 1.0);
        }
    }
    if let Some(right) = right {
        let colours = COLOURS.into_iter().cycle().skip(series.len());
        for (series, colour) in right.series.iter().zip(colours) {
            draw_right_line(&mut frame, &series.points, right.range, colour);
        }
    }
    Ok(frame.into_picture())
}

/// A line by the axis at the right, with a dot at each point: there are few.
fn draw_right_line(
    frame: &mut Frame,
    points: &[(f64, f64)],
    (low, high): (f64, f64),
    colour: Rgb<u8>,
) {
    for run in points.split(|&(x, y)| !is_drawable(x, y, false)) {
        let places: Vec<_> = run
            .iter()
            .map(|&(x, y)| frame.place_right(x, y.clamp(low, high)))
            .collect();
        let mut stroke = Stroke::new(frame.plot_size(), HALF_THICKNESS);
        stroke.add(&places);
        frame.paint(&stroke, colour, 1.0);
        let mut dots = Stroke::new(frame.plot_size(), LONE_POINT);
        for place in &places {
            dots.add(&[*place]);
        }
        frame.paint(&dots, colour, 1.0);
    }
}

fn is_drawable(x: f64, y: f64, log_y: bool) -> bool {
    // NaN fails every comparison.
    x.abs() <= FAR && y.abs() <= FAR && (!log_y || y >= 1.0 / FAR)
}

/// The points with y replaced by its moving average; points that cannot be drawn stay as they are
/// and do not enter it.
fn smoothed(points: &[(f64, f64)], weight: f64, log_y: bool) -> Vec<(f64, f64)> {
    let (mut average, mut total) = (0.0, 0.0);
    let smooth = |&(x, y): &(f64, f64)| {
        if !is_drawable(x, y, log_y) {
            return (x, y);
        }
        average = weight * average + (1.0 - weight) * y;
        total = weight * total + (1.0 - weight);
        (x, average / total)
    };
    points.iter().map(smooth).collect()
}

fn draw_line(frame: &mut Frame, points: &[(f64, f64)], log_y: bool, colour: Rgb<u8>, opacity: f32) {
    let drawable = points.iter().filter(|&&(x, y)| is_drawable(x, y, log_y));
    // A series of one point would hardly be seen in the thickness of a line.
    let half_thickness = match drawable.count() {
        1 => LONE_POINT,
        _ => HALF_THICKNESS,
    };
    let mut stroke = Stroke::new(frame.plot_size(), half_thickness);
    for run in points.split(|&(x, y)| !is_drawable(x, y, log_y)) {
        let places: Vec<_> = run.iter().map(|&(x, y)| frame.place(x, y)).collect();
        stroke.add(&places);
    }
    frame.paint(&stroke, colour, opacity);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(smoothing: f64, log_y: bool) -> ChartOptions {
        ChartOptions {
            smoothing,
            log_y,
            ..ChartOptions::default()
        }
    }

    fn ramp() -> Vec<(f64, f64)> {
        (0..100)
            .map(|step| (f64::from(step), 1.0 / f64::from(step + 1)))
            .collect()
    }

    #[test]
    fn every_series_shows_in_its_colour() {
        let flat = |y| (0..10).map(|x| (f64::from(x), y)).collect();
        let series = [Series::new("one", flat(1.0)), Series::new("two", flat(2.0))];
        let picture = line_chart(&options(0.0, false), &series).unwrap();
        for colour in &COLOURS[..2] {
            let inked = picture.pixels().filter(|pixel| *pixel == colour).count();
            assert!(inked > 500, "{inked} pixels of {colour:?}");
        }
        assert!(!picture.pixels().any(|pixel| *pixel == COLOURS[2]));
    }

    /// The rows of the pixels of a colour, without those of the legend.
    fn rows(picture: &RgbImage, colour: Rgb<u8>) -> Vec<u32> {
        let inked = picture
            .enumerate_pixels()
            .filter(|pixel| *pixel.2 == colour);
        inked
            .map(|pixel| pixel.1)
            .filter(|row| *row > 100)
            .collect()
    }

    #[test]
    fn a_line_with_an_axis_of_its_own_does_not_move_the_others() {
        let flat = |y| (0..10).map(|x| (f64::from(x), y)).collect();
        let losses = [
            Series::new("loss", flat(50.0)),
            Series::new("low", flat(10.0)),
        ];
        let right = |value| RightAxis {
            label: "mAP@.5".into(),
            range: (0.0, 1.0),
            series: vec![Series::new("mAP@.5", flat(value))],
        };
        let draw = |value| {
            line_chart_with_right(&options(0.0, false), &losses, Some(&right(value))).unwrap()
        };
        let (low, high) = (draw(0.1), draw(0.9));
        assert_eq!(rows(&low, COLOURS[0]), rows(&high, COLOURS[0]));
        let top = |picture: &RgbImage| rows(picture, COLOURS[2])[0];
        assert!(top(&high) + 200 < top(&low), "{} {}", top(&high), top(&low));
        // Beyond its axis a value lies at its end.
        assert_eq!(draw(1.0), draw(7.0));
        assert_eq!(draw(0.0), draw(-7.0));
        for range in [(1.0, 1.0), (1.0, 0.0), (0.0, f64::NAN)] {
            let right = RightAxis {
                range,
                ..right(0.5)
            };
            let drawn = line_chart_with_right(&options(0.0, false), &losses, Some(&right));
            assert!(matches!(drawn, Err(FigureError::Range { .. })), "{range:?}");
        }
    }

    #[test]
    fn points_that_cannot_be_drawn_are_left_out() {
        let mut points = ramp();
        points[10].1 = f64::NAN;
        points[20].1 = f64::INFINITY;
        points[30].1 = -1.0;
        points[40].1 = f64::MAX;
        for log_y in [false, true] {
            line_chart(&options(0.9, log_y), &[Series::new("", points.clone())]).unwrap();
        }
    }

    #[test]
    fn a_chart_without_a_drawable_point_is_refused() {
        let series = [Series::new("loss", vec![(0.0, f64::NAN), (1.0, -1.0)])];
        let error = line_chart(&options(0.0, true), &series).unwrap_err();
        assert!(
            matches!(
                error,
                FigureError::NothingToPlot {
                    series: 1,
                    points: 2,
                    log_y: true
                }
            ),
            "{error}"
        );
        assert!(line_chart(&options(0.0, false), &[]).is_err());
    }

    #[test]
    fn smoothing_and_sizes_outside_their_ranges_are_refused() {
        let series = [Series::new("loss", ramp())];
        for smoothing in [-0.1, 1.0, f64::NAN] {
            let result = line_chart(&options(smoothing, false), &series);
            assert!(
                matches!(result, Err(FigureError::Range { .. })),
                "{smoothing}"
            );
        }
        for width in [0, 100, 100_000] {
            let options = ChartOptions {
                width,
                ..ChartOptions::default()
            };
            assert!(matches!(
                line_chart(&options, &series),
                Err(FigureError::Range { .. })
            ));
        }
    }

    #[test]
    fn one_point_and_one_value_can_be_drawn() {
        for value in [0.0, 5.0, -1e99, 1e-99] {
            line_chart(
                &options(0.9, false),
                &[Series::new("", vec![(value, value)])],
            )
            .unwrap();
        }
        line_chart(
            &options(0.0, true),
            &[Series::new("", vec![(0.0, 1e-99), (1.0, 1e99)])],
        )
        .unwrap();
    }

    #[test]
    fn smoothing_a_constant_leaves_it_and_starts_at_the_first_value() {
        let constant: Vec<_> = (0..50).map(|x| (f64::from(x), 3.0)).collect();
        assert!(
            smoothed(&constant, 0.9, false)
                .iter()
                .all(|(_, y)| (y - 3.0).abs() < 1e-12)
        );
        let two = smoothed(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)], 0.5, false);
        assert_eq!(two[0].1, 1.0);
        assert!(two[1].1.is_nan());
        // (0.25 · 1 + 0.5 · 3) / 0.75
        assert!((two[2].1 - 7.0 / 3.0).abs() < 1e-12);
    }
}
