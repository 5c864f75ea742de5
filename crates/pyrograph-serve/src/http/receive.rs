//! From an HTTP request to a model and its body.

use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Model, Refusal, TaskBody};

use super::{
    accept::Accept,
    answers::accept_images,
    app::App,
    body::{self, BodyKind},
    calls,
    errors::bad_request,
};

/// The most previews of a request.
const MOST_PREVIEWS: u64 = 10;

/// A request for a model.
pub(super) struct Received {
    pub(super) model: Model,
    pub(super) body: TaskBody,
    pub(super) accept: Accept,
    pub(super) deadline: Instant,
    /// Whether the client asks for events.
    pub(super) is_stream: bool,
    pub(super) previews: usize,
}

/// Reads a request: the model is the one of the path, of the field `model`, or the first.
///
/// # Errors
/// When it is refused.
pub(super) async fn receive(
    app: &App,
    path_model: Option<&str>,
    request: Request,
    is_job: bool,
) -> Result<Received, Refusal> {
    let arrived = Instant::now();
    let begun = begin(app, path_model, &request);
    let (kind, chosen, limit) = match begun {
        Ok(begun) => begun,
        Err(refusal) => {
            body::discard(request).await;
            return Err(refusal);
        }
    };
    let accept = Accept::of(request.headers());
    let query_previews = previews_of_query(request.uri().query().unwrap_or_default())?;
    let (headers, bytes) = take_bytes(app, request, limit).await?;
    let size = bytes.len();
    let mut body = kind.read(bytes)?;

    let mut options = match &mut body {
        TaskBody::Json(Value::Object(fields)) => Options::take(fields)?,
        TaskBody::Json(_) | TaskBody::Image(_) => Options::default(),
    };
    let model = choose(app, chosen, options.model.take())?.clone();
    model.admit()?;
    if size > model.limits().body_bytes {
        return Err(body::too_large(model.limits().body_bytes));
    }
    let is_stream = options.is_stream || accept.wants_events();
    if !is_stream
        && !is_job
        && let Some(images) = images_of(&model, &body)
    {
        accept_images(&accept, images)?;
    }
    let deadline = calls::deadline(&headers, arrived, calls::longest(model.limits(), is_job))?;
    Ok(Received {
        model,
        body,
        accept,
        deadline,
        is_stream,
        previews: options.previews.or(query_previews).unwrap_or(0),
    })
}

/// What is decided before the body is read: refusals of a busy server are cheap.
fn begin<'a>(
    app: &'a App,
    path_model: Option<&str>,
    request: &Request,
) -> Result<(BodyKind, Option<&'a Model>, usize), Refusal> {
    let kind = BodyKind::of(request.headers())?;
    let by_path = path_model.map(|name| app.model(name)).transpose()?;
    let known = by_path.or(app.only_model());
    if let Some(model) = known {
        model.admit()?;
    }
    let limit = known.map_or(app.body_bytes(), |model| model.limits().body_bytes);
    body::check_length(request.headers(), limit)?;
    Ok((kind, by_path, limit))
}

/// The bytes of the body, or of the file that the headers name.
pub(super) async fn take_bytes(
    app: &App,
    request: Request,
    limit: usize,
) -> Result<(HeaderMap, Bytes), Refusal> {
    let (head, body) = request.into_parts();
    let bytes = match body::reference(app, &head.headers)? {
        Some(path) => body::read_file(path, limit).await?,
        None => body::read(body, limit, app.settings.body_timeout).await?,
    };
    Ok((head.headers, bytes))
}

/// The model of a request.
fn choose<'a>(
    app: &'a App,
    by_path: Option<&'a Model>,
    by_body: Option<String>,
) -> Result<&'a Model, Refusal> {
    match (by_path, by_body) {
        (Some(model), None) => Ok(model),
        (Some(model), Some(name)) if model.name() == name => Ok(model),
        (Some(model), Some(name)) => {
            let message = format!(
                "`model` is `{name}`, but the path names `{}`: leave one of them out",
                model.name()
            );
            Err(bad_request(message).of_field("model"))
        }
        (None, Some(name)) => app.model(&name),
        (None, None) => app
            .models
            .first()
            .ok_or_else(|| Refusal::new(crate::RefusalKind::NotFound, "this server has no model")),
    }
}

/// The number of images that a body asks a model of pyrograph for.
fn images_of(model: &Model, body: &TaskBody) -> Option<usize> {
    let TaskBody::Json(body) = body else {
        return None;
    };
    let default = match model.task() {
        "txt2img" => 1,
        // Sprites come in a number that the model may choose.
        "sprites" => return images_in(body),
        _ => return None,
    };
    Some(images_in(body).unwrap_or(default))
}

fn images_in(body: &Value) -> Option<usize> {
    let number = body.get("parameters")?.get("num_images")?.as_u64()?;
    usize::try_from(number).ok().filter(|number| *number > 0)
}

/// Fields of a JSON body that are the server's and not the task's.
#[derive(Default)]
struct Options {
    model: Option<String>,
    is_stream: bool,
    previews: Option<usize>,
}

impl Options {
    fn take(fields: &mut Map<String, Value>) -> Result<Self, Refusal> {
        let wrong = |field: &str, seen: &Value, allowed: &str| {
            let message = format!("`{field}` is {seen}, but must be {allowed}");
            Err(bad_request(message).of_field(field))
        };
        let model = match fields.remove("model") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(other) => return wrong("model", &other, "the name of a model"),
        };
        let is_stream = match fields.remove("stream") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_stream)) => is_stream,
            Some(other) => return wrong("stream", &other, "true or false"),
        };
        let previews = match fields.remove("partial_images") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(number) => Some(previews(number)?),
                None => return wrong("partial_images", &value, "a whole number"),
            },
        };
        Ok(Self {
            model,
            is_stream,
            previews,
        })
    }
}

fn previews(number: u64) -> Result<usize, Refusal> {
    if number > MOST_PREVIEWS {
        let allowed = format!("0 to {MOST_PREVIEWS}");
        return Err(Refusal::invalid("partial_images", number, &allowed));
    }
    // At most ten.
    Ok(number as usize)
}

fn previews_of_query(query: &str) -> Result<Option<usize>, Refusal> {
    let value = query
        .split('&')
        .find_map(|part| part.strip_prefix("partial_images="));
    let Some(value) = value else {
        return Ok(None);
    };
    match value.parse() {
        Ok(number) => previews(number).map(Some),
        Err(_) => {
            let message = format!("`partial_images` is {value:?}, but must be a whole number");
            Err(bad_request(message).of_field("partial_images"))
        }
    }
}
