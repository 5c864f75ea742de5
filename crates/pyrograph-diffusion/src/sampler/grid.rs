//! The timesteps that a sampler visits.

use serde::{Deserialize, Serialize};

use super::SamplerKind;
use crate::{BetaSchedule, DiffusionError, NoiseSchedule};

/// The choice of `n` timesteps among the schedule's `T`, noisiest first.
///
/// The formulas are for a table whose first noisy timestep is 0; on the course's, where it is 1, all
/// but [`Course`](Self::Course) are moved up by one. `round` is half-to-even, as in numpy.
///
/// | grid | DDPM, DDIM, PNDM, Euler, Heun, LMS | DPM-Solver, UniPC |
/// | --- | --- | --- |
/// | `Course` | `T, T − T//n, …` while above 0 | the same |
/// | `Leading` | `i·(T//n) + offset`, `i = n−1..0` | `i·(T//(n+1)) + offset`, `i = n..1` |
/// | `Linspace` | `round(i·(T−1)/(n−1))`, `i = n−1..0` | `round(i·(T−1)/n)`, `i = n..1` |
/// | `Trailing` | `round(T − i·T/n) − 1`, `i = 0..n−1` | the same |
///
/// Euler, Heun and LMS keep the fractions of `Linspace`. LCM uses no grid.
///
/// The names are those of [Lin et al.](https://arxiv.org/abs/2305.08891), table 2. Where diffusers'
/// `Trailing` yields a stray timestep −1 (its `arange` rounds to one point too many, as for `T` 1000
/// and `n` 61), the list here ends after `n`; where `T//(n+1)` is 0 (`n = T`), `Leading` visits every
/// timestep instead of the first one `n` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TimestepGrid {
    /// The sprite course's grid, for [`BetaSchedule::CourseLinear`] only. If `n` does not divide
    /// `T`, it takes more than `n` steps, and the last one is shorter: 500 in 7 walks 500, 429, …,
    /// 74, 3.
    Course,
    /// Evenly spaced from the clean end.
    Leading {
        /// Added to every timestep; Stable Diffusion uses 1.
        #[serde(default)]
        steps_offset: usize,
    },
    /// Evenly spaced between both ends.
    Linspace,
    /// Evenly spaced from the noisy end.
    Trailing,
}

impl TimestepGrid {
    /// The default grid: the course's own for its table; otherwise `Leading` without offset for
    /// DDPM, DDIM, PNDM and LCM, and `Linspace` for all others, as in diffusers.
    pub fn default_for(schedule: &NoiseSchedule, kind: &SamplerKind) -> Self {
        match (&schedule.config().kind, kind) {
            (BetaSchedule::CourseLinear, _) => Self::Course,
            (
                _,
                SamplerKind::Ddpm { .. }
                | SamplerKind::Ddim { .. }
                | SamplerKind::Pndm { .. }
                | SamplerKind::Lcm { .. },
            ) => Self::Leading { steps_offset: 0 },
            _ => Self::Linspace,
        }
    }

    /// The timesteps, noisiest first; `1 <= steps <= T`.
    pub(super) fn timesteps(
        self,
        schedule: &NoiseSchedule,
        kind: &SamplerKind,
        steps: usize,
    ) -> Result<Vec<f64>, DiffusionError> {
        let total = schedule.timesteps();
        let solver = matches!(kind, SamplerKind::DpmSolver(_) | SamplerKind::UniPc(_));
        let fractional = matches!(
            kind,
            SamplerKind::Euler { .. }
                | SamplerKind::EulerAncestral {}
                | SamplerKind::Heun { .. }
                | SamplerKind::Lms { .. }
        );
        let from_zero = match self {
            Self::Course if schedule.config().kind != BetaSchedule::CourseLinear => {
                return Err(DiffusionError::Grid { seen: self });
            }
            Self::Course => {
                let downwards = (1..=total).rev().step_by(total / steps);
                return Ok(downwards.map(|t| t as f64).collect());
            }
            Self::Leading { steps_offset } => leading(total, steps, solver, steps_offset),
            Self::Linspace if fractional => {
                let points = linspace(total, steps, solver);
                return Ok(points
                    .map(|t| t + schedule.first_timestep() as f64)
                    .collect());
            }
            Self::Linspace => linspace(total, steps, solver)
                .map(|point| point.round_ties_even() as usize)
                .collect(),
            Self::Trailing => trailing(total, steps),
        };
        let first = schedule.first_timestep();
        let timesteps: Vec<usize> = from_zero
            .into_iter()
            .map(|t| t.saturating_add(first))
            .collect();
        match (self, timesteps.first()) {
            (
                Self::Leading {
                    steps_offset: offset,
                },
                Some(&timestep),
            ) if timestep > schedule.last_timestep() => Err(DiffusionError::StepsOffset {
                offset,
                timestep,
                last: schedule.last_timestep(),
            }),
            _ => Ok(timesteps.into_iter().map(|t| t as f64).collect()),
        }
    }
}

fn leading(total: usize, steps: usize, solver: bool, offset: usize) -> Vec<usize> {
    // The solver counts the point it arrives at, so it has one interval more and starts at 1.
    let skipped = usize::from(solver && steps < total);
    let stride = total / (steps + skipped);
    (skipped..steps + skipped)
        .rev()
        .map(|i| (i * stride).saturating_add(offset))
        .collect()
}

fn linspace(total: usize, steps: usize, solver: bool) -> impl Iterator<Item = f64> {
    let skipped = usize::from(solver);
    let end = (total - 1) as f64;
    let intervals = steps + skipped - 1;
    // numpy multiplies by the rounded step, and sets the last point apart.
    let step = end / intervals.max(1) as f64;
    let point = move |i: usize| {
        if i > 0 && i == intervals {
            end
        } else {
            i as f64 * step
        }
    };
    (skipped..steps + skipped).rev().map(point)
}

fn trailing(total: usize, steps: usize) -> Vec<usize> {
    let start = total as f64;
    // numpy's arange steps by the difference of its first two points, rounding included; that
    // decides the points that fall halfway between two timesteps.
    let delta = (start - start / steps as f64) - start;
    (0..steps)
        .map(|i| (start + i as f64 * delta).round_ties_even() as usize - 1)
        .collect()
}
