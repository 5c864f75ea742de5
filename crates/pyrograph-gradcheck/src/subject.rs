//! The checked function: its calls at the point and beside it.

use std::cell::Cell;

use burn::tensor::{Tensor, backend::AutodiffBackend};
use pyrograph_backend::lock_autodiff;

use crate::{
    GradCheckError,
    check::Report,
    checked::Checked,
    compare::{self, Comparing, Stop},
    digits::operations_in_single,
    evaluate::backward,
    inputs::{Inputs, host},
    noise::{LOST, relative_noise},
    numbers::{Reference, index_of, largest, norm, not_finite},
    random::cotangent,
    report::{Finding, TensorReport},
    settings::{GradCheck, Mode, Precision},
    slopes::Base,
    variables::{Origin, Variable},
};

/// By how many roundings two calls at one point may differ: parallel sums of a GPU change their
/// order.
const SAME_POINT_ROUNDINGS: f64 = 16.0;
/// Gradients of less than this share of the steepest are compared from pass to pass by this share.
const ROUNDS_BELOW: f64 = 1e-3;

/// The function's values at the point, and their weights.
pub(crate) struct Point {
    shape: Vec<usize>,
    values: Vec<f64>,
    cotangent: Vec<f64>,
}

/// A function and the point at which it is checked.
pub(crate) struct Subject<'a, A: AutodiffBackend> {
    pub(crate) function: &'a dyn Checked<A>,
    pub(crate) inputs: Inputs<A>,
    pub(crate) precision: Precision,
    pub(crate) device: &'a A::Device,
    pub(crate) calls: Cell<usize>,
}

