//! The sampler of a request, and the steps that it walks.

use pyrograph_diffusion::{SamplerConfig, SchedulerName};
use pyrograph_pipelines::sprites::SpriteRules;

use crate::{Limits, Refusal, tasks::faults::refused};

/// The sampler of a request that names none.
const SAMPLER: SchedulerName = SchedulerName::Ddim;
/// Names of samplers for sprites.
pub(super) fn samplers() -> Vec<SchedulerName> {
    let mut names = SchedulerName::ALL.to_vec();
    names.push(SchedulerName::DdpmNoNoise);
    names
}

pub(super) fn sampler(name: Option<&str>) -> Result<SchedulerName, Refusal> {
    let Some(name) = name else {
        return Ok(SAMPLER);
    };
    let known: Option<SchedulerName> = name.parse().ok();
    known.ok_or_else(|| {
        let names: Vec<_> = samplers().into_iter().map(SchedulerName::as_str).collect();
        let shown: String = name.chars().take(40).collect();
        let allowed = format!("one of {}", names.join(", "));
        Refusal::invalid("parameters.sampler", format!("`{shown}`"), &allowed)
    })
}

/// The sampler with the steps that were asked for. It may walk more, which are held to the limit too.
pub(super) fn asked_steps(
    name: SchedulerName,
    steps: usize,
    rules: &SpriteRules,
    limits: &Limits,
) -> Result<SamplerConfig, Refusal> {
    let sampler = name.config(steps);
    let walked = rules.steps_walked(&sampler).map_err(refused)?;
    if walked <= limits.steps {
        return Ok(sampler);
    }
    let seen = format!(
        "{steps}, for which {name} walks {walked} steps on the {} timesteps of this model",
        rules.timesteps()
    );
    let allowed = format!("so that it walks at most {}", limits.steps);
    Err(Refusal::invalid(
        "parameters.num_inference_steps",
        seen,
        &allowed,
    ))
}

/// The sampler with the usual steps, or the most below them whose walk is within the limit.
pub(super) fn default_steps_of(
    name: SchedulerName,
    steps: usize,
    rules: &SpriteRules,
    limits: &Limits,
) -> Result<SamplerConfig, Refusal> {
    let most = steps.min(rules.timesteps());
    let fits = (1..=most)
        .rev()
        .map(|steps| name.config(steps))
        .find(|sampler| {
            let walked = rules.steps_walked(sampler);
            walked.is_ok_and(|walked| walked <= limits.steps)
        });
    match fits {
        Some(sampler) => Ok(sampler),
        None => asked_steps(name, most, rules, limits),
    }
}
