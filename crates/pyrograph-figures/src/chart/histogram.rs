//! Histograms, such as of the scores of normal and anomalous images.

use image::{Rgb, RgbImage};

use super::axis::{Axis, Scale};
use super::bins::{Bins, HistogramScale};
use super::frame::{self, Frame, Labels, Shape};
use super::stroke::Stroke;
use super::{COLOURS, FAR, HALF_THICKNESS, legend};
use crate::FigureError;

/// Opacity of the bars, through which those behind them show.
const BAR: f32 = 0.3;
/// The share of the range that stays free beside the bars.
const BESIDE: f64 = 0.02;
/// The numbers of bins that a chart can have.
const BINS: std::ops::RangeInclusive<usize> = 1..=1024;

/// Named values of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The name in the legend.
    pub name: String,
    /// The values, in any order.
    pub values: Vec<f32>,
}

impl Distribution {
    /// A distribution of `values`.
    pub fn new(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self {
            name: name.into(),
            values,
        }
    }
}

/// A vertical line across a chart, such as a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The text beside the line; empty for none.
    pub label: String,
    /// The position on the horizontal axis.
    pub x: f64,
}

impl Mark {
    /// A line at `x`.
    pub fn new(label: impl Into<String>, x: f64) -> Self {
        Self {
            label: label.into(),
            x,
        }
    }
}

/// The look of a chart of [`histogram_chart`].
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramOptions {
    /// Title above the chart; empty for no title.
    pub title: String,
    /// The quantity along the horizontal axis; empty for no label.
    pub x_label: String,
    /// The label of the vertical axis; `None` for "items" or "density" depending on the scale,
    /// empty for no label.
    pub y_label: Option<String>,
    /// The number of bins, of one width and shared by all distributions, 1 to 1024.
    pub bins: usize,
    /// The meaning of the height of a bar.
    pub scale: HistogramScale,
    /// Width of the picture in pixels, 240 to 8192.
    pub width: u32,
    /// Height of the picture in pixels, 240 to 8192.
    pub height: u32,
}

impl Default for HistogramOptions {
    /// Counts of scores in 40 bins, on 960 by 540 pixels.
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: "score".into(),
            y_label: None,
            bins: 40,
            scale: HistogramScale::Counts,
            width: 960,
            height: 540,
        }
    }
}

/// Draws the distributions as translucent bars with an outline, one over the other, and the marks as
/// dashed lines with their labels.
///
/// The bins reach from the smallest to the largest value of all distributions. Infinite and NaN
/// values and marks are skipped; the axis includes all other marks.
///
/// # Errors
/// [`FigureError::NothingToPlot`] when no value is left, [`FigureError::Range`] for a number of bins
/// outside 1 to 1024 or a picture that is too small or too large.
pub fn histogram_chart(
    options: &HistogramOptions,
    distributions: &[Distribution],
    marks: &[Mark],
) -> Result<RgbImage, FigureError> {
    if !BINS.contains(&options.bins) {
        return Err(FigureError::Range {
            what: "the number of bins",
            seen: options.bins as f64,
            allowed: "1 to 1024",
        });
    }
    let values = distributions.iter().flat_map(|each| &each.values);
    let Some(bins) = Bins::around(values, options.bins) else {
        let points = distributions.iter().map(|each| each.values.len()).sum();
        return Err(FigureError::NothingToPlot {
            series: distributions.len(),
            points,
            log_y: false,
        });
    };
    let heights: Vec<Vec<f64>> = distributions
        .iter()
        .map(|each| bins.heights(&each.values, options.scale))
        .collect();
    let marks = || marks.iter().filter(|mark| mark.x.abs() <= FAR);
    let reach = marks().fold((bins.low, bins.high), |(low, high), mark| {
        (low.min(mark.x), high.max(mark.x))
    });
    let highest = heights.iter().flatten().copied().fold(0.0, f64::max);
    let x_axis = Axis::new(reach, Scale::Linear, BESIDE);
    // Bars stand on the axis, so there is headroom above them only.
    let y_axis = Axis::new(
        (0.0, highest * (1.0 + 2.0 * frame::HEADROOM)),
        Scale::Linear,
        0.0,
    );
    let legend = legend(distributions.iter().map(|each| each.name.as_str()));
    let mut frame = Frame::new(&labels(options), x_axis, y_axis, &legend)?;
    let coloured = || heights.iter().zip(COLOURS.into_iter().cycle());
    for (heights, colour) in coloured() {
        draw_bars(&mut frame, &bins, heights, colour);
    }
    for (heights, colour) in coloured() {
        draw_outline(&mut frame, &bins, heights, colour);
    }
    let mut stroke = Stroke::new(frame.plot_size(), HALF_THICKNESS);
    for mark in marks() {
        let (x, _) = frame.place(mark.x, 0.0);
        stroke.add_dashed((x, 0.0), (x, frame.plot_size().1 as f32));
    }
    frame.paint(&stroke, frame::INK, 1.0);
    // After all the lines, so that none runs through a label.
    for (line, mark) in (0..).zip(marks()) {
        frame.annotate(mark.x, line, &mark.label, frame::INK);
    }
    Ok(frame.into_picture())
}

