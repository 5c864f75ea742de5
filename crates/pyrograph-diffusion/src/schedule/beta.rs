//! The variances `β_t` of the forward process, one formula a schedule.

use serde::{Deserialize, Serialize};

use crate::DiffusionError;

/// `β` of the first step in the linear schedule of the DDPM paper.
const DDPM_BETA_START: f64 = 1e-4;
/// `β` of the last step in the linear schedule of the DDPM paper.
const DDPM_BETA_END: f64 = 0.02;
/// Largest `β` of the schedules defined through `ᾱ` (Nichol & Dhariwal 2021, section 3.2).
const MAX_BETA: f64 = 0.999;
/// The offset `s` of the cosine schedule (Nichol & Dhariwal 2021, section 3.2).
const COSINE_OFFSET: f64 = 0.008;
/// Where the sigmoid schedule starts on the logistic curve (Jabri et al. 2022, algorithm 1).
const SIGMOID_START: f64 = -3.0;
/// Where the sigmoid schedule ends on the logistic curve.
const SIGMOID_END: f64 = 3.0;
/// The temperature `τ` of the sigmoid schedule.
const SIGMOID_TAU: f64 = 1.0;

/// The growth of the variance `β_t` of the forward process with `t`.
///
/// | variant | table | first noisy `t` |
/// | --- | --- | --- |
/// | [`CourseLinear`](Self::CourseLinear) | `β_i = (β₂ − β₁)·i/T + β₁`, `i = 0..=T`, `ᾱ_0 := 1` | 1 |
/// | [`Linear`](Self::Linear), [`LinearBetween`](Self::LinearBetween) | `T` points from `β₁` to `β₂` | 0 |
/// | [`ScaledLinear`](Self::ScaledLinear) | squares of `T` points from `√β₁` to `√β₂` | 0 |
/// | [`Cosine`](Self::Cosine) | `ᾱ(u) = cos²((u + s)/(1 + s)·π/2)` | 0 |
/// | [`Sigmoid`](Self::Sigmoid) | `ᾱ(u) = (σ(e/τ) − σ((u(e − s) + s)/τ)) / (σ(e/τ) − σ(s/τ))` | 0 |
/// | [`Trained`](Self::Trained) | as given | 0 |
///
/// The cosine and the sigmoid give `β_t = min(1 − ᾱ((t + 1)/T)/ᾱ(t/T), 0.999)`, with `u = t/T` a real number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BetaSchedule {
    /// The sprite course's table: `T + 1` entries from 1e-4 to 0.02, of which index 0 is the clean
    /// image (`ᾱ_0 := 1`) and 1 to `T` are noisy. The product still runs over index 0, so
    /// `ᾱ_1 = (1 − β_0)(1 − β_1)`.
    CourseLinear,
    /// `T` evenly spaced entries from 1e-4 to 0.02, as in [DDPM](https://arxiv.org/abs/2006.11239),
    /// section 4.
    Linear,
    /// [`Linear`](Self::Linear) with custom end points.
    LinearBetween {
        /// Variance of the first timestep.
        beta_start: f64,
        /// Variance of the last timestep.
        beta_end: f64,
    },
    /// Evenly spaced in `√β`, as in [latent diffusion](https://arxiv.org/abs/2112.10752);
    /// Stable Diffusion uses 0.00085 and 0.012.
    ScaledLinear {
        /// Variance of the first timestep.
        beta_start: f64,
        /// Variance of the last timestep.
        beta_end: f64,
    },
    /// The cosine schedule of [Nichol & Dhariwal](https://arxiv.org/abs/2102.09672), equation 17.
    Cosine,
    /// The sigmoid schedule of [Jabri et al.](https://arxiv.org/abs/2212.11972), algorithm 1, from
    /// start −3 to end 3 at temperature 1.
    Sigmoid,
    /// Variances from a file, one for each timestep.
    Trained {
        /// The variances, each above 0 and below 1.
        betas: Vec<f64>,
    },
}

impl BetaSchedule {
    /// The timestep of the least noisy table entry that is noisy at all.
    pub(crate) fn first_timestep(&self) -> usize {
        match self {
            Self::CourseLinear => 1,
            _ => 0,
        }
    }

    /// The variances in table order: `T + 1` of them for the course, else `T`.
    pub(crate) fn betas(&self, timesteps: usize) -> Result<Vec<f64>, DiffusionError> {
        Ok(match *self {
            Self::CourseLinear => {
                let span = DDPM_BETA_END - DDPM_BETA_START;
                let beta = |i: usize| span * i as f64 / timesteps as f64 + DDPM_BETA_START;
                (0..=timesteps).map(beta).collect()
            }
            Self::Linear => evenly_spaced(DDPM_BETA_START, DDPM_BETA_END, timesteps),
            Self::LinearBetween {
                beta_start,
                beta_end,
            } => {
                check_range(beta_start, beta_end)?;
                evenly_spaced(beta_start, beta_end, timesteps)
            }
            Self::ScaledLinear {
                beta_start,
                beta_end,
            } => {
                check_range(beta_start, beta_end)?;
                let roots = evenly_spaced(beta_start.sqrt(), beta_end.sqrt(), timesteps);
                roots.into_iter().map(|root| root * root).collect()
            }
            Self::Cosine => betas_of(cosine_alpha_cumprod, timesteps),
            Self::Sigmoid => betas_of(sigmoid_alpha_cumprod, timesteps),
            Self::Trained { ref betas } => {
                check_trained(betas, timesteps)?;
                betas.clone()
            }
        })
    }
}

