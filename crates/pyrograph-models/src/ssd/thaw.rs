//! Parameters that train again after they were frozen.

use burn::{
    module::{ModuleMapper, Param},
    tensor::{Tensor, backend::Backend},
};

/// The fields of a batch norm that no gradient trains.
const RUNNING: [&str; 2] = ["running_mean", "running_var"];

/// Makes every parameter require a gradient, except running statistics.
#[derive(Debug, Default)]
pub(super) struct Thaw {
    /// The fields around the current parameter, from the outermost.
    path: Vec<String>,
}

impl<B: Backend> ModuleMapper<B> for Thaw {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let running = self
            .path
            .last()
            .is_some_and(|name| RUNNING.contains(&name.as_str()));
        match running {
            true => param,
            false => param.set_require_grad(true),
        }
    }
}
