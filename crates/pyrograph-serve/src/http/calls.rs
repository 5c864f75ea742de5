//! A request from its arrival to its result.

use std::{
    num::NonZero,
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Event, Finished, Limits, Model, Refusal, RefusalKind, Submission, TaskBody, Ticket};

use super::{
    auth::Caller,
    budget::Share,
    errors::{bad_request, internal},
};

/// The header with the seconds that a client waits.
const TIMEOUT: &str = "x-request-timeout";

/// Bodies with images that are read at once, one a core: a small file may be a large image, and many of them would
/// fill the memory.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(cores))
});

/// Leave to decode the images of a body, until it is dropped.
pub(super) async fn reader() -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    Arc::clone(&READERS).acquire_owned().await.ok()
}

/// A body, and how it is to be served.
pub(super) struct Wish {
    pub(super) body: TaskBody,
    /// What the body has of the bytes of all bodies, until it has been parsed.
    pub(super) share: Share,
    pub(super) deadline: Instant,
    pub(super) previews: usize,
    /// The images that the answer can hold; nothing where it holds any number.
    pub(super) most_images: Option<usize>,
}

/// A request that has been queued.
pub(super) struct Call {
    pub(super) model: Model,
    pub(super) caller: Caller,
    pub(super) deadline: Instant,
    ticket: Ticket,
    has_ended: bool,
}

impl Call {
    /// Queues a body. It is read off the async threads, since it may hold images.
    ///
    /// # Errors
    /// When it is refused.
    pub(super) async fn submit(model: Model, caller: Caller, wish: Wish) -> Result<Self, Refusal> {
        let Wish {
            body,
            share,
            deadline,
            previews,
            most_images,
        } = wish;
        let submission = Submission {
            body,
            client: caller.client.clone(),
            deadline,
            previews,
            most_images,
            id: caller.id.0.to_string(),
        };
        let (target, span) = (model.clone(), tracing::Span::current());
        // Texts are read at once: they do not wait for images of others.
        let permit = match holds_image(&submission.body) {
            true => reader().await,
            false => None,
        };
        let reading = move || {
            let _held = (permit, share);
            span.in_scope(|| target.submit(submission))
        };
        // Where the client goes away meanwhile, the ticket is dropped with the result.
        let ticket = tokio::task::spawn_blocking(reading)
            .await
            .map_err(|error| internal(&caller.id.0, &error))??;
        Ok(Self {
            model,
            caller,
            deadline,
            ticket,
            has_ended: false,
        })
    }

    /// The next event. The last one is [`Event::Done`], at the deadline at the latest.
    pub(super) async fn next(&mut self) -> Option<Event> {
        if self.has_ended {
            return None;
        }
        let event = match tokio::time::timeout_at(self.deadline.into(), self.ticket.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => Event::Done(Err(crate::ticket::lost())),
            Err(_) => Event::Done(Err(Refusal::new(
                RefusalKind::Deadline,
                "the deadline of the request passed: ask for less, or post it to /v1/jobs",
            ))),
        };
        self.has_ended = matches!(event, Event::Done(_));
        Some(event)
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn finished(&mut self) -> Result<Finished, Refusal> {
        while let Some(event) = self.next().await {
            if let Event::Done(result) = event {
                return result;
            }
        }
        Err(crate::ticket::lost())
    }
}

fn holds_image(body: &TaskBody) -> bool {
    match body {
        TaskBody::Image(_) => true,
        TaskBody::Json(value) => value.get("image").is_some(),
    }
}

/// The deadline of a request: the server's, or an earlier one of the client.
///
/// # Errors
/// When the client's does not read.
pub(super) fn deadline(
    headers: &HeaderMap,
    arrived: Instant,
    longest: Duration,
) -> Result<Instant, Refusal> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(arrived + longest);
    };
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let time = seconds
        .filter(|seconds: &f64| *seconds > 0.0)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    match time {
        Some(time) => Ok(arrived + time.min(longest)),
        None => {
            let message = format!("`{TIMEOUT}` is {value:?}, but must be seconds above 0");
            Err(bad_request(message).of_field(TIMEOUT))
        }
    }
}

/// The time from arrival to answer that a model allows.
pub(super) fn longest(limits: &Limits, is_job: bool) -> Duration {
    if is_job {
        limits.job_deadline
    } else {
        limits.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_shortens_its_deadline_and_does_not_lengthen_it() {
        let now = Instant::now();
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, text.parse().unwrap());
            deadline(&headers, now, Duration::from_secs(60)).map(|deadline| deadline - now)
        };
        assert_eq!(of("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(of("600"), Ok(Duration::from_secs(60)));
        assert_eq!(of("1e300"), Ok(Duration::from_secs(60)));
        for bad in ["0", "-1", "NaN", "soon", ""] {
            assert_eq!(of(bad).unwrap_err().kind, RefusalKind::BadRequest, "{bad}");
        }
    }
}
