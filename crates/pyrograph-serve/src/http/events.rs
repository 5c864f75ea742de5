//! Requests as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event as Message, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use crate::{Event, Finished, Refusal};

use super::{
    answers,
    app::SharedApp,
    calls::Call,
    encode::{ImageFormat, base64, encode_images},
    errors::{error_body, status},
    observe::{ServedBy, StreamCount},
    routes::openai::events::OpenAiEvents,
};

/// Silence after which a comment keeps the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How events are written.
pub(super) enum Style {
    /// `started`, `step`, `preview`, `result`, `error`.
    Invocations,
    /// OpenAI's.
    OpenAi(OpenAiEvents),
}

/// A request whose events are on their way. Dropping it cancels the request.
struct Events {
    app: SharedApp,
    call: Call,
    style: Style,
    ready: VecDeque<Message>,
    count: StreamCount,
}

/// The events of a request, until its end.
pub(super) fn events(app: SharedApp, call: Call, style: Style) -> Response {
    let served_by = ServedBy(call.model.name().to_owned());
    let count = StreamCount::default();
    let state = Events {
        app,
        call,
        style,
        ready: VecDeque::new(),
        count: count.clone(),
    };
    let messages = stream::unfold(state, |mut state| async move {
        loop {
            if let Some(message) = state.ready.pop_front() {
                return Some((Ok::<_, Infallible>(message), state));
            }
            let event = state.call.next().await?;
            state.take(event).await;
        }
    });
    let mut response = written(messages, KEEP_ALIVE);
    response.extensions_mut().insert(served_by);
    response.extensions_mut().insert(count);
    response
}

/// The answer with these messages, and a comment after each silence of `keep_alive`.
fn written(
    messages: impl Stream<Item = Result<Message, Infallible>> + Send + 'static,
    keep_alive: Duration,
) -> Response {
    let keep_alive = KeepAlive::new().interval(keep_alive).text("keepalive");
    let mut response = Sse::new(messages).keep_alive(keep_alive).into_response();
    // Proxies would hold events back until their buffer is full.
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", no);
    response
}

impl Events {
    /// Writes the messages of an event.
    async fn take(&mut self, event: Event) {
        let is_end = matches!(event, Event::Done(_));
        let written = match event {
            Event::Started => self.progress("started", json!({})),
            Event::Step(progress) => {
                let value = json!({"step": progress.taken, "steps": progress.steps});
                self.progress("step", value)
            }
            Event::Preview { index, images } => Ok(self.preview(index, images).await),
            Event::Done(Ok(finished)) => self.result(finished).await,
            Event::Done(Err(refusal)) => Err(refusal),
        };
        match written {
            Ok(message) => {
                if is_end {
                    self.count.end(StatusCode::OK);
                }
                self.ready.extend(message);
            }
            Err(refusal) => {
                self.count.end(status(refusal.kind));
                let mut value = error_body(&refusal, &self.call.caller.id.0);
                value["error"]["status"] = json!(refusal.kind.status());
                self.ready.push_back(message("error", &value));
            }
        }
    }

    fn progress(&self, name: &str, value: Value) -> Result<Option<Message>, Refusal> {
        let is_told = matches!(self.style, Style::Invocations);
        Ok(is_told.then(|| message(name, &value)))
    }

    /// A preview. One that does not encode is left out: the result may still come.
    async fn preview(
        &self,
        index: usize,
        images: Vec<pyrograph_vision::RgbImage>,
    ) -> Option<Message> {
        let format = match &self.style {
            Style::Invocations => ImageFormat::Png,
            Style::OpenAi(style) => style.format,
        };
        let size = images
            .first()
            .map_or([0, 0], |image| [image.width(), image.height()]);
        let (model, id) = (self.call.model.name(), &self.call.caller.id);
        // The failure is in the log.
        let (files, time) = encode_images(id, images, format).await.ok()?;
        self.app.metrics.stage(model, "preview", time);
        match &self.style {
            Style::Invocations => {
                let images: Vec<_> = files
                    .iter()
                    .map(|file| json!({"b64_json": base64(file)}))
                    .collect();
                Some(message(
                    "preview",
                    &json!({"index": index, "images": images}),
                ))
            }
            Style::OpenAi(style) => files.first().map(|file| {
                let (name, value) = style.partial(index, file, size);
                message(&name, &value)
            }),
        }
    }

    async fn result(&self, finished: Finished) -> Result<Option<Message>, Refusal> {
        let format = match &self.style {
            Style::Invocations => ImageFormat::Png,
            Style::OpenAi(style) => style.format,
        };
        let encoded = answers::encoded(&self.app, &self.call, finished, format).await?;
        Ok(Some(match &self.style {
            Style::Invocations => {
                let mut value = encoded.json();
                if let Value::Object(fields) = &mut value {
                    fields
                        .entry("steps")
                        .or_insert_with(|| json!(encoded.steps));
                }
                message("result", &value)
            }
            Style::OpenAi(style) => {
                let (name, value) = style.completed(&encoded);
                message(&name, &value)
            }
        }))
    }
}

/// JSON has no line breaks outside its strings, and none inside: it is always one line of data.
fn message(name: &str, value: &Value) -> Message {
    Message::default().event(name).data(value.to_string())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_silent_stream_is_kept_open_by_comments() {
        let silent = stream::pending::<Result<Message, Infallible>>();
        let mut body = written(silent, Duration::from_millis(10)).into_body();
        for _ in 0..2 {
            let frame = tokio::time::timeout(Duration::from_secs(30), body.frame()).await;
            let frame = frame.expect("a comment in time").expect("a frame").unwrap();
            assert_eq!(&frame.into_data().unwrap()[..], b": keepalive\n\n");
        }
    }
}
