//! What the configs of every training check.

use crate::TrainError;

pub(crate) fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// As people write it: 1e300 has 301 digits.
pub(crate) fn number(value: f64) -> String {
    if value.abs() >= 1e15 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

pub(crate) fn refuse(field: &'static str, seen: impl ToString, allowed: &str) -> TrainError {
    TrainError::Config {
        field,
        seen: seen.to_string(),
        allowed: allowed.into(),
    }
}

/// The limits of a run: each that is given, above nothing.
pub(crate) fn check_limits(
    epochs: Option<u64>,
    steps: Option<u64>,
    max_minutes: Option<f64>,
) -> Result<(), TrainError> {
    for (field, value) in [("epochs", epochs), ("steps", steps)] {
        if value == Some(0) {
            return Err(refuse(field, 0, "1 or more"));
        }
    }
    if let Some(minutes) = max_minutes.filter(|m| !(positive(*m) && *m < 1e6)) {
        let allowed = "above 0 and below a million";
        return Err(refuse("max_minutes", number(minutes), allowed));
    }
    Ok(())
}

/// The decay of a moving average.
pub(crate) fn check_ema(ema: Option<f64>) -> Result<(), TrainError> {
    match ema.filter(|decay| !(0.0..1.0).contains(decay)) {
        Some(decay) => Err(refuse("ema", number(decay), "at least 0 and below 1")),
        None => Ok(()),
    }
}

/// The norm that gradients are clipped to.
pub(crate) fn check_clip_norm(norm: Option<f64>) -> Result<(), TrainError> {
    match norm.filter(|norm| !positive(*norm)) {
        Some(norm) => Err(refuse("clip_norm", number(norm), "above 0")),
        None => Ok(()),
    }
}
