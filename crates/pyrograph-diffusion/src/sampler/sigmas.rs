//! The noise levels `σ` of a plan, and the timesteps that go with them.

use super::beta_quantile::beta_quantile;
use super::{FinalPoint, SamplerConfig, SigmaSpacing};
use crate::{BetaSchedule, DiffusionError, NoiseSchedule};

/// The exponent `ρ` of Karras et al. 2022, equation 5.
const KARRAS_RHO: f64 = 7.0;
/// Both parameters of the beta distribution (Lee et al. 2024, <https://arxiv.org/abs/2407.12173>).
const BETA_SHAPE: f64 = 0.6;
/// The signal `ᾱ` that stands for none at all where a `σ` must be finite (diffusers' value).
const LEAST_SIGNAL: f64 = 1.0 / 16_777_216.0;
/// A whole timestep counts as not quite reached before its fraction is dropped. The noisiest level is
/// the one case: diffusers' single precision falls just short of it in Stable Diffusion's schedule, and
/// visits timestep 998 there instead of 999.
const WHOLE: f64 = 1e-6;

/// The ratio `σ = √((1 − ᾱ)/ᾱ)` of noise to signal.
pub(super) fn sigma(alpha_cumprod: f64) -> f64 {
    ((1.0 - alpha_cumprod) / alpha_cumprod).sqrt()
}

/// The inverse of [`sigma`]: `ᾱ = 1/(1 + σ²)`.
pub(super) fn alpha_cumprod(sigma: f64) -> f64 {
    1.0 / (1.0 + sigma * sigma)
}

/// Noise levels, noisiest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ladder {
    /// One level more than there are steps: the last one is where the last step arrives.
    pub(super) sigmas: Vec<f64>,
    pub(super) timesteps: Vec<f64>,
    /// The timestep of the last level, if the table has it.
    pub(super) last_timestep: Option<f64>,
}

impl Ladder {
    /// The number of steps.
    pub(super) fn steps(&self) -> usize {
        self.timesteps.len()
    }
}

/// How a sampler lays out levels that do not follow the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// Over the schedule's whole range, with whole timesteps: DPM-Solver.
    Table,
    /// The same, and Karras' levels always round to the nearest timestep: UniPC.
    TableNearest,
    /// Over the range of the grid, with fractional timesteps: Euler, Heun, LMS.
    Grid,
}

/// The levels of `timesteps`, or as many spaced by `spacing`.
pub(super) fn ladder(
    schedule: &NoiseSchedule,
    config: &SamplerConfig,
    timesteps: &[f64],
    spacing: SigmaSpacing,
    range: Range,
) -> Result<Ladder, DiffusionError> {
    let table = Table::new(schedule);
    let grid: Vec<f64> = timesteps.iter().map(|&t| table.sigma_at(t)).collect();
    let (high, low) = match (range, grid.first(), grid.last()) {
        (Range::Grid, Some(&high), Some(&low)) => (high, low),
        _ => table.range(),
    };
    let spaced = match spacing {
        SigmaSpacing::Grid => None,
        SigmaSpacing::Karras => Some(karras(high, low, config.steps)),
        SigmaSpacing::Exponential | SigmaSpacing::LuLambdas => {
            Some(exponential(high, low, config.steps))
        }
        SigmaSpacing::Beta => Some(beta(high, low, config.steps)),
    };
    let (mut sigmas, timesteps) = match spaced {
        None => (grid, timesteps.to_vec()),
        Some(sigmas) => {
            let whole = Whole::new(schedule, spacing, range);
            let timesteps = sigmas
                .iter()
                .map(|sigma| whole.apply(table.timestep_of(*sigma)))
                .collect();
            (sigmas, timesteps)
        }
    };
    let (last, last_timestep) = match config.final_point {
        FinalPoint::Clean => (0.0, schedule.first_timestep().checked_sub(1)),
        FinalPoint::TableStart => (table.range().1, Some(schedule.first_timestep())),
    };
    sigmas.push(last);
    Ok(Ladder {
        sigmas,
        timesteps,
        last_timestep: last_timestep.map(|t| t as f64),
    })
}

/// How a timestep between two table entries becomes one of them.
enum Whole {
    Nearest,
    Below { first: f64, nudge: f64 },
    Not,
}

impl Whole {
    /// diffusers rounds, and then drops the fraction as it stores whole numbers.
    fn new(schedule: &NoiseSchedule, spacing: SigmaSpacing, range: Range) -> Self {
        let first = schedule.first_timestep() as f64;
        // Lu's levels come from the logarithms of the table themselves.
        let nudge = if spacing == SigmaSpacing::LuLambdas {
            WHOLE
        } else {
            -WHOLE
        };
        let rounds = matches!(spacing, SigmaSpacing::Karras | SigmaSpacing::LuLambdas);
        match range {
            Range::Grid => Self::Not,
            Range::TableNearest if rounds => Self::Nearest,
            Range::Table if rounds && schedule.config().kind != BetaSchedule::Cosine => {
                Self::Nearest
            }
            Range::Table | Range::TableNearest => Self::Below { first, nudge },
        }
    }

