//! The samplers and the settings of each.

use serde::{Deserialize, Serialize};

/// The variance of the noise that an ancestral (DDPM) step adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdpmVariance {
    /// `β_t`: what the sprite course uses; diffusers' `fixed_large`.
    #[default]
    Beta,
    /// `β̃_t = (1 − ᾱ')/(1 − ᾱ)·β_t`, at least 1e-20: diffusers' `fixed_small`, its default.
    BetaTilde,
}

/// Whether an ancestral step adds its noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraNoise {
    /// As the derivation demands.
    #[default]
    On,
    /// The mean alone. Samples collapse towards the average image; that is the demonstration.
    Off,
}

/// How a sampler spaces its noise levels.
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

/// Which equation DPM-Solver discretises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpmAlgorithm {
    /// DPM-Solver++: deterministic, in terms of `x_0`.
    #[default]
    PlusPlus,
    /// SDE-DPM-Solver++: each step adds noise.
    SdePlusPlus,
    /// DPM-Solver: deterministic, in terms of `ε`. It cannot arrive at no noise.
    Plain,
    /// SDE-DPM-Solver, of order 1 or 2. It cannot arrive at no noise.
    Sde,
}

/// How DPM-Solver weighs the first derivative in a step of order 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpmSolverType {
    /// As at the middle of the step.
    #[default]
    Midpoint,
    /// As its exact integral.
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
    /// Lower the order of the last steps where there are fewer than 15, for stability. A last
    /// step that arrives at no noise is of first order in any case.
    pub lower_order_final: bool,
    /// Take the last step at first order in any case.
    pub euler_at_final: bool,
    /// How the noise levels are spaced.
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
    /// Lower the order towards the end.
    pub lower_order_final: bool,
    /// How the noise levels are spaced.
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

/// Which rule takes `x_t` to `x_t'`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerKind {
    /// Ancestral sampling, [Ho et al.](https://arxiv.org/abs/2006.11239), algorithm 2.
    Ddpm {
        /// The variance of the noise added.
        #[serde(default)]
        variance: DdpmVariance,
        /// Whether it is added at all.
        #[serde(default)]
        extra_noise: ExtraNoise,
    },
    /// [Song et al.](https://arxiv.org/abs/2010.02502), equation 12.
    Ddim {
        /// Share of DDPM's noise that a step adds: 0 (deterministic) to 1.
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
        /// How the noise levels are spaced.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
    /// Euler's method with fresh noise at each step, on the grid's levels.
    EulerAncestral {},
    /// Heun's method over `σ`: two network calls a step but for the last.
    Heun {
        /// How the noise levels are spaced.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
    /// The linear multistep method of order 4 over `σ`.
    Lms {
        /// How the noise levels are spaced.
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
    /// The spacing of noise levels, of samplers that have a choice.
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
