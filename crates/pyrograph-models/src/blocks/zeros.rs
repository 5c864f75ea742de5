//! Padding on two sides.

use burn::tensor::{Tensor, backend::Backend};

/// Adds a row of zeros below `x` and a column of zeros to its right, in the type of `x`. (burn's
/// `pad` uses the default type of the device, see docs/upstream.md.)
///
/// # Shapes
/// [batch, channels, height, width] → [batch, channels, height + 1, width + 1].
pub fn with_zeros_after<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let row = x.clone().narrow(2, 0, 1);
    let x = Tensor::cat(vec![x, row.zeros_like()], 2);
    let column = x.clone().narrow(3, 0, 1);
    Tensor::cat(vec![x, column.zeros_like()], 3)
}
