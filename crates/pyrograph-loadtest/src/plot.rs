//! The report as a picture.

use pyrograph_figures::{
    ChartOptions, Distribution, FigureError, HistogramOptions, Mark, Series, histogram_chart,
    line_chart,
};
use pyrograph_vision::{Rgb, RgbImage, image::imageops::replace};

use crate::{LatencyFigures, Load, LoadReport, TimelinePoint, percentile};

const WIDTH: u32 = 1280;
const UPPER: u32 = 460;
const LOWER: u32 = 440;
/// Beyond this ratio of the largest to the median latency, the axis is logarithmic.
const WIDE: f64 = 20.0;
/// Pixels of the upper chart above and below its plot.
const AROUND_PLOT: u32 = 130;
/// Half the width of a dot in pixels, and the number of requests from which dots are small.
const LARGE: f64 = 1.8;
const SMALL: f64 = 1.0;
const MANY: usize = 600;
/// Points of the percentile curve.
const CURVE: u32 = 400;
/// Bins of the histogram: twice the root of the number of requests, within bounds.
const BINS: [usize; 2] = [10, 60];

/// Draws the latency of every request over time, and below it how latencies spread: their histogram with P50, P95 and P99,
/// and the curve of all percentiles.
///
/// # Errors
/// [`FigureError::NothingToPlot`] when no request ended.
pub fn latency_picture(report: &LoadReport) -> Result<RgbImage, FigureError> {
    let mut picture = RgbImage::from_pixel(WIDTH, UPPER + LOWER, Rgb([255, 255, 255]));
    let over_time = over_time(report)?;
    replace(&mut picture, &over_time, 0, 0);
    if let Some(figures) = &report.latency {
        let latencies = latencies(report);
        replace(&mut picture, &spread(figures, &latencies)?, 0, UPPER.into());
        let curve = percentiles(&latencies)?;
        replace(&mut picture, &curve, (WIDTH / 2).into(), UPPER.into());
    }
    Ok(picture)
}

/// The latencies of successes in milliseconds, ascending.
fn latencies(report: &LoadReport) -> Vec<f64> {
    let successes = report.timeline.iter().filter(|point| point.succeeded);
    let mut latencies: Vec<f64> = successes.map(|point| 1e3 * point.latency).collect();
    latencies.sort_by(f64::total_cmp);
    latencies
}

