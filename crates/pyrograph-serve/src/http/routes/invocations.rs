//! SageMaker's invocations: a body of the model's task, and its result.

use axum::{
    extract::{Request, State},
    response::Response,
};

use crate::{
    Refusal,
    http::{
        answers,
        app::SharedApp,
        auth::Caller,
        calls::Call,
        errors::{Failure, Named},
        events::{Style, events},
        receive::receive,
    },
};

/// The model is that of the field `model`, or the first.
pub(super) async fn invoke(
    State(app): State<SharedApp>,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    Ok(serve(app, caller, None, request).await?)
}

/// The model is that of the path.
pub(super) async fn invoke_named(
    State(app): State<SharedApp>,
    Named(name): Named,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    Ok(serve(app, caller, Some(name), request).await?)
}

async fn serve(
    app: SharedApp,
    caller: Caller,
    name: Option<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let received = receive(&app, name.as_deref(), request, false).await?;
    let mut call = Call::submit(received.model, caller, received.wish).await?;
    if received.is_stream {
        return Ok(events(app, call, Style::Invocations));
    }
    let finished = call.finished().await?;
    answers::answer(&app, &call, finished, &received.accept).await
}
