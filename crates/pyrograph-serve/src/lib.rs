//! Pyrograph's pipelines behind HTTP.
//!
//! - [`Task`] and [`Engine`]: a model-specific job, for the four of pyrograph in [`tasks`] or one of your own.
//! - [`Model`]: a task behind its bounded queue; workers batch requests between steps.
//! - [`http`]: the routes: SageMaker's container contract, OpenAI's image API, jobs, metrics, a page.
//! - [`settings`]: how a server is told what to do: flags, environment, `serving.properties`.
//! - [`pack`]: a model as the archive that a SageMaker endpoint is made of.

mod error;
#[cfg(test)]
#[path = "../../pyrograph-models/tests/common/formula.rs"]
#[allow(dead_code)] // Shared with the tests of the models.
mod formula;
pub mod http;
mod limits;
mod metrics;
mod model;
pub mod pack;
mod refusal;
mod scheduling;
pub mod settings;
mod task;
pub mod tasks;
#[cfg(feature = "otel")]
mod telemetry;
mod ticket;

pub use error::ServeError;
pub use limits::Limits;
pub use metrics::Metrics;
pub use model::{Model, ModelSettings, ModelState};
pub use refusal::{Refusal, RefusalKind};
pub use scheduling::Worker;
pub use task::{
    BatchKey, Batching, Demand, Engine, OutputImage, Progress, Task, TaskBody, TaskError,
    TaskOutput, Watch,
};
pub use tasks::decode_image;
pub use ticket::{ClientKey, Event, Finished, Submission, Ticket};
