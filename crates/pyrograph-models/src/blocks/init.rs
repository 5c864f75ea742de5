//! Initial parameters, the same on every backend for one seed.

use burn::{
    module::{Param, ParamId},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};

/// Makes the parameters of a new model one after the other, each from its own stream of the seed.
#[derive(Debug)]
pub struct ParamInit<'a, B: Backend> {
    device: &'a B::Device,
    seed: u64,
    next: u64,
}

impl<'a, B: Backend> ParamInit<'a, B> {
    /// Parameters on `device` under `seed`.
    pub fn new(device: &'a B::Device, seed: u64) -> Self {
        Self {
            device,
            seed,
            next: 0,
        }
    }

    /// U(−bound, bound) with bound = 1/√fan_in: what PyTorch's `reset_parameters` gives convolutions and linear layers
    /// (Kaiming uniform with a = √5), weights and biases alike.
    pub fn fan_in<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
    ) -> Param<Tensor<B, D>> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let key = NoiseKey::new(self.seed, Purpose::Parameters, self.next);
        self.next += 1;
        let values = key
            .uniform(0, shape.iter().product())
            .into_iter()
            .map(|u| (2.0 * u - 1.0) * bound)
            .collect();
        Param::from_tensor(host_tensor(values, shape, self.device))
    }

    /// A trained parameter that starts at one value.
    pub fn constant(&mut self, size: usize, value: f32) -> Param<Tensor<B, 1>> {
        Param::from_tensor(host_tensor(vec![value; size], [size], self.device))
    }

    /// A tensor that is saved with the model but not trained, such as a running mean.
    pub fn buffer(&mut self, size: usize, value: f32) -> Param<Tensor<B, 1>> {
        let tensor = host_tensor(vec![value; size], [size], self.device);
        Param::initialized(ParamId::new(), tensor)
    }
}
