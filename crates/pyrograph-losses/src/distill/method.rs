//! The distillation methods by name.

use std::{fmt, str::FromStr};

use pyrograph_backend::vision::VisionBackend;
use serde::{Deserialize, Serialize};

use super::{
    ChannelWiseKl, DistillStep, LabelAssignment, MultiBoxLossKd, Needs, Objective, PearsonLoss,
    ResponseLoss, ScoreWeightedL2, TakesOver, Term,
};
use crate::LossError;

/// A distillation method with its parameters.
///
/// In a file a method is its name with its parameters, such as `{"cwd": {"temperature": 2.0}}`;
/// every parameter has a default. A name alone parses to the defaults.
///
/// ```
/// # mod pyrograph { pub use pyrograph_losses as losses; }
/// use pyrograph::losses::{DistillMethod, Objective};
///
/// let method: DistillMethod = "score-l2".parse()?;
/// assert_eq!(method.to_string(), "score-l2");
/// assert!(method.needs().maps);
/// # Ok::<(), pyrograph::losses::LossError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistillMethod {
    /// Soft targets and bounded regression, `chen`.
    Chen(MultiBoxLossKd),
    /// Channel-wise KL divergence of feature maps, `cwd`.
    Cwd(ChannelWiseKl),
    /// Pearson correlation of feature maps, `pkd`.
    Pkd(PearsonLoss),
    /// Squared distance of feature maps, weighted by the teacher's scores, `score-l2`.
    #[serde(rename = "score-l2")]
    ScoreL2(ScoreWeightedL2),
    /// Distance of outputs, weighted by the teacher's scores, `response`.
    Response(ResponseLoss),
    /// Label assignment by the teacher, `lad`.
    Lad(LabelAssignment),
}

impl DistillMethod {
    /// The names of all methods.
    pub const NAMES: [&'static str; 6] = ["chen", "cwd", "pkd", "score-l2", "response", "lad"];
}

impl FromStr for DistillMethod {
    type Err = LossError;

    /// The method of that name with its defaults.
    ///
    /// # Errors
    /// When the name is not one of [`NAMES`](Self::NAMES).
    fn from_str(name: &str) -> Result<Self, LossError> {
        Ok(match name {
            "chen" => Self::Chen(MultiBoxLossKd::default()),
            "cwd" => Self::Cwd(ChannelWiseKl::default()),
            "pkd" => Self::Pkd(PearsonLoss::default()),
            "score-l2" => Self::ScoreL2(ScoreWeightedL2::default()),
            "response" => Self::Response(ResponseLoss::default()),
            "lad" => Self::Lad(LabelAssignment::default()),
            _ => {
                return Err(LossError::Method {
                    seen: name.to_owned(),
                });
            }
        })
    }
}

impl fmt::Display for DistillMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Evaluates an expression for the objective inside a method.
macro_rules! delegate {
    ($method:expr, $objective:ident => $result:expr) => {
        match $method {
            DistillMethod::Chen($objective) => $result,
            DistillMethod::Cwd($objective) => $result,
            DistillMethod::Pkd($objective) => $result,
            DistillMethod::ScoreL2($objective) => $result,
            DistillMethod::Response($objective) => $result,
            DistillMethod::Lad($objective) => $result,
        }
    };
}

impl Objective for DistillMethod {
    fn name(&self) -> &'static str {
        delegate!(self, objective => objective.name())
    }

    fn check(&self) -> Result<(), LossError> {
        delegate!(self, objective => Objective::check(objective))
    }

    fn needs(&self) -> Needs {
        delegate!(self, objective => objective.needs())
    }

    fn takes_over(&self) -> TakesOver {
        delegate!(self, objective => objective.takes_over())
    }

    fn terms<B: VisionBackend>(&self, step: &DistillStep<'_, B>) -> Vec<Term<B>> {
        delegate!(self, objective => objective.terms(step))
    }
}
