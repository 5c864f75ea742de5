//! Bodies: their type, their bounds, and bodies by reference.

use std::{path::PathBuf, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{Refusal, RefusalKind, TaskBody};

use super::{
    app::App,
    budget::{Budget, Share},
    errors::bad_request,
};

/// Headers that name a body instead of holding it.
const REFERENCES: [&str; 2] = ["x-amzn-sagemaker-inputlocation", "x-pyrograph-input"];

/// Bytes of a refused body that are read and thrown away, so that the client reads the refusal and
/// not an error of its socket.
const DISCARDED_BYTES: usize = 32 << 20;
/// Time for that.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// The most values of a JSON body: in memory a value takes a hundred times its bytes.
const MOST_VALUES: usize = 1 << 18;

/// What a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    Json,
    Image,
    /// To be told from its bytes.
    Unsaid,
}

impl BodyKind {
    /// The kind that the headers say.
    ///
    /// # Errors
    /// When it is a type that no route reads.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let is_coded = |coding: &&HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
        if let Some(coding) = codings.find(is_coded) {
            let message = format!("the body is encoded as {coding:?}, but must be sent as it is");
            return Err(Refusal::new(RefusalKind::MediaType, message));
        }
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Ok(Self::Unsaid);
        };
        let whole = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let essence = whole.split(';').next().unwrap_or_default().trim();
        match essence {
            "" | "application/octet-stream" => Ok(Self::Unsaid),
            "application/json" | "text/json" => Ok(Self::Json),
            "application/x-image" => Ok(Self::Image),
            other if other.starts_with("application/") && other.ends_with("+json") => {
                Ok(Self::Json)
            }
            other if other.starts_with("image/") => Ok(Self::Image),
            other => Err(media_type(
                other,
                "application/json, image/*, application/x-image or application/octet-stream",
            )),
        }
    }

    /// The body of a task.
    ///
    /// # Errors
    /// When it is no JSON though it should be.
    pub(super) fn read(self, bytes: Bytes) -> Result<TaskBody, Refusal> {
        let is_json = match self {
            Self::Json => true,
            Self::Image => false,
            Self::Unsaid => matches!(bytes.trim_ascii_start().first(), None | Some(b'{' | b'[')),
        };
        if is_json {
            json(&bytes).map(TaskBody::Json)
        } else {
            Ok(TaskBody::Image(bytes))
        }
    }
}

/// The refusal of a content type.
pub(super) fn media_type(seen: &str, allowed: &str) -> Refusal {
    let message = format!("the content type is `{seen}`, but must be {allowed}");
    Refusal::new(RefusalKind::MediaType, message)
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Refusal> {
    // Those inside texts count too: prompts have few, images in base64 none.
    let begins_value = |byte: &&u8| matches!(**byte, b',' | b'[' | b'{');
    if bytes.iter().filter(begins_value).count() > MOST_VALUES {
        let message = format!("the body must have at most {MOST_VALUES} values");
        return Err(Refusal::new(RefusalKind::TooLarge, message));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| bad_request(format!("the body is no valid JSON: {error}")))
}

/// Refuses a body that is said to be too large, before it is read.
pub(super) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > limit as u64 => Err(too_large(limit)),
        _ => Ok(()),
    }
}

pub(super) fn too_large(limit: usize) -> Refusal {
    let message = format!("the body must have at most {limit} bytes");
    Refusal::new(RefusalKind::TooLarge, message)
}

/// Reads a body of at most `limit` bytes within `time`, and takes its share of the budget.
///
/// # Errors
/// When it is larger, slower, or ends early, or other bodies have the budget.
pub(super) async fn read(
    mut body: Body,
    limit: usize,
    time: Duration,
    budget: &Budget,
) -> Result<(Bytes, Share), Refusal> {
    let mut share = budget.share();
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| bad_request(format!("the body ends early: {error}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            share.grow(bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    };
    let result = tokio::time::timeout(time, reading).await;
    let result = result.unwrap_or_else(|_| Err(slow(time)));
    if matches!(&result, Err(refusal) if is_of_size(refusal.kind)) {
        throw_away(body, DISCARD_TIME).await;
    }
    result.map(|bytes| (bytes, share))
}

/// Whether the rest of a body so refused still comes.
fn is_of_size(kind: RefusalKind) -> bool {
    matches!(kind, RefusalKind::TooLarge | RefusalKind::Unavailable)
}

/// The refusal of a body that takes longer than `time`.
pub(super) fn slow(time: Duration) -> Refusal {
    let message = format!("the body did not arrive within {} s", time.as_secs_f64());
    Refusal::new(RefusalKind::Timeout, message)
}

/// A request, and what `check` says of it before its body is read. The body of one that is refused is thrown away.
///
/// # Errors
/// Those of `check`.
pub(super) async fn checked<T>(
    request: Request,
    check: impl FnOnce(&Request) -> Result<T, Refusal>,
) -> Result<(T, Request), Refusal> {
    match check(&request) {
        Ok(checked) => Ok((checked, request)),
        Err(refusal) => {
            discard(request).await;
            Err(refusal)
        }
    }
}

/// Throws the body of a refused request away. A client that waits for leave to send it keeps it.
pub(super) async fn discard(request: Request) {
    discard_within(request, DISCARD_TIME).await;
}

/// Like [`discard`], with less patience.
pub(super) async fn discard_within(request: Request, time: Duration) {
    if !request.headers().contains_key(header::EXPECT) {
        throw_away(request.into_body(), time).await;
    }
}

async fn throw_away(mut body: Body, time: Duration) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARDED_BYTES {
                return;
            }
        }
    };
    // Whether all of it came makes no difference.
    let _ = tokio::time::timeout(time, reading).await;
}

