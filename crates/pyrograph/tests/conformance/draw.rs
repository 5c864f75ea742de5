//! Inputs: host noise, the same on every backend.

use burn::tensor::{Tensor, backend::AutodiffBackend};
use pyrograph::backend::rng::{NoiseKey, Purpose};

const SEED: u64 = 21;

/// Hands out tensors of standard normal noise, each from a stream of its own.
pub(crate) struct Draw<'a, A: AutodiffBackend> {
    device: &'a A::Device,
    next: u64,
}

impl<'a, A: AutodiffBackend> Draw<'a, A> {
    /// `first` is the number of the first stream; two lists with numbers far apart share none.
    pub(crate) fn new(device: &'a A::Device, first: u64) -> Self {
        Self {
            device,
            next: first,
        }
    }

    pub(crate) fn normal<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<A, D> {
        let key = NoiseKey::new(SEED, Purpose::Other, self.next);
        self.next += 1;
        key.normal_tensor(0, shape, self.device)
    }

    /// `offset + scale · noise`, whose gradient is wanted.
    pub(crate) fn leaf<const D: usize>(
        &mut self,
        shape: [usize; D],
        offset: f64,
        scale: f64,
    ) -> Tensor<A, D> {
        (self.normal(shape) * scale + offset)
            .detach()
            .require_grad()
    }
}
