//! Scores as a CSV file.

use std::fmt::Write;

use pyrograph::pipelines::anomaly::{Calibration, ScoredImage};

/// One line an image, under a header. Empty where nothing is known: no threshold, no label, no file.
pub(super) fn csv(
    scored: &[ScoredImage],
    labels: &[Option<&str>],
    files: &[Option<&str>],
    anomalous: Option<&[bool]>,
    line: Option<&Calibration>,
) -> String {
    let mut text = String::from(
        "index,label,anomalous,score,normalised,residual,discrimination,verdict,steps,file\n",
    );
    for (index, image) in scored.iter().enumerate() {
        let known = anomalous.map_or("", |known| if known[index] { "1" } else { "0" });
        let normalised = line.map_or(String::new(), |line| {
            format!("{:.4}", line.normalised(image.score))
        });
        let verdict = line.map_or("", |line| verdict(line, image.score));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{index},{},{known},{},{normalised},{},{},{verdict},{},{}",
            quoted(labels[index].unwrap_or_default()),
            image.score,
            image.residual,
            image.discrimination,
            image.steps,
            quoted(files[index].unwrap_or_default())
        );
    }
    text
}

pub(super) fn verdict(line: &Calibration, score: f32) -> &'static str {
    if line.is_anomalous(score) {
        "anomalous"
    } else {
        "normal"
    }
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_need_it_are_quoted() {
        assert_eq!(quoted("8"), "8");
        assert_eq!(quoted("cut, bent \"new\""), "\"cut, bent \"\"new\"\"\"");
    }
}
