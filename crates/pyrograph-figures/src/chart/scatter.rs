//! Labelled points, such as the accuracy of several networks against their latency.

use image::RgbImage;

use super::axis::{Axis, Scale};
use super::frame::{Frame, INK, Labels, LegendEntry, Shape};
use super::stroke::Stroke;
use super::tags::{self, Tag};
use super::{COLOURS, FAR, HALF_THICKNESS, range};
use crate::FigureError;

/// The share of the range that stays free around the points, so that their labels have room.
const AROUND: f64 = 0.12;
/// Half the diameter of a point in pixels.
const RADIUS: f32 = 4.5;
/// Half the length of the bar at each end of a spread, in pixels.
const CAP: f32 = 4.0;
/// Opacity of the line from a label to its point.
const LEADER: f32 = 0.5;

/// A labelled point of [`scatter_chart`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPoint {
    /// The text beside the point; empty for none.
    pub label: String,
    /// The group of the point. Points of a group have one colour, with an entry in the legend;
    /// empty for no entry.
    pub group: String,
    /// The horizontal coordinate.
    pub x: f64,
    /// The vertical coordinate.
    pub y: f64,
    /// Half the height of the vertical bar through the point, such as a standard deviation.
    pub spread: Option<f64>,
}

/// The look of a chart of [`scatter_chart`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterOptions {
    /// Title above the chart; empty for no title.
    pub title: String,
    /// The quantity along the horizontal axis, empty for none.
    pub x_label: String,
    /// The quantity along the vertical axis, empty for none.
    pub y_label: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Width of the picture in pixels, 240 to 8192.
    pub width: u32,
    /// Height of the picture in pixels, 240 to 8192.
    pub height: u32,
}

impl Default for ScatterOptions {
    /// A linear axis without words, on 960 by 540 pixels.
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            log_x: false,
            width: 960,
            height: 540,
        }
    }
}

/// Draws labelled points with their spreads.
///
/// Points with a coordinate that is infinite, NaN or beyond 10¹⁰⁰ are skipped. A label that would
/// cover another one or a point moves up or down, and a thin line joins it to its point.
///
/// # Errors
/// [`FigureError::NothingToPlot`] when no point is left, [`FigureError::Range`] for a spread that
/// is not from 0 to 10¹⁰⁰, for a coordinate of a logarithmic axis that is not above zero, or for a
/// picture that is too small or too large.
pub fn scatter_chart(
    options: &ScatterOptions,
    points: &[ScatterPoint],
) -> Result<RgbImage, FigureError> {
    let drawn = drawable(options, points)?;
    let ends = |point: &ScatterPoint| {
        let spread = point.spread.unwrap_or(0.0);
        [point.y - spread, point.y + spread]
    };
    let (Some(x_range), Some(y_range)) = (
        range(drawn.iter().map(|point| point.x)),
        range(drawn.iter().flat_map(|point| ends(point))),
    ) else {
        return Err(FigureError::NothingToPlot {
            series: 1,
            points: points.len(),
            log_y: false,
        });
    };
    let labels = Labels {
        title: &options.title,
        x_label: &options.x_label,
        y_label: &options.y_label,
        size: (options.width, options.height),
        shape: Shape::Free,
    };
    let x_scale = if options.log_x {
        Scale::Log
    } else {
        Scale::Linear
    };
    let x_axis = Axis::new(x_range, x_scale, AROUND);
    let y_axis = Axis::new(y_range, Scale::Linear, AROUND);
    let groups = groups(&drawn);
    let named = groups.iter().filter(|entry| !entry.name.is_empty());
    let legend: Vec<_> = named.copied().collect();
    let mut frame = Frame::new(&labels, x_axis, y_axis, &legend)?;
    for group in &groups {
        draw_group(&mut frame, &drawn, group);
    }
    draw_tags(&mut frame, &drawn);
    Ok(frame.into_picture())
}

