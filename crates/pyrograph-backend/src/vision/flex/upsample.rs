//! Nearest-neighbour upsampling, a row at a time.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    buffers::Buffer,
    features::vectorised,
    tensors::{floats, image},
};

/// Values that go to a thread at once.
const BLOCK: usize = 1 << 14;

vectorised! {
    /// Each pixel becomes a block of `factor` × `factor`.
    pub(super) fn nearest(x: &FlexTensor, factor: usize) -> FlexTensor {
        let [batch, channels, height, width] = x.shape().dims();
        let x = x.to_contiguous();
        let x = floats(&x);
        let shape = [batch, channels, height * factor, width * factor];
        let mut out = Buffer::new(shape.iter().product());
        let a_row = width * factor * factor;
        let at_once = (BLOCK / a_row.max(1)).max(1);
        out.par_chunks_mut((at_once * a_row).max(1))
            .zip(x.par_chunks((at_once * width).max(1)))
            .for_each(|(out, x)| {
                for (rows, x) in out.chunks_mut(a_row).zip(x.chunks(width)) {
                    let (first, others) = rows.split_at_mut(width * factor);
                    match factor {
                        2 => {
                            let (pairs, _) = first.as_chunks_mut::<2>();
                            pairs.iter_mut().zip(x).for_each(|(pair, x)| *pair = [*x; 2]);
                        }
                        _ => first
                            .chunks_mut(factor)
                            .zip(x)
                            .for_each(|(block, x)| block.fill(*x)),
                    }
                    for row in others.chunks_mut(width * factor) {
                        row.copy_from_slice(first);
                    }
                }
            });
        image(out, shape)
    }
}
