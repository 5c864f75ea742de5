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
    /// `|a − n| / max(floor · steepest, |a|, |n|)`, by the steepest slope of the tensor.
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
        /// The index of the first of them in the output.
        index: Vec<usize>,
        /// The element that was moved, or the direction; `None` at the point itself.
        moved: Option<Place>,
    },
    /// Autodiff gave NaN or an infinity. Fails.
    NonFiniteGradient {
        /// The tensor whose gradient it is.
        tensor: String,
        /// How many of the gradient's values are not finite.
        values: usize,
        /// The index of the first of them.
        index: Vec<usize>,
    },
    /// An input or a parameter holds NaN or an infinity itself. Fails.
    NonFiniteTensor {
        /// The tensor.
        tensor: String,
        /// How many of its values are not finite.
        values: usize,
        /// The index of the first of them.
        index: Vec<usize>,
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
    /// Two backward passes at the same point gave different gradients. Fails.
    GradientNotDeterministic {
        /// The tensor whose gradient it is.
        tensor: String,
        /// The index of the largest difference.
        index: Vec<usize>,
        /// The value of the first pass there; 0 where it gave no gradient.
        first: f64,
        /// The value of the second pass there; 0 where it gave no gradient.
        second: f64,
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
    /// The values of the function, which are to be f64, have no more digits than f32's or few more.
    /// Inconclusive.
    LostPrecision {
        /// How far the values are off by rounding, as a share of their size.
        noise: f64,
        /// The operations of the backend that compute f64 in f32, as far as they are known.
        operations: Vec<&'static str>,
    },
    /// At a kink, the gradient is none of those that autodiff takes there: neither a one-sided
    /// slope nor their mean. It may be right. Inconclusive.
    InsideKink {
        /// The tensor.
        tensor: String,
        /// How many comparisons of the tensor this is true of.
        kinks: usize,
        /// The first of them.
        place: Place,
        /// The slope of autodiff.
        analytic: f64,
        /// The least slope there.
        low: f64,
        /// The greatest slope there.
        high: f64,
    },
    /// Every comparison met a kink. Inconclusive.
    OnlyKinks {
        /// The tensor.
        tensor: String,
    },
    /// Autodiff gives no gradient, and the differences show no dependence on the tensor beyond
    /// rounding either. Harmless.
    Unused {
        /// The tensor.
        tensor: String,
    },
    /// The output does not depend on the parameter, which is therefore never trained; see
    /// [`GradCheck::allowing_unreached`](crate::GradCheck::allowing_unreached). Inconclusive.
    Unreached {
        /// The parameter.
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
            | Self::NonFiniteTensor { .. }
            | Self::GradientNotDeterministic { .. }
            | Self::ShapeChanged { .. }
            | Self::GradientShape { .. }
            | Self::NonDeterministic { .. }
            | Self::TrackedValueDiffers { .. }
            | Self::MissingGradient { .. } => Verdict::Failed,
            Self::EmptyOutput
            | Self::NothingToCheck
            | Self::StepTooSmall { .. }
            | Self::LostPrecision { .. }
            | Self::InsideKink { .. }
            | Self::Unreached { .. }
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
    /// The share of a tensor's steepest slope below which errors are measured by that share.
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
