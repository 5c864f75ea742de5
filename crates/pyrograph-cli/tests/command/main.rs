//! The command as a person uses it, at tiny size.

mod anomaly;
mod bench;
mod checkpoints;
mod common;
mod convert;
mod detection;
mod diffusion;
mod dtypes;
mod float8;
#[allow(dead_code)] // Shared with the tests of the models.
#[path = "../../../pyrograph-models/tests/common/formula.rs"]
mod formula;
mod forward;
mod gradcheck;
mod loadtest;
mod outputs;
mod pack;
mod pictures;
mod preview;
mod reading;
mod refusals;
mod resuming;
mod runs;
mod serve;
mod sprites;
mod wording;