/// The file that the headers name as the body.
///
/// # Errors
/// When bodies by reference are off, or the file is not below their folder.
pub(super) fn reference(app: &App, headers: &HeaderMap) -> Result<Option<PathBuf>, Refusal> {
    let Some((name, value)) = REFERENCES
        .iter()
        .find_map(|name| Some((*name, headers.get(*name)?)))
    else {
        return Ok(None);
    };
    let refuse = |reason: &str| Err(bad_request(format!("`{name}`: {reason}")).of_field(name));
    let Some(folder) = &app.input_folder else {
        return refuse(
            "this server reads no bodies by reference: it was started without a folder for them",
        );
    };
    let Ok(text) = value.to_str() else {
        return refuse("the path must be plain ASCII");
    };
    let path = match text.strip_prefix("file://") {
        Some(path) => path,
        None if text.contains("://") => {
            return refuse("only paths and file:// URLs are read");
        }
        None => text,
    };
    // What is not there and what may not be read are one refusal, which tells nothing about other folders.
    match folder.join(path).canonicalize() {
        Ok(file) if file.starts_with(folder) && file.is_file() => Ok(Some(file)),
        _ => refuse("there is no such file below the folder for bodies"),
    }
}

/// Reads a body by reference.
///
/// # Errors
/// When it is too large, or does not read, or other bodies have the budget.
pub(super) async fn read_file(
    path: PathBuf,
    limit: usize,
    budget: &Budget,
) -> Result<(Bytes, Share), Refusal> {
    use tokio::io::AsyncReadExt;

    let unreadable = |error| {
        tracing::warn!(%error, "a body by reference does not read");
        bad_request("the file of the body does not read")
    };
    let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut share = budget.share();
    share.grow(length.min(limit))?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(limit as u64 + 1);
    bounded.read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok((bytes.into(), share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<BodyKind, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
        BodyKind::of(&headers).map_err(|refusal| refusal.kind.status())
    }

    #[test]
    fn content_types_decide_the_kind_of_a_body() {
        assert_eq!(kind("application/json; charset=utf-8"), Ok(BodyKind::Json));
        assert_eq!(kind("application/problem+json"), Ok(BodyKind::Json));
        assert_eq!(kind("IMAGE/webp"), Ok(BodyKind::Image));
        assert_eq!(kind("application/x-image"), Ok(BodyKind::Image));
        assert_eq!(kind("application/octet-stream"), Ok(BodyKind::Unsaid));
        assert_eq!(kind("text/csv"), Err(415));
        assert_eq!(BodyKind::of(&HeaderMap::new()), Ok(BodyKind::Unsaid));
    }

    #[test]
    fn bytes_without_a_type_are_json_if_they_look_like_it() {
        let unsaid = |bytes: &'static [u8]| BodyKind::Unsaid.read(Bytes::from_static(bytes));
        assert!(matches!(unsaid(b" {\"a\": 1}"), Ok(TaskBody::Json(_))));
        assert!(matches!(unsaid(b"\x89PNG"), Ok(TaskBody::Image(_))));
        assert_eq!(unsaid(b"{").unwrap_err().kind, RefusalKind::BadRequest);
        assert_eq!(unsaid(b"").unwrap_err().kind, RefusalKind::BadRequest);
    }

    #[test]
    fn a_multitude_of_values_is_refused_before_it_is_read() {
        let many = format!("[{}1]", "{},".repeat(1 << 18));
        assert_eq!(
            json(many.as_bytes()).unwrap_err().kind,
            RefusalKind::TooLarge
        );
        let text = format!("{{\"image\": \"{}\"}}", "QUJD".repeat(1 << 20));
        assert!(json(text.as_bytes()).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = "[".repeat(100_000);
        assert_eq!(
            json(deep.as_bytes()).unwrap_err().kind,
            RefusalKind::BadRequest
        );
    }
}