/// The points that can be drawn.
fn drawable<'a>(
    options: &ScatterOptions,
    points: &'a [ScatterPoint],
) -> Result<Vec<&'a ScatterPoint>, FigureError> {
    // NaN fails every comparison.
    let is_near = |point: &&ScatterPoint| point.x.abs() <= FAR && point.y.abs() <= FAR;
    let drawn: Vec<_> = points.iter().filter(is_near).collect();
    for point in &drawn {
        if let Some(seen) = point.spread.filter(|spread| !(0.0..=FAR).contains(spread)) {
            return Err(FigureError::Range {
                what: "the spread of a point",
                seen,
                allowed: "0 to 1e100",
            });
        }
        if options.log_x && point.x < 1.0 / FAR {
            return Err(FigureError::Range {
                what: "the x of a point on a logarithmic axis",
                seen: point.x,
                allowed: "above 0",
            });
        }
    }
    Ok(drawn)
}

/// The groups in the order of their first points, each with its colour.
fn groups<'a>(points: &[&'a ScatterPoint]) -> Vec<LegendEntry<'a>> {
    let mut groups: Vec<LegendEntry<'a>> = Vec::new();
    for point in points {
        if !groups.iter().any(|known| known.name == point.group) {
            groups.push(LegendEntry {
                name: &point.group,
                colour: COLOURS[groups.len() % COLOURS.len()],
            });
        }
    }
    groups
}

/// Draws the points of one group and their spreads.
fn draw_group(frame: &mut Frame, points: &[&ScatterPoint], group: &LegendEntry<'_>) {
    let mut bars = Stroke::new(frame.plot_size(), HALF_THICKNESS);
    let mut dots = Stroke::new(frame.plot_size(), RADIUS);
    for point in points.iter().filter(|point| point.group == group.name) {
        if let Some(spread) = point.spread {
            let ends = [point.y - spread, point.y + spread].map(|y| frame.place(point.x, y));
            bars.add(&ends);
            for (x, y) in ends {
                bars.add(&[(x - CAP, y), (x + CAP, y)]);
            }
        }
        dots.add(&[frame.place(point.x, point.y)]);
    }
    frame.paint(&bars, group.colour, 1.0);
    frame.paint(&dots, group.colour, 1.0);
}

