//! The names of samplers, as users write them.

use std::fmt;
use std::str::FromStr;

use super::{
    DdpmVariance, DpmAlgorithm, DpmSolverConfig, ExtraNoise, SamplerConfig, SamplerKind,
    SigmaSpacing, UniPcConfig,
};
use crate::DiffusionError;

/// The name of a sampler on a command line or in a request.
///
/// ```
/// # mod pyrograph { pub use pyrograph_diffusion as diffusion; }
/// use pyrograph::diffusion::SchedulerName;
///
/// let name: SchedulerName = "euler-a".parse()?;
/// assert_eq!(name, SchedulerName::EulerAncestral);
/// assert_eq!(name.to_string(), "euler-a");
/// # Ok::<(), pyrograph::diffusion::DiffusionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulerName {
    /// `dpm++2m`: DPM-Solver++ of order 2.
    DpmPlusPlus2M,
    /// `dpm++3m`: DPM-Solver++ of order 3.
    DpmPlusPlus3M,
    /// `dpm++2m-sde`: SDE-DPM-Solver++ of order 2.
    DpmPlusPlus2MSde,
    /// `ddim`.
    Ddim,
    /// `ddpm`.
    Ddpm,
    /// `pndm`: with the linear multistep start of Stable Diffusion.
    Pndm,
    /// `euler`.
    Euler,
    /// `euler-a`: Euler, ancestral.
    EulerAncestral,
    /// `heun`.
    Heun,
    /// `lms`.
    Lms,
    /// `unipc`.
    UniPc,
    /// `lcm`.
    Lcm,
    /// `ddpm-no-noise`: DDPM without the noise of each step, as a demonstration. Not in
    /// [`ALL`](Self::ALL).
    DdpmNoNoise,
}

impl SchedulerName {
    /// Every sampler for pictures, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::DpmPlusPlus2M,
        Self::DpmPlusPlus3M,
        Self::DpmPlusPlus2MSde,
        Self::Ddim,
        Self::Ddpm,
        Self::Pndm,
        Self::Euler,
        Self::EulerAncestral,
        Self::Heun,
        Self::Lms,
        Self::UniPc,
        Self::Lcm,
    ];

    /// The name as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DpmPlusPlus2M => "dpm++2m",
            Self::DpmPlusPlus3M => "dpm++3m",
            Self::DpmPlusPlus2MSde => "dpm++2m-sde",
            Self::Ddim => "ddim",
            Self::Ddpm => "ddpm",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-a",
            Self::Heun => "heun",
            Self::Lms => "lms",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
            Self::DdpmNoNoise => "ddpm-no-noise",
        }
    }

    /// The other names that are read, today's and those of files.
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::DpmPlusPlus2M => &["dpm++", "dpm_solver_pp_2m"],
            _ => &[],
        }
    }

    /// The sampler with its usual settings, for a network that predicts noise.
    pub fn config(self, steps: usize) -> SamplerConfig {
        SamplerConfig::of_kind(self.kind(), steps)
    }

    fn kind(self) -> SamplerKind {
        let sigmas = SigmaSpacing::Grid;
        let ddpm = |extra_noise| SamplerKind::Ddpm {
            variance: DdpmVariance::default(),
            extra_noise,
        };
        let solver = |order, algorithm| {
            SamplerKind::DpmSolver(DpmSolverConfig {
                order,
                algorithm,
                ..DpmSolverConfig::default()
            })
        };
        match self {
            Self::DpmPlusPlus2M => solver(2, DpmAlgorithm::PlusPlus),
            Self::DpmPlusPlus3M => solver(3, DpmAlgorithm::PlusPlus),
            Self::DpmPlusPlus2MSde => solver(2, DpmAlgorithm::SdePlusPlus),
            Self::Ddim => SamplerKind::Ddim {
                eta: 0.0,
                clipped_epsilon: false,
            },
            Self::Ddpm => ddpm(ExtraNoise::On),
            Self::DdpmNoNoise => ddpm(ExtraNoise::Off),
            Self::Pndm => SamplerKind::Pndm { runge_kutta: false },
            Self::Euler => SamplerKind::Euler { sigmas },
            Self::EulerAncestral => SamplerKind::EulerAncestral {},
            Self::Heun => SamplerKind::Heun { sigmas },
            Self::Lms => SamplerKind::Lms { sigmas },
            Self::UniPc => SamplerKind::UniPc(UniPcConfig::default()),
            Self::Lcm => SamplerKind::Lcm {
                original_steps: 50,
                timestep_scaling: 10.0,
            },
        }
    }
}

impl fmt::Display for SchedulerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SchedulerName {
    type Err = DiffusionError;

    fn from_str(name: &str) -> Result<Self, DiffusionError> {
        Self::ALL
            .into_iter()
            .chain([Self::DdpmNoNoise])
            .find(|known| known.as_str() == name || known.aliases().contains(&name))
            .ok_or_else(|| DiffusionError::SchedulerName {
                seen: name.to_owned(),
                allowed: Self::ALL.map(Self::as_str).join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_alias_reads_back() {
        for name in SchedulerName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
            for alias in name.aliases() {
                assert_eq!(alias.parse(), Ok(name));
            }
        }
        assert_eq!("ddpm-no-noise".parse(), Ok(SchedulerName::DdpmNoNoise));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_list() {
        let refused = "plms".parse::<SchedulerName>().unwrap_err().to_string();
        assert!(
            refused.contains("plms") && refused.contains("euler-a"),
            "{refused}"
        );
    }
}
