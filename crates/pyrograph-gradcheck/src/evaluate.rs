//! A function's output and gradients at one point, on the host, to hold one backend to another.

use burn::module::Module;
use burn::tensor::{Tensor, backend::AutodiffBackend};
use pyrograph_backend::lock_autodiff;
use serde::Serialize;

use crate::{
    GradCheckError,
    checked::{Checked, Function, Output},
    inputs::{HostTensor, Inputs, Values, float, host},
    module::{self, Parameter},
    numbers::{index_of, largest},
    random::cotangent,
    report::{Kind, Place},
    settings::Precision,
};

/// Where f64 finds less than this share of a case's largest gradient, the gradient is zero but for rounding.
const ZERO: f64 = 1e-9;

/// A named tensor's values on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// The input's name, or the parameter's path in the module.
    pub name: String,
    /// Input or parameter.
    pub kind: Kind,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The values in row-major order; `None` where autodiff gives no gradient.
    pub values: Option<Vec<f64>>,
}

/// What [`evaluate`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The output's shape.
    pub shape: Vec<usize>,
    /// The output's values in row-major order.
    pub values: Vec<f64>,
    /// The gradients of every float input and every trained parameter, inputs first.
    pub gradients: Vec<Gradient>,
}

/// The largest difference between two evaluations' values of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// The tensor: `None` for the output, else the name of the gradient's.
    pub tensor: Option<String>,
    /// The element.
    pub place: Place,
    /// Its value here; NaN where there is no gradient.
    pub value: f64,
    /// Its value in the other evaluation; NaN where there is no gradient.
    pub expected: f64,
    /// The difference as a share of the tensor's largest expected value; infinite where a value is not finite or missing.
    pub error: f64,
}

