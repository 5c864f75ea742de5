//! A request on its way, as the client's side sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pyrograph_vision::RgbImage;
use tokio::sync::mpsc;

use crate::{Progress, Refusal, TaskBody, TaskOutput};

/// Whose request it is: the server is fair between clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub String);

/// A body and how it is to be served.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The body.
    pub body: TaskBody,
    /// Whose request it is.
    pub client: ClientKey,
    /// When the client stops to wait.
    pub deadline: Instant,
    /// Previews to send, spread over the steps.
    pub previews: usize,
    /// The images that the answer can hold; nothing where it holds any number. A request for more is refused.
    pub most_images: Option<usize>,
    /// The id of the request, for the log.
    pub id: String,
}

/// What happens to a request.
#[derive(Debug)]
pub enum Event {
    /// A worker has begun it.
    Started,
    /// A step has been taken.
    Step(Progress),
    /// Images as they are expected to become.
    Preview {
        /// The preview's place among those asked for, from 0.
        index: usize,
        /// One image for each image of the request.
        images: Vec<RgbImage>,
    },
    /// The end: nothing comes after it.
    Done(Result<Finished, Refusal>),
}

/// A finished request.
#[derive(Debug)]
pub struct Finished {
    /// The result.
    pub output: TaskOutput,
    /// Time in each stage: `queue`, and the three of the task.
    pub stages: Vec<(&'static str, Duration)>,
    /// Steps taken.
    pub steps: usize,
}

/// A request on its way. Dropping it cancels the request, which frees its place at the next step.
#[derive(Debug)]
pub struct Ticket {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) _cancel: CancelOnDrop,
}

impl Ticket {
    /// The next event; nothing after [`Event::Done`].
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Why the request has no result.
    pub async fn finished(mut self) -> Result<Finished, Refusal> {
        loop {
            match self.next().await {
                Some(Event::Done(result)) => return result,
                Some(_) => {}
                None => return Err(lost()),
            }
        }
    }
}

/// The refusal for a request whose worker went away without a word.
pub(crate) fn lost() -> Refusal {
    Refusal::new(
        crate::RefusalKind::Internal,
        "the server lost the request: see its log",
    )
}

/// Sets its flag when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct CancelOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
