//! The table of judged samplers.

use super::{Row, walk};

/// A line for each sampler, and one for real sprites.
pub(super) fn table(rows: &[Row], classes: &[String]) -> Option<String> {
    let real = &rows.first()?.report;
    let mut text = format!(
        "{:<14} {:>6} {:>8} {:>9} {:>9} {:>7} {:>10} {:>9}\n",
        "", "steps", "seconds", "sliced W", "nearest", "copies", "class", "diversity"
    );
    for row in rows {
        let report = &row.report;
        let agreement = report
            .class_agreement
            .map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
        text += &format!(
            "{:<14} {:>6} {:>8.1} {:>9.4} {:>9.4} {:>5.1} % {:>10} {:>9}\n",
            row.sampler,
            row.steps,
            row.seconds,
            report.sliced_wasserstein,
            report.nearest_training,
            report.near_copies * 100.0,
            agreement,
            ratio(report.diversity),
        );
    }
    text += &format!(
        "{:<14} {:>6} {:>8} {:>9.4} {:>9.4} {:>5.1} % {:>8.1} % {:>9}\n\n",
        "real sprites",
        "",
        "",
        real.sliced_wasserstein_training,
        real.nearest_training_held_out,
        real.near_copies_held_out * 100.0,
        real.class_agreement_held_out * 100.0,
        ratio(real.diversity_held_out),
    );
    for row in rows {
        let shares = classes
            .iter()
            .zip(&row.report.class_agreement_by_class)
            .map(|(name, share)| match share {
                Some(share) => format!("{name} {:.0} %", share * 100.0),
                None => format!("{name} -"),
            });
        text += &format!(
            "{} by class: {}\n",
            row.sampler,
            shares.collect::<Vec<_>>().join(", ")
        );
    }
    for row in rows.iter().filter(|row| !row.walk.is_empty()) {
        text += "\n";
        text += &walk::table(&row.walk);
    }
    if rows.iter().any(|row| !row.walk.is_empty()) {
        text += "in brackets: the same of √ᾱ x_0 + √(1−ᾱ) ε, with x_0 of the training sprites; a kurtosis of 3 is normal\n\n";
    }
    text += "sliced W: distance to held-out sprites, lower is better; the real row is the training set's own\n";
    text += "nearest: mean RMS distance to the nearest training sprite; copies: share that equal one but for rounding\n";
    text += "class: share in which a classifier sees the class asked for; the real row is its own accuracy\n";
    Some(
        text + "diversity: distance between two samples of a class over that of two training sprites of it; 0 is collapsed",
    )
}

fn ratio(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}
