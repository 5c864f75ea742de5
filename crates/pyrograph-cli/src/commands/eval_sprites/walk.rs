//! Mean, deviation and kurtosis of samples along their walk, beside those that the forward process has.

use std::fmt::Write;

use pyrograph::{metrics::ValueMoments, pipelines::sprites::SpriteSamples};
use serde_json::{Value, json};

/// Moments of a walk that are measured, besides the end.
pub(super) const MOMENTS: usize = 20;
/// Moments that are printed.
const SHOWN: usize = 5;

/// One moment of a sampler's walk.
pub(super) struct WalkRow {
    sampler: &'static str,
    /// Steps taken.
    step: usize,
    /// `√ᾱ`.
    signal: f64,
    seen: ValueMoments,
    /// Those of `√ᾱ x_0 + √(1−ᾱ) ε` for the training images.
    expected: ValueMoments,
}

/// The moments of a walk, for data of the moments `data`.
pub(super) fn rows(
    sampler: &'static str,
    samples: &SpriteSamples,
    data: ValueMoments,
) -> Vec<WalkRow> {
    let row = |frame: &pyrograph::pipelines::sprites::Frame| {
        Some(WalkRow {
            sampler,
            step: frame.step,
            signal: frame.signal,
            seen: ValueMoments::of(&frame.values)?,
            expected: data.diffused(frame.signal),
        })
    };
    samples.frames.iter().filter_map(row).collect()
}

impl WalkRow {
    fn noise(&self) -> f64 {
        (1.0 - self.signal * self.signal).max(0.0).sqrt()
    }

    pub(super) fn value(&self) -> Value {
        let of = |moments: ValueMoments| json!({ "mean": moments.mean, "deviation": moments.deviation, "kurtosis": moments.kurtosis });
        json!({
            "step": self.step, "signal": self.signal, "noise": self.noise(),
            "seen": of(self.seen), "expected": of(self.expected),
        })
    }
}

/// Every row as CSV.
pub(super) fn csv<'a>(rows: impl Iterator<Item = &'a WalkRow>) -> String {
    let mut text = String::from(
        "sampler,step,signal,noise,mean,deviation,kurtosis,expected_mean,expected_deviation,expected_kurtosis\n",
    );
    for row in rows {
        let numbers = [
            row.signal,
            row.noise(),
            row.seen.mean,
            row.seen.deviation,
            row.seen.kurtosis,
            row.expected.mean,
            row.expected.deviation,
            row.expected.kurtosis,
        ];
        let numbers = numbers.map(|number| number.to_string()).join(",");
        text += &format!("{},{},{numbers}\n", row.sampler, row.step);
    }
    text
}

/// A few rows of one sampler as a table.
pub(super) fn table(rows: &[WalkRow]) -> String {
    let mut text = format!(
        "{:<14} {:>6} {:>8} {:>8} {:>18} {:>18} {:>18}\n",
        "along the walk", "steps", "√ᾱ", "√(1−ᾱ)", "mean", "deviation", "kurtosis"
    );
    let last = rows.len().saturating_sub(1);
    let mut shown: Vec<_> = (0..=SHOWN).map(|k| k * last / SHOWN).collect();
    shown.dedup();
    for row in shown.into_iter().filter_map(|place| rows.get(place)) {
        let pair = |seen: f64, expected: f64| format!("{seen:.3} ({expected:.3})");
        let (seen, expected) = (row.seen, row.expected);
        let _ = writeln!(
            text,
            "{:<14} {:>6} {:>8.4} {:>8.4} {:>18} {:>18} {:>18}",
            row.sampler,
            row.step,
            row.signal,
            row.noise(),
            pair(seen.mean, expected.mean),
            pair(seen.deviation, expected.deviation),
            pair(seen.kurtosis, expected.kurtosis),
        );
    }
    text
}
