//! Noise schedules and samplers of diffusion models, as immutable plans.
//!
//! The crate holds no model and reads nothing from a device: tables are computed once on the host
//! in f64, and a step is a few tensor operations on any burn backend. The network is the caller's;
//! so is the noise, which comes in as an argument.
//!
//! # Map
//! | part | what it does |
//! | --- | --- |
//! | [`NoiseSchedule`] | `β_t` and `ᾱ_t`; noisy samples and training targets |
//! | [`SamplerConfig`], [`SamplerPlan`] | DDPM, DDIM and DPM-Solver++(2M) over a [`TimestepGrid`] |
//! | [`SamplerState`] | what one request carries from step to step; fresh for every image |
//! | [`classifier_free_guidance`], [`guide_doubled_batch`] | two predictions combined into one |
//! | [`slerp`], [`lerp_preserving_variance`] | noise between two noises |
//!
//! # Example
//! Twenty DDIM steps on the sprite course's schedule, with a stand-in for the network.
//!
//! ```
//! use burn::tensor::{Distribution, Tensor};
//! use pyrograph_diffusion::{
//!     DiffusionError, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan, SamplerState,
//! };
//! # type B = burn_flex::Flex;
//! # fn network(x: Tensor<B, 4>, time: f64) -> Tensor<B, 4> { x * time }
//!
//! # fn main() -> Result<(), DiffusionError> {
//! let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
//! let plan = SamplerPlan::new(&schedule, &SamplerConfig::ddim(20, 0.0))?;
//!
//! let mut x = Tensor::<B, 4>::random([1, 3, 16, 16], Distribution::Normal(0.0, 1.0), &Default::default());
//! let mut state = SamplerState::new();
//! for i in 0..plan.len() {
//!     let epsilon = network(x.clone(), plan.time_fraction(i));
//!     x = plan.step(i, x, epsilon, &mut state, None)?.prev_sample;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Conventions
//! `ᾱ` is the share of signal in the variance: `x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε`. Timesteps count
//! noise upwards, so sampling walks them downwards and `t'` is the next, lower one. Half-precision
//! samples are stepped in f32. Figures that a caller may get wrong are refused with a
//! [`DiffusionError`] naming the value seen and the values allowed.

mod card;
mod error;
mod guidance;
mod interpolate;
mod ops;
mod sampler;
mod schedule;

pub use card::DiffusionCard;
pub use error::DiffusionError;
pub use guidance::{classifier_free_guidance, guide_doubled_batch};
pub use interpolate::{lerp_preserving_variance, slerp};
pub use sampler::{
    DdpmVariance, ExtraNoise, FinalPoint, SamplerConfig, SamplerKind, SamplerPlan, SamplerState,
    SigmaSpacing, StepOutput, TimestepGrid,
};
pub use schedule::{
    BetaSchedule, ForwardNoise, LossWeighting, NoiseSchedule, NoiseScheduleConfig, PredictionType,
};
