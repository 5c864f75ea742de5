//! Refusals as answers.

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{Refusal, RefusalKind};

/// A refusal on its way to the client: the middleware around all routes writes its body, since that names the request.
#[derive(Debug)]
pub(super) struct Failure(pub(super) Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let refusal = self.0;
        let mut response = status(refusal.kind).into_response();
        let headers = response.headers_mut();
        if let Some(time) = refusal.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if refusal.kind == RefusalKind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(refusal);
        response
    }
}

/// The part of the path that names something.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(bad_request("a part of the path is no UTF-8").into()),
        }
    }
}

/// The HTTP status of a kind.
pub(super) fn status(kind: RefusalKind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The JSON that a client reads of a refusal.
pub(super) fn error_body(refusal: &Refusal, id: &str) -> Value {
    let kind = match refusal.kind {
        RefusalKind::Unauthorized => "authentication_error",
        RefusalKind::QueueFull => "rate_limit_error",
        kind if kind.status() >= 500 => "server_error",
        _ => "invalid_request_error",
    };
    json!({"error": {
        "code": refusal.kind.code(),
        "message": refusal.message,
        "param": refusal.field,
        "type": kind,
        "request_id": id,
    }})
}

/// A refusal for a body that does not read.
pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, message)
}

/// Logs a fault of the server, and hides it from the client.
pub(super) fn internal(id: &str, error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(request = id, %error, "the server failed");
    hidden()
}

/// The refusal for a fault that is in the log.
pub(super) fn hidden() -> Refusal {
    Refusal::new(
        RefusalKind::Internal,
        "the server failed: the reason is in its log, under the id of the request",
    )
}
