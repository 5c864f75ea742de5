//! From an HTTP request to a model and its body.

use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{Model, Refusal, TaskBody};

use super::{
    accept::Accept,
    answers::most_images,
    app::App,
    body::{self, BodyKind},
    budget::Share,
    calls::{self, Wish},
    errors::bad_request,
};

/// The most previews of a request.
const MOST_PREVIEWS: u64 = 10;

/// A request for a model.
pub(super) struct Received {
    pub(super) model: Model,
    pub(super) wish: Wish,
    pub(super) accept: Accept,
    /// Whether the client asks for events.
    pub(super) is_stream: bool,
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
    let (begun, request) =
        body::checked(request, |request| begin(app, path_model, request)).await?;
    let accept = Accept::of(request.headers());
    let (headers, bytes, share) = take_bytes(app, request, begun.limit).await?;
    let size = bytes.len();
    let mut body = begun.kind.read(bytes)?;

    let mut options = match &mut body {
        TaskBody::Json(Value::Object(fields)) => Options::take(fields)?,
        TaskBody::Json(_) | TaskBody::Image(_) => Options::default(),
    };
    let model = choose(app, begun.chosen, options.model.take())?.clone();
    model.admit()?;
    if size > model.limits().body_bytes {
        return Err(body::too_large(model.limits().body_bytes));
    }
    let is_stream = options.is_stream || accept.wants_events();
    let is_whole = !is_stream && !is_job;
    let previews = options.previews.or(begun.previews).unwrap_or(0);
    let deadline = calls::deadline(&headers, arrived, calls::longest(model.limits(), is_job))?;
    Ok(Received {
        model,
        wish: Wish {
            body,
            share,
            deadline,
            previews: if is_stream { previews } else { 0 },
            most_images: is_whole.then(|| most_images(&accept)).flatten(),
        },
        accept,
        is_stream,
    })
}

/// What is decided before the body is read.
struct Begun<'a> {
    kind: BodyKind,
    /// The model that the path names.
    chosen: Option<&'a Model>,
    /// The most bytes of the body.
    limit: usize,
    /// Previews that the query asks for.
    previews: Option<usize>,
}

/// Refuses what the head of a request tells: refusals of a busy server are cheap.
fn begin<'a>(
    app: &'a App,
    path_model: Option<&str>,
    request: &Request,
) -> Result<Begun<'a>, Refusal> {
    let kind = BodyKind::of(request.headers())?;
    let previews = previews_of_query(request.uri().query().unwrap_or_default())?;
    let by_path = path_model.map(|name| app.model(name)).transpose()?;
    let known = by_path.or(app.only_model());
    if let Some(model) = known {
        model.admit()?;
    }
    let limit = known.map_or(app.body_bytes(), |model| model.limits().body_bytes);
    body::check_length(request.headers(), limit)?;
    Ok(Begun {
        kind,
        chosen: by_path,
        limit,
        previews,
    })
}

/// The bytes of the body, or of the file that the headers name.
async fn take_bytes(
    app: &App,
    request: Request,
    limit: usize,
) -> Result<(HeaderMap, Bytes, Share), Refusal> {
    let (head, body) = request.into_parts();
    let (bytes, share) = match body::reference(app, &head.headers)? {
        Some(path) => body::read_file(path, limit, &app.bodies).await?,
        None => body::read(body, limit, app.settings.body_timeout, &app.bodies).await?,
    };
    Ok((head.headers, bytes, share))
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
