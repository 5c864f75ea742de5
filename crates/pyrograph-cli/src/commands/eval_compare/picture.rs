//! Accuracy against latency.

use pyrograph::{
    figures::{FigureError, ScatterOptions, ScatterPoint, scatter_chart},
    train::compare::ComparisonRow,
    vision::RgbImage,
};

/// Latencies that differ by more than this factor are on a logarithmic axis.
const FAR_APART: f64 = 10.0;

/// A point for each group in the colour of its network, of scores on `images` images.
pub(super) fn chart(
    rows: &[ComparisonRow],
    networks: &[String],
    images: usize,
) -> Result<RgbImage, FigureError> {
    let latencies = || rows.iter().map(|row| row.latency_ms);
    let (least, most) = (
        latencies().fold(f64::INFINITY, f64::min),
        latencies().fold(0.0, f64::max),
    );
    let options = ScatterOptions {
        title: format!("accuracy on {images} images"),
        x_label: "milliseconds an image".into(),
        y_label: "AP@[.5:.95]".into(),
        log_x: least > 0.0 && most > FAR_APART * least,
        ..ScatterOptions::default()
    };
    let point = |(row, network): (&ComparisonRow, &String)| ScatterPoint {
        label: row.group.clone(),
        group: network.clone(),
        x: row.latency_ms,
        y: row.ap,
        spread: row.ap_std,
    };
    let points: Vec<_> = rows.iter().zip(networks).map(point).collect();
    scatter_chart(&options, &points)
}