    fn apply(&self, timestep: f64) -> f64 {
        match self {
            Self::Nearest => timestep.round_ties_even(),
            Self::Below { first, nudge } => (timestep + nudge).floor().max(*first),
            Self::Not => timestep,
        }
    }
}

/// `(σ_max^{1/ρ} + i/(n−1)·(σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ`.
fn karras(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let root = |level: f64| level.powf(1.0 / KARRAS_RHO);
    let (low, high) = (root(low), root(high));
    let ramp = |i: usize| i as f64 / (steps - 1).max(1) as f64;
    (0..steps)
        .map(|i| (high + ramp(i) * (low - high)).powf(KARRAS_RHO))
        .collect()
}

/// Evenly spaced in `ln σ`.
fn exponential(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let (low, high) = (low.ln(), high.ln());
    let ramp = |i: usize| i as f64 / (steps - 1).max(1) as f64;
    (0..steps)
        .map(|i| (high + ramp(i) * (low - high)).exp())
        .collect()
}

/// At evenly spaced quantiles of the beta distribution.
fn beta(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let ramp = |i: usize| i as f64 / (steps - 1).max(1) as f64;
    (0..steps)
        .map(|i| low + beta_quantile(1.0 - ramp(i), BETA_SHAPE) * (high - low))
        .collect()
}

/// The schedule's noisy entries as `σ`, ascending.
struct Table {
    first: usize,
    sigmas: Vec<f64>,
    logarithms: Vec<f64>,
}

impl Table {
    fn new(schedule: &NoiseSchedule) -> Self {
        let first = schedule.first_timestep();
        let visible = |&level: &f64| sigma(if level == 0.0 { LEAST_SIGNAL } else { level });
        let sigmas: Vec<f64> = schedule.alphas_cumprod()[first..]
            .iter()
            .map(visible)
            .collect();
        let logarithms = sigmas.iter().map(|sigma| sigma.ln()).collect();
        Self {
            first,
            sigmas,
            logarithms,
        }
    }

    /// The largest and the smallest `σ`; the schedule has at least one noisy timestep.
    fn range(&self) -> (f64, f64) {
        (self.sigmas[self.sigmas.len() - 1], self.sigmas[0])
    }

    /// `σ` at a timestep, interpolated between entries.
    fn sigma_at(&self, timestep: f64) -> f64 {
        let last = self.sigmas.len() - 1;
        let position = (timestep - self.first as f64).clamp(0.0, last as f64);
        let below = position.floor() as usize;
        let share = position - below as f64;
        if share == 0.0 {
            return self.sigmas[below];
        }
        self.sigmas[below] + share * (self.sigmas[below + 1] - self.sigmas[below])
    }

    /// The timestep of `σ`, interpolated in `ln σ`.
    fn timestep_of(&self, sigma: f64) -> f64 {
        self.first as f64 + position(&self.logarithms, sigma.ln())
    }
}

/// The position of `value` in an ascending table, interpolated.
fn position(table: &[f64], value: f64) -> f64 {
    let above = table
        .partition_point(|&entry| entry <= value)
        .min(table.len() - 1)
        .max(1);
    let below = above - 1;
    let (Some(&low), Some(&high)) = (table.get(below), table.get(above)) else {
        return 0.0; // a table of one entry
    };
    below as f64 + ((value - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoiseScheduleConfig;

    #[test]
    fn karras_levels_fall_on_the_published_timesteps() {
        let sd = NoiseSchedule::new(&NoiseScheduleConfig::stable_diffusion()).unwrap();
        let config = SamplerConfig::dpm_solver_pp(25);
        let grid: Vec<f64> = (0..25).map(|i| 999.0 - 40.0 * f64::from(i)).collect();
        let ladder = ladder(&sd, &config, &grid, SigmaSpacing::Karras, Range::Table).unwrap();
        let expected = [
            999, 970, 938, 905, 868, 829, 786, 739, 687, 630, 568, 500, 427, 352, 278, 207, 146,
            96, 59, 34, 18, 9, 4, 1, 0,
        ];
        assert_eq!(ladder.timesteps, expected.map(f64::from));
    }

    #[test]
    fn a_table_of_one_level_has_one_timestep() {
        let config = NoiseScheduleConfig {
            timesteps: 1,
            ..NoiseScheduleConfig::course()
        };
        let course = NoiseSchedule::new(&config).unwrap();
        for spacing in [
            SigmaSpacing::Karras,
            SigmaSpacing::Exponential,
            SigmaSpacing::Beta,
        ] {
            let config = SamplerConfig::dpm_solver_pp(1);
            let ladder = ladder(&course, &config, &[1.0], spacing, Range::Table).unwrap();
            assert_eq!(ladder.timesteps, [1.0], "{spacing:?}");
            assert!(ladder.sigmas[0] > 0.0);
        }
    }
}
