//! Reads and replaces the parameters of a module by their ids.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};

use crate::{
    inputs::{HostTensor, Values, float, host},
    settings::Precision,
};

/// A float parameter as the module holds it.
pub(crate) struct Parameter {
    pub(crate) id: ParamId,
    pub(crate) path: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    pub(crate) trained: bool,
}

/// Every float parameter of a module once, running statistics with them, by path.
pub fn host_parameters<B: Backend, M: Module<B>>(module: &M) -> Vec<HostTensor> {
    let parameters = parameters(module).into_iter();
    parameters
        .map(|parameter| HostTensor {
            name: parameter.path,
            shape: parameter.shape,
            values: Values::Float(parameter.values),
        })
        .collect()
}

/// Every float parameter once, in the order of the module's fields.
pub(crate) fn parameters<B: Backend, M: Module<B>>(module: &M) -> Vec<Parameter> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.parameters
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    seen: HashSet<ParamId>,
    parameters: Vec<Parameter>,
}

impl<B: Backend> ModuleVisitor<B> for Reader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        // Tied parameters have one id, and move together.
        if !self.seen.insert(param.id) {
            return;
        }
        let tensor = param.val();
        let trained = tensor.is_require_grad();
        let (shape, values) = host(tensor);
        let path = if self.path.is_empty() {
            param.id.to_string()
        } else {
            self.path.join(".")
        };
        self.parameters.push(Parameter {
            id: param.id,
            path,
            shape,
            values,
            trained,
        });
    }
}

/// The gradient of the parameter `id`, where it has one.
pub(crate) fn gradient<A: AutodiffBackend, M: Module<A>>(
    module: &M,
    id: ParamId,
    gradients: &A::Gradients,
) -> Option<Vec<f64>> {
    let mut finder = Finder::<A> {
        id,
        gradients,
        found: None,
    };
    module.visit(&mut finder);
    finder.found
}

struct Finder<'a, A: AutodiffBackend> {
    id: ParamId,
    gradients: &'a A::Gradients,
    found: Option<Vec<f64>>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Finder<'_, A> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if param.id == self.id && self.found.is_none() {
            let gradient = param.val().grad(self.gradients);
            self.found = gradient.map(|gradient| host(gradient).1);
        }
    }
}

/// The module with every float parameter as a fresh leaf of the precision's type; trained ones stay trained.
///
/// The original must have been read before: a lazy parameter draws other values in every copy until it is.
pub(crate) fn fresh<A: AutodiffBackend, M: Module<A>>(module: M, precision: &Precision) -> M {
    struct Fresh<'a, A: Backend> {
        precision: &'a Precision,
        // The leaf of a tied parameter is shared, so that its gradient is the sum.
        leaves: Vec<(ParamId, A::FloatTensorPrimitive)>,
    }
    impl<A: AutodiffBackend> ModuleMapper<A> for Fresh<'_, A> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
            use burn::tensor::TensorPrimitive::Float;
            let (id, tensor, mapper) = param.consume();
            if let Some((_, leaf)) = self.leaves.iter().find(|(other, _)| *other == id) {
                let leaf = Tensor::from_primitive(Float(leaf.clone()));
                return Param::from_mapped_value(id, leaf, mapper);
            }
            let trained = tensor.is_require_grad();
            let still = Tensor::from_inner(tensor.inner().cast(self.precision.dtype));
            let leaf = still.set_require_grad(trained);
            let primitive = leaf.clone().into_primitive().tensor();
            self.leaves.push((id, primitive));
            Param::from_mapped_value(id, leaf, mapper)
        }
    }
    module.map(&mut Fresh::<A> {
        precision,
        leaves: Vec::new(),
    })
}

/// The module with other values, untracked, in the parameter `id`.
pub(crate) fn with<A: Backend, M: Module<A>>(
    module: M,
    id: ParamId,
    values: &[f64],
    precision: &Precision,
) -> M {
    struct Replace<'a> {
        id: ParamId,
        values: &'a [f64],
        precision: &'a Precision,
    }
    impl<A: Backend> ModuleMapper<A> for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
            let (id, mut tensor, mapper) = param.consume();
            if id == self.id {
                let flat = float::<A>(self.values, self.precision, &tensor.device());
                tensor = flat.reshape(tensor.shape());
            }
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    module.map(&mut Replace {
        id,
        values,
        precision,
    })
}