/// Calls `function` and goes back from `⟨c, output⟩`, with a `c` seeded by `seed`, at the backend's precision.
///
/// The module's float parameters are taken at that precision too, so that f32 parameters are seen by f64 unrounded.
///
/// # Errors
/// When an input is not legal, and when the function returns an error.
pub fn evaluate<A: AutodiffBackend, M: Module<A>, const D: usize>(
    seed: u64,
    module: &M,
    inputs: &[HostTensor],
    device: &A::Device,
    function: impl Fn(&M, &Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
) -> Result<Evaluation, GradCheckError> {
    let precision = Precision::of::<A>()?;
    let parameters = module::parameters(module);
    let function = Function::new::<A>(module, &precision, function);
    evaluate_checked(seed, &precision, &function, parameters, inputs, device)
}

fn evaluate_checked<A: AutodiffBackend>(
    seed: u64,
    precision: &Precision,
    function: &dyn Checked<A>,
    parameters: Vec<Parameter>,
    inputs: &[HostTensor],
    device: &A::Device,
) -> Result<Evaluation, GradCheckError> {
    let _turn = lock_autodiff();
    let held = Inputs::still(inputs, precision, device)?.tracked();
    let Output { shape, flat } = function.trained(&held)?;
    let (_, values) = host(flat.clone());
    let gradients = backward(flat, &cotangent(seed, values.len()), precision);
    let is_float = |(_, input): &(usize, &HostTensor)| matches!(input.values, Values::Float(_));
    let of_inputs = inputs.iter().enumerate().filter(is_float);
    let of_inputs = of_inputs.map(|(at, input)| Gradient {
        name: input.name.clone(),
        kind: Kind::Input,
        shape: input.shape.clone(),
        values: held.gradient(at, &gradients),
    });
    let of_parameters = parameters.into_iter().filter(|p| p.trained);
    let of_parameters = of_parameters.map(|parameter| Gradient {
        values: function.gradient(parameter.id, &gradients),
        name: parameter.path,
        kind: Kind::Parameter,
        shape: parameter.shape,
    });
    let gradients = of_inputs.chain(of_parameters).collect();
    Ok(Evaluation {
        shape,
        values,
        gradients,
    })
}

/// The gradients of `⟨cotangent, output⟩`.
pub(crate) fn backward<A: AutodiffBackend>(
    output: Tensor<A, 1>,
    cotangent: &[f64],
    precision: &Precision,
) -> A::Gradients {
    let device = output.device();
    // burn cannot go back from a tensor that no leaf leads to; this leaf always does.
    let leaf = float::<A>(&[0.0], precision, &device).require_grad();
    let weights = float::<A>(cotangent, precision, &device).cast(output.dtype());
    let loss = (output * weights).sum().cast(precision.dtype) + leaf;
    loss.backward()
}

impl Evaluation {
    /// Values alone, which have no gradient.
    pub fn of_values(shape: &[usize], values: Vec<f64>) -> Self {
        Self {
            shape: shape.to_vec(),
            values,
            gradients: Vec::new(),
        }
    }

    /// How far this evaluation is from another of the same function at the same point: a line for the output and one for
    /// each gradient.
    ///
    /// The error of an element is a share of its tensor's largest expected value. A gradient that is expected to be zero but
    /// for rounding, such as a bias's before a norm, is measured by the largest gradient of all.
    ///
    /// # Errors
    /// When the two have other tensors or shapes.
    pub fn deviations(&self, expected: &Self) -> Result<Vec<Deviation>, GradCheckError> {
        self.same_tensors(expected)?;
        let output = deviation(
            None,
            &self.shape,
            Some(&self.values),
            Some(&expected.values),
            largest(&expected.values),
        );
        let all = expected.gradients.iter().filter_map(|g| g.values.as_ref());
        let largest_of_all = all.map(|values| largest(values)).fold(0.0, f64::max);
        let gradients = self.gradients.iter().zip(&expected.gradients);
        // A gradient that neither has is nothing to compare.
        let gradients =
            gradients.filter(|(ours, theirs)| ours.values.is_some() || theirs.values.is_some());
        let gradients = gradients.map(|(ours, theirs)| {
            let own = theirs.values.as_deref().map_or(0.0, largest);
            let scale = if own > ZERO * largest_of_all {
                own
            } else {
                largest_of_all
            };
            let name = Some(ours.name.clone());
            let (values, expected) = (ours.values.as_deref(), theirs.values.as_deref());
            deviation(name, &ours.shape, values, expected, scale)
        });
        Ok(std::iter::once(output).chain(gradients).collect())
    }

    fn same_tensors(&self, expected: &Self) -> Result<(), GradCheckError> {
        let list = |of: &Self| {
            let output = [("output".to_owned(), of.shape.clone())].into_iter();
            let gradients = of
                .gradients
                .iter()
                .map(|g| (g.name.clone(), g.shape.clone()));
            output.chain(gradients).collect::<Vec<_>>()
        };
        let (seen, allowed) = (list(self), list(expected));
        if seen == allowed {
            return Ok(());
        }
        Err(GradCheckError::Evaluations { seen, allowed })
    }
}

fn deviation(
    tensor: Option<String>,
    shape: &[usize],
    values: Option<&[f64]>,
    expected: Option<&[f64]>,
    scale: f64,
) -> Deviation {
    let nothing = [f64::NAN];
    let (values, expected) = match (values, expected) {
        (Some(values), Some(expected)) if values.len() == expected.len() => (values, expected),
        _ => (&nothing[..], &nothing[..]),
    };
    let error = |(value, expected): (&f64, &f64)| match (value - expected).abs() {
        difference if !difference.is_finite() => f64::INFINITY,
        // Where all is zero, only zero will do, and what f32 cannot hold is zero.
        0.0 => 0.0,
        difference => difference / scale.max(f64::from(f32::MIN_POSITIVE)),
    };
    let errors = values.iter().zip(expected).map(error).enumerate();
    let worst = errors.max_by(|(_, a), (_, b)| a.total_cmp(b));
    let (at, error) = worst.unwrap_or((0, 0.0));
    Deviation {
        tensor,
        place: Place::Element(index_of(at, shape)),
        value: values.get(at).copied().unwrap_or(f64::NAN),
        expected: expected.get(at).copied().unwrap_or(f64::NAN),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_gradient(values: &[f64], gradient: Option<&[f64]>) -> Evaluation {
        let gradient = Gradient {
            name: "x".to_owned(),
            kind: Kind::Input,
            shape: vec![2],
            values: gradient.map(<[_]>::to_vec),
        };
        Evaluation {
            gradients: vec![gradient],
            ..Evaluation::of_values(&[values.len()], values.to_vec())
        }
    }

    fn errors(ours: &Evaluation, expected: &Evaluation) -> Vec<f64> {
        let deviations = ours.deviations(expected).expect("the same tensors");
        deviations
            .into_iter()
            .map(|deviation| deviation.error)
            .collect()
    }

    #[test]
    fn errors_are_shares_of_the_largest_value_of_each_tensor() {
        let expected = with_gradient(&[4.0, 1.0], Some(&[0.0, 2.0]));
        assert_eq!(errors(&expected, &expected), [0.0, 0.0]);
        let ours = with_gradient(&[4.0, 3.0], Some(&[1.0, 2.0]));
        assert_eq!(errors(&ours, &expected), [0.5, 0.5]);
        let deviations = ours.deviations(&expected).expect("the same tensors");
        assert_eq!(deviations[0].place, Place::Element(vec![1]));
        assert_eq!(deviations[1].tensor.as_deref(), Some("x"));
    }

    #[test]
    fn a_gradient_that_one_side_lacks_is_infinitely_off_and_one_that_both_lack_is_none() {
        let (with, without) = (
            with_gradient(&[1.0], Some(&[1.0, 2.0])),
            with_gradient(&[1.0], None),
        );
        for (ours, expected) in [(&with, &without), (&without, &with)] {
            assert_eq!(errors(ours, expected), [0.0, f64::INFINITY]);
        }
        assert_eq!(errors(&without, &without), [0.0]);
    }

    #[test]
    fn empty_tensors_and_other_shapes_are_told_apart() {
        let empty = Evaluation::of_values(&[0, 3], Vec::new());
        assert_eq!(errors(&empty, &empty), [0.0]);
        let other = Evaluation::of_values(&[3, 0], Vec::new());
        let error = empty.deviations(&other).expect_err("other shapes");
        assert!(
            matches!(error, GradCheckError::Evaluations { .. }),
            "{error}"
        );
    }
}
