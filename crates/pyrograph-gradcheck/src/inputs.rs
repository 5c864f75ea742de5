//! The inputs of a checked function: values on the host, and tensors of any rank made of them.

use burn::tensor::{
    Int, Shape, Tensor, TensorData,
    backend::{AutodiffBackend, Backend},
};
use pyrograph_backend::rng::{NoiseKey, Purpose};

use crate::{GradCheckError, settings::Precision};

/// What an input holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f64>),
    Int(Vec<i64>),
}

/// A named tensor on the host, of any rank.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

impl HostTensor {
    /// A float tensor, in row-major order.
    ///
    /// # Errors
    /// When `values` do not fill `shape`.
    pub fn new(name: &str, shape: &[usize], values: Vec<f64>) -> Result<Self, GradCheckError> {
        fills(name, shape, values.len())?;
        Ok(Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: Values::Float(values),
        })
    }

    /// An integer tensor, such as class labels. It is handed to the function, never checked.
    ///
    /// # Errors
    /// When `values` do not fill `shape`.
    pub fn int(name: &str, shape: &[usize], values: Vec<i64>) -> Result<Self, GradCheckError> {
        fills(name, shape, values.len())?;
        Ok(Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: Values::Int(values),
        })
    }

    /// Standard normal values: a point where no two values tie and none is zero.
    pub fn normal(name: &str, shape: &[usize], seed: u64) -> Self {
        let key = NoiseKey::new(seed, Purpose::Other, 0);
        let values = key.normal(0, shape.iter().product());
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: Values::Float(values.into_iter().map(f64::from).collect()),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values as f64, in row-major order.
    pub fn to_vec(&self) -> Vec<f64> {
        match &self.values {
            Values::Float(values) => values.clone(),
            Values::Int(values) => values.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The same tensor with `offset + scale · value`, rounded to f32, so that every backend starts from the same numbers.
    /// Integers stay.
    pub fn affine(mut self, scale: f64, offset: f64) -> Self {
        if let Values::Float(values) = &mut self.values {
            for value in values {
                *value = f64::from((*value * scale + offset) as f32);
            }
        }
        self
    }
}

fn fills(name: &str, shape: &[usize], seen: usize) -> Result<(), GradCheckError> {
    let allowed = shape.iter().product();
    if seen == allowed {
        return Ok(());
    }
    Err(GradCheckError::Values {
        name: name.to_owned(),
        seen,
        shape: shape.to_vec(),
        allowed,
    })
}

/// Float inputs are kept flat, so that one list holds tensors of all ranks; `tensor` gives them their shape.
#[derive(Clone, Debug)]
enum Held<A: Backend> {
    Float(Tensor<A, 1>),
    Int(Tensor<A, 1, Int>),
}

/// What a checked function takes its tensors from.
#[derive(Clone, Debug)]
pub struct Inputs<A: Backend> {
    tensors: Vec<(String, Vec<usize>, Held<A>)>,
}

impl<A: Backend> Inputs<A> {
    /// Moves host tensors to a device, at the precision of the backend's float type and without asking for gradients.
    ///
    /// # Errors
    /// When two have one name, and when the backend's floats are neither 64 nor 32 bits wide.
    pub fn on(tensors: &[HostTensor], device: &A::Device) -> Result<Self, GradCheckError> {
        Self::still(tensors, &Precision::of::<A>()?, device)
    }

    /// Moves host tensors to a device, untracked.
    pub(crate) fn still(
        tensors: &[HostTensor],
        precision: &Precision,
        device: &A::Device,
    ) -> Result<Self, GradCheckError> {
        let mut held: Vec<(String, Vec<usize>, Held<A>)> = Vec::with_capacity(tensors.len());
        for HostTensor {
            name,
            shape,
            values,
        } in tensors
        {
            if held.iter().any(|(other, ..)| other == name) {
                return Err(GradCheckError::SameName { name: name.clone() });
            }
            let tensor = match values {
                Values::Float(values) => Held::Float(float(values, precision, device)),
                Values::Int(values) => {
                    Held::Int(Tensor::from_data(TensorData::from(&values[..]), device))
                }
            };
            held.push((name.clone(), shape.clone(), tensor));
        }
        Ok(Self { tensors: held })
    }

    /// The same inputs with other values at place `at`.
    pub(crate) fn with(
        &self,
        at: usize,
        values: &[f64],
        precision: &Precision,
        device: &A::Device,
    ) -> Self {
        let mut out = self.clone();
        out.tensors[at].2 = Held::Float(float(values, precision, device));
        out
    }

    fn find<const D: usize>(&self, name: &str) -> Result<(&Held<A>, Shape), GradCheckError> {
        let Some((_, shape, held)) = self.tensors.iter().find(|(other, ..)| other == name) else {
            return Err(GradCheckError::UnknownInput {
                name: name.to_owned(),
                known: self.tensors.iter().map(|(name, ..)| name.clone()).collect(),
            });
        };
        if shape.len() != D {
            return Err(GradCheckError::Rank {
                name: name.to_owned(),
                asked: D,
                shape: shape.clone(),
            });
        }
        Ok((held, Shape::from(shape.clone())))
    }

    /// The float input of this name.
    ///
    /// # Errors
    /// When there is none, when it has another rank, and when it holds integers.
    pub fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<A, D>, GradCheckError> {
        match self.find::<D>(name)? {
            (Held::Float(tensor), shape) => Ok(tensor.clone().reshape(shape)),
            (Held::Int(_), _) => Err(GradCheckError::Kind {
                name: name.to_owned(),
                seen: "integer",
                asked: "float",
            }),
        }
    }

    /// The integer input of this name.
    ///
    /// # Errors
    /// When there is none, when it has another rank, and when it holds floats.
    pub fn int<const D: usize>(&self, name: &str) -> Result<Tensor<A, D, Int>, GradCheckError> {
        match self.find::<D>(name)? {
            (Held::Int(tensor), shape) => Ok(tensor.clone().reshape(shape)),
            (Held::Float(_), _) => Err(GradCheckError::Kind {
                name: name.to_owned(),
                seen: "float",
                asked: "integer",
            }),
        }
    }
}

impl<A: AutodiffBackend> Inputs<A> {
    /// The same inputs, whose floats ask for a gradient.
    pub(crate) fn tracked(&self) -> Self {
        let mut out = self.clone();
        for (_, _, held) in &mut out.tensors {
            if let Held::Float(tensor) = held {
                *tensor = tensor.clone().require_grad();
            }
        }
        out
    }

    /// The gradient of the float input at place `at`, where it has one.
    pub(crate) fn gradient(&self, at: usize, gradients: &A::Gradients) -> Option<Vec<f64>> {
        match &self.tensors[at].2 {
            Held::Float(tensor) => tensor.grad(gradients).map(|gradient| host(gradient).1),
            Held::Int(_) => None,
        }
    }
}

/// Host values as a flat tensor of the precision's type.
pub(crate) fn float<B: Backend>(
    values: &[f64],
    precision: &Precision,
    device: &B::Device,
) -> Tensor<B, 1> {
    Tensor::from_data(TensorData::from(values), (device, precision.dtype))
}

/// A tensor's shape and values on the host.
pub(crate) fn host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> (Vec<usize>, Vec<f64>) {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().iter::<f64>().collect();
    (shape, values)
}
