//! The page, and the OpenAPI document.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;

use crate::http::{app::SharedApp, openapi};

/// What the page may do: its own script and style, and this server.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(include_str!("../page/index.html"))).into_response()
}

/// The OpenAPI document.
pub(super) async fn openapi(State(app): State<SharedApp>) -> Json<Value> {
    Json(openapi::document(&app.models, !app.tokens.is_off()))
}