fn labels(options: &HistogramOptions) -> Labels<'_> {
    let y_label = match (&options.y_label, options.scale) {
        (Some(label), _) => label,
        (None, HistogramScale::Counts) => "items",
        (None, HistogramScale::Densities) => "density",
    };
    Labels {
        title: &options.title,
        x_label: &options.x_label,
        y_label,
        size: (options.width, options.height),
        shape: Shape::Free,
    }
}

fn draw_bars(frame: &mut Frame, bins: &Bins, heights: &[f64], colour: Rgb<u8>) {
    for (bin, &height) in heights.iter().enumerate() {
        let left = bins.edge(bin);
        let right = bins.edge(bin + 1);
        let (from, to) = (frame.place(left, 0.0), frame.place(right, height));
        frame.shade(from, to, colour, BAR);
    }
}

/// The upper edge of the bars; it touches the axis only beside bars.
fn draw_outline(frame: &mut Frame, bins: &Bins, heights: &[f64], colour: Rgb<u8>) {
    let mut stroke = Stroke::new(frame.plot_size(), HALF_THICKNESS);
    let bars: Vec<(usize, f64)> = heights.iter().copied().enumerate().collect();
    for run in bars.chunk_by(|a, b| (a.1 > 0.0) == (b.1 > 0.0)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        if first.1 == 0.0 {
            continue;
        }
        let at = |bin: usize, height| frame.place(bins.edge(bin), height);
        let tops = run
            .iter()
            .flat_map(|&(bin, height)| [at(bin, height), at(bin + 1, height)]);
        let start = std::iter::once(at(first.0, 0.0));
        let points: Vec<_> = start.chain(tops).chain([at(last.0 + 1, 0.0)]).collect();
        stroke.add(&points);
    }
    frame.paint(&stroke, colour, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> [Distribution; 2] {
        [
            Distribution::new("normal", vec![1.0, 1.5, 2.0, 2.0]),
            Distribution::new("anomalous", vec![2.0, 4.0]),
        ]
    }

    fn count(picture: &RgbImage, colour: Rgb<u8>) -> usize {
        picture.pixels().filter(|pixel| **pixel == colour).count()
    }

    fn draw(distributions: &[Distribution], marks: &[Mark]) -> Result<RgbImage, FigureError> {
        histogram_chart(&HistogramOptions::default(), distributions, marks)
    }

    #[test]
    fn every_distribution_and_every_mark_shows() {
        let plain = draw(&scores(), &[]).unwrap();
        for colour in &COLOURS[..2] {
            assert!(count(&plain, *colour) > 100, "{colour:?}");
        }
        let marked = draw(&scores(), &[Mark::new("threshold", 3.0)]).unwrap();
        assert!(count(&marked, frame::INK) > count(&plain, frame::INK) + 100);
    }

    #[test]
    fn one_value_constant_values_and_an_empty_class_can_be_drawn() {
        for value in [0.0, -3.5, f32::MAX, f32::MIN_POSITIVE] {
            for values in [vec![value], vec![value; 50]] {
                let distributions = [
                    Distribution::new("a", values),
                    Distribution::new("b", vec![]),
                ];
                let picture = draw(&distributions, &[]).unwrap();
                assert!(count(&picture, COLOURS[0]) > 10, "{value}");
            }
        }
        draw(&[Distribution::new("", vec![f32::MIN, f32::MAX])], &[]).unwrap();
    }

    #[test]
    fn values_and_marks_that_are_not_finite_are_left_out() {
        let mut broken = scores();
        broken[0]
            .values
            .extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let marks = [f64::NAN, f64::INFINITY].map(|x| Mark::new("nowhere", x));
        assert_eq!(
            draw(&broken, &marks).unwrap(),
            draw(&scores(), &[]).unwrap()
        );
    }

    #[test]
    fn nothing_to_draw_and_settings_outside_their_ranges_are_refused() {
        let nothing = [
            Distribution::new("", vec![]),
            Distribution::new("", vec![f32::NAN]),
        ];
        assert!(matches!(
            draw(&nothing, &[Mark::new("", 1.0)]),
            Err(FigureError::NothingToPlot {
                series: 2,
                points: 1,
                log_y: false
            })
        ));
        assert!(draw(&[], &[]).is_err());
        for bins in [0, 1025] {
            let options = HistogramOptions {
                bins,
                ..HistogramOptions::default()
            };
            let result = histogram_chart(&options, &scores(), &[]);
            assert!(matches!(result, Err(FigureError::Range { .. })), "{bins}");
        }
    }
}
