//! Whether the server lives and is ready, and its metrics.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::http::app::SharedApp;

/// SageMaker's health check: 200 with an empty body once every model is ready.
pub(super) async fn ping(State(app): State<SharedApp>) -> StatusCode {
    if app.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// 200 as long as the process answers.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// 200 once every model is ready, and until the server shuts down.
pub(super) async fn ready(State(app): State<SharedApp>) -> (StatusCode, &'static str) {
    if app.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// The metrics, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<SharedApp>) -> Response {
    let (text, content_type) = app.metrics.text();
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
