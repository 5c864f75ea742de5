//! Why a request gets no result.

use std::time::Duration;

/// The kind of a [`Refusal`], which decides its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// A body that does not read: malformed JSON, a wrong type, an unknown field, an option that cannot be served.
    BadRequest,
    /// No bearer token, or an unknown one.
    Unauthorized,
    /// No such route, model or job.
    NotFound,
    /// A method that the route does not have.
    MethodNotAllowed,
    /// A result that no type of the `Accept` header can hold.
    NotAcceptable,
    /// A body or a header that arrives too slowly.
    Timeout,
    /// A body, a prompt or an image above its limit.
    TooLarge,
    /// A content type that the route does not read.
    MediaType,
    /// A value outside its range.
    Invalid,
    /// A full queue, or one whose estimate passes the deadline of the request.
    QueueFull,
    /// A fault of the server; its cause is in the log, under the id of the request.
    Internal,
    /// A server that loads its model, or shuts down.
    Unavailable,
    /// A deadline that passed.
    Deadline,
    /// A request that was cancelled.
    Cancelled,
}

impl RefusalKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::Timeout => 408,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::Invalid => 422,
            Self::QueueFull => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// The word for programs, as in `{"error": {"code": …}}`.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::MediaType => "unsupported_media_type",
            Self::Invalid => "invalid_value",
            Self::QueueFull => "queue_full",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline_exceeded",
        }
    }
}

/// Why a request gets no result: a kind, and a sentence for the client.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind.
    pub kind: RefusalKind,
    /// A sentence that names the value seen and the values allowed.
    pub message: String,
    /// The path of the field in the body, such as `parameters.width`.
    pub field: Option<String>,
    /// When another try has a chance.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal of `kind`.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
            retry_after: None,
        }
    }

    /// A value of `field` outside its range.
    pub fn invalid(field: &str, seen: impl std::fmt::Display, allowed: &str) -> Self {
        let message = format!("`{field}` is {seen}, but must be {allowed}");
        Self::new(RefusalKind::Invalid, message).of_field(field)
    }

    /// The same refusal with the path of its field.
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same refusal with the time after which another try has a chance.
    pub fn with_retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}
