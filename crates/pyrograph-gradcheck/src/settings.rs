//! How a check is done: every element or random directions, and at which precision.

use burn::tensor::{DType, Element, backend::Backend};

use crate::GradCheckError;

/// Which differences are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every element of every tensor by itself: two calls of the function an element.
    Full,
    /// Seeded random directions: `⟨gradient, u⟩` against the slope along `u`, two calls of the function a tensor and direction.
    ///
    /// Every tensor has directions of its own, so that a wrong gradient in a small one is not lost beside large ones. The
    /// entries of `u` have a random sign and a size between ½ and 1½: every element has a part in every direction.
    Projected {
        /// How many directions for each tensor.
        directions: usize,
    },
}

/// The step, and what counts as agreement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// The type that inputs and parameters have during the check. A function that makes tensors of
    /// its backend's default type, as burn's LSTM does, takes no other: check it in f64 on
    /// `Oracle`, whose default is f64.
    pub dtype: DType,
    /// The step relative to the point: an element `x` moves by `step · max(1, |x|)`, a tensor along a direction by
    /// `step · max(1, ‖x‖₂)`. Where rounding could decide, steps up to 64 times as wide are tried
    /// as well.
    pub step: f64,
    /// The largest relative error `|a − n| / max(floor · steepest, |a|, |n|)` that passes;
    /// `steepest` is the steepest slope of the tensor that autodiff gives. Where rounding does not
    /// let it be reached at any step, agreement counts if an error of a thousandth, or of a
    /// thousand times a smaller tolerance, would show. A tensor whose gradient is less than 1e-9 of
    /// the steepest of all tensors (1e-6 in f32) counts as zero, as a bias's before a norm: it
    /// passes where its slopes are zero but for rounding.
    pub tolerance: f64,
    /// The share of the tensor's steepest slope below which errors are measured by that share. At
    /// 1, every error is measured by the steepest slope; one that stands clear of rounding is
    /// measured by the element's own slope too.
    pub floor: f64,
}

impl Precision {
    /// For f64: a step near ∛ε, where the truncation of the central difference and its rounding are both near 1e-10.
    ///
    /// The tolerance of 1e-6 leaves four digits for sums that round more than their result shows.
    pub const F64: Self = Self {
        dtype: DType::F64,
        step: 6e-6,
        tolerance: 1e-6,
        floor: 1.0,
    };

    /// For f32: a step near ∛ε (5e-3), where one rounding of an output near 1 moves the slope by 2.4e-5.
    ///
    /// The tolerance of 5e-3 stands a hundred of these roundings above it, which the sums of a network need, and finds a
    /// gradient that is wrong by a hundredth. A large network of ReLUs crosses kinks at every step that f32 allows, and its
    /// projected check then ends in kinks: check it with [`Precision::F64`], which Flex computes in as well.
    pub const F32: Self = Self {
        dtype: DType::F32,
        step: 5e-3,
        tolerance: 5e-3,
        floor: 1.0,
    };

    /// The precision of a backend's float type.
    ///
    /// # Errors
    /// When that is neither 64 nor 32 bits wide.
    pub fn of<B: Backend>() -> Result<Self, GradCheckError> {
        match B::FloatElem::dtype() {
            DType::F64 => Ok(Self::F64),
            dtype @ (DType::F32 | DType::Flex32) => Ok(Self { dtype, ..Self::F32 }),
            seen => Err(GradCheckError::DType { seen }),
        }
    }

    /// The relative error that must show where rounding does not let the tolerance be reached.
    pub(crate) fn coarse(&self) -> f64 {
        (1e3 * self.tolerance).min(1e-3)
    }

    /// Whether steps may be widened: one that is set far below the type's usual one is meant to be
    /// small.
    pub(crate) fn may_widen(&self) -> bool {
        let usual = match self.dtype {
            DType::F64 => Self::F64,
            _ => Self::F32,
        };
        self.step >= 0.25 * usual.step
    }

    /// The distance from 1 to the next number of the type.
    pub(crate) fn epsilon(&self) -> f64 {
        match self.dtype {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        }
    }

    /// The nearest number of the type.
    pub(crate) fn round(&self, value: f64) -> f64 {
        match self.dtype {
            DType::F64 => value,
            _ => f64::from(value as f32),
        }
    }

    fn checked(self) -> Result<Self, GradCheckError> {
        if !matches!(self.dtype, DType::F64 | DType::F32 | DType::Flex32) {
            return Err(GradCheckError::DType { seen: self.dtype });
        }
        for (what, seen) in [
            ("the step", self.step),
            ("the tolerance", self.tolerance),
            ("the floor", self.floor),
        ] {
            if !(seen > 0.0 && seen.is_finite()) {
                let allowed = "above 0 and finite";
                return Err(GradCheckError::Setting {
                    what,
                    seen,
                    allowed,
                });
            }
        }
        Ok(self)
    }
}

/// A gradient check, ready to be applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// Which differences are taken.
    pub mode: Mode,
    /// The precision; that of the backend's float type where it is `None`.
    pub precision: Option<Precision>,
    /// The seed of the cotangent and of the directions.
    pub seed: u64,
    /// What a parameter that the output does not depend on makes of the check.
    pub unreached: Unreached,
}

/// What a trained parameter that the output does not depend on makes of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreached {
    /// The check does not pass: such a parameter is never trained, which is seldom meant.
    #[default]
    Reported,
    /// The check may pass, as where a part of a module is left out on purpose.
    Allowed,
}

impl GradCheck {
    /// Every element, at the backend's precision.
    pub fn full() -> Self {
        Self {
            mode: Mode::Full,
            precision: None,
            seed: 0,
            unreached: Unreached::Reported,
        }
    }

    /// So many random directions a tensor, at the backend's precision.
    pub fn projected(directions: usize) -> Self {
        Self {
            mode: Mode::Projected { directions },
            ..Self::full()
        }
    }

    /// The same check at another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self {
            precision: Some(precision),
            ..self
        }
    }

    /// The same check with other random directions and another cotangent.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same check of a function that leaves parameters of the module out on purpose.
    pub fn allowing_unreached(self) -> Self {
        Self {
            unreached: Unreached::Allowed,
            ..self
        }
    }

    /// The precision in force, with every setting found legal.
    pub(crate) fn resolve<B: Backend>(&self) -> Result<Precision, GradCheckError> {
        if let Mode::Projected { directions: 0 } = self.mode {
            return Err(GradCheckError::Setting {
                what: "the number of directions",
                seen: 0.0,
                allowed: "1 or more",
            });
        }
        self.precision
            .map_or_else(Precision::of::<B>, Ok)?
            .checked()
    }
}
