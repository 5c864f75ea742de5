//! A model behind its queue.

mod served;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use pyrograph_backend::DeviceSpec;

use self::served::{Inner, Served};
use crate::{Limits, Metrics, Refusal, Submission, Task, Ticket, scheduling::Shared};

/// Stack of a worker's thread: networks are built on it.
const STACK: usize = 16 << 20;

/// How a model is run.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// Devices: one worker each.
    pub devices: Vec<DeviceSpec>,
    /// Requests that may wait.
    pub queue: usize,
    /// The most rows in a batch; measured at warm-up up to this number.
    pub max_batch: usize,
    /// Time that a worker waits for others before it begins, where requests are gathered.
    pub max_batch_delay: Duration,
    /// Bounds on a request.
    pub limits: Limits,
}

impl Default for ModelSettings {
    /// One worker on the best device, 100 requests in the queue, and up to 16 rows in a batch.
    fn default() -> Self {
        Self {
            devices: vec![DeviceSpec::Auto],
            queue: 100,
            max_batch: 16,
            max_batch_delay: Duration::from_millis(2),
            limits: Limits::default(),
        }
    }
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
pub struct Model {
    name: Arc<str>,
    limits: Limits,
    inner: Arc<dyn Served>,
    threads: Arc<Threads>,
}

/// The workers' threads, which end after their step when nobody holds the model any more.
struct Threads {
    inner: Arc<dyn Served>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.inner.stop();
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Model")
            .field("name", &self.name)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Starts the workers of `task`, which load the model. Returns at once.
    pub fn start<T: Task>(name: &str, task: T, settings: ModelSettings, metrics: Metrics) -> Self {
        let limits = settings.limits.clone();
        let devices = settings.devices.clone();
        let shared = Shared::new(settings, metrics.of_model(name));
        let inner = Arc::new(Inner { task, shared });
        let handles = devices
            .into_iter()
            .enumerate()
            .map_while(|(index, device)| {
                let inner = Arc::clone(&inner);
                let builder = thread::Builder::new().name(format!("worker-{index}"));
                let thread = builder
                    .stack_size(STACK)
                    .spawn(move || inner.keep_working(index, device));
                thread
                    .inspect_err(
                        |error| tracing::error!(%error, "a worker's thread does not start"),
                    )
                    .ok()
            });
        let threads = Threads {
            inner: inner.clone(),
            handles: Mutex::new(handles.collect()),
        };
        Self {
            name: name.into(),
            limits,
            inner,
            threads: Arc::new(threads),
        }
    }

    /// The name of the model, as in `/models/NAME/invocations`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its task.
    pub fn task(&self) -> &'static str {
        self.inner.task()
    }

    /// The JSON schema of its bodies.
    pub fn schema(&self) -> serde_json::Value {
        self.inner.schema()
    }

    /// Its bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it can serve.
    pub fn state(&self) -> ModelState {
        self.inner.state()
    }

    /// Refuses cheaply, before a body is read: a model that is not ready, and a full queue.
    ///
    /// # Errors
    /// Why nothing can be submitted now.
    pub fn admit(&self) -> Result<(), Refusal> {
        self.inner.admit()
    }

    /// Reads the body and queues the request. May decode an image: not for an async thread where the body is large.
    ///
    /// # Errors
    /// When the body is refused, the queue is full, or the estimate passes the deadline.
    pub fn submit(&self, submission: Submission) -> Result<Ticket, Refusal> {
        self.admit()?;
        self.inner.submit(submission)
    }

    /// Stops accepting. What is queued and running goes on.
    pub fn drain(&self) {
        self.inner.drain();
    }

    /// Whether nothing is queued or running.
    pub fn is_idle(&self) -> bool {
        self.inner.is_idle()
    }

    /// Ends the workers after their step, and refuses what is left as unavailable. Blocks until they have ended; one that loads
    /// its model is left behind.
    pub fn stop(&self) {
        let is_loading = self.inner.stop();
        let threads = std::mem::take(&mut *self.threads.handles.lock());
        for (thread, is_loading) in threads.into_iter().zip(is_loading) {
            if !is_loading {
                // A worker catches its own panics.
                let _ = thread.join();
            }
        }
    }
}
