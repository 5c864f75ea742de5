//! From the values of a scheduler file to the settings of a schedule and a sampler.

use super::super::{
    DdpmVariance, DpmAlgorithm, DpmSolverConfig, DpmSolverType, ExtraNoise, FinalPoint,
    SamplerConfig, SamplerKind, SigmaSpacing, Thresholding, TimestepGrid, UniPcConfig,
    UniPcVariant,
};
use super::class::Class;
use super::values::Values;
use crate::{BetaSchedule, DiffusionError, NoiseScheduleConfig, PredictionType};

/// The noise schedule of `class`.
pub(super) fn schedule(
    class: Class,
    values: &Values<'_>,
) -> Result<NoiseScheduleConfig, DiffusionError> {
    let (beta_start, beta_end, beta_schedule) = class.betas();
    let timesteps = values.count("num_train_timesteps", 1000)?;
    let zero_terminal_snr =
        class.knows("rescale_betas_zero_snr") && values.switch("rescale_betas_zero_snr", false)?;
    let trained = values.numbers("trained_betas")?;
    let (beta_start, beta_end) = (
        values.number("beta_start", beta_start)?,
        values.number("beta_end", beta_end)?,
    );
    let kind = match (trained, values.word("beta_schedule", beta_schedule)?) {
        (Some(betas), _) => BetaSchedule::Trained { betas },
        (None, "linear") => BetaSchedule::LinearBetween {
            beta_start,
            beta_end,
        },
        (None, "scaled_linear") => BetaSchedule::ScaledLinear {
            beta_start,
            beta_end,
        },
        (None, "squaredcos_cap_v2") => BetaSchedule::Cosine,
        (None, _) => {
            let allowed = "linear, scaled_linear and squaredcos_cap_v2";
            return Err(values.refuse("beta_schedule", allowed));
        }
    };
    Ok(NoiseScheduleConfig {
        timesteps: match &kind {
            BetaSchedule::Trained { betas } => betas.len(),
            _ => timesteps,
        },
        kind,
        zero_terminal_snr,
    })
}

/// The sampler of `class`.
pub(super) fn sampler(
    class: Class,
    values: &Values<'_>,
    steps: usize,
) -> Result<SamplerConfig, DiffusionError> {
    for (key, only) in class.fixed() {
        values.only(key, only)?;
    }
    let kind = kind(class, values)?;
    let prediction_type = match values.word("prediction_type", "epsilon")? {
        "epsilon" => PredictionType::Epsilon,
        "sample" => PredictionType::Sample,
        "v_prediction" => PredictionType::VPrediction,
        _ => {
            let allowed = "epsilon, sample and v_prediction";
            return Err(values.refuse("prediction_type", allowed));
        }
    };
    let grid = match values.word("timestep_spacing", class.spacing())? {
        "linspace" => TimestepGrid::Linspace,
        "trailing" => TimestepGrid::Trailing,
        "leading" => TimestepGrid::Leading {
            steps_offset: values.count("steps_offset", 0)?,
        },
        _ => return Err(values.refuse("timestep_spacing", "linspace, leading and trailing")),
    };
    let thresholds = class.knows("thresholding") && values.switch("thresholding", false)?;
    let thresholding = if thresholds {
        Some(Thresholding {
            ratio: values.number("dynamic_thresholding_ratio", 0.995)?,
            max: values.number("sample_max_value", 1.0)?,
        })
    } else {
        None
    };
    let clips = class.knows("clip_sample") && values.switch("clip_sample", class.clips_sample())?;
    let clip_sample = if clips && thresholding.is_none() {
        Some(values.number("clip_sample_range", 1.0)?)
    } else {
        None
    };
    Ok(SamplerConfig {
        prediction_type,
        grid: Some(grid),
        clip_sample,
        thresholding,
        final_point: final_point(class, values)?,
        ..SamplerConfig::of_kind(kind, steps)
    })
}

fn final_point(class: Class, values: &Values<'_>) -> Result<FinalPoint, DiffusionError> {
    if class.knows("final_sigmas_type") {
        return match values.word("final_sigmas_type", "zero")? {
            "zero" => Ok(FinalPoint::Clean),
            "sigma_min" => Ok(FinalPoint::TableStart),
            _ => Err(values.refuse("final_sigmas_type", "zero and sigma_min")),
        };
    }
    // LCM's last step yields its prediction in any case.
    let to_one = match class {
        Class::Ddim => values.switch("set_alpha_to_one", true)?,
        Class::Pndm => values.switch("set_alpha_to_one", false)?,
        _ => true,
    };
    Ok(if to_one {
        FinalPoint::Clean
    } else {
        FinalPoint::TableStart
    })
}

