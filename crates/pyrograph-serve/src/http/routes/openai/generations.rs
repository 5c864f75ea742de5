//! `/v1/images/generations`.

use std::time::Instant;

use axum::{
    Json,
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::{
    Refusal, TaskBody,
    http::{
        accept::Accept,
        answers,
        app::SharedApp,
        auth::Caller,
        body::{self, BodyKind},
        budget::Share,
        calls::{Call, Wish, deadline},
        errors::{Failure, bad_request},
        events::{Style, events},
    },
};

use super::{
    events::OpenAiEvents,
    fields::Fields,
    request::{ImageRequest, first, renamed},
};

/// Draws pictures from a prompt.
pub(in crate::http::routes) async fn generate(
    State(app): State<SharedApp>,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    let arrived = Instant::now();
    let (limit, request) = body::checked(request, |request| begin(&app, request.headers())).await?;
    let (head, body) = request.into_parts();
    let (bytes, share) = body::read(body, limit, app.settings.body_timeout, &app.bodies).await?;
    let Value::Object(fields) = body::json(&bytes)? else {
        return Err(bad_request("the body must be a JSON object").into());
    };
    let mut fields = Fields(fields);
    // These belong to edits.
    for name in ["image", "mask", "strength"] {
        if fields.value(name).is_some() {
            let message =
                format!("`{name}` is no field of this route: post it to /v1/images/edits");
            return Err(bad_request(message).of_field(name).into());
        }
    }
    let request = ImageRequest::read(fields)?;
    let arrival = Arrival {
        name: "image_generation",
        arrived,
        headers: &head.headers,
        share,
    };
    Ok(serve(app, caller, request, arrival).await?)
}

/// What is refused before the body is read: the most bytes of it.
fn begin(app: &SharedApp, headers: &HeaderMap) -> Result<usize, Refusal> {
    if BodyKind::of(headers)? == BodyKind::Image {
        return Err(body::media_type("an image", "application/json"));
    }
    admit(app, headers)
}

/// Refuses cheaply where the only model that draws is busy: the most bytes of a body.
pub(super) fn admit(app: &SharedApp, headers: &HeaderMap) -> Result<usize, Refusal> {
    let model = first(app)?;
    if app.only_model().is_some() {
        model.admit()?;
    }
    let limit = model.limits().body_bytes;
    body::check_length(headers, limit)?;
    Ok(limit)
}

/// How a request of either route came.
pub(super) struct Arrival<'a> {
    /// `image_generation` or `image_edit`.
    pub(super) name: &'static str,
    pub(super) arrived: Instant,
    pub(super) headers: &'a HeaderMap,
    /// What its body has of the bytes of all bodies.
    pub(super) share: Share,
}

/// Serves a request of either route.
pub(super) async fn serve(
    app: SharedApp,
    caller: Caller,
    request: ImageRequest,
    arrival: Arrival<'_>,
) -> Result<Response, Refusal> {
    let model = request.model(&app)?.clone();
    model.admit()?;
    let accept = Accept::of(arrival.headers);
    let offer = if request.is_stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    // Clients of streams often say that they take JSON.
    accept.choose(&[offer, "application/json"], "the answer")?;
    let deadline = deadline(arrival.headers, arrival.arrived, model.limits().deadline)?;
    let wish = Wish {
        body: TaskBody::Json(request.body),
        share: arrival.share,
        deadline,
        previews: request.previews,
        most_images: None,
    };
    let mut call = Call::submit(model, caller, wish).await.map_err(renamed)?;
    let look = OpenAiEvents {
        name: arrival.name,
        format: request.format,
        quality: request.quality,
    };
    if request.is_stream {
        return Ok(events(app, call, Style::OpenAi(look)));
    }
    let finished = call.finished().await.map_err(renamed)?;
    let encoded = answers::encoded(&app, &call, finished, look.format).await?;
    let response = Json(look.answer(&encoded)).into_response();
    Ok(encoded.head(&call, response))
}
