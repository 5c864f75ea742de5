//! Samplers: from noise to a sample in `n` steps, as immutable plans.

mod beta_quantile;
mod bounds;
mod build;
mod coefficients;
mod config;
mod ddim;
mod ddpm;
mod diffusers;
mod dpm_solver;
mod euler;
mod grid;
mod heun;
mod kind;
mod lcm;
mod lms;
mod name;
mod plan;
mod pndm;
mod sigmas;
mod unipc;
mod walk;

pub use config::{FinalPoint, SamplerConfig, Thresholding};
pub use diffusers::{DiffusersSampler, DiffusersScheduler};
pub use grid::TimestepGrid;
pub use kind::{
    DdpmVariance, DpmAlgorithm, DpmSolverConfig, DpmSolverType, ExtraNoise, SamplerKind,
    SigmaSpacing, UniPcConfig, UniPcVariant,
};
pub use name::SchedulerName;
pub use plan::SamplerPlan;
pub use walk::Walk;
