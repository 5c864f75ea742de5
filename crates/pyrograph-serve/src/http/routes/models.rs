//! The models of a server.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{
    Model, ModelState,
    http::{
        app::{App, SharedApp},
        errors::{Failure, Named},
    },
};

/// Names, tasks and states.
pub(super) async fn models(State(app): State<SharedApp>) -> Json<Value> {
    let models = app.models.iter().map(|model| {
        let state = match model.state() {
            ModelState::Loading => "loading",
            ModelState::Ready => "ready",
            // The reason names files of the server: it is in the log.
            ModelState::Failed(_) => "failed",
            ModelState::Draining => "draining",
        };
        json!({"name": model.name(), "task": model.task(), "state": state})
    });
    Json(json!({"models": models.collect::<Vec<_>>()}))
}

/// The models as OpenAI lists them.
pub(super) async fn openai_models(State(app): State<SharedApp>) -> Json<Value> {
    let models = app.models.iter().map(|model| described(&app, model));
    Json(json!({"object": "list", "data": models.collect::<Vec<_>>()}))
}

/// One model as OpenAI describes it.
pub(super) async fn openai_model(
    State(app): State<SharedApp>,
    Named(name): Named,
) -> Result<Json<Value>, Failure> {
    let model = app.model(&name)?;
    Ok(Json(described(&app, model)))
}

fn described(app: &App, model: &Model) -> Value {
    json!({"id": model.name(), "object": "model", "created": app.created, "owned_by": "pyrograph"})
}
