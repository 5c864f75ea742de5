//! The curves of a training.

use std::path::PathBuf;

use pyrograph::{
    figures::{ChartOptions, RightAxis, Series, line_chart_with_right},
    train::{run_folder::RunFolder, ssd::DetectionRecord},
    vision::write_png,
};

/// The path of the curves of the losses, and of the mean average precision by an axis of its own;
/// none where nothing was logged.
pub(super) fn write_curves(run: &RunFolder) -> anyhow::Result<Option<PathBuf>> {
    let records: Vec<DetectionRecord> = run.metrics()?;
    if records.is_empty() {
        return Ok(None);
    }
    let series = |name: &str, value: &dyn Fn(&DetectionRecord) -> Option<f64>| {
        let points = records
            .iter()
            .filter_map(|record| Some((record.step as f64, value(record)?)));
        Series::new(name, points.collect())
    };
    let options = ChartOptions {
        title: "SSD training".into(),
        log_y: true,
        ..ChartOptions::default()
    };
    let mut curves = vec![
        series("boxes", &|record| Some(f64::from(record.loc_loss))),
        series("classes", &|record| Some(f64::from(record.conf_loss))),
        series("boxes, validation", &|record| {
            Some(f64::from(record.val_loc_loss?))
        }),
        series("classes, validation", &|record| {
            Some(f64::from(record.val_conf_loss?))
        }),
    ];
    let terms: std::collections::BTreeSet<_> = records
        .iter()
        .flat_map(|record| record.distillation.keys())
        .collect();
    // A term may be 0 now and then, which a logarithmic axis has no place for.
    curves.extend(terms.into_iter().map(|name| {
        series(name, &|record| {
            let loss = f64::from(record.distillation.get(name)?.loss);
            (loss > 0.0).then_some(loss)
        })
    }));
    curves.retain(|curve| !curve.points.is_empty());
    // Of another unit than the losses.
    const PRECISION: &str = "mAP@.5";
    let precision = RightAxis {
        label: PRECISION.into(),
        range: (0.0, 1.0),
        series: vec![series(PRECISION, &|record| record.map)],
    };
    let judged = !precision.series[0].points.is_empty();
    let chart = line_chart_with_right(&options, &curves, judged.then_some(&precision))?;
    let path = run.samples().join("loss.png");
    write_png(&path, &chart)?;
    Ok(Some(path))
}
