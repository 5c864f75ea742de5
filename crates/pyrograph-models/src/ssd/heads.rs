//! The outputs of the heads, from six feature maps to one row for each prior.

use burn::tensor::{Tensor, backend::Backend};

use pyrograph_backend::vision::{Activation, VisionBackend};

use super::SsdOutput;
use crate::blocks::{Conv2d, Stacked};

/// The output of a head in the order of the prior boxes: cells from the upper left, and the priors of a
/// cell one after the other.
///
/// # Shapes
/// [batch, channels, height, width] → [batch, height · width, priors a cell · values].
pub(super) fn forward<B: VisionBackend>(head: &Conv2d<B>, map: Tensor<B, 4>) -> Tensor<B, 3> {
    Stacked::new(map).conv(head, Activation::Identity).rows()
}

/// The outputs of one kind of heads, map by map, as one row of `values` a prior.
///
/// # Shapes
/// Each [batch, cells, priors a cell · values] → [batch, priors, values].
fn rows<B: Backend>(maps: Vec<Tensor<B, 3>>, values: usize) -> Tensor<B, 3> {
    let flat = maps.into_iter().map(|map| {
        let [batch, cells, channels] = map.dims();
        map.reshape([batch, cells * channels / values, values])
    });
    Tensor::cat(flat.collect(), 1)
}

/// Both kinds of heads' outputs.
pub(super) fn output<B: Backend>(
    loc: Vec<Tensor<B, 3>>,
    conf: Vec<Tensor<B, 3>>,
    num_classes: usize,
) -> SsdOutput<B> {
    SsdOutput {
        loc: rows(loc, 4),
        conf: rows(conf, num_classes),
    }
}
