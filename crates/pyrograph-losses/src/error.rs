//! Errors of losses.

/// The error of computing a loss.
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
    /// An object has a class that the detector does not have.
    #[error("an object is of class {seen}, but the detector tells 0 to {}, background not counted", classes.saturating_sub(1))]
    Class {
        /// The object's class.
        seen: usize,
        /// Number of classes of the detector.
        classes: usize,
    },
    /// The student and the teacher give different numbers of feature maps.
    #[error(
        "the student gives {student} feature maps and the teacher {teacher}; both must give the \
         same number, at least 1"
    )]
    MapCount {
        /// Maps of the student.
        student: usize,
        /// Maps of the teacher.
        teacher: usize,
    },
    /// The batch or the channels of a student's and a teacher's feature map differ.
    #[error(
        "feature map {level} has shape {student:?} in the student but {teacher:?} in the teacher; \
         batch and channels must be equal: add a projector"
    )]
    Map {
        /// Number of the level, from 0.
        level: usize,
        /// [batch, channels, height, width] of the student, behind the projector.
        student: Vec<usize>,
        /// [batch, channels, height, width] of the teacher.
        teacher: Vec<usize>,
    },
    /// The number of priors of the teacher's feature maps differs from the number of its
    /// predictions.
    #[error(
        "{per_cell:?} priors per cell give {seen} priors on the teacher's feature maps, but the \
         teacher predicts {priors}"
    )]
    PriorsPerCell {
        /// Priors of a cell, for each map.
        per_cell: Vec<usize>,
        /// Number of priors of all cells.
        seen: usize,
        /// Number of priors in the teacher's output.
        priors: usize,
    },
    /// An unknown distillation method.
    #[error(
        "unknown distillation method {seen:?}; known are {}",
        crate::DistillMethod::NAMES.join(", ")
    )]
    Method {
        /// The name.
        seen: String,
    },
}
