//! Names and options of samplers, which the commands that sample share.

use anyhow::bail;
use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use pyrograph::diffusion::{
    DiffusionError, FinalPoint, SamplerConfig, SamplerKind, SchedulerName, SigmaSpacing,
    TimestepGrid,
};

use crate::arguments::{SamplerOptions, VarianceName};

/// Steps of a fast sampler when none are given.
const FAST_STEPS: usize = 20;

/// Reads the name of a sampler for pictures.
pub(crate) fn scheduler_parser() -> impl TypedValueParser<Value = SchedulerName> {
    parser(&SchedulerName::ALL)
}

/// Reads the name of a sampler for sprites, which has the demonstration without noise too.
pub(crate) fn sprite_sampler_parser() -> impl TypedValueParser<Value = SchedulerName> {
    let names = [&SchedulerName::ALL[..], &[SchedulerName::DdpmNoNoise]].concat();
    parser(&names)
}

fn parser(names: &[SchedulerName]) -> impl TypedValueParser<Value = SchedulerName> + use<> {
    let value = |name: &SchedulerName| {
        PossibleValue::new(name.as_str())
            .aliases(name.aliases())
            .help(help(*name))
    };
    PossibleValuesParser::new(names.iter().map(value).collect::<Vec<_>>())
        .try_map(|name| name.parse::<SchedulerName>())
}

fn help(name: SchedulerName) -> &'static str {
    match name {
        SchedulerName::DpmPlusPlus2M => "DPM-Solver++ of order 2",
        SchedulerName::DpmPlusPlus3M => "DPM-Solver++ of order 3",
        SchedulerName::DpmPlusPlus2MSde => "SDE-DPM-Solver++ of order 2, with noise in each step",
        SchedulerName::Ddim => "Denoising diffusion implicit models",
        SchedulerName::Ddpm => "Ancestral sampling, with noise in each step",
        SchedulerName::Pndm => "Pseudo numerical methods",
        SchedulerName::Euler => "Euler's method",
        SchedulerName::EulerAncestral => "Euler's method, with noise in each step",
        SchedulerName::Heun => "Heun's method: two network calls a step",
        SchedulerName::Lms => "Linear multistep method",
        SchedulerName::UniPc => "UniPC",
        SchedulerName::Lcm => "Latent consistency models",
        SchedulerName::DdpmNoNoise => {
            "Ancestral sampling without its noise: the demonstration of collapse"
        }
    }
}

/// The noise levels of a sampler.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct LevelOptions {
    /// Spacing of the noise levels [default: that of the scheduler].
    #[arg(long, value_enum)]
    pub(crate) sigmas: Option<SigmaName>,
    /// Short for --sigmas karras [default: off].
    #[arg(long, conflicts_with = "sigmas")]
    pub(crate) karras: bool,
    /// Spacing of the timesteps [default: that of the scheduler].
    #[arg(long, value_enum)]
    pub(crate) spacing: Option<SpacingName>,
    /// The noise level after the last step [default: that of the scheduler].
    #[arg(long, value_enum)]
    pub(crate) final_sigma: Option<FinalSigmaName>,
}

/// A rule of noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SigmaName {
    Karras,
    Exponential,
    Beta,
}

/// A rule of timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SpacingName {
    Linspace,
    Leading,
    Trailing,
}

/// The end of the noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FinalSigmaName {
    /// No noise.
    Zero,
    /// The least noisy entry of the schedule.
    #[value(name = "sigma_min")]
    SigmaMin,
}

impl LevelOptions {
    /// `config` with the options that were given.
    pub(crate) fn apply(&self, config: SamplerConfig) -> Result<SamplerConfig, DiffusionError> {
        let sigmas = self.sigmas.or(self.karras.then_some(SigmaName::Karras));
        let mut config = match sigmas {
            None => config,
            Some(SigmaName::Karras) => config.with_sigmas(SigmaSpacing::Karras)?,
            Some(SigmaName::Exponential) => config.with_sigmas(SigmaSpacing::Exponential)?,
            Some(SigmaName::Beta) => config.with_sigmas(SigmaSpacing::Beta)?,
        };
        if self.spacing.is_some() && matches!(config.kind, SamplerKind::Lcm { .. }) {
            return Err(DiffusionError::Unsupported {
                name: "--spacing",
                seen: "lcm".into(),
                allowed: "the other schedulers: lcm has timesteps of its own (--scheduler, --sampler)",
            });
        }
        config.grid = match (self.spacing, config.grid) {
            (None, grid) => grid,
            (Some(SpacingName::Linspace), _) => Some(TimestepGrid::Linspace),
            (Some(SpacingName::Trailing), _) => Some(TimestepGrid::Trailing),
            // An offset of the model's own scheduler file stays.
            (Some(SpacingName::Leading), grid @ Some(TimestepGrid::Leading { .. })) => grid,
            (Some(SpacingName::Leading), _) => Some(TimestepGrid::Leading { steps_offset: 0 }),
        };
        match self.final_sigma {
            None => {}
            Some(FinalSigmaName::Zero) => config.final_point = FinalPoint::Clean,
            Some(FinalSigmaName::SigmaMin) => config.final_point = FinalPoint::TableStart,
        }
        Ok(config)
    }
}

/// Refuses options that belong to none of the samplers.
pub(crate) fn check_options(
    names: &[SchedulerName],
    options: &SamplerOptions,
) -> anyhow::Result<()> {
    let ddpm = [SchedulerName::Ddpm, SchedulerName::DdpmNoNoise];
    let belongs = [
        ("eta", options.eta.is_some(), &[SchedulerName::Ddim][..]),
        ("variance", options.variance.is_some(), &ddpm),
    ];
    for (flag, given, owners) in belongs {
        if given && !names.iter().any(|name| owners.contains(name)) {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            bail!(
                "--{flag} belongs to --sampler {}, not to {}",
                owners[0],
                names.join(", ")
            );
        }
    }
    if let Some(flag) = options.bounds.flag()
        && names.contains(&SchedulerName::Pndm)
    {
        bail!(
            "{flag} bounds predicted images, but --sampler pndm predicts none: leave one of them out"
        );
    }
    Ok(())
}

/// The sampler `name` for sprites, with `steps` or with what is usual for it on a model of `timesteps`.
pub(crate) fn sprite_sampler(
    name: SchedulerName,
    steps: Option<usize>,
    timesteps: usize,
    options: &SamplerOptions,
) -> anyhow::Result<SamplerConfig> {
    let mut config = name.config(FAST_STEPS.min(timesteps));
    match &mut config.kind {
        SamplerKind::Ddpm { variance, .. } => {
            *variance = options.variance.unwrap_or(VarianceName::Beta).into();
            config.steps = timesteps;
        }
        SamplerKind::Ddim { eta, .. } => *eta = options.eta.unwrap_or(0.0),
        _ => {}
    }
    config.steps = steps.unwrap_or(config.steps);
    options.bounds.apply(&mut config);
    Ok(options.levels.apply(config)?)
}
