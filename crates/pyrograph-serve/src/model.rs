//! A model behind its queue.

use std::time::Duration;

use crate::{Limits, Metrics, Refusal, Submission, Task, Ticket, WorkerDevice};

/// How a model is run.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Devices: one worker each.
    pub devices: Vec<WorkerDevice>,
    /// Requests that may wait.
    pub queue: usize,
    /// The most rows in a batch; measured at warm-up up to this number.
    pub max_batch: usize,
    /// Time that a worker waits for others before it begins, where requests are gathered.
    pub max_batch_delay: Duration,
    /// Bounds on a request.
    pub limits: Limits,
}

/// Whether a model can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// A worker loads or warms up.
    Loading,
    /// At least one worker is ready.
    Ready,
    /// The model does not load: the reason.
    Failed(String),
    /// The server shuts down.
    Draining,
}

/// A model behind its queue: any task, without its types. Clones share it.
#[derive(Clone)]
pub struct Model {}

impl Model {
    /// Starts the workers of `task`, which load the model. Returns at once.
    pub fn start<T: Task>(name: &str, task: T, settings: ModelSettings, metrics: Metrics) -> Self {
        unimplemented!()
    }

    /// The name of the model, as in `/models/NAME/invocations`.
    pub fn name(&self) -> &str {
        unimplemented!()
    }

    /// The name of its task.
    pub fn task(&self) -> &'static str {
        unimplemented!()
    }

    /// The JSON schema of its bodies.
    pub fn schema(&self) -> serde_json::Value {
        unimplemented!()
    }

    /// Its bounds.
    pub fn limits(&self) -> &Limits {
        unimplemented!()
    }

    /// Whether it can serve.
    pub fn state(&self) -> ModelState {
        unimplemented!()
    }

    /// Refuses cheaply, before a body is read: a model that is not ready, and a full queue.
    ///
    /// # Errors
    /// Why nothing can be submitted now.
    pub fn admit(&self) -> Result<(), Refusal> {
        unimplemented!()
    }

    /// Reads the body and queues the request. May decode an image: not for an async thread where the body is large.
    ///
    /// # Errors
    /// When the body is refused, the queue is full, or the estimate passes the deadline.
    pub fn submit(&self, submission: Submission) -> Result<Ticket, Refusal> {
        unimplemented!()
    }

    /// Stops accepting. What is queued and running goes on.
    pub fn drain(&self) {
        unimplemented!()
    }

    /// Whether nothing is queued or running.
    pub fn is_idle(&self) -> bool {
        unimplemented!()
    }

    /// Ends the workers after their step, and refuses what is left as unavailable. Blocks until they have ended.
    pub fn stop(&self) {
        unimplemented!()
    }
}
