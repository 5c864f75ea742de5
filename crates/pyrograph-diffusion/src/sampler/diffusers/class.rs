//! The schedulers of diffusers that are supported, with the keys and defaults of each.

use super::SchedulerName;
use super::values::Only;
use crate::DiffusionError;

/// A scheduler class of diffusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Dpm,
    Ddim,
    Ddpm,
    Pndm,
    Euler,
    EulerAncestral,
    Heun,
    Lms,
    UniPc,
    Lcm,
}

const CLASSES: [(Class, &str); 10] = [
    (Class::Dpm, "DPMSolverMultistepScheduler"),
    (Class::Ddim, "DDIMScheduler"),
    (Class::Ddpm, "DDPMScheduler"),
    (Class::Pndm, "PNDMScheduler"),
    (Class::Euler, "EulerDiscreteScheduler"),
    (Class::EulerAncestral, "EulerAncestralDiscreteScheduler"),
    (Class::Heun, "HeunDiscreteScheduler"),
    (Class::Lms, "LMSDiscreteScheduler"),
    (Class::UniPc, "UniPCMultistepScheduler"),
    (Class::Lcm, "LCMScheduler"),
];

/// Keys that every class knows.
const COMMON: &[&str] = &[
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "steps_offset",
    "prediction_type",
    "timestep_spacing",
];

impl Class {
    /// The class behind a sampler's name.
    pub(super) fn of(name: SchedulerName) -> Self {
        match name {
            SchedulerName::DpmPlusPlus2M
            | SchedulerName::DpmPlusPlus3M
            | SchedulerName::DpmPlusPlus2MSde => Self::Dpm,
            SchedulerName::Ddim => Self::Ddim,
            SchedulerName::Ddpm | SchedulerName::DdpmNoNoise => Self::Ddpm,
            SchedulerName::Pndm => Self::Pndm,
            SchedulerName::Euler => Self::Euler,
            SchedulerName::EulerAncestral => Self::EulerAncestral,
            SchedulerName::Heun => Self::Heun,
            SchedulerName::Lms => Self::Lms,
            SchedulerName::UniPc => Self::UniPc,
            SchedulerName::Lcm => Self::Lcm,
        }
    }

    /// The class of this name in diffusers.
    pub(super) fn named(name: &str) -> Result<Self, DiffusionError> {
        CLASSES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(class, _)| *class)
            .ok_or_else(|| DiffusionError::SchedulerClass {
                seen: name.to_owned(),
                allowed: CLASSES.map(|(_, known)| known).join(", "),
            })
    }

    /// Whether the class has a setting of this name.
    pub(super) fn knows(self, key: &str) -> bool {
        self.own_keys().contains(&key) || COMMON.contains(&key)
    }

    /// Every setting of the class.
    pub(super) fn keys(self) -> Vec<&'static str> {
        [COMMON, self.own_keys()].concat()
    }

    /// The settings beside the common ones.
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Dpm => &[
                "solver_order",
                "thresholding",
                "dynamic_thresholding_ratio",
                "sample_max_value",
                "algorithm_type",
                "solver_type",
                "lower_order_final",
                "euler_at_final",
                "use_karras_sigmas",
                "use_exponential_sigmas",
                "use_beta_sigmas",
                "use_lu_lambdas",
                "use_flow_sigmas",
                "flow_shift",
                "final_sigmas_type",
                "lambda_min_clipped",
                "variance_type",
                "rescale_betas_zero_snr",
                "use_dynamic_shifting",
                "time_shift_type",
            ],
            Self::Ddim => &[
                "clip_sample",
                "set_alpha_to_one",
                "thresholding",
                "dynamic_thresholding_ratio",
                "clip_sample_range",
                "sample_max_value",
                "rescale_betas_zero_snr",
            ],
            Self::Ddpm => &[
                "variance_type",
                "clip_sample",
                "thresholding",
                "dynamic_thresholding_ratio",
                "clip_sample_range",
                "sample_max_value",
                "rescale_betas_zero_snr",
            ],
            Self::Pndm => &["skip_prk_steps", "set_alpha_to_one"],
            Self::Euler => &[
                "interpolation_type",
                "use_karras_sigmas",
                "use_exponential_sigmas",
                "use_beta_sigmas",
                "sigma_min",
                "sigma_max",
                "timestep_type",
                "rescale_betas_zero_snr",
                "final_sigmas_type",
            ],
            Self::EulerAncestral => &["rescale_betas_zero_snr"],
            Self::Heun => &[
                "use_karras_sigmas",
                "use_exponential_sigmas",
                "use_beta_sigmas",
                "clip_sample",
                "clip_sample_range",
            ],
            Self::Lms => &[
                "use_karras_sigmas",
                "use_exponential_sigmas",
                "use_beta_sigmas",
            ],
            Self::UniPc => &[
                "solver_order",
                "thresholding",
                "dynamic_thresholding_ratio",
                "sample_max_value",
                "predict_x0",
                "solver_type",
                "lower_order_final",
                "disable_corrector",
                "solver_p",
                "use_karras_sigmas",
                "use_exponential_sigmas",
                "use_beta_sigmas",
                "use_flow_sigmas",
                "flow_shift",
                "final_sigmas_type",
                "rescale_betas_zero_snr",
                "use_dynamic_shifting",
                "time_shift_type",
                "sigma_min",
                "sigma_max",
                "shift_terminal",
            ],
            Self::Lcm => &[
                "original_inference_steps",
                "clip_sample",
                "clip_sample_range",
                "set_alpha_to_one",
                "thresholding",
                "dynamic_thresholding_ratio",
                "sample_max_value",
                "timestep_scaling",
                "rescale_betas_zero_snr",
            ],
        }
    }

    /// The defaults of `beta_start`, `beta_end` and `beta_schedule`.
    pub(super) fn betas(self) -> (f64, f64, &'static str) {
        match self {
            Self::Heun => (0.00085, 0.012, "linear"),
            Self::Lcm => (0.00085, 0.012, "scaled_linear"),
            _ => (1e-4, 0.02, "linear"),
        }
    }

    /// The default of `timestep_spacing`.
    pub(super) fn spacing(self) -> &'static str {
        match self {
            Self::Ddim | Self::Ddpm | Self::Pndm | Self::Lcm => "leading",
            _ => "linspace",
        }
    }

    /// The default of `clip_sample`.
    pub(super) fn clips_sample(self) -> bool {
        matches!(self, Self::Ddim | Self::Ddpm)
    }

    /// Settings of which one value alone is supported.
    pub(super) fn fixed(self) -> &'static [(&'static str, Only)] {
        match self {
            Self::Dpm => &[
                ("use_flow_sigmas", Only::False),
                ("use_dynamic_shifting", Only::False),
                ("lambda_min_clipped", Only::MinusInfinity),
                ("variance_type", Only::NotLearned),
            ],
            Self::UniPc => &[
                ("use_flow_sigmas", Only::False),
                ("use_dynamic_shifting", Only::False),
                ("predict_x0", Only::True),
                ("disable_corrector", Only::Empty),
                ("solver_p", Only::Null),
                ("sigma_min", Only::Null),
                ("sigma_max", Only::Null),
                ("shift_terminal", Only::Null),
            ],
            Self::Euler => &[
                ("interpolation_type", Only::Word("linear")),
                ("timestep_type", Only::Word("discrete")),
                ("sigma_min", Only::Null),
                ("sigma_max", Only::Null),
            ],
            _ => &[],
        }
    }
}
