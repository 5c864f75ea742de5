//! A checked function behind a trait object: the check is compiled once for a backend, and not for every module,
//! closure and rank of output.

use burn::module::{Module, ParamId};
use burn::tensor::{
    Tensor,
    backend::{AutodiffBackend, Backend},
};

use crate::{
    GradCheckError,
    inputs::{Inputs, host},
    module,
    settings::Precision,
};

/// What a function returned: its shape, and the values in row-major order.
pub(crate) struct Output<A: Backend> {
    pub(crate) shape: Vec<usize>,
    pub(crate) flat: Tensor<A, 1>,
}

impl<A: Backend> Output<A> {
    fn of<const D: usize>(tensor: Tensor<A, D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self {
            flat: tensor.reshape([shape.iter().product::<usize>()]),
            shape,
        }
    }

    /// Shape and values on the host.
    pub(crate) fn host(self) -> (Vec<usize>, Vec<f64>) {
        (self.shape, host(self.flat).1)
    }
}

/// A function and its module, at the module's own parameters or beside them.
pub(crate) trait Checked<A: AutodiffBackend> {
    /// The function without gradients by parameters.
    fn still(&self, inputs: &Inputs<A>) -> Result<Output<A>, GradCheckError>;

    /// The same with other values in the parameter `id`.
    fn beside(
        &self,
        id: ParamId,
        values: &[f64],
        inputs: &Inputs<A>,
    ) -> Result<Output<A>, GradCheckError>;

    /// The function with gradients by trained parameters.
    fn trained(&self, inputs: &Inputs<A>) -> Result<Output<A>, GradCheckError>;

    /// The gradient of the parameter `id` after passes of [`trained`](Self::trained).
    fn gradient(&self, id: ParamId, gradients: &A::Gradients) -> Option<Vec<f64>>;
}

/// A function of a module and of inputs.
pub(crate) struct Function<M, F, const D: usize> {
    trained: M,
    still: M,
    precision: Precision,
    function: F,
}

impl<M, F, const D: usize> Function<M, F, D> {
    /// With a copy of `module` whose parameters have the precision's type.
    pub(crate) fn new<A>(module: &M, precision: &Precision, function: F) -> Self
    where
        A: AutodiffBackend,
        M: Module<A>,
    {
        let trained = module::fresh(module.clone(), precision);
        Self {
            still: trained.clone().no_grad(),
            trained,
            precision: *precision,
            function,
        }
    }
}

impl<A, M, F, const D: usize> Checked<A> for Function<M, F, D>
where
    A: AutodiffBackend,
    M: Module<A>,
    F: Fn(&M, &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
{
    fn still(&self, inputs: &Inputs<A>) -> Result<Output<A>, GradCheckError> {
        (self.function)(&self.still, inputs).map(Output::of)
    }

    fn beside(
        &self,
        id: ParamId,
        values: &[f64],
        inputs: &Inputs<A>,
    ) -> Result<Output<A>, GradCheckError> {
        let module = module::with(self.still.clone(), id, values, &self.precision);
        (self.function)(&module, inputs).map(Output::of)
    }

    fn trained(&self, inputs: &Inputs<A>) -> Result<Output<A>, GradCheckError> {
        (self.function)(&self.trained, inputs).map(Output::of)
    }

    fn gradient(&self, id: ParamId, gradients: &A::Gradients) -> Option<Vec<f64>> {
        module::gradient(&self.trained, id, gradients)
    }
}
