//! What can be wrong with a check before it says anything about a gradient.

use burn::tensor::DType;

/// Why a check, or a closed form, cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradCheckError {
    /// The function asks for an input that does not exist.
    #[error("there is no input `{name}`; there are {known:?}")]
    UnknownInput {
        /// The name asked for.
        name: String,
        /// The names given.
        known: Vec<String>,
    },
    /// Two inputs have one name.
    #[error("two inputs have the name `{name}`; names must differ")]
    SameName {
        /// The name given twice.
        name: String,
    },
    /// The function asks for an input at another rank than it has.
    #[error("input `{name}` has shape {shape:?}, so rank {asked} does not fit it")]
    Rank {
        /// The input.
        name: String,
        /// The rank asked for.
        asked: usize,
        /// The shape it has.
        shape: Vec<usize>,
    },
    /// The function asks for a float input as integers, or the other way round.
    #[error("input `{name}` holds {seen} values, not {asked} values")]
    Kind {
        /// The input.
        name: String,
        /// What it holds.
        seen: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// The values do not fill the shape.
    #[error("`{name}` has {seen} values, but its shape {shape:?} holds {allowed}")]
    Values {
        /// The tensor.
        name: String,
        /// The number of values given.
        seen: usize,
        /// The shape given.
        shape: Vec<usize>,
        /// The number of values that fill the shape.
        allowed: usize,
    },
    /// A setting lies outside its range.
    #[error("{what} is {seen}; it must be {allowed}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// The value given.
        seen: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// A floating-point type without a step and a tolerance of its own.
    #[error("no gradient check in {seen:?}; the types allowed are F64, F32 and Flex32")]
    DType {
        /// The type of the backend, or of the precision asked for.
        seen: DType,
    },
    /// Two sizes that belong together differ.
    #[error("{what} is {seen}; it must be {allowed}")]
    Size {
        /// What is measured.
        what: &'static str,
        /// The size given.
        seen: usize,
        /// The sizes allowed, in words.
        allowed: String,
    },
    /// Two evaluations are not of one function: their outputs or gradients differ in name or shape.
    #[error("the evaluations have other tensors: {seen:?}, expected {allowed:?}")]
    Evaluations {
        /// Output and gradients of the one.
        seen: Vec<(String, Vec<usize>)>,
        /// Output and gradients of the other.
        allowed: Vec<(String, Vec<usize>)>,
    },
    /// The checked function returned an error of its own.
    #[error("the checked function failed")]
    Function {
        /// The function's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl GradCheckError {
    /// Wraps an error of the checked function, for `map_err`.
    pub fn function(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Function {
            source: source.into(),
        }
    }
}
