//! What each route does, in the words of the OpenAPI document.

use serde_json::{Value, json};

use crate::{RefusalKind, http::routes::Route};

use super::{answered, any_result, named, with_events};

/// What a route reads.
pub(super) enum Body {
    /// A body of the model's task.
    Task,
    /// A content type and the schema of this document.
    Named(&'static str, &'static str),
}

/// What a route does, answers and reads.
pub(super) struct Described {
    pub(super) summary: &'static str,
    pub(super) status: &'static str,
    pub(super) answer: Value,
    pub(super) refusals: &'static [RefusalKind],
    pub(super) body: Option<Body>,
}

/// Refusals of a route that runs a model.
const RUN: &[RefusalKind] = &[
    RefusalKind::BadRequest,
    RefusalKind::NotFound,
    RefusalKind::NotAcceptable,
    RefusalKind::Timeout,
    RefusalKind::TooLarge,
    RefusalKind::MediaType,
    RefusalKind::Invalid,
    RefusalKind::QueueFull,
    RefusalKind::Internal,
    RefusalKind::Unavailable,
    RefusalKind::Deadline,
];

pub(super) fn described(route: &Route) -> Described {
    let get = |summary, answer| Described {
        summary,
        status: "200",
        answer,
        refusals: &[],
        body: None,
    };
    let run = |summary, answer, body| Described {
        summary,
        status: "200",
        answer,
        refusals: RUN,
        body: Some(body),
    };
    let json_of = |name| answered("application/json", named(name));
    let text = || answered("text/plain", json!({"type": "string"}));
    let health = |summary, answer| Described {
        refusals: &[RefusalKind::Unavailable],
        ..get(summary, answer)
    };
    let found = |summary, name| Described {
        refusals: &[RefusalKind::NotFound],
        ..get(summary, json_of(name))
    };
    match (route.method, route.path) {
        (_, "/") => get(
            "A page to try the models on",
            answered("text/html", json!({"type": "string"})),
        ),
        (_, "/openapi.json") => get(
            "This document",
            answered("application/json", json!({"type": "object"})),
        ),
        (_, "/ping") => health(
            "Whether all models are ready",
            json!({"description": "ready"}),
        ),
        (_, "/livez") => get("Whether the process answers", text()),
        (_, "/readyz") => health("Whether all models are ready", text()),
        (_, "/metrics") => get(
            "Metrics for Prometheus",
            answered("application/openmetrics-text", json!({"type": "string"})),
        ),
        (_, "/models") => get("Names, tasks and states of the models", json_of("Models")),
        (_, "/v1/models") => get("The models as OpenAI lists them", json_of("OpenAiModels")),
        (_, "/v1/models/{name}") => found("A model as OpenAI describes it", "OpenAiModel"),
        (_, "/v1/images/generations") => run(
            "Draws pictures, as OpenAI's route",
            with_events(json_of("OpenAiImages")),
            Body::Named("application/json", "OpenAiGeneration"),
        ),
        (_, "/v1/images/edits") => run(
            "Draws a picture anew, as OpenAI's route",
            with_events(json_of("OpenAiImages")),
            Body::Named("multipart/form-data", "OpenAiEdit"),
        ),
        ("post", "/v1/jobs") => Described {
            status: "202",
            ..run(
                "Accepts a request that is asked for later",
                json_of("Accepted"),
                Body::Task,
            )
        },
        ("get", "/v1/jobs") => get("The jobs of the client", json_of("Jobs")),
        ("get", "/v1/jobs/{id}") => found("A job, with its result once it is there", "Job"),
        ("delete", "/v1/jobs/{id}") => {
            found("Cancels a job; one that has ended is forgotten", "Job")
        }
        _ => run("Runs a model", with_events(any_result()), Body::Task),
    }
}
