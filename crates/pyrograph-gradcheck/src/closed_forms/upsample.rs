//! Nearest-neighbour upsampling.

use super::{Array, expect};
use crate::GradCheckError;

/// Each pixel becomes a block of `factor` × `factor`.
///
/// # Shapes
/// `x` [batch, channels, height, width]; result [batch, channels, height·factor, width·factor].
pub fn upsample_nearest(x: &Array<4>, factor: usize) -> Array<4> {
    let [batch, channels, height, width] = x.shape();
    let shape = [batch, channels, height * factor, width * factor];
    Array::from_fn(shape, |[n, c, i, j]| x.at([n, c, i / factor, j / factor]))
}

/// Each pixel gets the sum of its block.
///
/// # Shapes
/// `delta` [batch, channels, height·factor, width·factor]; result [batch, channels, height, width].
///
/// # Errors
/// When `factor` is 0 or does not divide the height and the width.
pub fn upsample_nearest_gradient(
    delta: &Array<4>,
    factor: usize,
) -> Result<Array<4>, GradCheckError> {
    let [batch, channels, height, width] = delta.shape();
    for size in [height, width] {
        expect(
            "what is left of a delta's side",
            size.checked_rem(factor).unwrap_or(1),
            0,
        )?;
    }
    let mut by_x = Array::zeros([batch, channels, height / factor, width / factor]);
    for flat in 0..delta.values().len() {
        let [n, c, i, j] = delta.index(flat);
        by_x.add([n, c, i / factor, j / factor], delta.values()[flat]);
    }
    Ok(by_x)
}
