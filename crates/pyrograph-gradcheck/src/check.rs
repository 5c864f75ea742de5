//! The check itself: one pass with gradients, and passes beside the point to hold them to.

use std::cell::Cell;
use std::marker::PhantomData;

use burn::module::{Module, ParamId};
use burn::tensor::{Tensor, backend::AutodiffBackend};
use pyrograph_backend::lock_autodiff;

use crate::{
    GradCheckError,
    compare::{self, Variable},
    evaluate::backward,
    inputs::{HostTensor, Inputs, Values, host},
    module,
    numbers::largest,
    random::cotangent,
    report::{Finding, GradReport, Kind, TensorReport, Verdict},
    settings::{GradCheck, Mode, Precision},
};

/// By how many roundings two calls at one point may differ: parallel sums of a GPU change their order.
const SAME_POINT_ROUNDINGS: f64 = 16.0;

/// Holds the gradients of a function of tensors to differences of its values.
///
/// The function takes its tensors from [`Inputs`] by name, and returns one tensor of any rank. `⟨c, f⟩` with a seeded random
/// `c` is what is differentiated; the differences are summed on the host in f64. A function has to depend on its inputs
/// alone: what it draws at random has to be drawn before.
///
/// # Errors
/// When a setting or an input is not legal, and when the function returns an error. What is wrong with the gradients, or
/// with the function, is no error but part of the report.
pub fn gradcheck<A: AutodiffBackend, const D: usize>(
    check: &GradCheck,
    inputs: &[HostTensor],
    device: &A::Device,
    function: impl Fn(&Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
) -> Result<GradReport, GradCheckError> {
    let without_parameters = PhantomData::<A>;
    gradcheck_module(check, &without_parameters, inputs, device, |_, inputs| {
        function(inputs)
    })
}

/// Holds the gradients of a module to differences of its values: by every float input and every trained parameter.
///
/// As [`gradcheck`], with parameters named by their path in the module. Parameters that ask for no gradient, such as
/// running statistics, are skipped, and the report says so. The module is copied, and the copy has the precision's type:
/// [`Precision`]'s f64 checks a module whose parameters burn made in f32. (burn's `RunningState` is shared between copies, so
/// statistics in it take the type and whatever the passes add to them.)
///
/// # Errors
/// As [`gradcheck`].
pub fn gradcheck_module<A: AutodiffBackend, M: Module<A>, const D: usize>(
    check: &GradCheck,
    module: &M,
    inputs: &[HostTensor],
    device: &A::Device,
    function: impl Fn(&M, &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
) -> Result<GradReport, GradCheckError> {
    let precision = check.resolve::<A>()?;
    let mut variables = of_inputs(inputs, &precision);
    variables.extend(of_parameters(module, &precision));
    let trained = module::fresh(module.clone(), &precision);
    let subject = Subject {
        inputs: Inputs::still(inputs, &precision, device)?,
        module: trained.clone().no_grad(),
        precision,
        device,
        function,
        calls: Cell::new(0),
    };
    let mut report = Report::new(check, &precision);
    if let Some(point) = subject.point(check, trained, &mut variables, &mut report)? {
        subject.compare(check, &point, &variables, &mut report)?;
    }
    Ok(report.finish(subject.calls.get()))
}

/// Where a variable's values go.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Input(usize),
    Parameter(ParamId),
}

fn of_inputs(inputs: &[HostTensor], precision: &Precision) -> Vec<Variable> {
    let float = inputs.iter().enumerate().map(|(at, input)| {
        let tensor = input.name.clone();
        let (values, skipped) = match &input.values {
            Values::Int(_) => (Vec::new(), Some(Finding::IntegerInput { tensor })),
            Values::Float(values) if values.is_empty() => {
                (Vec::new(), Some(Finding::EmptyTensor { tensor }))
            }
            Values::Float(values) => (values.clone(), None),
        };
        Variable {
            origin: Origin::Input(at),
            name: input.name.clone(),
            kind: Kind::Input,
            shape: input.shape.clone(),
            values: values.into_iter().map(|v| precision.round(v)).collect(),
            skipped,
            gradient: None,
        }
    });
    float.collect()
}

fn of_parameters<A: AutodiffBackend, M: Module<A>>(
    module: &M,
    precision: &Precision,
) -> Vec<Variable> {
    let parameters = module::parameters(module).into_iter();
    let variables = parameters.map(|parameter| {
        let tensor = parameter.path.clone();
        let skipped = if !parameter.trained {
            Some(Finding::NotTrained { tensor })
        } else if parameter.values.is_empty() {
            Some(Finding::EmptyTensor { tensor })
        } else {
            None
        };
        let values = parameter.values.into_iter();
        Variable {
            origin: Origin::Parameter(parameter.id),
            name: parameter.path,
            kind: Kind::Parameter,
            shape: parameter.shape,
            values: values.map(|v| precision.round(v)).collect(),
            skipped,
            gradient: None,
        }
    });
    variables.collect()
}

/// The function's values at the point, and their weights.
struct Point {
    shape: Vec<usize>,
    values: Vec<f64>,
    cotangent: Vec<f64>,
}

struct Subject<'a, A: AutodiffBackend, M, F> {
    inputs: Inputs<A>,
    module: M,
    precision: Precision,
    device: &'a A::Device,
    function: F,
    calls: Cell<usize>,
}

