//! A model behind its queue.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use pyrograph_backend::DeviceSpec;
use tokio::sync::mpsc;

use crate::{
    Limits, Metrics, Refusal, Submission, Task, TaskError, Ticket,
    scheduling::{Entry, Listener, Shared, Worker, WorkerState, chain},
    ticket::CancelOnDrop,
};

/// Stack of a worker's thread: networks are built on it.
const STACK: usize = 16 << 20;

/// Pause before a worker that failed starts anew; after each further failure it is twice as long.
const RESTART: Duration = Duration::from_secs(1);

/// Starts without success after which a worker that once was ready stays failed.
const RESTARTS: u32 = 6;

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

/// A model without its types.
trait Served: Send + Sync {
    fn task(&self) -> &'static str;
    fn schema(&self) -> serde_json::Value;
    fn state(&self) -> ModelState;
    fn admit(&self) -> Result<(), Refusal>;
    fn submit(&self, submission: Submission) -> Result<Ticket, Refusal>;
    fn drain(&self);
    fn is_idle(&self) -> bool;
    /// Whether each worker loads its model, and so does not hear of the end.
    fn stop(&self) -> Vec<bool>;
}

struct Inner<T: Task> {
    task: T,
    shared: Shared<T::Input>,
}

impl<T: Task> Inner<T> {
    /// Works on `device` until the server stops. After a panic or a failure the worker starts anew, up to [`RESTARTS`] times
    /// without success; a model that has never been ready and fails stays failed.
    fn keep_working(&self, index: usize, device: DeviceSpec) {
        let mut failures = RESTARTS;
        loop {
            let worker = Worker {
                device,
                index,
                shared: &self.shared,
                demand_of: &|input| self.task.demand(input).sane(),
                stages: self.task.stages(),
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.task.work(worker)));
            let model = self.shared.metrics.model();
            let reason = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(reason_of(&error)),
                Err(panic) => Some(format!("panic: {}", message_of(panic.as_ref()))),
            };
            let is_over = self.shared.change(|state| {
                let stops = state.is_stopping;
                let view = &mut state.workers[index];
                let before = std::mem::replace(&mut view.state, WorkerState::Loading);
                (view.running, view.seconds) = (0, 0.0);
                failures = match before {
                    WorkerState::Ready => 0,
                    _ => failures + 1,
                };
                view.state = match &reason {
                    None => WorkerState::Ended,
                    Some(_) if stops => WorkerState::Ended,
                    Some(reason) if failures > RESTARTS => WorkerState::Failed(reason.clone()),
                    Some(_) => WorkerState::Loading,
                };
                view.state != WorkerState::Loading
            });
            if let Some(reason) = reason {
                tracing::error!(model, device = %device, reason, restarts = !is_over, "a worker failed");
            }
            if is_over {
                return self.refuse_without_workers();
            }
            self.shared.metrics.restarted();
            thread::sleep(RESTART * 2_u32.pow(failures));
            let is_stopping = self.shared.change(|state| {
                if state.is_stopping {
                    state.workers[index].state = WorkerState::Ended;
                }
                state.is_stopping
            });
            if is_stopping {
                return self.refuse_without_workers();
            }
        }
    }

    /// Refuses what waits where no worker is left.
    fn refuse_without_workers(&self) {
        self.shared.change(|state| {
            let is_over =
                |state: &WorkerState| matches!(state, WorkerState::Failed(_) | WorkerState::Ended);
            if state.workers.iter().all(|view| is_over(&view.state)) {
                let refusal = Refusal::new(
                    crate::RefusalKind::Unavailable,
                    "the server shuts down, or its model failed",
                );
                state.queue.refuse(&refusal);
            }
        });
    }
}

impl<T: Task> Served for Inner<T> {
    fn task(&self) -> &'static str {
        self.task.name()
    }

    fn schema(&self) -> serde_json::Value {
        self.task.schema()
    }

    fn state(&self) -> ModelState {
        let state = self.shared.lock();
        let mut failure = None;
        let mut is_loading = false;
        for view in &state.workers {
            match &view.state {
                WorkerState::Ready if !state.is_draining => return ModelState::Ready,
                WorkerState::Failed(reason) => failure = Some(reason.clone()),
                WorkerState::Loading => is_loading = true,
                WorkerState::Ready | WorkerState::Ended => {}
            }
        }
        match failure {
            _ if state.is_draining => ModelState::Draining,
            _ if is_loading => ModelState::Loading,
            Some(reason) => ModelState::Failed(reason),
            None => ModelState::Failed("no worker could be started".into()),
        }
    }

    fn admit(&self) -> Result<(), Refusal> {
        self.shared.admit()
    }

    fn submit(&self, submission: Submission) -> Result<Ticket, Refusal> {
        let arrived = Instant::now();
        let input = self
            .task
            .parse(submission.body, &self.shared.settings.limits)?;
        check_images(self.task.images(&input), submission.most_images)?;
        let demand = self.task.demand(&input).sane();
        let (sender, events) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            id: submission.id,
            events: sender,
            cancelled: Arc::clone(&cancelled),
            deadline: submission.deadline,
            previews: submission.previews,
        };
        let entry = Entry {
            client: submission.client,
            input,
            demand,
            listener,
            arrived,
            cost: 0.0,
        };
        let ticket = Ticket {
            events,
            _cancel: CancelOnDrop(cancelled),
        };
        self.shared.push(entry)?;
        Ok(ticket)
    }

    fn drain(&self) {
        self.shared.change(|state| state.is_draining = true);
    }

    fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.queue.len() == 0 && state.workers.iter().all(|view| view.running == 0)
    }

    fn stop(&self) -> Vec<bool> {
        let refusal = Refusal::new(crate::RefusalKind::Unavailable, "the server shuts down");
        self.shared.change(|state| {
            state.is_draining = true;
            state.is_stopping = true;
            // At once: a worker may be in a long step, or load its model and never come to it.
            state.queue.refuse(&refusal);
            let states = state.workers.iter().map(|view| &view.state);
            states.map(|state| *state == WorkerState::Loading).collect()
        })
    }
}

/// Refuses a request for more images than its answer can hold.
fn check_images(images: Option<usize>, most: Option<usize>) -> Result<(), Refusal> {
    match (images, most) {
        (Some(images), Some(most)) if images > most => {
            let message = format!(
                "the result has {images} images, but `Accept` allows a type for {most} at most: several come as \
                 application/json, one also as image/png, image/jpeg or image/webp"
            );
            Err(Refusal::new(crate::RefusalKind::NotAcceptable, message))
        }
        _ => Ok(()),
    }
}

fn reason_of(error: &TaskError) -> String {
    match error {
        TaskError::Failed(error) => chain(error.as_ref()),
        error => chain(error),
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return text;
    }
    panic
        .downcast_ref::<String>()
        .map_or("without a message", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_dropped_ticket_cancels_its_request() {
        let flag = Arc::new(AtomicBool::new(false));
        let (_, events) = mpsc::unbounded_channel();
        let ticket = Ticket {
            events,
            _cancel: CancelOnDrop(Arc::clone(&flag)),
        };
        assert!(!flag.load(Ordering::Acquire));
        drop(ticket);
        assert!(flag.load(Ordering::Acquire));
    }
}
