//! What surrounds every request: its id, its line in the log, its place in the metrics, and the body of a refusal.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response as HttpResponse, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{Metrics, Refusal, RefusalKind};

use super::{
    app::SharedApp,
    errors::{Failure, error_body, hidden},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a client's that is taken.
const LONGEST_ID: usize = 128;

/// Routes that are asked often and mean little: their lines in the log are for debugging.
const QUIET: [&str; 4] = ["/ping", "/livez", "/readyz", "/metrics"];

/// The id of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

impl Default for RequestId {
    fn default() -> Self {
        Self("none".into())
    }
}

impl RequestId {
    /// The client's id, if it is short and plain, or a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        match given.filter(|id| is_sane(id)) {
            Some(id) => Self(id.into()),
            None => Self(Uuid::new_v4().to_string().into()),
        }
    }
}

fn is_sane(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_plain)
}

/// The model that served a request, for the log.
#[derive(Clone, Debug)]
pub(super) struct ServedBy(pub(super) String);

/// Counts a request when it ends. One that is dropped was left by its client.
struct Count {
    metrics: Metrics,
    route: String,
    begun: Instant,
    status: u16,
    model: Option<String>,
    span: Span,
}

impl Drop for Count {
    fn drop(&mut self) {
        let time = self.begun.elapsed();
        self.metrics.answered(&self.route, self.status, time);
        self.span.in_scope(|| self.note(time));
    }
}

impl Count {
    fn note(&self, time: Duration) {
        let (model, status) = (self.model.as_deref(), self.status);
        let ms = time.as_secs_f64() * 1e3;
        if status == RefusalKind::Cancelled.status() {
            tracing::info!(model, ms, "the client went away");
        } else if QUIET.contains(&self.route.as_str()) {
            tracing::debug!(model, status, ms, "answered");
        } else {
            tracing::info!(model, status, ms, "answered");
        }
    }
}

/// The count of a request whose answer is a stream: it ends with the stream, whose headers tell nothing of its outcome.
/// A stream that is dropped before its end was left by its client.
#[derive(Clone, Default)]
pub(super) struct StreamCount(Arc<Mutex<Option<Count>>>);

impl StreamCount {
    /// Counts the request with the status of its outcome.
    pub(super) fn end(&self, status: StatusCode) {
        if let Some(mut count) = self.0.lock().take() {
            count.status = status.as_u16();
        }
    }
}

/// Surrounds every request.
pub(super) async fn observe(
    State(app): State<SharedApp>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = %id.0, route, method = %request.method());
    let mut count = Count {
        metrics: app.metrics.clone(),
        route,
        begun: Instant::now(),
        status: RefusalKind::Cancelled.status(),
        model: None,
        span: span.clone(),
    };
    let inside = async {
        let response = next.run(request).await;
        let mut response = finish(response, &id);
        let model = response.extensions().get::<ServedBy>();
        count.model = model.map(|model| model.0.clone());
        match response.extensions_mut().remove::<StreamCount>() {
            Some(stream) => *stream.0.lock() = Some(count),
            None => {
                count.status = response.status().as_u16();
                drop(count);
            }
        }
        response
    };
    inside.instrument(span).await
}

/// Writes the body of a refusal, and the id.
fn finish(mut response: Response, id: &RequestId) -> Response {
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let (head, _) = response.into_parts();
        let mut told = Json(error_body(&refusal, &id.0)).into_response();
        *told.status_mut() = head.status;
        for (name, value) in &head.headers {
            if !told.headers().contains_key(name) && name != "content-length" {
                told.headers_mut().insert(name, value.clone());
            }
        }
        response = told;
    }
    // An id is plain ASCII.
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The answer to a request whose handler panicked.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> HttpResponse<Body> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = text.unwrap_or("without a message"),
        "a route panicked"
    );
    Failure(hidden()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_clients_are_taken_if_they_are_plain() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, text.parse().unwrap());
            RequestId::of(&headers).0
        };
        assert_eq!(&*of("abc-1.2_3:4"), "abc-1.2_3:4");
        for bad in ["", "a b", "a\"b", "ü", &"a".repeat(129)] {
            assert_ne!(&*of(bad), bad);
        }
    }
}