/// Writes the labels beside their points.
fn draw_tags(frame: &mut Frame, points: &[&ScatterPoint]) {
    let places: Vec<_> = points.iter().map(|p| frame.place(p.x, p.y)).collect();
    let texts = points.iter().map(|point| point.label.as_str());
    let tags = tags::arrange(&places, texts, RADIUS, frame.plot_size());
    let mut leaders = Stroke::new(frame.plot_size(), HALF_THICKNESS / 2.0);
    for tag in &tags {
        leaders.add(&tag.leader);
    }
    frame.paint(&leaders, INK, LEADER);
    for Tag { corner, text, .. } in tags {
        frame.write(corner, text, INK);
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn point(label: &str, group: &str, x: f64, y: f64, spread: Option<f64>) -> ScatterPoint {
        ScatterPoint {
            label: label.into(),
            group: group.into(),
            x,
            y,
            spread,
        }
    }

    fn count(picture: &RgbImage, colour: Rgb<u8>) -> usize {
        picture.pixels().filter(|pixel| **pixel == colour).count()
    }

    fn chart(points: &[ScatterPoint]) -> RgbImage {
        scatter_chart(&ScatterOptions::default(), points).expect("drawable")
    }

    #[test]
    fn a_group_has_one_colour_and_each_point_shows() {
        let points = [
            point("", "small", 1.0, 0.2, None),
            point("", "large", 9.0, 0.8, None),
            point("", "small", 2.0, 0.3, None),
        ];
        let picture = chart(&points);
        let (two, one) = (count(&picture, COLOURS[0]), count(&picture, COLOURS[1]));
        // Each sample of the legend has 88 pixels, each point about 64 and its smooth edge.
        assert!((88 + 80..88 + 130).contains(&two), "{two}");
        assert!((88 + 40..88 + 65).contains(&one), "{one}");
        assert_eq!(count(&picture, COLOURS[2]), 0);
    }

    #[test]
    fn a_spread_is_a_bar_through_its_point() {
        let at = |spread| {
            [
                point("", "", 1.0, 0.5, spread),
                point("", "", 2.0, 0.1, None),
            ]
        };
        let without = count(&chart(&at(None)), COLOURS[0]);
        let with = count(&chart(&at(Some(0.2))), COLOURS[0]);
        assert!(with > without + 100, "{without} and {with}");
    }

    #[test]
    fn a_label_changes_the_picture_and_labels_at_one_place_do_not_cover_each_other() {
        let text = |label: &str| chart(&[point(label, "", 1.0, 1.0, None)]);
        assert_ne!(text(""), text("cwd"));
        let ink = |labels: [&str; 2]| {
            let points = labels.map(|label| point(label, "", 1.0, 1.0, None));
            count(&chart(&points), INK)
        };
        let one = ink(["cwd", ""]) - ink(["", ""]);
        let both = ink(["cwd", "cwd"]) - ink(["", ""]);
        assert!(one > 0 && both >= 2 * one, "{one} and {both}");
    }

    #[test]
    fn a_logarithmic_axis_sets_equal_factors_equally_far_apart() {
        let options = ScatterOptions {
            log_x: true,
            ..ScatterOptions::default()
        };
        let points = [1.0, 10.0, 100.0].map(|x| point("", "", x, 0.5, None));
        let picture = scatter_chart(&options, &points).expect("drawable");
        let columns = |picture: &RgbImage| {
            let inked = picture.enumerate_pixels();
            let inked = inked.filter(|(_, _, pixel)| **pixel == COLOURS[0]);
            let mut columns: Vec<u32> = inked.map(|(x, ..)| x).collect();
            columns.sort_unstable();
            columns.dedup_by(|next, last| *next - *last < 10);
            columns
        };
        let columns = columns(&picture);
        assert_eq!(columns.len(), 3, "{columns:?}");
        let gaps = (columns[1] - columns[0], columns[2] - columns[1]);
        assert!(gaps.0.abs_diff(gaps.1) <= 2, "{gaps:?}");
    }

    #[test]
    fn points_that_cannot_be_drawn_are_left_out_and_none_is_refused() {
        let broken = [
            point("a", "", f64::NAN, 0.5, None),
            point("b", "", 1.0, f64::INFINITY, None),
        ];
        let error = scatter_chart(&ScatterOptions::default(), &broken).expect_err("none");
        assert!(
            matches!(error, FigureError::NothingToPlot { points: 2, .. }),
            "{error}"
        );
        assert!(scatter_chart(&ScatterOptions::default(), &[]).is_err());
        let some = [broken.to_vec(), vec![point("c", "", 1.0, 0.5, None)]].concat();
        assert!(count(&chart(&some), COLOURS[0]) > 0);
    }

    #[test]
    fn spreads_sizes_and_logarithms_outside_their_ranges_are_refused() {
        let refused = |options: &ScatterOptions, point| {
            let error = scatter_chart(options, &[point]).expect_err("refused");
            assert!(matches!(error, FigureError::Range { .. }), "{error}");
            error.to_string()
        };
        let linear = ScatterOptions::default();
        for spread in [-0.1, f64::NAN, f64::INFINITY] {
            refused(&linear, point("", "", 1.0, 1.0, Some(spread)));
        }
        let log = ScatterOptions {
            log_x: true,
            ..ScatterOptions::default()
        };
        assert_eq!(
            refused(&log, point("", "", 0.0, 1.0, None)),
            "the x of a point on a logarithmic axis is 0.0: allowed is above 0"
        );
        let narrow = ScatterOptions {
            width: 100,
            ..ScatterOptions::default()
        };
        refused(&narrow, point("", "", 1.0, 1.0, None));
    }
}
