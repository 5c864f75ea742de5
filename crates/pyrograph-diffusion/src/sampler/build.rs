//! From a schedule and a configuration to the coefficients of every step.

use super::coefficients::{Prediction, Rule, Update};
use super::ddpm::Transition;
use super::{
    DdpmVariance, ExtraNoise, FinalPoint, SamplerConfig, SamplerKind, SigmaSpacing, TimestepGrid,
    ddim, dpm_solver,
};
use crate::{DiffusionError, NoiseSchedule};

/// One step of a plan.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) timestep: usize,
    pub(super) next_timestep: Option<usize>,
    pub(super) time_fraction: f64,
    /// The signal `ᾱ` from which the step starts.
    pub(super) alpha_cumprod: f64,
    pub(super) prediction: Prediction,
    /// The update that needs no history.
    pub(super) update: Update,
    /// The update that does, for a state that has one.
    pub(super) second_order: Option<Update>,
}

/// A noise level that a step arrives at.
#[derive(Clone, Copy, Debug)]
struct Level {
    timestep: Option<usize>,
    alpha_cumprod: f64,
}

/// The steps of `config`, which has been checked against the schedule.
pub(super) fn points(
    schedule: &NoiseSchedule,
    config: &SamplerConfig,
) -> Result<Vec<Point>, DiffusionError> {
    let grid = config
        .grid
        .unwrap_or_else(|| TimestepGrid::default_for(schedule, &config.kind));
    let timesteps = grid.timesteps(schedule, &config.kind, config.steps)?;
    let builder = Builder {
        schedule,
        config,
        last: final_level(schedule, config.final_point),
    };
    match config.kind {
        SamplerKind::Ddpm {
            variance,
            extra_noise,
        } => builder.ddpm(&timesteps, variance, extra_noise),
        SamplerKind::Ddim { eta } => builder.ddim(&timesteps, eta),
        SamplerKind::DpmSolverPlusPlus2M {
            lower_order_final,
            sigmas,
        } => {
            let levels = match sigmas {
                SigmaSpacing::Grid => builder.grid_sigmas(&timesteps)?,
                SigmaSpacing::Karras => dpm_solver::karras(schedule, config.steps),
            };
            Ok(builder.dpm_solver(&levels, lower_order_final))
        }
    }
}

fn final_level(schedule: &NoiseSchedule, final_point: FinalPoint) -> Level {
    let first = schedule.first_timestep();
    match final_point {
        // The course keeps the clean image in its table, below the first noisy timestep.
        FinalPoint::Clean => Level {
            timestep: first.checked_sub(1),
            alpha_cumprod: 1.0,
        },
        FinalPoint::TableStart => Level {
            timestep: Some(first),
            alpha_cumprod: schedule.first_alpha_cumprod(),
        },
    }
}

struct Builder<'a> {
    schedule: &'a NoiseSchedule,
    config: &'a SamplerConfig,
    /// Where the last step arrives.
    last: Level,
}

impl Builder<'_> {
    /// Each step leads to the grid's next timestep.
    fn ddpm(
        &self,
        timesteps: &[usize],
        variance: DdpmVariance,
        extra_noise: ExtraNoise,
    ) -> Result<Vec<Point>, DiffusionError> {
        let skips = timesteps.len() < self.schedule.timesteps();
        let mut points = Vec::with_capacity(timesteps.len());
        for (i, &t) in timesteps.iter().enumerate() {
            let alpha_cumprod = self.schedule.alpha_cumprod(t)?;
            let next = self.level(timesteps.get(i + 1).copied())?;
            let mut transition = Transition::skipping(alpha_cumprod, next.alpha_cumprod);
            if !skips && next.timestep == t.checked_sub(1) {
                // The table's own α_t. It is the ratio ᾱ/ᾱ' as well, but for the course at t = 1,
                // whose ᾱ_0 was set to 1 after the product.
                transition.alpha = 1.0 - self.schedule.beta(t)?;
            }
            let is_last = i + 1 == timesteps.len();
            let rule = transition.rule(
                variance,
                if is_last {
                    ExtraNoise::Off
                } else {
                    extra_noise
                },
            );
            points.push(self.point(t, alpha_cumprod, next, rule, None));
        }
        Ok(points)
    }

    /// Each step leads `T//n` timesteps down, as published; on the `Linspace` and `Trailing` grids
    /// that need not be the grid's next timestep.
    fn ddim(&self, timesteps: &[usize], eta: f64) -> Result<Vec<Point>, DiffusionError> {
        let stride = self.schedule.timesteps() / self.config.steps;
        let mut points = Vec::with_capacity(timesteps.len());
        for &t in timesteps {
            let alpha_cumprod = self.schedule.alpha_cumprod(t)?;
            let next = t
                .checked_sub(stride)
                .filter(|&next| next >= self.schedule.first_timestep());
            let next = self.level(next)?;
            let rule = ddim::rule(alpha_cumprod, next.alpha_cumprod, eta);
            points.push(self.point(t, alpha_cumprod, next, rule, None));
        }
        Ok(points)
    }

    /// `levels` are the `(σ, t)` that the steps start from.
    fn dpm_solver(&self, levels: &[(f64, usize)], lower_order_final: bool) -> Vec<Point> {
        let steps = levels.len();
        let last_sigma = dpm_solver::sigma(self.last.alpha_cumprod);
        let lowers_final =
            dpm_solver::lowers_final_order(self.config.final_point, lower_order_final, steps);
        let step = |i: usize| {
            let (from, t) = levels[i];
            let (to, next) = match levels.get(i + 1) {
                Some(&(sigma, timestep)) => (sigma, Some(timestep)),
                None => (last_sigma, self.last.timestep),
            };
            let is_second = i > 0 && !(lowers_final && i + 1 == steps);
            let second = is_second
                .then(|| dpm_solver::second_order(levels[i - 1].0, from, to))
                .flatten();
            let next = Level {
                timestep: next,
                alpha_cumprod: dpm_solver::alpha_cumprod(to),
            };
            self.point(
                t,
                dpm_solver::alpha_cumprod(from),
                next,
                dpm_solver::first_order(from, to),
                second,
            )
        };
        (0..steps).map(step).collect()
    }

    fn grid_sigmas(&self, timesteps: &[usize]) -> Result<Vec<(f64, usize)>, DiffusionError> {
        let level = |&t: &usize| Ok((dpm_solver::sigma(self.schedule.alpha_cumprod(t)?), t));
        timesteps.iter().map(level).collect()
    }

    /// The level of a timestep, or the final one.
    fn level(&self, timestep: Option<usize>) -> Result<Level, DiffusionError> {
        match timestep {
            Some(t) => Ok(Level {
                timestep,
                alpha_cumprod: self.schedule.alpha_cumprod(t)?,
            }),
            None => Ok(self.last),
        }
    }

    fn point(
        &self,
        t: usize,
        alpha_cumprod: f64,
        next: Level,
        rule: Rule,
        second: Option<Rule>,
    ) -> Point {
        let prediction = Prediction::new(self.config.prediction_type, alpha_cumprod);
        let clipped = self.config.clip_sample.is_some();
        let update = |rule| Update::new(rule, &prediction, clipped);
        Point {
            timestep: t,
            next_timestep: next.timestep,
            time_fraction: self.schedule.time_fraction(t),
            alpha_cumprod,
            prediction,
            update: update(rule),
            second_order: second.map(update),
        }
    }
}
