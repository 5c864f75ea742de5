//! From a schedule and a configuration to the coefficients of every network call.

use super::coefficients::{Bounded, Prediction, Rule, Update};
use super::sigmas::{Ladder, Range, alpha_cumprod, ladder};
use super::{
    DpmAlgorithm, DpmSolverConfig, FinalPoint, SamplerConfig, SamplerKind, SigmaSpacing,
    TimestepGrid, UniPcConfig, ddim, ddpm, dpm_solver, euler, heun, lcm, lms, pndm, unipc,
};
use crate::{DiffusionError, NoiseSchedule};

/// One call of the network, and what follows from its output.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) timestep: f64,
    /// The timestep that the sample has after the call.
    pub(super) next_timestep: Option<f64>,
    /// The factor from the sample to the network's input.
    pub(super) input_scale: f64,
    pub(super) prediction: Prediction,
    bounded: Bounded,
    /// The next sample.
    pub(super) next: Update,
    /// The tensor added to the record of predictions.
    pub(super) record: Option<Update>,
    /// The sample kept for later calls.
    pub(super) keep: Option<Update>,
}

/// The tensors that a sampler may record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    X0,
    Epsilon,
    Model,
}

impl Call {
    /// Records a prediction for later calls.
    pub(super) fn record(&mut self, record: Record) {
        let mut rule = Rule::default();
        match record {
            Record::X0 => rule.x0 = 1.0,
            Record::Epsilon => rule.epsilon = 1.0,
            Record::Model => rule.model = 1.0,
        }
        self.record = Some(Update::new(rule, &self.prediction, self.bounded));
    }

    /// Keeps a sample for later calls.
    pub(super) fn keep(&mut self, rule: Rule) {
        self.keep = Some(Update::new(rule, &self.prediction, self.bounded));
    }

    /// Keeps the sample from which this call starts.
    pub(super) fn keep_sample(&mut self) {
        self.keep(Rule {
            sample: 1.0,
            ..Rule::default()
        });
    }

    /// All sums that the call computes.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Update> {
        [Some(&self.next), self.record.as_ref(), self.keep.as_ref()]
            .into_iter()
            .flatten()
    }
}

/// A noise level that a step arrives at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) timestep: Option<f64>,
    pub(super) alpha_cumprod: f64,
}

impl Level {
    /// No noise. The course keeps the clean image in its table, below the first noisy timestep.
    pub(super) fn clean(schedule: &NoiseSchedule) -> Self {
        Self {
            timestep: schedule.first_timestep().checked_sub(1).map(|t| t as f64),
            alpha_cumprod: 1.0,
        }
    }
}

/// The calls of a plan.
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    pub(super) init_noise_sigma: f64,
}

/// The calls of `config`, which has been checked against the schedule, with the histories of a run
/// that begins at call `first`.
pub(super) fn calls(
    schedule: &NoiseSchedule,
    config: &SamplerConfig,
    first: usize,
) -> Result<Calls, DiffusionError> {
    let grid = config
        .grid
        .unwrap_or_else(|| TimestepGrid::default_for(schedule, &config.kind));
    let builder = Builder {
        schedule,
        config,
        first,
        last: match config.final_point {
            FinalPoint::Clean => Level::clean(schedule),
            FinalPoint::TableStart => Level {
                timestep: Some(schedule.first_timestep() as f64),
                alpha_cumprod: schedule.first_alpha_cumprod(),
            },
        },
    };
    builder.calls(grid)
}

pub(super) struct Builder<'a> {
    pub(super) schedule: &'a NoiseSchedule,
    pub(super) config: &'a SamplerConfig,
    /// The call at which the run begins.
    pub(super) first: usize,
    /// Where the last step arrives.
    last: Level,
}

