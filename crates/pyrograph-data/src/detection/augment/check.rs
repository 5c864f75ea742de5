//! Whether the numbers of a part are allowed.

use std::ops::RangeInclusive;

use crate::DataError;

/// # Errors
/// If `seen` is not in `range`, for which `allowed` are the words; a number that is none lies in no range.
pub(super) fn number(
    what: &'static str,
    seen: f32,
    range: RangeInclusive<f32>,
    allowed: &'static str,
) -> Result<(), DataError> {
    if range.contains(&seen) {
        return Ok(());
    }
    let seen = seen.into();
    Err(DataError::Range {
        what,
        seen,
        allowed,
    })
}

/// # Errors
/// If one of the two numbers is not in `range`, or the second, that named is the larger, is below the first.
pub(super) fn pair(
    what: &'static str,
    [low, high]: [f32; 2],
    range: RangeInclusive<f32>,
    allowed: &'static str,
) -> Result<(), DataError> {
    number(what, low, range.clone(), allowed)?;
    number(what, high, low..=*range.end(), allowed)
}
