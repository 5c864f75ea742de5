//! Sampling with a small network whose weights are known.

mod clipping;
mod common;
mod files;
mod noise;
mod refusals;
mod sampling;
mod walks;
