//! Agreement of a classifier with the requested classes of samples.

use crate::MetricsError;

/// The most classes of a confusion matrix, which has this number squared of entries.
const MAX_CLASSES: usize = 4096;

/// The agreement of expected and predicted classes.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassAgreement {
    /// The fraction of items whose predicted class is the expected one.
    pub accuracy: f64,
    /// The same fraction for the items of each expected class; `None` for a class without items.
    pub per_class: Vec<Option<f64>>,
    /// `confusion[expected][predicted]`: the number of items.
    pub confusion: Vec<Vec<usize>>,
}

/// Compares the expected classes with those that a classifier predicts.
///
/// # Errors
/// [`MetricsError::Counts`] for lists of different length, [`MetricsError::Empty`] for empty ones,
/// [`MetricsError::Class`] with the index of the first class of `classes` or above,
/// [`MetricsError::Zero`] for no classes, [`MetricsError::TooManyClasses`] beyond 4096.
pub fn class_agreement(
    expected: &[usize],
    predicted: &[usize],
    classes: usize,
) -> Result<ClassAgreement, MetricsError> {
    if classes == 0 {
        return Err(MetricsError::Zero {
            what: "the number of classes",
        });
    }
    if classes > MAX_CLASSES {
        return Err(MetricsError::TooManyClasses {
            seen: classes,
            allowed: MAX_CLASSES,
        });
    }
    if expected.len() != predicted.len() {
        let (expected, predicted) = (expected.len(), predicted.len());
        return Err(MetricsError::Counts {
            expected,
            predicted,
        });
    }
    if expected.is_empty() {
        return Err(MetricsError::Empty {
            what: "the list of classes",
        });
    }
    check_classes("expected", expected, classes)?;
    check_classes("predicted", predicted, classes)?;
    let mut confusion = vec![vec![0; classes]; classes];
    for (&expected, &predicted) in expected.iter().zip(predicted) {
        confusion[expected][predicted] += 1;
    }
    let agreeing: usize = (0..classes).map(|class| confusion[class][class]).sum();
    let recall = |(class, row): (usize, &Vec<usize>)| match row.iter().sum::<usize>() {
        0 => None,
        count => Some(row[class] as f64 / count as f64),
    };
    Ok(ClassAgreement {
        accuracy: agreeing as f64 / expected.len() as f64,
        per_class: confusion.iter().enumerate().map(recall).collect(),
        confusion,
    })
}

fn check_classes(what: &'static str, list: &[usize], classes: usize) -> Result<(), MetricsError> {
    match list.iter().position(|&class| class >= classes) {
        None => Ok(()),
        Some(position) => Err(MetricsError::Class {
            what,
            seen: list[position],
            position,
            classes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agreement_is_counted_by_class() {
        let agreement = class_agreement(&[0, 0, 0, 1, 1], &[0, 0, 2, 1, 0], 4).unwrap();
        assert_eq!(agreement.accuracy, 0.6);
        assert_eq!(
            agreement.per_class,
            [Some(2.0 / 3.0), Some(0.5), None, None]
        );
        assert_eq!(agreement.confusion[0], [2, 0, 1, 0]);
        assert_eq!(agreement.confusion[1], [1, 1, 0, 0]);
        assert_eq!(agreement.confusion[2], [0; 4]);
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let counts = MetricsError::Counts {
            expected: 1,
            predicted: 2,
        };
        assert_eq!(class_agreement(&[0], &[0, 1], 2), Err(counts));
        assert!(matches!(
            class_agreement(&[], &[], 2),
            Err(MetricsError::Empty { .. })
        ));
        assert!(matches!(
            class_agreement(&[0], &[0], 0),
            Err(MetricsError::Zero { .. })
        ));
        let many = class_agreement(&[0], &[0], usize::MAX);
        assert!(matches!(many, Err(MetricsError::TooManyClasses { .. })));
        let error = class_agreement(&[0, 1], &[0, 5], 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "predicted class 5 at position 1: allowed are 0 to 2"
        );
    }

    proptest! {
        #[test]
        fn every_item_is_counted_once(
            pairs in proptest::collection::vec((0_usize..4, 0_usize..4), 1..40),
        ) {
            let (expected, predicted): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let agreement = class_agreement(&expected, &predicted, 4).unwrap();
            let total: usize = agreement.confusion.iter().flatten().sum();
            prop_assert_eq!(total, pairs.len());
            let equal = pairs.iter().filter(|(a, b)| a == b).count();
            prop_assert!((agreement.accuracy - equal as f64 / pairs.len() as f64).abs() < 1e-12);
        }
    }
}
