//! The outputs of the heads, from six feature maps to one row for each prior.

use burn::tensor::{Tensor, backend::Backend};

use super::SsdOutput;

/// The outputs of one kind of heads, map by map, as one row of `values` a prior.
///
/// # Shapes
/// Each [batch, priors a cell · values, height, width] → [batch, priors, values].
fn rows<B: Backend>(maps: Vec<Tensor<B, 4>>, values: usize) -> Tensor<B, 3> {
    let flat = maps.into_iter().map(|map| {
        let [batch, channels, height, width] = map.dims();
        // Cell by cell, from the upper left, and within a cell prior by prior: the order of the prior boxes.
        map.permute([0, 2, 3, 1])
            .reshape([batch, channels * height * width / values, values])
    });
    Tensor::cat(flat.collect(), 1)
}

/// Both kinds of heads' outputs.
pub(super) fn output<B: Backend>(
    loc: Vec<Tensor<B, 4>>,
    conf: Vec<Tensor<B, 4>>,
    num_classes: usize,
) -> SsdOutput<B> {
    SsdOutput {
        loc: rows(loc, 4),
        conf: rows(conf, num_classes),
    }
}
