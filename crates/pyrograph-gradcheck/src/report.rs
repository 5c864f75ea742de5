//! What a check found, for people and for programs.

use std::fmt;

use serde::Serialize;

/// The outcome of a check, or of one tensor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The tensor has no gradient to check.
    Skipped,
    /// Every comparison agreed; kinks are counted apart.
    Passed,
    /// Nothing was wrong, but some of it could not be judged.
    Inconclusive,
    /// Something is wrong.
    Failed,
}

/// Where a tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An input of the function.
    Input,
    /// A parameter of the module.
    Parameter,
}

/// Where a comparison was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At one element, by its index.
    Element(Vec<usize>),
    /// Along one random direction, by its number.
    Direction(usize),
}

/// One analytic slope beside the numeric one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Where.
    pub place: Place,
    /// What autodiff says.
    pub analytic: f64,
    /// What the differences say.
    pub numeric: f64,
    /// `|a − n| / max(floor, |a|, |n|)`.
    pub relative_error: f64,
}

/// Everything about one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// The input's name, or the parameter's path in the module.
    pub name: String,
    /// Input or parameter.
    pub kind: Kind,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The outcome.
    pub verdict: Verdict,
    /// Comparisons that agreed.
    pub right: usize,
    /// Comparisons that did not.
    pub wrong: usize,
    /// Comparisons that rounding makes void.
    pub drowned: usize,
    /// Comparisons at kinks.
    pub kinks: usize,
    /// The first kinks, at most [`LISTED_KINKS`].
    pub listed_kinks: Vec<Comparison>,
    /// The share of the elements that took part in a comparison which agreed or did not.
    pub share_checked: f64,
    /// The comparison with the largest relative error, kinks apart.
    pub worst: Option<Comparison>,
}

/// How many kinks of a tensor a report lists; it counts them all.
pub const LISTED_KINKS: usize = 16;

/// Something worth a name beside the figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// The function returned NaN or an infinity. Fails.
    NonFinite {
        /// The tensor that was moved; `None` at the point itself.
        tensor: Option<String>,
        /// How many of the output's values are not finite.
        values: usize,
    },
    /// Autodiff gave NaN or an infinity. Fails.
    NonFiniteGradient {
        /// The tensor whose gradient it is.
        tensor: String,
        /// How many of the gradient's values are not finite.
        values: usize,
    },
    /// The output's shape changed from one call to the next. Fails.
    ShapeChanged {
        /// The shape of the first call.
        first: Vec<usize>,
        /// The other shape.
        later: Vec<usize>,
    },
    /// The gradient has another shape than the tensor. Fails.
    GradientShape {
        /// The tensor.
        tensor: String,
        /// How many values it has.
        values: usize,
        /// How many values its gradient has.
        gradient: usize,
    },
    /// Two calls at the same point gave different values. Fails.
    NonDeterministic {
        /// The largest difference of two values.
        difference: f64,
    },
    /// With and without a gradient asked for, the function gave different values. Fails.
    TrackedValueDiffers {
        /// The largest difference of two values.
        difference: f64,
    },
    /// The function's output has no elements. Inconclusive.
    EmptyOutput,
    /// The input holds integers, which have no gradient. Skipped.
    IntegerInput {
        /// The input.
        tensor: String,
    },
    /// The tensor has no elements. Skipped.
    EmptyTensor {
        /// The tensor.
        tensor: String,
    },
    /// The parameter is not trained: frozen, or a running statistic. Skipped.
    NotTrained {
        /// The parameter.
        tensor: String,
    },
    /// Nothing was left to check. Inconclusive.
    NothingToCheck,
    /// The step is so small that differences drown in rounding. Inconclusive.
    StepTooSmall {
        /// The tensor.
        tensor: String,
        /// The relative step.
        step: f64,
        /// What rounding does to the slope there; infinite where the point did not move at all.
        rounding: f64,
        /// The largest error of the slope that the tolerance allows.
        allowed: f64,
    },
    /// The tensor's whole gradient is smaller than the tolerance, so that agreement says nothing; lower the floor. Inconclusive.
    BelowTolerance {
        /// The tensor.
        tensor: String,
        /// The largest slope seen, analytic or numeric.
        largest: f64,
        /// The largest error that the tolerance allows.
        allowed: f64,
    },
    /// Every comparison met a kink. Inconclusive.
    OnlyKinks {
        /// The tensor.
        tensor: String,
    },
    /// Autodiff gives no gradient, and the function does not depend on the tensor either. Harmless.
    Unused {
        /// The tensor.
        tensor: String,
    },
    /// Autodiff gives no gradient, although the function depends on the tensor. Fails.
    MissingGradient {
        /// The tensor.
        tensor: String,
        /// The largest numeric slope.
        largest: f64,
    },
}

impl Finding {
    /// What the finding makes of a check that found nothing else.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NonFinite { .. }
            | Self::NonFiniteGradient { .. }
            | Self::ShapeChanged { .. }
            | Self::GradientShape { .. }
            | Self::NonDeterministic { .. }
            | Self::TrackedValueDiffers { .. }
            | Self::MissingGradient { .. } => Verdict::Failed,
            Self::EmptyOutput
            | Self::NothingToCheck
            | Self::StepTooSmall { .. }
            | Self::BelowTolerance { .. }
            | Self::OnlyKinks { .. } => Verdict::Inconclusive,
            Self::IntegerInput { .. }
            | Self::EmptyTensor { .. }
            | Self::NotTrained { .. }
            | Self::Unused { .. } => Verdict::Skipped,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[must_use]
pub struct GradReport {
    /// The outcome of all of it: the gravest of its parts.
    pub verdict: Verdict,
    /// `full`, or `projected` with the number of directions.
    pub mode: String,
    /// The type of the numbers.
    pub dtype: String,
    /// The relative step.
    pub step: f64,
    /// The largest relative error that passes.
    pub tolerance: f64,
    /// Below this size, errors count absolutely.
    pub floor: f64,
    /// The seed of cotangent and directions.
    pub seed: u64,
    /// How often the function was called.
    pub calls: usize,
    /// A part for each tensor, inputs first.
    pub tensors: Vec<TensorReport>,
    /// What has a name.
    pub findings: Vec<Finding>,
}

impl GradReport {
    /// Whether everything was judged and nothing was wrong.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    /// The part of one tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorReport> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The largest relative error of all comparisons, kinks apart.
    pub fn worst_error(&self) -> f64 {
        let worst = self
            .tensors
            .iter()
            .filter_map(|tensor| tensor.worst.as_ref());
        worst.fold(0.0, |largest, worst| worst.relative_error.max(largest))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Skipped => "skipped",
            Self::Passed => "passed",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "FAILED",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(index) => write!(f, "{index:?}"),
            Self::Direction(number) => write!(f, "direction {number}"),
        }
    }
}
