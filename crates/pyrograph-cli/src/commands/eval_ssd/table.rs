//! The figures for a person.

use pyrograph::pipelines::detection::{ClassReport, DetectionReport};

use crate::reading::counted;

/// The longest name that has room.
const WIDEST: usize = 24;

/// A line for each class under a header, and the means.
pub(super) fn in_words(report: &DetectionReport, seconds: f64) -> String {
    let name = |class: &ClassReport| class.label.chars().count().min(WIDEST);
    let width = report
        .classes
        .iter()
        .map(name)
        .max()
        .unwrap_or(0)
        .max("mean".len());
    let mut text = format!(
        "{:<width$} {:>7} {:>10} {:>7} {:>8} {:>10}   at the best F1\n",
        "", "objects", "detections", "AP@.5", "11-point", "AP@.5:.95"
    );
    for class in &report.classes {
        let best = class.best.map_or("-".into(), |best| {
            format!(
                "{:.3}: score {:.2}, precision {:.3}, recall {:.3}",
                best.f1, best.score, best.precision, best.recall
            )
        });
        let label: String = class.label.chars().take(WIDEST).collect();
        text += &format!(
            "{label:<width$} {:>7} {:>10} {:>7} {:>8} {:>10}   {best}\n",
            class.truths,
            class.detections,
            figure(class.ap),
            figure(class.ap_11_point),
            figure(class.ap_coco),
        );
    }
    let sum = |count: fn(&ClassReport) -> usize| report.classes.iter().map(count).sum::<usize>();
    let coco = &report.coco;
    text += &format!(
        "{:<width$} {:>7} {:>10} {:>7} {:>8} {:>10}\n",
        "mean",
        sum(|class| class.truths),
        sum(|class| class.detections),
        figure(report.map),
        figure(report.map_11_point),
        figure(coco.ap),
    );
    text += &format!(
        "COCO: AP {} at .5, {} at .75; {} of small objects, {} of medium, {} of large\n",
        figure(coco.ap_50),
        figure(coco.ap_75),
        figure(coco.ap_small),
        figure(coco.ap_medium),
        figure(coco.ap_large)
    );
    text += &format!(
        "      recall {} with 1 detection, {} with 10, {} with 100; {} of small objects, {} of medium, {} of large\n",
        figure(coco.ar_1),
        figure(coco.ar_10),
        figure(coco.ar_100),
        figure(coco.ar_small),
        figure(coco.ar_medium),
        figure(coco.ar_large)
    );
    let each = 1000.0 * seconds / report.images.max(1) as f64;
    text + &format!(
        "{} in {seconds:.1} s: {each:.0} ms each",
        counted(report.images, "image")
    )
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.4}"))
}
