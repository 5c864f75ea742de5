//! Charts as pictures: [`line`] for losses over steps, [`curve`] for ROC and precision–recall
//! curves, [`histogram`] for distributions of scores, [`scatter`] for labelled points.
//!
//! [`frame`] draws what every chart has around its data (titles, axes, ticks, legend), [`axis`]
//! chooses ticks and their labels, [`bins`] counts, [`stroke`] draws smooth lines, [`tags`] finds
//! places for the labels of points.

mod axis;
mod bins;
mod curve;
mod frame;
mod histogram;
mod line;
mod scatter;
mod stroke;
mod tags;

pub use bins::HistogramScale;
pub use curve::{CurveOptions, Join, curve_chart};
pub use histogram::{Distribution, HistogramOptions, Mark, histogram_chart};
pub use line::{ChartOptions, RightAxis, line_chart, line_chart_with_right};
pub use scatter::{ScatterOptions, ScatterPoint, scatter_chart};

use image::Rgb;

use frame::LegendEntry;

/// The colours of the series in turn: the ten of Tableau, as in matplotlib.
const COLOURS: [Rgb<u8>; 10] = [
    Rgb([31, 119, 180]),
    Rgb([255, 127, 14]),
    Rgb([44, 160, 44]),
    Rgb([214, 39, 40]),
    Rgb([148, 103, 189]),
    Rgb([140, 86, 75]),
    Rgb([227, 119, 194]),
    Rgb([127, 127, 127]),
    Rgb([188, 189, 34]),
    Rgb([23, 190, 207]),
];
/// Half the thickness of the lines in pixels.
const HALF_THICKNESS: f32 = 0.9;
/// Coordinates larger than this, or closer to zero on a logarithmic axis, cannot be drawn: their
/// ranges would overflow.
const FAR: f64 = 1e100;

/// A named line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// The points (x, y) in the order of drawing.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A line through `points` (x, y).
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
        }
    }
}

/// An entry for each name that is not empty, in the colours of the series.
fn legend<'a>(names: impl Iterator<Item = &'a str>) -> Vec<LegendEntry<'a>> {
    names
        .zip(COLOURS.into_iter().cycle())
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, colour)| LegendEntry { name, colour })
        .collect()
}

/// The smallest and the largest value, `None` without any.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}
