//! The scheduler of a request: the checkpoint's file, and what the request changes of it.

use pyrograph_diffusion::{
    DiffusersScheduler, FinalPoint, NoiseSchedule, SamplerPlan, SchedulerName, SigmaSpacing,
};

use super::request::{ImageRequest, refuse};
use crate::PipelineError;

/// The scheduler of Stable Diffusion, for checkpoints without a scheduler file.
const STABLE_DIFFUSION: &str = r#"{
    "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
    "prediction_type": "epsilon"
}"#;

/// Spacing of the timesteps that a sampler visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestepSpacing {
    /// Evenly spaced between both ends.
    Linspace,
    /// Evenly spaced from the clean end.
    Leading,
    /// Evenly spaced from the noisy end.
    Trailing,
}

impl TimestepSpacing {
    /// The word of scheduler files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linspace => "linspace",
            Self::Leading => "leading",
            Self::Trailing => "trailing",
        }
    }
}

/// What a request changes of the checkpoint's scheduler. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SchedulerChoice {
    /// Another scheduler, with the settings of the file that it knows.
    pub name: Option<SchedulerName>,
    /// Another spacing of the noise levels.
    pub sigmas: Option<SigmaSpacing>,
    /// Another spacing of the timesteps.
    pub spacing: Option<TimestepSpacing>,
    /// Another noise level after the last step.
    pub final_point: Option<FinalPoint>,
}

/// The scheduler of a checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    file: DiffusersScheduler,
}

impl Scheduler {
    /// Reads a `scheduler_config.json`; that of Stable Diffusion where there is none.
    pub(super) fn new(file: Option<&str>) -> Result<Self, PipelineError> {
        let file = DiffusersScheduler::read(file.unwrap_or(STABLE_DIFFUSION))?;
        Ok(Self { file })
    }

    /// The settings of the file that its own class does not have, as a sentence.
    pub(super) fn note(&self) -> Option<String> {
        // A class that is not supported is refused when a request asks for it.
        let unknown = self.file.sampler(None, 1).ok()?.unknown;
        let class = self.file.class_name();
        (!unknown.is_empty()).then(|| {
            let names = unknown.join(", ");
            format!("scheduler_config.json: {names}: {class} has no such setting and ignores it")
        })
    }

    /// The steps of `request`, of which a start from a picture leaves out the first.
    pub(super) fn plan(&self, request: &ImageRequest) -> Result<SamplerPlan, PipelineError> {
        let SchedulerChoice {
            name,
            sigmas,
            spacing,
            final_point,
        } = request.scheduler;
        let mut file = self.file.clone();
        if let Some(spacing) = spacing {
            file = file.with_setting("timestep_spacing", spacing.as_str());
        }
        let read = file.sampler(name, request.steps)?;
        let mut sampler = read.sampler;
        if let Some(sigmas) = sigmas {
            sampler = sampler.with_sigmas(sigmas)?;
        }
        if let Some(final_point) = final_point {
            sampler.final_point = final_point;
        }
        let plan = SamplerPlan::new(&NoiseSchedule::new(&read.schedule)?, &sampler)?;
        let plan = plan.with_strength(request.strength())?;
        match plan.is_empty() {
            true => Err(refuse(
                "strength",
                request.strength(),
                "so high that a step is left",
            )),
            false => Ok(plan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_changes_the_files_scheduler_and_keeps_its_numbers() {
        let scheduler = Scheduler::new(None).unwrap();
        let mut request = ImageRequest::new("a cat", 0);
        request.steps = 10;
        let own = scheduler.plan(&request).unwrap();
        assert_eq!(own.len(), 11);
        assert_eq!(own.timestep(0), 901.0);
        request.scheduler.name = Some(SchedulerName::Euler);
        request.scheduler.spacing = Some(TimestepSpacing::Trailing);
        let euler = scheduler.plan(&request).unwrap();
        assert_eq!((euler.len(), euler.timestep(0)), (10, 999.0));
        request.scheduler.name = Some(SchedulerName::Ddim);
        request.scheduler.sigmas = Some(SigmaSpacing::Karras);
        assert!(scheduler.plan(&request).is_err());
    }

    #[test]
    fn settings_that_the_files_class_does_not_have_are_named() {
        let note = |file| Scheduler::new(Some(file)).unwrap().note();
        let unknown =
            r#"{"_class_name": "PNDMScheduler", "_diffusers_version": "0.8.0", "karma": 3}"#;
        let note_of_unknown = note(unknown).unwrap();
        assert!(note_of_unknown.contains("karma"), "{note_of_unknown}");
        assert!(
            note_of_unknown.contains("PNDMScheduler"),
            "{note_of_unknown}"
        );
        assert_eq!(
            note(r#"{"_class_name": "PNDMScheduler", "beta_start": 0.001}"#),
            None
        );
        assert_eq!(Scheduler::new(None).unwrap().note(), None);
    }

    #[test]
    fn a_file_with_an_infinity_of_python_reads() {
        let file =
            r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}"#;
        let scheduler = Scheduler::new(Some(file)).unwrap();
        assert!(scheduler.plan(&ImageRequest::new("a cat", 0)).is_ok());
    }
}
