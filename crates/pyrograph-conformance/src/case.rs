//! One function at one point, as a backend computed it.

use pyrograph_gradcheck::Evaluation;

use crate::tolerance::Cause;

/// What a backend gave for one case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) output: Cause,
    pub(crate) gradient: Cause,
    pub(crate) evaluation: Evaluation,
}
