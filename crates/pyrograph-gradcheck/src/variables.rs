//! The tensors whose gradients are checked.

use burn::module::{Module, ParamId};
use burn::tensor::backend::AutodiffBackend;

use crate::{
    inputs::{HostTensor, Values},
    module,
    numbers::{index_of, not_finite},
    report::{Finding, Kind, TensorReport, Verdict},
    settings::Precision,
};

/// A tensor of which the function has a gradient, or is thought to.
pub(crate) struct Variable {
    pub(crate) origin: Origin,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    /// Why it is not checked.
    pub(crate) skipped: Option<Finding>,
    pub(crate) gradient: Option<Vec<f64>>,
}

impl Variable {
    /// A finding where the values are not all finite.
    pub(crate) fn not_finite(&self) -> Option<Finding> {
        let (values, first) = not_finite(&self.values)?;
        Some(Finding::NonFiniteTensor {
            tensor: self.name.clone(),
            values,
            index: index_of(first, &self.shape),
        })
    }

    pub(crate) fn empty_report(&self) -> TensorReport {
        TensorReport {
            name: self.name.clone(),
            kind: self.kind,
            shape: self.shape.clone(),
            verdict: Verdict::Skipped,
            right: 0,
            wrong: 0,
            drowned: 0,
            kinks: 0,
            listed_kinks: Vec::new(),
            share_checked: 0.0,
            worst: None,
        }
    }
}

/// Where a variable's values go.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Input(usize),
    Parameter(ParamId),
}

pub(crate) fn of_inputs(inputs: &[HostTensor], precision: &Precision) -> Vec<Variable> {
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

pub(crate) fn of_parameters<A: AutodiffBackend, M: Module<A>>(
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
