//! A table of vectors.

use super::{Array, expect};
use crate::GradCheckError;

/// Row `ids[n]` of the table for each n.
///
/// # Shapes
/// `table` [entries, features]; result [ids, features].
///
/// # Errors
/// When an id is not below the number of entries.
pub fn embedding(table: &Array<2>, ids: &[usize]) -> Result<Array<2>, GradCheckError> {
    let [entries, features] = table.shape();
    known(ids, entries)?;
    Ok(Array::from_fn([ids.len(), features], |[n, i]| {
        table.at([ids[n], i])
    }))
}

/// Each row of δ is added to the entry that it came from; entries that no id names have no gradient.
///
/// # Shapes
/// `delta` [ids, features]; result [entries, features].
///
/// # Errors
/// When an id is not below the number of entries, or the rows of `delta` are not as many as the ids.
pub fn embedding_gradient(
    entries: usize,
    ids: &[usize],
    delta: &Array<2>,
) -> Result<Array<2>, GradCheckError> {
    let [rows, features] = delta.shape();
    expect("the rows of the delta", rows, ids.len())?;
    known(ids, entries)?;
    let mut by_table = Array::zeros([entries, features]);
    for (n, id) in ids.iter().enumerate() {
        for i in 0..features {
            by_table.add([*id, i], delta.at([n, i]));
        }
    }
    Ok(by_table)
}

fn known(ids: &[usize], entries: usize) -> Result<(), GradCheckError> {
    match ids.iter().find(|id| **id >= entries) {
        None => Ok(()),
        Some(id) => Err(GradCheckError::Size {
            what: "an id",
            seen: *id,
            allowed: format!("below {entries}"),
        }),
    }
}