fn over_time(report: &LoadReport) -> Result<RgbImage, FigureError> {
    let largest = most(report.timeline.iter().map(|point| 1e3 * point.latency));
    let median = report
        .latency
        .as_ref()
        .map_or(largest, |figures| figures.p50_ms);
    let log_y = largest > WIDE * median;
    let dot = Dot::new(report, log_y);
    let dots = |succeeded| {
        let chosen = report
            .timeline
            .iter()
            .filter(move |point| point.succeeded == succeeded);
        chosen
            .flat_map(|point| dot.around(point))
            .collect::<Vec<_>>()
    };
    let (succeeded, failed) = (dots(true), dots(false));
    let mut series = vec![Series::new(
        if failed.is_empty() { "" } else { "succeeded" },
        succeeded,
    )];
    if !failed.is_empty() {
        series.push(Series::new("failed", failed));
    }
    let options = ChartOptions {
        title: title(report),
        x_label: "seconds from the start of the measurement".into(),
        y_label: "latency in ms".into(),
        log_y,
        smoothing: 0.0,
        width: WIDTH,
        height: UPPER,
    };
    line_chart(&options, &series)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// The size of a dot in the units of the axes.
#[derive(Clone, Copy)]
struct Dot {
    seconds: f64,
    /// Milliseconds, or decades on a logarithmic axis.
    height: f64,
    log_y: bool,
}

impl Dot {
    fn new(report: &LoadReport, log_y: bool) -> Self {
        let pixels = if report.timeline.len() > MANY {
            SMALL
        } else {
            LARGE
        };
        let span = |values: &dyn Fn(&TimelinePoint) -> f64| {
            let least = report
                .timeline
                .iter()
                .map(values)
                .fold(f64::INFINITY, f64::min);
            let most = report
                .timeline
                .iter()
                .map(values)
                .fold(f64::NEG_INFINITY, f64::max);
            if most > least { most - least } else { 0.0 }
        };
        let milliseconds = |point: &TimelinePoint| 1e3 * point.latency;
        let height = match log_y {
            true => span(&|point| milliseconds(point).max(1e-3).log10()),
            false => span(&milliseconds),
        };
        Self {
            seconds: span(&|point| point.start) * pixels / f64::from(WIDTH),
            height: height * pixels / f64::from(UPPER - AROUND_PLOT),
            log_y,
        }
    }

    /// A small diamond as a line; NaN ends it, so that dots are not joined.
    fn around(self, point: &TimelinePoint) -> [(f64, f64); 6] {
        let (x, y) = (point.start, 1e3 * point.latency);
        let [below, above] = match self.log_y {
            true => [y / 10_f64.powf(self.height), y * 10_f64.powf(self.height)],
            false => [y - self.height, y + self.height],
        };
        let (left, right) = (x - self.seconds, x + self.seconds);
        [
            (left, y),
            (x, above),
            (right, y),
            (x, below),
            (left, y),
            (f64::NAN, f64::NAN),
        ]
    }
}

fn title(report: &LoadReport) -> String {
    let load = match report.settings.load {
        Load::Closed { clients } => format!("closed loop, {clients} at once"),
        Load::Open { rate, .. } => format!("open loop, {rate} requests/s"),
    };
    let requests = report.requests;
    let rate = report.requests_per_second;
    format!(
        "{requests} requests, {load}: {rate:.1} answers/s, {} failed",
        report.failed
    )
}

fn spread(figures: &LatencyFigures, latencies: &[f64]) -> Result<RgbImage, FigureError> {
    let is_wide = figures.max_ms > WIDE * figures.p50_ms;
    let place = |milliseconds: f64| match is_wide {
        true => milliseconds.max(1e-3).log10(),
        false => milliseconds,
    };
    let options = HistogramOptions {
        title: "how latencies spread".into(),
        x_label: if is_wide {
            "log10 of the latency in ms"
        } else {
            "latency in ms"
        }
        .into(),
        y_label: Some("requests".into()),
        bins: (2 * latencies.len().isqrt()).clamp(BINS[0], BINS[1]),
        width: WIDTH / 2,
        height: LOWER,
        ..Default::default()
    };
    // Pixels need no more digits.
    let values = latencies
        .iter()
        .map(|&latency| place(latency) as f32)
        .collect();
    let mark = |name: &str, value: f64| {
        let label = format!("{name} {} ms", short(value));
        Mark::new(label, place(value))
    };
    let marks = [
        mark("P50", figures.p50_ms),
        mark("P95", figures.p95_ms),
        mark("P99", figures.p99_ms),
    ];
    histogram_chart(&options, &[Distribution::new("", values)], &marks)
}

/// Three significant digits.
fn short(value: f64) -> String {
    let decimals = (2.0 - value.abs().max(1e-3).log10().floor()).clamp(0.0, 5.0);
    // Between 0 and 5.
    format!("{value:.*}", decimals as usize)
}

fn percentiles(latencies: &[f64]) -> Result<RgbImage, FigureError> {
    let points: Vec<(f64, f64)> = (0..=CURVE)
        .map(|place| 100.0 * f64::from(place) / f64::from(CURVE))
        .map(|percent| (percent, percentile(latencies, percent)))
        .collect();
    let median = percentile(latencies, 50.0);
    let options = ChartOptions {
        title: "percentiles".into(),
        x_label: "percent of requests that are faster".into(),
        y_label: "latency in ms".into(),
        log_y: percentile(latencies, 100.0) > WIDE * median,
        smoothing: 0.0,
        width: WIDTH / 2,
        height: LOWER,
    };
    line_chart(&options, &[Series::new("", points)])
}
