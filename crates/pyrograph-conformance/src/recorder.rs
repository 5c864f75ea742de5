//! What an entry hands its cases to.

use std::marker::PhantomData;

use burn::{
    module::Module,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use pyrograph_backend::{
    Device,
    rng::{NoiseKey, Purpose},
};
use pyrograph_gradcheck::{
    Evaluation, GradCheck, GradCheckError, GradReport, HostTensor, Inputs, evaluate,
    gradcheck_module,
};

use crate::{case::Case, tolerance::Cause};

pub(crate) type Outcome = Result<(), GradCheckError>;

/// Random directions along which each tensor's gradient is held to differences.
const DIRECTIONS: usize = 1;
const SEED: u64 = 21;

/// What is done with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Its values and gradients are kept, to be compared.
    Compare,
    /// Its gradients are held to differences of its values.
    Differences,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) cases: Vec<Case>,
    /// By the name of the case.
    pub(crate) differences: Vec<(String, GradReport)>,
}

/// Runs the cases of one entry on one backend.
pub(crate) struct Recorder<'a, A: AutodiffBackend> {
    device: &'a Device<A>,
    work: Work,
    next: u64,
    causes: [Cause; 2],
    recorded: Recorded,
}

impl<'a, A: AutodiffBackend> Recorder<'a, A> {
    pub(crate) fn new(device: &'a Device<A>, work: Work, causes: [Cause; 2]) -> Self {
        Self {
            device,
            work,
            next: 0,
            causes,
            recorded: Recorded::default(),
        }
    }

    pub(crate) fn finish(self) -> Recorded {
        self.recorded
    }

    pub(crate) fn device(&self) -> &'a Device<A> {
        self.device
    }

    /// An input of standard normal noise, from a stream of its own within the entry.
    pub(crate) fn normal(&mut self, name: &str, shape: &[usize]) -> HostTensor {
        self.next += 1;
        HostTensor::normal(name, shape, SEED + self.next)
    }

    /// Such noise, for what is no input.
    pub(crate) fn noise(&mut self, count: usize) -> impl Iterator<Item = f32> + use<A> {
        self.next += 1;
        let key = NoiseKey::new(SEED + self.next, Purpose::Other, 0);
        key.normal(0, count).into_iter()
    }

    /// A function of its inputs, with the gradient of each.
    pub(crate) fn case<const D: usize>(
        &mut self,
        name: &str,
        inputs: &[HostTensor],
        function: impl Fn(&Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
    ) -> Outcome {
        let without_parameters = PhantomData::<A>;
        self.module(name, &without_parameters, inputs, |_, inputs| {
            function(inputs)
        })
    }

    /// The same for a function of a module, with the gradient of each trained parameter as well.
    pub(crate) fn module<M: Module<A>, const D: usize>(
        &mut self,
        name: &str,
        module: &M,
        inputs: &[HostTensor],
        function: impl Fn(&M, &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
    ) -> Outcome {
        let [output, gradient] = self.causes;
        match self.work {
            Work::Compare => {
                let evaluation = evaluate(SEED, module, inputs, self.device, &function)?;
                self.push(name, output, gradient, evaluation);
                // Where no gradient is asked for, a backend takes other kernels.
                let inputs = Inputs::on(inputs, self.device)?;
                let still = function(&module.clone().no_grad(), &inputs)?;
                self.tensor(&format!("{name}, no gradient"), output, still);
            }
            Work::Differences => {
                // Cases run parts of a module as well.
                let check = GradCheck::projected(DIRECTIONS)
                    .with_seed(SEED)
                    .allowing_unreached();
                let report = gradcheck_module(&check, module, inputs, self.device, &function)?;
                self.recorded.differences.push((name.to_owned(), report));
            }
        }
        Ok(())
    }

    /// A case at a point where differences say nothing, such as on a kink: compared alone.
    pub(crate) fn case_at_a_kink<const D: usize>(
        &mut self,
        name: &str,
        inputs: &[HostTensor],
        function: impl Fn(&Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
    ) -> Outcome {
        if self.compares() {
            self.case(name, inputs, function)?;
        }
        Ok(())
    }

    /// A function whose output has no gradient: compared alone.
    pub(crate) fn still<const D: usize>(
        &mut self,
        name: &str,
        inputs: &[HostTensor],
        function: impl Fn(&Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
    ) -> Outcome {
        if self.compares() {
            let output = function(&Inputs::on(inputs, self.device)?)?;
            self.tensor(name, self.causes[0], output);
        }
        Ok(())
    }

    /// Sets why the outputs of the next cases may differ.
    pub(crate) fn outputs_differ_by(&mut self, cause: Cause) {
        self.causes[0] = cause;
    }

    /// Whether values without a gradient are wanted, so that they need not be computed in vain.
    pub(crate) fn compares(&self) -> bool {
        self.work == Work::Compare
    }

    /// Values without a gradient; `shape` is theirs.
    pub(crate) fn values(&mut self, name: &str, cause: Cause, shape: &[usize], values: Vec<f64>) {
        if self.compares() {
            self.push(name, cause, cause, Evaluation::of_values(shape, values));
        }
    }

    fn push(&mut self, name: &str, output: Cause, gradient: Cause, evaluation: Evaluation) {
        self.recorded.cases.push(Case {
            name: name.trim_start_matches(", ").to_owned(),
            output,
            gradient,
            evaluation,
        });
    }

    /// A tensor without a gradient.
    pub(crate) fn tensor<B: Backend, const D: usize>(
        &mut self,
        name: &str,
        cause: Cause,
        tensor: Tensor<B, D>,
    ) {
        let shape = tensor.dims();
        let values = tensor.into_data().iter::<f64>().collect();
        self.values(name, cause, &shape, values);
    }
}
