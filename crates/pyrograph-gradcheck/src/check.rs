//! The check itself: passes with gradients, and passes beside the point to hold them to.

use std::cell::Cell;
use std::marker::PhantomData;

use burn::module::Module;
use burn::tensor::{Tensor, backend::AutodiffBackend};

use crate::{
    GradCheckError,
    checked::Function,
    inputs::{HostTensor, Inputs},
    report::{Finding, GradReport, TensorReport, Verdict},
    settings::{GradCheck, Mode, Precision},
    subject::Subject,
    variables::{Variable, of_inputs, of_parameters},
};

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
    let subject = Subject {
        function: &Function::new::<A>(module, &precision, function),
        inputs: Inputs::still(inputs, &precision, device)?,
        precision,
        device,
        calls: Cell::new(0),
    };
    judge_all(check, &subject, variables)
}

/// Compares the gradients by all `variables`.
fn judge_all<A: AutodiffBackend>(
    check: &GradCheck,
    subject: &Subject<'_, A>,
    mut variables: Vec<Variable>,
) -> Result<GradReport, GradCheckError> {
    let mut report = Report::new(check, &subject.precision);
    if let Some(finding) = variables.iter().find_map(Variable::not_finite) {
        report.findings.push(finding);
    } else if let Some(point) = subject.point(check, &mut variables, &mut report)? {
        subject.compare(check, &point, &variables, &mut report)?;
    }
    Ok(report.finish(subject.calls.get()))
}

/// A report that is being written.
pub(crate) struct Report {
    check: GradCheck,
    precision: Precision,
    pub(crate) tensors: Vec<TensorReport>,
    pub(crate) findings: Vec<Finding>,
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
