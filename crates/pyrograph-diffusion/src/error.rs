//! The one error type of the crate.

use crate::TimestepGrid;

/// The errors of schedules, plans and steps, with the value seen and the values allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffusionError {
    /// The number of training timesteps `T` is zero or absurdly large.
    #[error("a schedule of {seen} timesteps is not supported; allowed are 1 to {max}")]
    Timesteps {
        /// The value seen.
        seen: usize,
        /// The largest value allowed.
        max: usize,
    },

    /// The end points of a linear schedule are not variances in increasing order.
    #[error(
        "betas from {beta_start} to {beta_end} are not allowed; they must satisfy 0 < beta_start <= beta_end < 1"
    )]
    BetaRange {
        /// The first variance seen.
        beta_start: f64,
        /// The last variance seen.
        beta_end: f64,
    },

    /// A schedule whose cumulative product leaves no signal (or no noise) to compute with.
    #[error(
        "the schedule is degenerate: alpha_cumprod is {alpha_cumprod:e} at timestep {timestep}; \
         it must stay within {min:e} and 1 - {margin:e} (fewer timesteps or other betas help)"
    )]
    DegenerateSchedule {
        /// The timestep at which the table leaves the allowed range.
        timestep: usize,
        /// The cumulative product seen there.
        alpha_cumprod: f64,
        /// The smallest cumulative product allowed.
        min: f64,
        /// The least distance from 1 that a noisy timestep must keep.
        margin: f64,
    },

    /// A timestep outside the table.
    #[error("timestep {seen} is outside the schedule; allowed are {first} to {last}")]
    TimestepOutOfRange {
        /// The value seen.
        seen: usize,
        /// The smallest value allowed.
        first: usize,
        /// The largest value allowed.
        last: usize,
    },

    /// A list of timesteps that is neither shared nor one per item.
    #[error(
        "{seen} timesteps were given for a batch of {batch}; allowed are 1 (shared) or {batch}"
    )]
    TimestepCount {
        /// The number of timesteps seen.
        seen: usize,
        /// The number of items in the batch.
        batch: usize,
    },

    /// A number of sampling steps that the schedule cannot serve.
    #[error("{seen} sampling steps are not possible; allowed are 1 to {max}")]
    Steps {
        /// The value seen.
        seen: usize,
        /// The largest value allowed, the schedule's number of timesteps.
        max: usize,
    },

    /// A DDIM `eta` that is not a number between 0 and 1.
    #[error("eta is {seen}; allowed are 0 (deterministic) to 1 (as noisy as DDPM)")]
    Eta {
        /// The value seen.
        seen: f64,
    },

    /// A clipping range that is not a positive number.
    #[error("clip_sample is {seen}; allowed are finite numbers above 0")]
    ClipSample {
        /// The value seen.
        seen: f64,
    },

    /// A timestep grid that does not go with the schedule.
    #[error(
        "the grid {seen:?} needs a course_linear schedule; allowed here are leading, linspace and trailing"
    )]
    Grid {
        /// The grid seen.
        seen: TimestepGrid,
    },

    /// An offset that pushes the grid past the end of the schedule.
    #[error(
        "steps_offset {offset} moves the first timestep to {timestep}, past the schedule's last, {last}"
    )]
    StepsOffset {
        /// The offset seen.
        offset: usize,
        /// The first timestep of the grid, offset included.
        timestep: usize,
        /// The last timestep of the schedule.
        last: usize,
    },

    /// Betas that are not variances, or whose number differs from the number of timesteps.
    #[error("trained betas are not allowed: {reason}")]
    TrainedBetas {
        /// What was wrong.
        reason: String,
    },

    /// A step index that the plan does not have.
    #[error("step {seen} does not exist; the plan has steps 0 to {last}")]
    StepOutOfRange {
        /// The index seen.
        seen: usize,
        /// The last index of the plan.
        last: usize,
    },

    /// A walk that has made every call of its plan.
    #[error(
        "the walk has made all {calls} calls of its plan; every request needs a walk of its own"
    )]
    WalkDone {
        /// The number of calls.
        calls: usize,
    },

    /// A prediction of noise at a timestep without signal.
    #[error(
        "a schedule with zero terminal SNR leaves no signal at its last timestep, where a network cannot predict \
         noise: allowed prediction types are v_prediction and sample"
    )]
    NoSignal,

    /// Too few steps for PNDM's Runge-Kutta start.
    #[error(
        "{seen} steps are too few for pndm with Runge-Kutta steps; allowed are {min} or more (or skip_prk_steps)"
    )]
    RungeKuttaSteps {
        /// The number of steps seen.
        seen: usize,
        /// The least number of steps.
        min: usize,
    },

    /// A run of PNDM with Runge-Kutta steps that does not begin at the start.
    #[error(
        "pndm with Runge-Kutta steps cannot begin at a later step; set skip_prk_steps or choose another sampler"
    )]
    RungeKuttaStart,

    /// A setting that the sampler does not have.
    #[error("{name} is {seen}; allowed are {allowed}")]
    Unsupported {
        /// The setting.
        name: &'static str,
        /// The value seen.
        seen: String,
        /// The values allowed, in words.
        allowed: &'static str,
    },

    /// An unknown name of a sampler.
    #[error("the scheduler {seen} is not known; allowed are {allowed}")]
    SchedulerName {
        /// The name seen.
        seen: String,
        /// The names allowed.
        allowed: String,
    },

    /// A scheduler file that cannot be read.
    #[error("the scheduler file does not read: {reason}")]
    SchedulerFile {
        /// What was wrong.
        reason: String,
    },

    /// A scheduler class of diffusers that is not supported.
    #[error(
        "the scheduler class {seen} is not supported; allowed are {allowed} (or name another scheduler)"
    )]
    SchedulerClass {
        /// The class seen.
        seen: String,
        /// The classes allowed.
        allowed: String,
    },

    /// A value of a scheduler file that is not supported.
    #[error("{key} of the scheduler file is {seen}; allowed are {allowed}")]
    SchedulerValue {
        /// The key.
        key: String,
        /// The value seen, as JSON.
        seen: String,
        /// The values allowed, in words.
        allowed: &'static str,
    },

    /// A stochastic step without noise.
    #[error("step {step} adds noise and got none; see Walk::needs_noise")]
    MissingNoise {
        /// The step that needs noise.
        step: usize,
    },

    /// Two tensors whose shapes differ but must be equal.
    #[error("{name} has shape {seen:?}; it must have the shape {expected:?}")]
    Shape {
        /// Which argument differs.
        name: &'static str,
        /// Its shape.
        seen: Vec<usize>,
        /// The shape required.
        expected: Vec<usize>,
    },

    /// A number outside its range, such as an interpolation weight or a strength.
    #[error("{name} is {seen}; allowed are {allowed}")]
    Number {
        /// Which argument it is.
        name: &'static str,
        /// The value seen.
        seen: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
}
