//! Whose fault an error of a pipeline is.

use pyrograph_pipelines::PipelineError;
use serde::Serialize;
use serde_json::Value;

use crate::{Refusal, RefusalKind, TaskError};

/// An error while a request is checked or begun: the client's where it is about a value of the request.
pub(super) fn of_request(error: PipelineError) -> TaskError {
    match refusal_of(&error) {
        Some(refusal) => TaskError::Refused(refusal),
        None => of_model(error),
    }
}

/// An error of a model that computes.
pub(super) fn of_model(error: PipelineError) -> TaskError {
    match error {
        PipelineError::Stopped => TaskError::Stopped,
        error => TaskError::failed(error),
    }
}

/// The refusal for an error about a value of the request.
pub(super) fn refusal_of(error: &PipelineError) -> Option<Refusal> {
    let refusal = || Refusal::new(RefusalKind::Invalid, error.to_string());
    match error {
        PipelineError::Number { field, .. } => Some(match field_of(field) {
            Some(path) => refusal().of_field(path),
            None => refusal(),
        }),
        PipelineError::ContextName { .. }
        | PipelineError::ContextForm { .. }
        | PipelineError::ContextTwice { .. }
        | PipelineError::Context { .. } => Some(refusal().of_field("context")),
        PipelineError::Prompt { .. } => Some(refusal().of_field("prompt")),
        PipelineError::NoThreshold { .. } => Some(refusal().of_field("parameters.method")),
        PipelineError::Memory { .. } | PipelineError::Diffusion(_) => Some(refusal()),
        _ => None,
    }
}

/// The refusal for an error of a check that looks at the request alone.
pub(super) fn refused(error: PipelineError) -> Refusal {
    refusal_of(&error).unwrap_or_else(|| Refusal::new(RefusalKind::Invalid, error.to_string()))
}

/// Where a body has the number that an error calls `name`.
fn field_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "the width" => "parameters.width",
        "the height" => "parameters.height",
        "the number of images" => "parameters.num_images",
        "the number of steps" => "parameters.num_inference_steps",
        "guidance" => "parameters.guidance_scale",
        "guidance_rescale" => "parameters.guidance_rescale",
        "cache_interval" => "parameters.cache_interval",
        "cache_branch" => "parameters.cache_branch",
        "gate_step" => "parameters.gate_step",
        "merge_ratio" => "parameters.merge_ratio",
        "merge_levels" => "parameters.merge_levels",
        "guidance_from" => "parameters.guidance_from",
        "guidance_until" => "parameters.guidance_until",
        "steps" => "parameters.steps",
        "strength" => "strength",
        "the size of the mask" => "mask",
        "the image" => "image",
        _ => return None,
    })
}

/// As JSON with numbers of single precision as short as they are: of their own accord they would become long ones.
pub(super) fn exact(value: &impl Serialize) -> Result<Value, TaskError> {
    let text = serde_json::to_string(value).map_err(TaskError::failed)?;
    serde_json::from_str(&text).map_err(TaskError::failed)
}
