//! What can be wrong with a loss's inputs.

/// Why a loss cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// Two tensors that must agree differ in shape.
    #[error("the prediction has shape {prediction:?} but the target {target:?}")]
    Shape {
        /// Shape of the prediction.
        prediction: Vec<usize>,
        /// Shape of the target.
        target: Vec<usize>,
    },
    /// The number of weights differs from the batch.
    #[error("{seen} weights for a batch of {batch}")]
    Weights {
        /// Weights given.
        seen: usize,
        /// Items in the batch.
        batch: usize,
    },
    /// A number is outside its range.
    #[error("{what} is {seen}, but must be {allowed}")]
    Range {
        /// The number.
        what: &'static str,
        /// Its value.
        seen: f64,
        /// The range, in words.
        allowed: &'static str,
    },
    /// An object is of a class that the detector does not tell.
    #[error("an object is of class {seen}, but the detector tells 0 to {}, background not counted", classes.saturating_sub(1))]
    Class {
        /// The object's class.
        seen: usize,
        /// Classes that the detector tells.
        classes: usize,
    },
}
