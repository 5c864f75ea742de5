//! Checks of sets of items.

use crate::MetricsError;
use crate::error::MAX_VALUE;

/// The number of items in `values`, which has to be at least one item of `dim` values
/// within [`MAX_VALUE`].
pub(crate) fn item_count(
    what: &'static str,
    values: &[f32],
    dim: usize,
) -> Result<usize, MetricsError> {
    if dim == 0 {
        return Err(MetricsError::Zero {
            what: "the number of values of an item",
        });
    }
    if values.is_empty() {
        return Err(MetricsError::Empty { what });
    }
    if !values.len().is_multiple_of(dim) {
        return Err(MetricsError::Length {
            what,
            seen: values.len(),
            dim,
        });
    }
    // NaN is in no range.
    let allowed = -MAX_VALUE..=MAX_VALUE;
    if let Some(index) = values.iter().position(|value| !allowed.contains(value)) {
        let (item, position) = (index / dim, index % dim);
        return Err(MetricsError::Value {
            what,
            seen: values[index],
            item,
            position,
        });
    }
    Ok(values.len() / dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_finite_items_are_counted() {
        assert_eq!(item_count("set", &[0.0; 6], 3), Ok(2));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let what = "set";
        assert_eq!(item_count(what, &[], 3), Err(MetricsError::Empty { what }));
        assert!(matches!(
            item_count(what, &[1.0], 0),
            Err(MetricsError::Zero { .. })
        ));
        let length = MetricsError::Length {
            what,
            seen: 5,
            dim: 3,
        };
        assert_eq!(item_count(what, &[0.0; 5], 3), Err(length));
        let seen = f32::INFINITY;
        let infinite = MetricsError::Value {
            what,
            seen,
            item: 1,
            position: 2,
        };
        assert_eq!(
            item_count(what, &[0.0, 0.0, 0.0, 0.0, 0.0, seen], 3),
            Err(infinite)
        );
        assert!(matches!(
            item_count(what, &[1e16], 1),
            Err(MetricsError::Value { .. })
        ));
        let nan = item_count(what, &[f32::NAN], 1).unwrap_err();
        assert_eq!(
            nan.to_string(),
            "set holds NaN at value 0 of item 0: allowed are -1000000000000000 to 1000000000000000"
        );
    }
}
