//! Pictures from text: every stage and whole pictures held to diffusers' on tiny pipelines.

mod acceleration;
mod common;
mod few_steps;
#[path = "../../../pyrograph-models/tests/common/formula.rs"]
#[allow(dead_code)] // Shared with the tests of the models.
mod formula;
mod parts;
mod pictures;
mod random;
mod refusals;
mod walks;
