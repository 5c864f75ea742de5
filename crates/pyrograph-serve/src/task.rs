//! Tasks: the model-specific half of a server.

use bytes::Bytes;
use pyrograph_vision::RgbImage;

use crate::{Limits, Refusal, scheduling::Worker};

/// A job that a server does: it reads bodies, and it runs a model on the thread of a worker.
///
/// The server gives every task its queue, limits, deadlines, batches, metrics and routes. A task reads a body in
/// [`parse`](Self::parse) on any thread, and loads its model in [`work`](Self::work), which runs on one thread for each
/// device and hands an [`Engine`] to [`Worker::serve`].
pub trait Task: Send + Sync + 'static {
    /// A request that has been read and checked. Many wait in memory at once: it holds no more than the model needs.
    type Input: Send + 'static;

    /// The name of the task, such as `txt2img`.
    fn name(&self) -> &'static str;

    /// Reads and checks a body. Called only after a worker was ready.
    ///
    /// # Errors
    /// When the body does not read, or a value is outside its range.
    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<Self::Input, Refusal>;

    /// What a request asks of the model.
    fn demand(&self, input: &Self::Input) -> Demand;

    /// The images that a request gets, where that is known before it runs: a client that takes fewer is refused.
    fn images(&self, _input: &Self::Input) -> Option<usize> {
        None
    }

    /// Loads the model on the worker's device and serves: ends with [`Worker::serve`].
    ///
    /// # Errors
    /// When the model does not load.
    fn work(&self, worker: Worker<'_, Self::Input>) -> Result<(), TaskError>;

    /// Names of the three stages of a request in metrics and the `server-timing` header: `begin`, all steps, `finish`.
    fn stages(&self) -> [&'static str; 3] {
        ["begin", "steps", "finish"]
    }

    /// The JSON schema of a body, for the OpenAPI document.
    fn schema(&self) -> serde_json::Value;
}

/// A body as it arrives, of a content type that has been checked.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskBody {
    /// `application/json`.
    Json(serde_json::Value),
    /// `image/*` or `application/x-image`: an encoded image.
    Image(Bytes),
}

/// Requests of equal keys can share a step: for pictures, their size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchKey(pub String);

/// What a request asks of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Requests of equal keys can share a step.
    pub key: BatchKey,
    /// Rows that it adds to a batch: for pictures their number, twice with guidance.
    pub rows: usize,
    /// Steps.
    pub steps: usize,
    /// The work of one row in one step, in any unit that is the same for all requests of the task, such as latents. It
    /// estimates the time of a key that has not been measured.
    pub work: f64,
}

impl Demand {
    /// The same demand with numbers that a scheduler can count with: at least a row and a step, and some work.
    pub(crate) fn sane(self) -> Self {
        let is_positive = self.work.is_finite() && self.work > 0.0;
        Self {
            rows: self.rows.max(1),
            steps: self.steps.max(1),
            work: if is_positive { self.work } else { 1.0 },
            ..self
        }
    }
}

/// A loaded model on the thread of a worker.
///
/// A request goes through `begin`, `step` until `progress` says that it is done, and `finish`. Requests join and leave
/// between steps; each has its own state, so that a request gets what it gets alone.
pub trait Engine {
    /// A request that has been read and checked.
    type Input: Send + 'static;
    /// A request between two steps.
    type State;

    /// Begins a request.
    ///
    /// # Errors
    /// When the request cannot be served, or the model fails.
    fn begin(&mut self, input: Self::Input) -> Result<Self::State, TaskError>;

    /// Takes one step of every request. All of them have equal keys. A long step asks `watch` now and then whether anybody
    /// still waits, and may end early with [`TaskError::Stopped`].
    ///
    /// # Errors
    /// When the model fails: all of the requests fail.
    fn step(&mut self, states: &mut [&mut Self::State], watch: &Watch<'_>)
    -> Result<(), TaskError>;

    /// Steps taken and in all.
    fn progress(&self, state: &Self::State) -> Progress;

    /// The images as they are expected to become. Empty where the task has no previews.
    ///
    /// # Errors
    /// When the model fails.
    fn preview(&mut self, _state: &Self::State) -> Result<Vec<RgbImage>, TaskError> {
        Ok(Vec::new())
    }

    /// Ends a request.
    ///
    /// # Errors
    /// When the model fails.
    fn finish(&mut self, state: Self::State) -> Result<TaskOutput, TaskError>;

    /// How requests come together.
    fn batching(&self) -> Batching;

    /// A request that warm-up runs and times: the one at `index` among the sizes to be ready for, with `seed`. Nothing after
    /// the last size. There is at least one. Two steps are enough: what is timed is a step.
    fn probe(&self, index: usize, seed: u64) -> Option<Self::Input>;
}

/// How requests of equal keys come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// They join and leave between steps.
    BetweenSteps,
    /// All steps run in one call of `step`: the worker waits up to `max_batch_delay` for others before it begins.
    Gathered,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps taken.
    pub taken: usize,
    /// Steps in all.
    pub steps: usize,
}

impl Progress {
    /// Whether no step is left.
    pub fn is_done(self) -> bool {
        self.taken >= self.steps
    }
}

/// What a step is told: how many rows pay in one pass, and whether anybody still waits; and how it tells its progress.
pub struct Watch<'a> {
    pub(crate) rows: usize,
    pub(crate) stopped: &'a dyn Fn() -> bool,
    pub(crate) progress: &'a dyn Fn(Progress),
}

impl Watch<'_> {
    /// The most rows that pay in one pass of the network. A step of more rows, such as that of a request for many images,
    /// is better taken in several passes.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether every request of the step was cancelled or passed its deadline.
    pub fn is_stopped(&self) -> bool {
        (self.stopped)()
    }

    /// Tells the clients of the step's requests how far they are.
    pub fn tell(&self, progress: Progress) {
        (self.progress)(progress);
    }
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutput {
    /// Images: `image/png` where there is one, or JSON with base64.
    Images {
        /// The images.
        images: Vec<OutputImage>,
        /// Remarks for the client, such as words of the prompt that did not fit.
        notes: Vec<String>,
    },
    /// A JSON value.
    Json(serde_json::Value),
    /// Bytes of a content type.
    Raw {
        /// The content type.
        content_type: String,
        /// The bytes.
        bytes: Bytes,
    },
}

/// An image and the seed that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputImage {
    /// The image.
    pub image: RgbImage,
    /// The seed.
    pub seed: u64,
}

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The request cannot be served: the client is told why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server's fault: it is logged, and hidden from the client.
    #[error("{0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A step ended early, since nobody waits for it.
    #[error("nobody waits for the request any more")]
    Stopped,
}

impl TaskError {
    /// A fault of the server.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}
