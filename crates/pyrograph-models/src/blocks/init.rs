//! Initial values of parameters; a seed gives the same values on every backend.

use burn::{
    module::{Param, ParamId},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};

/// The initial distribution of the weights of a convolution or a linear layer: uniform in (−bound,
/// bound).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitScheme {
    /// bound = 1/√fan_in for weights and biases, as PyTorch's `reset_parameters` (Kaiming uniform
    /// with a = √5).
    #[default]
    Torch,
    /// bound = √(6/fan_in), biases 0: keeps the variance through ReLU ([He et al.,
    /// 2015](https://arxiv.org/abs/1502.01852)).
    He,
    /// bound = √(6/(fan_in + fan_out)), biases 0 ([Glorot and Bengio,
    /// 2010](https://proceedings.mlr.press/v9/glorot10a.html)).
    Xavier,
}

/// Creates the parameters of a new model one after the other, each from its own random stream of
/// the seed.
#[derive(Debug)]
pub struct ParamInit<'a, B: Backend> {
    device: &'a B::Device,
    source: Source,
    scheme: InitScheme,
}

/// Where the values of parameters come from.
#[derive(Debug)]
enum Source {
    /// Random numbers of a seed; `next` numbers the streams.
    Drawn { seed: u64, next: u64 },
    /// Loading replaces them.
    Lazy,
}

impl<'a, B: Backend> ParamInit<'a, B> {
    /// Parameters on `device` under `seed`.
    pub fn new(device: &'a B::Device, seed: u64) -> Self {
        Self {
            device,
            source: Source::Drawn { seed, next: 0 },
            scheme: InitScheme::default(),
        }
    }

    /// Parameters that loading replaces: they have a shape, but no values and no memory. A
    /// parameter that is used before it is loaded is zero.
    pub fn lazy(device: &'a B::Device) -> Self {
        Self {
            device,
            source: Source::Lazy,
            scheme: InitScheme::default(),
        }
    }

    /// Sets the scheme for all layers that are created afterwards.
    pub fn set_scheme(&mut self, scheme: InitScheme) {
        self.scheme = scheme;
    }

    /// The weight of a layer; `fans` is [fan-in, fan-out].
    pub fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        fans: [usize; 2],
    ) -> Param<Tensor<B, D>> {
        let [fan_in, fan_out] = fans.map(|fan| fan as f32);
        let bound = match self.scheme {
            InitScheme::Torch => 1.0 / fan_in.sqrt(),
            InitScheme::He => (6.0 / fan_in).sqrt(),
            InitScheme::Xavier => (6.0 / (fan_in + fan_out)).sqrt(),
        };
        self.uniform(shape, bound)
    }

    /// The bias of a layer with this fan-in.
    pub fn bias(&mut self, size: usize, fan_in: usize) -> Param<Tensor<B, 1>> {
        match self.scheme {
            InitScheme::Torch => self.uniform([size], 1.0 / (fan_in as f32).sqrt()),
            InitScheme::He | InitScheme::Xavier => self.constant(size, 0.0),
        }
    }

    fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f32) -> Param<Tensor<B, D>> {
        let Source::Drawn { seed, next } = &mut self.source else {
            return self.unloaded(shape, true);
        };
        let key = NoiseKey::new(*seed, Purpose::Parameters, *next);
        *next += 1;
        let values = key
            .uniform(0, shape.iter().product())
            .into_iter()
            .map(|u| (2.0 * u - 1.0) * bound)
            .collect();
        Param::from_tensor(host_tensor(values, shape, self.device))
    }

    /// A trained parameter whose `size` initial values are all `value`.
    pub fn constant(&mut self, size: usize, value: f32) -> Param<Tensor<B, 1>> {
        match self.source {
            Source::Drawn { .. } => {
                Param::from_tensor(host_tensor(vec![value; size], [size], self.device))
            }
            Source::Lazy => self.unloaded([size], true),
        }
    }

    /// A tensor that is saved with the model but not trained, such as a running mean.
    pub fn buffer(&mut self, size: usize, value: f32) -> Param<Tensor<B, 1>> {
        match self.source {
            Source::Drawn { .. } => {
                let tensor = host_tensor(vec![value; size], [size], self.device);
                Param::initialized(ParamId::new(), tensor)
            }
            Source::Lazy => self.unloaded([size], false),
        }
    }

    fn unloaded<const D: usize>(&self, shape: [usize; D], trained: bool) -> Param<Tensor<B, D>> {
        Param::uninitialized(
            ParamId::new(),
            move |device, trained| Tensor::zeros(shape, device).set_require_grad(trained),
            self.device.clone(),
            trained,
            shape.into(),
        )
    }
}