impl<A: AutodiffBackend, M: Module<A>, F, const D: usize> Subject<'_, A, M, F>
where
    F: Fn(&M, &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
{
    fn call(&self, module: &M, inputs: &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError> {
        self.calls.set(self.calls.get() + 1);
        (self.function)(module, inputs)
    }

    /// Shape and values with one variable replaced.
    fn beside(
        &self,
        origin: Origin,
        values: &[f64],
    ) -> Result<(Vec<usize>, Vec<f64>), GradCheckError> {
        let output = match origin {
            Origin::Input(at) => {
                let inputs = self.inputs.with(at, values, &self.precision, self.device);
                self.call(&self.module, &inputs)?
            }
            Origin::Parameter(id) => {
                let module = module::with(self.module.clone(), id, values, &self.precision);
                self.call(&module, &self.inputs)?
            }
        };
        Ok(host(output))
    }

    /// Calls at the point itself: twice without gradients, once with them.
    fn point(
        &self,
        check: &GradCheck,
        trained: M,
        variables: &mut [Variable],
        report: &mut Report,
    ) -> Result<Option<Point>, GradCheckError> {
        let (shape, values) = host(self.call(&self.module, &self.inputs)?);
        let (again_shape, again) = host(self.call(&self.module, &self.inputs)?);
        let _turn = lock_autodiff();
        let inputs = self.inputs.tracked();
        let output = self.call(&trained, &inputs)?;
        let (tracked_shape, tracked) = host(output.clone());

        let allowed = SAME_POINT_ROUNDINGS * self.precision.epsilon() * largest(&values);
        let finding = finite(&values, None)
            .or_else(|| same_shape(&shape, &again_shape))
            .or_else(|| same_shape(&shape, &tracked_shape))
            .or_else(|| {
                differs(&values, &again, allowed)
                    .map(|difference| Finding::NonDeterministic { difference })
            })
            .or_else(|| {
                // The tracked pass may take other kernels, which round otherwise.
                let allowed = self.precision.tolerance * largest(&values).max(1.0);
                differs(&values, &tracked, allowed)
                    .map(|difference| Finding::TrackedValueDiffers { difference })
            })
            .or_else(|| values.is_empty().then_some(Finding::EmptyOutput));
        if let Some(finding) = finding {
            report.findings.push(finding);
            return Ok(None);
        }

        let cotangent = cotangent(check.seed, values.len());
        let gradients = backward(output, &cotangent, &self.precision);
        for variable in variables.iter_mut().filter(|v| v.skipped.is_none()) {
            variable.gradient = match variable.origin {
                Origin::Input(at) => inputs.gradient(at, &gradients),
                Origin::Parameter(id) => module::gradient(&trained, id, &gradients),
            };
        }
        Ok(Some(Point {
            shape,
            values,
            cotangent,
        }))
    }

    fn compare(
        &self,
        check: &GradCheck,
        point: &Point,
        variables: &[Variable],
        report: &mut Report,
    ) -> Result<(), GradCheckError> {
        let gradients = variables.iter().filter_map(|v| v.gradient.as_deref());
        let steepest = gradients.map(largest).fold(0.0, f64::max);
        for (at, variable) in variables.iter().enumerate() {
            if let Some(finding) = &variable.skipped {
                report.tensors.push(variable.empty_report());
                report.findings.push(finding.clone());
                continue;
            }
            let beside = |values: &[f64]| -> Result<Vec<f64>, compare::Stop> {
                let (shape, values) = self.beside(variable.origin, values)?;
                let tensor = Some(variable.name.clone());
                match same_shape(&point.shape, &shape).or_else(|| finite(&values, tensor)) {
                    Some(finding) => Err(compare::Stop::Finding(finding)),
                    None => Ok(values),
                }
            };
            let base = crate::slopes::Base {
                values: &point.values,
                cotangent: &point.cotangent,
            };
            let (tensor, findings) =
                compare::tensor(check, &self.precision, variable, at, steepest, base, beside)?;
            report.tensors.push(tensor);
            report.findings.extend(findings);
        }
        Ok(())
    }
}

fn finite(values: &[f64], tensor: Option<String>) -> Option<Finding> {
    let values = values.iter().filter(|v| !v.is_finite()).count();
    (values > 0).then_some(Finding::NonFinite { tensor, values })
}

fn same_shape(first: &[usize], later: &[usize]) -> Option<Finding> {
    (first != later).then(|| Finding::ShapeChanged {
        first: first.to_vec(),
        later: later.to_vec(),
    })
}

/// The largest difference, where it exceeds `allowed`; one that is no number does.
fn differs(first: &[f64], later: &[f64], allowed: f64) -> Option<f64> {
    let differences = first.iter().zip(later).map(|(a, b)| (a - b).abs());
    let worst = differences.max_by(f64::total_cmp)?;
    (worst.is_nan() || worst > allowed).then_some(worst)
}

/// A report that is being written.
struct Report {
    check: GradCheck,
    precision: Precision,
    tensors: Vec<TensorReport>,
    findings: Vec<Finding>,
}

impl Report {
    fn new(check: &GradCheck, precision: &Precision) -> Self {
        Self {
            check: *check,
            precision: *precision,
            tensors: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn finish(mut self, calls: usize) -> GradReport {
        let checked = |tensor: &TensorReport| tensor.verdict != Verdict::Skipped;
        if !self.tensors.iter().any(checked) && self.findings.iter().all(is_a_skip) {
            self.findings.push(Finding::NothingToCheck);
        }
        let parts = self.tensors.iter().map(|tensor| tensor.verdict);
        let verdict = parts
            .chain(self.findings.iter().map(Finding::verdict))
            .max();
        GradReport {
            verdict: verdict.unwrap_or(Verdict::Inconclusive),
            mode: match self.check.mode {
                Mode::Full => "full".to_owned(),
                Mode::Projected { directions } => format!("projected, {directions} directions"),
            },
            dtype: format!("{:?}", self.precision.dtype).to_lowercase(),
            step: self.precision.step,
            tolerance: self.precision.tolerance,
            floor: self.precision.floor,
            seed: self.check.seed,
            calls,
            tensors: self.tensors,
            findings: self.findings,
        }
    }
}

fn is_a_skip(finding: &Finding) -> bool {
    finding.verdict() == Verdict::Skipped
}
