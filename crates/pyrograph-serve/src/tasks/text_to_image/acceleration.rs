//! The parameters that make steps cheaper.

use pyrograph_pipelines::stable_diffusion::Acceleration;
use serde_json::{Map, Value};

use super::body::Parameters;
use crate::{
    Limits, Refusal,
    tasks::{
        body::{Whole, number_within},
        schema,
    },
};

/// Bounds of the schema; a checkpoint's own are lower.
const MAX_BRANCH: usize = 255;
const MAX_LEVELS: usize = 8;
/// The largest ratio of merged tokens: one of four stays.
const MAX_RATIO: f64 = 0.75;

/// Reads the parameters that make steps cheaper.
pub(super) fn acceleration(
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Acceleration, Refusal> {
    let none = Acceleration::default();
    let count = |field: &str, given: Option<Whole>, least, most, default| match given {
        Some(given) => given.count(field, least, most),
        None => Ok(default),
    };
    let number = |field: &str, given: Option<f64>, most, default| {
        number_within(field, given.unwrap_or(default), 0.0..=most)
    };
    let gate_step = parameters
        .gate_step
        .map(|gate| gate.count("parameters.gate_step", 1, limits.steps));
    Ok(Acceleration {
        cache_interval: count(
            "parameters.cache_interval",
            parameters.cache_interval,
            1,
            limits.steps,
            none.cache_interval,
        )?,
        cache_branch: count(
            "parameters.cache_branch",
            parameters.cache_branch,
            0,
            MAX_BRANCH,
            none.cache_branch,
        )?,
        gate_step: gate_step.transpose()?,
        merge_ratio: number(
            "parameters.merge_ratio",
            parameters.merge_ratio,
            MAX_RATIO,
            none.merge_ratio,
        )?,
        merge_levels: count(
            "parameters.merge_levels",
            parameters.merge_levels,
            1,
            MAX_LEVELS,
            none.merge_levels,
        )?,
        guidance_from: number(
            "parameters.guidance_from",
            parameters.guidance_from,
            1.0,
            none.guidance_from,
        )?,
        guidance_until: number(
            "parameters.guidance_until",
            parameters.guidance_until,
            1.0,
            none.guidance_until,
        )?,
    })
}

/// The schemas of the parameters that make steps cheaper.
pub(super) fn schemas(limits: &Limits) -> Map<String, Value> {
    let steps = limits.steps as u64;
    let fields = [
        (
            "cache_interval",
            schema::whole(
                1,
                steps,
                Some(1),
                "DeepCache: a full step every so many; 1 is off.",
            ),
        ),
        (
            "cache_branch",
            schema::whole(
                0,
                MAX_BRANCH as u64,
                Some(0),
                "Layers that run at every step: 0 for the fewest.",
            ),
        ),
        (
            "gate_step",
            schema::whole(
                1,
                steps,
                None,
                "T-GATE: after so many steps cross-attention keeps its outputs and guidance ends; off by default.",
            ),
        ),
        (
            "merge_ratio",
            schema::number(
                0.0,
                MAX_RATIO,
                0.0,
                "Share of the tokens that are merged before self-attention.",
            ),
        ),
        (
            "merge_levels",
            schema::whole(
                1,
                MAX_LEVELS as u64,
                Some(1),
                "Resolutions at which tokens are merged, from the highest on.",
            ),
        ),
        (
            "guidance_from",
            schema::number(
                0.0,
                1.0,
                0.0,
                "Share of the steps before guidance begins; below `guidance_until`.",
            ),
        ),
        (
            "guidance_until",
            schema::number(
                0.0,
                1.0,
                1.0,
                "Share of the steps after which guidance ends.",
            ),
        ),
    ];
    fields
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