fn check_range(beta_start: f64, beta_end: f64) -> Result<(), DiffusionError> {
    // Written so that NaN is refused.
    if 0.0 < beta_start && beta_start <= beta_end && beta_end < 1.0 {
        Ok(())
    } else {
        Err(DiffusionError::BetaRange {
            beta_start,
            beta_end,
        })
    }
}

fn check_trained(betas: &[f64], timesteps: usize) -> Result<(), DiffusionError> {
    let refuse = |reason: String| Err(DiffusionError::TrainedBetas { reason });
    if betas.len() != timesteps {
        return refuse(format!(
            "{} were given for {timesteps} timesteps",
            betas.len()
        ));
    }
    match betas.iter().position(|&beta| !(0.0 < beta && beta < 1.0)) {
        Some(t) => refuse(format!("beta {t} is {}, not between 0 and 1", betas[t])),
        None => Ok(()),
    }
}

/// `count` points from `start` to `end`, both included; a single point is `start`.
fn evenly_spaced(start: f64, end: f64, count: usize) -> Vec<f64> {
    let intervals = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| start + (end - start) * (i as f64 / intervals))
        .collect()
}

/// `β_t` from a closed form of `ᾱ`. The fractions are real divisions: dividing the integers makes
/// every `β` but the last zero.
fn betas_of(alpha_cumprod: impl Fn(f64) -> f64, timesteps: usize) -> Vec<f64> {
    let fraction = |i: usize| i as f64 / timesteps as f64;
    (0..timesteps)
        .map(|t| {
            (1.0 - alpha_cumprod(fraction(t + 1)) / alpha_cumprod(fraction(t))).clamp(0.0, MAX_BETA)
        })
        .collect()
}

fn cosine_alpha_cumprod(u: f64) -> f64 {
    let angle = (u + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * std::f64::consts::FRAC_PI_2;
    angle.cos().powi(2)
}

fn sigmoid_alpha_cumprod(u: f64) -> f64 {
    let logistic = |x: f64| 1.0 / (1.0 + (-x / SIGMOID_TAU).exp());
    let (start, end) = (logistic(SIGMOID_START), logistic(SIGMOID_END));
    (end - logistic(u * (SIGMOID_END - SIGMOID_START) + SIGMOID_START)) / (end - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_table_has_one_entry_more_than_it_has_timesteps() {
        let betas = BetaSchedule::CourseLinear.betas(500).unwrap();
        assert_eq!(betas.len(), 501);
        assert_eq!(betas[0], 1e-4);
        assert!((betas[1] - 0.0001398).abs() < 1e-15);
        assert!((betas[500] - 0.02).abs() < 1e-15);
    }

    #[test]
    fn no_beta_of_the_cosine_schedule_is_zero() {
        let betas = BetaSchedule::Cosine.betas(1000).unwrap();
        assert!(betas.iter().all(|&b| b > 0.0 && b <= MAX_BETA));
        assert!(betas.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(betas[999], MAX_BETA);
    }

    #[test]
    fn a_schedule_of_one_timestep_starts_at_its_first_beta() {
        assert_eq!(BetaSchedule::Linear.betas(1).unwrap(), [DDPM_BETA_START]);
        assert_eq!(BetaSchedule::CourseLinear.betas(1).unwrap(), [1e-4, 0.02]);
    }

    #[test]
    fn betas_that_are_no_growing_variances_are_refused() {
        for (beta_start, beta_end) in [
            (0.0, 0.1),
            (0.2, 0.1),
            (0.1, 1.0),
            (f64::NAN, 0.1),
            (0.1, f64::INFINITY),
        ] {
            let linear = BetaSchedule::LinearBetween {
                beta_start,
                beta_end,
            };
            let scaled = BetaSchedule::ScaledLinear {
                beta_start,
                beta_end,
            };
            assert!(matches!(
                linear.betas(10),
                Err(DiffusionError::BetaRange { .. })
            ));
            assert!(matches!(
                scaled.betas(10),
                Err(DiffusionError::BetaRange { .. })
            ));
        }
    }

    #[test]
    fn the_sigmoid_schedule_is_symmetric_about_its_middle() {
        for u in [0.0, 0.1, 0.3, 0.5] {
            let sum = sigmoid_alpha_cumprod(u) + sigmoid_alpha_cumprod(1.0 - u);
            assert!(
                (sum - 1.0).abs() < 1e-12,
                "alpha({u}) + alpha(1 - {u}) = {sum}"
            );
        }
    }
}