impl<A: AutodiffBackend> Subject<'_, A> {
    /// The function, whose calls are counted.
    fn function(&self) -> &dyn Checked<A> {
        self.calls.set(self.calls.get() + 1);
        self.function
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
                self.function().still(&inputs)?
            }
            Origin::Parameter(id) => self.function().beside(id, values, &self.inputs)?,
        };
        Ok(output.host())
    }

    /// Calls at the point itself: twice without gradients, twice with them.
    pub(crate) fn point(
        &self,
        check: &GradCheck,
        variables: &mut [Variable],
        report: &mut Report,
    ) -> Result<Option<Point>, GradCheckError> {
        let (shape, values) = self.function().still(&self.inputs)?.host();
        let (again_shape, again) = self.function().still(&self.inputs)?.host();
        let _turn = lock_autodiff();
        let inputs = self.inputs.tracked();
        let output = self.function().trained(&inputs)?;
        let tracked_shape = output.shape;
        let (_, tracked) = host(output.flat.clone());

        let allowed = SAME_POINT_ROUNDINGS * self.precision.epsilon() * largest(&values);
        let finding = finite(&values, &shape, None)
            .or_else(|| same_shape(&shape, &again_shape))
            .or_else(|| same_shape(&shape, &tracked_shape))
            .or_else(|| {
                differs(&values, &again, allowed)
                    .map(|difference| Finding::NonDeterministic { difference })
            })
            .or_else(|| {
                // The tracked pass may take other kernels, which round otherwise.
                let allowed = self.precision.tolerance * largest(&values);
                differs(&values, &tracked, allowed)
                    .map(|difference| Finding::TrackedValueDiffers { difference })
            })
            .or_else(|| values.is_empty().then_some(Finding::EmptyOutput));
        if let Some(finding) = finding {
            report.findings.push(finding);
            return Ok(None);
        }

        let cotangent = cotangent(check.seed, values.len());
        let point = Point {
            shape,
            values,
            cotangent,
        };
        let gradients = self.gradients(&inputs, output.flat, &point, variables);
        // A gradient may be wrong in every second pass alone.
        let output = self.function().trained(&inputs)?;
        let again = same_shape(&point.shape, &output.shape);
        if let Some(finding) = again {
            report.findings.push(finding);
            return Ok(None);
        }
        let second = self.gradients(&inputs, output.flat, &point, variables);
        let differing = self.differing(variables, &gradients, &second);
        report.findings.extend(differing);
        for (variable, gradient) in variables.iter_mut().zip(gradients) {
            variable.gradient = gradient;
        }
        Ok(Some(point))
    }

    /// The gradient of each variable that is checked.
    fn gradients(
        &self,
        inputs: &Inputs<A>,
        output: Tensor<A, 1>,
        point: &Point,
        variables: &[Variable],
    ) -> Vec<Option<Vec<f64>>> {
        let gradients = backward(output, &point.cotangent, &self.precision);
        let of = |variable: &Variable| match (&variable.skipped, variable.origin) {
            (Some(_), _) => None,
            (None, Origin::Input(at)) => inputs.gradient(at, &gradients),
            (None, Origin::Parameter(id)) => self.function.gradient(id, &gradients),
        };
        variables.iter().map(of).collect()
    }

    /// The first variable whose gradients of two passes differ.
    fn differing(
        &self,
        variables: &[Variable],
        first: &[Option<Vec<f64>>],
        second: &[Option<Vec<f64>>],
    ) -> Option<Finding> {
        let all = first.iter().chain(second).flatten();
        let steepest = all.map(|gradient| largest(gradient)).fold(0.0, f64::max);
        let passes = variables.iter().zip(first.iter().zip(second));
        passes
            .filter_map(|(variable, (first, second))| {
                let zeros = vec![0.0; variable.values.len()];
                if first.is_none() && second.is_none() {
                    return None;
                }
                let first = first.as_deref().unwrap_or(&zeros);
                let second = second.as_deref().unwrap_or(&zeros);
                let own = largest(first).max(largest(second));
                let allowed = self.precision.tolerance * own.max(ROUNDS_BELOW * steepest);
                let at = worst_beyond(first, second, allowed)?;
                Some(Finding::GradientNotDeterministic {
                    tensor: variable.name.clone(),
                    index: index_of(at, &variable.shape),
                    first: first[at],
                    second: second[at],
                })
            })
            .next()
    }

    /// Compares every variable; where that finds fault in f64, again with the rounding that the
    /// function really has.
    pub(crate) fn compare(
        &self,
        check: &GradCheck,
        point: &Point,
        variables: &[Variable],
        report: &mut Report,
    ) -> Result<(), GradCheckError> {
        let epsilon = self.precision.epsilon();
        let (mut tensors, mut findings) = self.compare_all(check, point, variables, epsilon)?;
        let at_fault = tensors
            .iter()
            .position(|tensor| tensor.wrong + tensor.kinks + tensor.drowned > 0);
        if let Some(at) = at_fault
            && epsilon == f64::EPSILON
        {
            let variable = &variables[at];
            let beside = |values: &[f64]| self.value_beside(variable, point, values);
            let noise = relative_noise(check.seed, &self.precision, &variable.values, &beside)?;
            if noise > LOST {
                (tensors, findings) = self.compare_all(check, point, variables, noise)?;
                findings.push(Finding::LostPrecision {
                    noise,
                    operations: operations_in_single::<A>(self.device),
                });
            }
        }
        report.tensors.extend(tensors);
        report.findings.extend(findings);
        Ok(())
    }

    /// Compares every variable where the function's values are rounded by `epsilon` of their size.
    fn compare_all(
        &self,
        check: &GradCheck,
        point: &Point,
        variables: &[Variable],
        epsilon: f64,
    ) -> Result<(Vec<TensorReport>, Vec<Finding>), GradCheckError> {
        let steepest = |variable: &Variable| match (&variable.gradient, check.mode) {
            (None, _) => 0.0,
            (Some(gradient), Mode::Full) => largest(gradient),
            (Some(gradient), Mode::Projected { .. }) => norm(gradient),
        };
        let steepest_of_all = variables.iter().map(steepest).fold(0.0, f64::max);
        let (mut tensors, mut all) = (Vec::with_capacity(variables.len()), Vec::new());
        for (at, variable) in variables.iter().enumerate() {
            if let Some(finding) = &variable.skipped {
                tensors.push(variable.empty_report());
                all.push(finding.clone());
                continue;
            }
            let comparing = Comparing {
                check,
                precision: &self.precision,
                reference: Reference {
                    steepest: steepest(variable),
                    steepest_of_all,
                    epsilon,
                },
                at,
                base: Base {
                    values: &point.values,
                    cotangent: &point.cotangent,
                },
            };
            let beside = |values: &[f64]| self.value_beside(variable, point, values);
            let (tensor, findings) = compare::tensor(&comparing, variable, &beside)?;
            tensors.push(tensor);
            all.extend(findings);
        }
        Ok((tensors, all))
    }

    /// The function's values with one variable replaced, which have to be finite and of one shape.
    fn value_beside(
        &self,
        variable: &Variable,
        point: &Point,
        values: &[f64],
    ) -> Result<Vec<f64>, Stop> {
        let (shape, values) = self.beside(variable.origin, values)?;
        let tensor = Some(variable.name.clone());
        match same_shape(&point.shape, &shape).or_else(|| finite(&values, &shape, tensor)) {
            Some(finding) => Err(Stop::Finding(finding)),
            None => Ok(values),
        }
    }
}

fn finite(values: &[f64], shape: &[usize], tensor: Option<String>) -> Option<Finding> {
    let (values, first) = not_finite(values)?;
    Some(Finding::NonFinite {
        tensor,
        values,
        index: index_of(first, shape),
        moved: None,
    })
}

/// Where two lists differ most, where that is by more than `allowed`; a difference that is no
/// number does.
fn worst_beyond(first: &[f64], second: &[f64], allowed: f64) -> Option<usize> {
    let differences = first.iter().zip(second).map(|(a, b)| (a - b).abs());
    let (at, worst) = differences
        .enumerate()
        // Both may hold the same NaN, which is reported as one.
        .filter(|(at, _)| first[*at].is_finite() || second[*at].is_finite())
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (worst.is_nan() || worst > allowed).then_some(at)
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
