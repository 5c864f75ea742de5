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
