//! Noise schedules and samplers of diffusion models, as immutable plans.
//!
//! The crate holds no model and reads nothing from a device: tables are computed once on the host
//! in f64, and a step is a few tensor operations on any burn backend. The caller provides the
//! network, and passes the noise as an argument.
//!
//! # Map
//! | part | what it does |
//! | --- | --- |
//! | [`NoiseSchedule`] | `β_t` and `ᾱ_t`; noisy samples and training targets |
//! | [`SchedulerName`] | the names of samplers, as users write them |
//! | [`SamplerConfig`] | the settings of a sampler over a [`TimestepGrid`] |
//! | [`DiffusersScheduler`], [`SamplerConfig::from_diffusers`] | the settings of a `scheduler_config.json` |
//! | [`SamplerPlan`] | the numbers of every network call: immutable, shared by requests |
//! | [`Walk`] | one request over a plan: position, sample, and what multistep samplers remember |
//! | [`classifier_free_guidance`], [`guide_doubled_batch`] | two predictions combined into one |
//! | [`slerp`], [`lerp_preserving_variance`] | noise between two noises |
//!
//! # A walk
//! ```text
//! config (name, steps, settings) ─┐
//! NoiseSchedule ──────────────────┴─> SamplerPlan ──(with_strength)──> Arc<SamplerPlan>
//! noise, or a clean sample and noise ───────────────────────────────────> Walk
//! while let Some((input, timestep)) = walk.input() { walk.absorb(network(input, timestep), noise)? }
//! ```
//! [`Walk::from_noise`] starts from standard normal noise (and applies
//! [`init_noise_sigma`](SamplerPlan::init_noise_sigma)), [`Walk::from_sample`] from a clean sample with noise added
//! (image-to-image), [`Walk::new`] from a sample as it is. [`Walk::predict_x0`] gives a preview, and
//! [`Walk::replace_sample`] with [`SamplerPlan::add_noise`] serves in-painting.
//!
//! # Example
//! Twenty DDIM steps on the sprite course's schedule, with a stand-in for the network.
//!
//! ```
//! # mod pyrograph {
//! #     pub use burn;
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_diffusion as diffusion;
//! # }
//! use std::sync::Arc;
//! use pyrograph::burn::tensor::{Distribution, Tensor};
//! use pyrograph::diffusion::{
//!     DiffusionError, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan, Walk,
//! };
//! # type B = pyrograph::backend::Flex;
//! # fn network(x: Tensor<B, 4>, time: f64) -> Tensor<B, 4> { x * time }
//!
//! # fn main() -> Result<(), DiffusionError> {
//! let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
//! let plan = Arc::new(SamplerPlan::new(&schedule, &SamplerConfig::ddim(20, 0.0))?);
//!
//! let noise = Tensor::<B, 4>::random([1, 3, 16, 16], Distribution::Normal(0.0, 1.0), &Default::default());
//! let mut walk = Walk::from_noise(plan.clone(), noise);
//! while let Some((x, _)) = walk.input() {
//!     let epsilon = network(x, plan.time_fraction(walk.position()));
//!     walk.absorb(epsilon, None)?;
//! }
//! let sprites = walk.into_sample();
//! # let _ = sprites;
//! # Ok(())
//! # }
//! ```
//!
//! # Conventions
//! `ᾱ` is the share of signal in the variance: `x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε`. Timesteps count
//! noise upwards, so sampling walks them downwards and `t'` is the next, lower one. Half-precision
//! samples are stepped in f32. A plan's calls are counted from 0; Heun and PNDM make more calls
//! than steps. Invalid arguments are refused with a [`DiffusionError`] that names the value seen
//! and the values allowed.

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
    DdpmVariance, DiffusersSampler, DiffusersScheduler, DpmAlgorithm, DpmSolverConfig,
    DpmSolverType, ExtraNoise, FinalPoint, SamplerConfig, SamplerKind, SamplerPlan, SchedulerName,
    SigmaSpacing, Thresholding, TimestepGrid, UniPcConfig, UniPcVariant, Walk,
};
pub use schedule::{
    BetaSchedule, ForwardNoise, LossWeighting, NoiseSchedule, NoiseScheduleConfig, PredictionType,
};