impl Builder<'_> {
    fn calls(&self, grid: TimestepGrid) -> Result<Calls, DiffusionError> {
        let steps = self.config.steps;
        let timesteps = || grid.timesteps(self.schedule, &self.config.kind, steps);
        let whole = || {
            let whole = timesteps()?.into_iter().map(|t| t as usize);
            Ok::<Vec<usize>, DiffusionError>(whole.collect())
        };
        let ladder =
            |spacing, range| ladder(self.schedule, self.config, &timesteps()?, spacing, range);
        let mut init_noise_sigma = 1.0;
        let mut exploding = |spacing| {
            let ladder = ladder(spacing, Range::Grid)?;
            let largest = ladder.sigmas.iter().copied().fold(0.0, f64::max);
            init_noise_sigma = match grid {
                TimestepGrid::Linspace | TimestepGrid::Trailing => largest,
                TimestepGrid::Leading { .. } | TimestepGrid::Course => largest.hypot(1.0),
            };
            Ok::<Ladder, DiffusionError>(ladder)
        };
        let calls = match self.config.kind {
            SamplerKind::Ddpm {
                variance,
                extra_noise,
            } => ddpm::calls(self, &whole()?, variance, extra_noise)?,
            SamplerKind::Ddim { eta, .. } => ddim::calls(self, &whole()?, eta)?,
            SamplerKind::Pndm { runge_kutta: false } => {
                pndm::linear_multistep_calls(self, &whole()?)?
            }
            SamplerKind::Pndm { runge_kutta: true } => pndm::runge_kutta_calls(self, &whole()?)?,
            SamplerKind::DpmSolver(solver) => {
                dpm_solver::calls(self, &ladder(solver.sigmas, Range::Table)?, &solver)?
            }
            SamplerKind::UniPc(solver) => {
                unipc::calls(self, &ladder(solver.sigmas, Range::TableNearest)?, &solver)?
            }
            SamplerKind::Euler { sigmas } => euler::calls(self, &exploding(sigmas)?)?,
            SamplerKind::EulerAncestral {} => {
                euler::ancestral_calls(self, &exploding(SigmaSpacing::Grid)?)?
            }
            SamplerKind::Heun { sigmas } => heun::calls(self, &exploding(sigmas)?)?,
            SamplerKind::Lms { sigmas } => lms::calls(self, &exploding(sigmas)?)?,
            SamplerKind::Lcm {
                original_steps,
                timestep_scaling,
            } => {
                let timesteps = lcm::timesteps(self.schedule, steps, original_steps)?;
                lcm::calls(self, &timesteps, timestep_scaling)?
            }
        };
        Ok(Calls {
            calls,
            init_noise_sigma,
        })
    }

    /// The calls that a run has made before call `i`.
    pub(super) fn known(&self, i: usize) -> usize {
        i.saturating_sub(self.first)
    }

    /// The distance `T//n` between timesteps.
    pub(super) fn stride(&self) -> usize {
        self.schedule.timesteps() / self.config.steps
    }

    /// The level `stride` timesteps below `t`, or the final one.
    pub(super) fn below(&self, t: usize, stride: usize) -> Result<Level, DiffusionError> {
        let next = t
            .checked_sub(stride)
            .filter(|&next| next >= self.schedule.first_timestep());
        self.level(next)
    }

    /// The level of a timestep, or the final one.
    pub(super) fn level(&self, timestep: Option<usize>) -> Result<Level, DiffusionError> {
        match timestep {
            Some(t) => Ok(Level {
                timestep: Some(t as f64),
                alpha_cumprod: self.schedule.alpha_cumprod(t)?,
            }),
            None => Ok(self.last),
        }
    }

    /// A call at a timestep of the table.
    pub(super) fn call(
        &self,
        t: usize,
        alpha_cumprod: f64,
        next: Level,
        rule: Rule,
    ) -> Result<Call, DiffusionError> {
        self.scaled_call(t as f64, next.timestep, alpha_cumprod, 1.0, rule)
    }

    /// Call `i` of a ladder, with samples whose variance is that of the data: `√ᾱ x_0 + √(1−ᾱ) ε`.
    pub(super) fn preserving_call(
        &self,
        ladder: &Ladder,
        i: usize,
        rule: Rule,
    ) -> Result<Call, DiffusionError> {
        let alpha_cumprod = alpha_cumprod(ladder.sigmas[i]);
        self.scaled_call(
            ladder.timesteps[i],
            after(ladder, i),
            alpha_cumprod,
            1.0,
            rule,
        )
    }

    /// Call `i` of a ladder, with samples `x_0 + σ ε`; the network sees them over `√(σ² + 1)`.
    pub(super) fn exploding_call(
        &self,
        ladder: &Ladder,
        i: usize,
        rule: Rule,
    ) -> Result<Call, DiffusionError> {
        let alpha_cumprod = alpha_cumprod(ladder.sigmas[i]);
        self.scaled_call(
            ladder.timesteps[i],
            after(ladder, i),
            alpha_cumprod,
            alpha_cumprod.sqrt(),
            rule,
        )
    }

    fn scaled_call(
        &self,
        timestep: f64,
        next_timestep: Option<f64>,
        alpha_cumprod: f64,
        input_scale: f64,
        rule: Rule,
    ) -> Result<Call, DiffusionError> {
        let prediction = Prediction::new(self.config.prediction_type, alpha_cumprod, input_scale)?;
        let bounded = self.bounded();
        Ok(Call {
            timestep,
            next_timestep,
            input_scale,
            next: Update::new(rule, &prediction, bounded),
            prediction,
            bounded,
            record: None,
            keep: None,
        })
    }

    fn bounded(&self) -> Bounded {
        if self.config.clip_sample.is_none() && self.config.thresholding.is_none() {
            return Bounded::Nothing;
        }
        match self.config.kind {
            SamplerKind::Ddim {
                clipped_epsilon: false,
                ..
            } => Bounded::X0,
            SamplerKind::DpmSolver(DpmSolverConfig {
                algorithm: DpmAlgorithm::PlusPlus | DpmAlgorithm::SdePlusPlus,
                ..
            })
            | SamplerKind::UniPc(UniPcConfig { .. })
            | SamplerKind::Ddpm { .. }
            | SamplerKind::Lcm { .. } => Bounded::X0,
            _ => Bounded::Both,
        }
    }
}

fn after(ladder: &Ladder, i: usize) -> Option<f64> {
    ladder
        .timesteps
        .get(i + 1)
        .copied()
        .or(ladder.last_timestep)
}
