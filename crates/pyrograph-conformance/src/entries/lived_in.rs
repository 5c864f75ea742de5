//! Modules as they are after training.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};

const SEED: u64 = 13;

/// The module with norms that have seen something: fresh scales of 1 and statistics of 0 and 1 would hide an exchange.
pub(crate) fn lived_in<B: Backend, M: Module<B>>(module: M) -> M {
    module.map(&mut LivedIn {
        path: Vec::new(),
        stream: 0,
    })
}

struct LivedIn {
    path: Vec<String>,
    stream: u64,
}

impl<B: Backend> ModuleMapper<B> for LivedIn {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let value = match self.path.last().map(String::as_str) {
            Some("weight") if D == 1 => |n: f32| 1.0 + 0.3 * n,
            Some("running_mean") => |n: f32| 0.3 * n,
            Some("running_var") => |n: f32| 0.5 + n * n,
            _ => return param,
        };
        self.stream += 1;
        let noise = NoiseKey::new(SEED, Purpose::Other, self.stream);
        param.map(|tensor| {
            let shape = tensor.dims();
            let values = noise.normal(0, tensor.shape().num_elements());
            let fresh = host_tensor(
                values.into_iter().map(value).collect(),
                shape,
                &tensor.device(),
            );
            fresh.set_require_grad(tensor.is_require_grad())
        })
    }
}