fn kind(class: Class, values: &Values<'_>) -> Result<SamplerKind, DiffusionError> {
    let sigmas = || sigmas(class, values);
    Ok(match class {
        Class::Dpm => SamplerKind::DpmSolver(DpmSolverConfig {
            order: values.count("solver_order", 2)?,
            algorithm: match values.word("algorithm_type", "dpmsolver++")? {
                "dpmsolver++" | "deis" => DpmAlgorithm::PlusPlus,
                "sde-dpmsolver++" => DpmAlgorithm::SdePlusPlus,
                "dpmsolver" => DpmAlgorithm::Plain,
                "sde-dpmsolver" => DpmAlgorithm::Sde,
                _ => {
                    let allowed = "dpmsolver++, sde-dpmsolver++, dpmsolver and sde-dpmsolver";
                    return Err(values.refuse("algorithm_type", allowed));
                }
            },
            solver: match values.word("solver_type", "midpoint")? {
                "midpoint" | "logrho" | "bh1" | "bh2" => DpmSolverType::Midpoint,
                "heun" => DpmSolverType::Heun,
                _ => return Err(values.refuse("solver_type", "midpoint and heun")),
            },
            lower_order_final: values.switch("lower_order_final", true)?,
            euler_at_final: values.switch("euler_at_final", false)?,
            sigmas: sigmas()?,
        }),
        Class::UniPc => SamplerKind::UniPc(UniPcConfig {
            order: values.count("solver_order", 2)?,
            variant: match values.word("solver_type", "bh2")? {
                "bh1" => UniPcVariant::Bh1,
                "bh2" | "midpoint" | "heun" | "logrho" => UniPcVariant::Bh2,
                _ => return Err(values.refuse("solver_type", "bh1 and bh2")),
            },
            lower_order_final: values.switch("lower_order_final", true)?,
            sigmas: sigmas()?,
        }),
        Class::Ddim => SamplerKind::Ddim {
            eta: 0.0,
            clipped_epsilon: false,
        },
        Class::Ddpm => SamplerKind::Ddpm {
            variance: match values.word_or_null("variance_type", "fixed_small")? {
                // The logarithmic form is the same variance.
                "fixed_small" | "fixed_small_log" => DdpmVariance::BetaTilde,
                "fixed_large" => DdpmVariance::Beta,
                _ => {
                    let allowed = "fixed_small, fixed_small_log and fixed_large";
                    return Err(values.refuse("variance_type", allowed));
                }
            },
            extra_noise: ExtraNoise::On,
        },
        Class::Pndm => SamplerKind::Pndm {
            runge_kutta: !values.switch("skip_prk_steps", false)?,
        },
        Class::Euler => SamplerKind::Euler { sigmas: sigmas()? },
        Class::EulerAncestral => SamplerKind::EulerAncestral {},
        Class::Heun => SamplerKind::Heun { sigmas: sigmas()? },
        Class::Lms => SamplerKind::Lms { sigmas: sigmas()? },
        Class::Lcm => SamplerKind::Lcm {
            original_steps: values.count("original_inference_steps", 50)?,
            timestep_scaling: values.number("timestep_scaling", 10.0)?,
        },
    })
}

/// At most one rule; DPM-Solver prefers Karras' to Lu's.
fn sigmas(class: Class, values: &Values<'_>) -> Result<SigmaSpacing, DiffusionError> {
    let rules = [
        ("use_karras_sigmas", SigmaSpacing::Karras),
        ("use_exponential_sigmas", SigmaSpacing::Exponential),
        ("use_beta_sigmas", SigmaSpacing::Beta),
    ];
    let mut chosen = None;
    for (key, spacing) in rules {
        if values.switch(key, false)? {
            if chosen.is_some() {
                return Err(values.refuse(key, "one rule of sigmas at a time"));
            }
            chosen = Some(spacing);
        }
    }
    let lu = class.knows("use_lu_lambdas") && values.switch("use_lu_lambdas", false)?;
    Ok(match chosen {
        Some(SigmaSpacing::Karras) => SigmaSpacing::Karras,
        _ if lu => SigmaSpacing::LuLambdas,
        Some(spacing) => spacing,
        None => SigmaSpacing::Grid,
    })
}
