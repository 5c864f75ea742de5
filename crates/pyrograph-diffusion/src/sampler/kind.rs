//! The samplers and the settings of each.

use serde::{Deserialize, Serialize};

/// The variance of the noise that an ancestral (DDPM) step adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdpmVariance {
    /// `β_t`, as in the sprite course; diffusers' `fixed_large`.
    #[default]
    Beta,
    /// `β̃_t = (1 − ᾱ')/(1 − ᾱ)·β_t`, at least 1e-20: diffusers' `fixed_small`, its default.
    BetaTilde,
}

/// Whether an ancestral step adds its noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraNoise {
    /// The step adds noise, as the derivation requires.
    #[default]
    On,
    /// The step takes only the mean. Samples then collapse towards the average image, which
    /// demonstrates the need for the noise.
    Off,
}

/// The spacing of a sampler's noise levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaSpacing {
    /// The table's levels at the timesteps of the grid.
    #[default]
    Grid,
    /// `ρ = 7` ([Karras et al.](https://arxiv.org/abs/2206.00364), equation 5). DPM-Solver and UniPC span the
    /// schedule's whole range of `σ`, and the grid is then unused; Euler, Heun and LMS span the grid's.
    Karras,
    /// Evenly spaced in `ln σ`, over the same range.
    Exponential,
    /// Quantiles of the beta distribution with both parameters 0.6
    /// ([Lee et al.](https://arxiv.org/abs/2407.12173)), over the same range.
    Beta,
    /// As [`Exponential`](Self::Exponential), with timesteps rounded to the nearest: the setting that
    /// diffusers calls `use_lu_lambdas`.
    LuLambdas,
}

/// The equation that DPM-Solver discretises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpmAlgorithm {
    /// DPM-Solver++: deterministic, in terms of `x_0`.
    #[default]
    PlusPlus,
    /// SDE-DPM-Solver++: each step adds noise.
    SdePlusPlus,
    /// DPM-Solver: deterministic, in terms of `ε`. Its last noise level must be above 0.
    Plain,
    /// SDE-DPM-Solver, of order 1 or 2. Its last noise level must be above 0.
    Sde,
}

/// The weight of the first derivative in a step of order 2 of DPM-Solver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpmSolverType {
    /// The midpoint rule.
    #[default]
    Midpoint,
    /// The exact integral.
    Heun,
}

/// The settings of DPM-Solver, multistep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpmSolverConfig {
    /// The highest order: 1, 2 or 3.
    pub order: usize,
    /// The equation.
    pub algorithm: DpmAlgorithm,
    /// The form of a step of order 2.
    pub solver: DpmSolverType,
    /// Lowers the order of the last steps if there are fewer than 15 steps, for stability. A last
    /// step to noise level 0 is always of first order.
    pub lower_order_final: bool,
    /// Takes the last step always at first order.
    pub euler_at_final: bool,
    /// The spacing of the noise levels.
    pub sigmas: SigmaSpacing,
}

impl Default for DpmSolverConfig {
    fn default() -> Self {
        Self {
            order: 2,
            algorithm: DpmAlgorithm::default(),
            solver: DpmSolverType::default(),
            lower_order_final: true,
            euler_at_final: false,
            sigmas: SigmaSpacing::default(),
        }
    }
}

/// The function `B(h)` of UniPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniPcVariant {
    /// `h`; for unconditional sampling in few steps.
    Bh1,
    /// `e^h − 1`.
    #[default]
    Bh2,
}

/// The settings of UniPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UniPcConfig {
    /// The highest order of the predictor: 1, 2 or 3. The corrector's is one more.
    pub order: usize,
    /// The function `B(h)`.
    pub variant: UniPcVariant,
    /// Lowers the order towards the end.
    pub lower_order_final: bool,
    /// The spacing of the noise levels.
    pub sigmas: SigmaSpacing,
}

impl Default for UniPcConfig {
    fn default() -> Self {
        Self {
            order: 2,
            variant: UniPcVariant::default(),
            lower_order_final: true,
            sigmas: SigmaSpacing::default(),
        }
    }
}

/// The rule for the step from `x_t` to `x_t'`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerKind {
    /// Ancestral sampling, [Ho et al.](https://arxiv.org/abs/2006.11239), algorithm 2.
    Ddpm {
        /// The variance of the noise added.
        #[serde(default)]
        variance: DdpmVariance,
        /// Whether the noise is added at all.
        #[serde(default)]
        extra_noise: ExtraNoise,
    },
    /// [Song et al.](https://arxiv.org/abs/2010.02502), equation 12.
    Ddim {
        /// The fraction of DDPM's noise that a step adds: 0 (deterministic) to 1.
        #[serde(default)]
        eta: f64,
        /// Whether `ε` follows from the clipped `x_0` (diffusers' `use_clipped_model_output`).
        #[serde(default)]
        clipped_epsilon: bool,
    },
    /// [DPM-Solver++](https://arxiv.org/abs/2211.01095), multistep.
    #[serde(alias = "dpm_solver_pp_2m")]
    DpmSolver(DpmSolverConfig),
    /// [Pseudo numerical methods](https://arxiv.org/abs/2202.09778) of order 4.
    Pndm {
        /// Whether three Runge–Kutta steps of four calls come first. Stable Diffusion has none.
        #[serde(default)]
        runge_kutta: bool,
    },
    /// Euler's method over `σ` ([Karras et al.](https://arxiv.org/abs/2206.00364)).
    Euler {
        /// The spacing of the noise levels.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
    /// Euler's method with fresh noise at each step, on the grid's levels.
    EulerAncestral {},
    /// Heun's method over `σ`: two network calls in each step except the last.
    Heun {
        /// The spacing of the noise levels.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
    /// The linear multistep method of order 4 over `σ`.
    Lms {
        /// The spacing of the noise levels.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
    /// [UniPC](https://arxiv.org/abs/2302.04867).
    UniPc(UniPcConfig),
    /// [Latent consistency models](https://arxiv.org/abs/2310.04378). The grid is unused: timesteps are
    /// some of those that the model was distilled on.
    Lcm {
        /// The number of timesteps of the distillation.
        #[serde(default = "lcm_steps")]
        original_steps: usize,
        /// The factor of the timestep in the boundary condition.
        #[serde(default = "lcm_scaling")]
        timestep_scaling: f64,
    },
}

impl SamplerKind {
    /// The spacing of noise levels, for samplers that have this setting.
    pub fn sigmas_mut(&mut self) -> Option<&mut SigmaSpacing> {
        match self {
            Self::DpmSolver(DpmSolverConfig { sigmas, .. })
            | Self::UniPc(UniPcConfig { sigmas, .. })
            | Self::Euler { sigmas }
            | Self::Heun { sigmas }
            | Self::Lms { sigmas } => Some(sigmas),
            _ => None,
        }
    }

    /// The network calls of a step that a partial run may begin with.
    pub(super) fn calls_a_step(&self) -> usize {
        match self {
            Self::Heun { .. } => 2,
            _ => 1,
        }
    }
}

fn lcm_steps() -> usize {
    50
}

fn lcm_scaling() -> f64 {
    10.0
}
