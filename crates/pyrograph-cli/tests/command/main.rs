//! The command as a person uses it, at tiny size.

mod anomaly;
mod bench;
mod common;
mod detection;
mod gradcheck;
mod outputs;
mod refusals;
mod runs;
mod sprites;
