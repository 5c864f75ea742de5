//! Samplers: from noise to a sample in `n` steps, as immutable plans.

mod build;
mod coefficients;
mod config;
mod ddim;
mod ddpm;
mod dpm_solver;
mod grid;
mod plan;
mod step;

pub use config::{DdpmVariance, ExtraNoise, FinalPoint, SamplerConfig, SamplerKind, SigmaSpacing};
pub use grid::TimestepGrid;
pub use plan::SamplerPlan;
pub use step::{SamplerState, StepOutput};
