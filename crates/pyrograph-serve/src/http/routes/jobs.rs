//! Jobs: requests that are accepted at once and asked for later.

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    ClientKey,
    http::{
        app::{App, SharedApp},
        auth::Caller,
        calls::Call,
        errors::{Failure, Named},
        jobs::Jobs,
        receive::receive,
    },
};

/// Accepts a body as `/invocations` has it.
pub(super) async fn start(
    State(app): State<SharedApp>,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    let received = receive(&app, None, request, true).await?;
    let call = Call::submit(received.model, caller, received.wish).await?;
    let id = Jobs::start(&app, call);
    let place = [(header::LOCATION, format!("/v1/jobs/{id}"))];
    let body = Json(json!({"id": id, "status": "queued"}));
    Ok((StatusCode::ACCEPTED, place, body).into_response())
}

/// A job, with its result once it is there.
pub(super) async fn get(
    State(app): State<SharedApp>,
    Named(id): Named,
    caller: Caller,
) -> Result<Response, Failure> {
    Ok(app.jobs.get(&id, owner(&app, &caller))?)
}

/// Cancels a job; one that has ended is forgotten.
pub(super) async fn remove(
    State(app): State<SharedApp>,
    Named(id): Named,
    caller: Caller,
) -> Result<Json<Value>, Failure> {
    Ok(Json(app.jobs.remove(&id, owner(&app, &caller))?))
}

/// The jobs of the client.
pub(super) async fn list(State(app): State<SharedApp>, caller: Caller) -> Json<Value> {
    Json(json!({"jobs": app.jobs.list(owner(&app, &caller))}))
}

/// Whose jobs a client sees: its own where there are tokens, else all, since addresses change.
fn owner<'a>(app: &App, caller: &'a Caller) -> Option<&'a ClientKey> {
    (!app.tokens.is_off()).then_some(&caller.client)
}
