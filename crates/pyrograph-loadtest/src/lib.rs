//! Latency of an HTTP endpoint under load.
//!
//! - [`LoadPlan`]: where requests go, what they carry, and how they arrive: in a closed loop, where each client waits
//!   for its answer, or in an open loop, where requests arrive at a rate.
//! - [`run`]: sends them, and returns a [`LoadReport`].
//! - [`LatencyFigures`]: percentiles, their spread by bootstrap, and a histogram that can be merged with others.
//! - [`latency_picture`]: the report as a picture.
//!
//! In the open loop the latency of a request begins at its intended start. A server that stalls delays every request
//! that arrives meanwhile, and each of them counts with its delay: there is no coordinated omission.
//!
//! # Example
//!
//! ```no_run
//! # mod pyrograph { pub use pyrograph_loadtest as loadtest; }
//! use std::ops::ControlFlow;
//!
//! use pyrograph::loadtest::{Load, LoadPlan, run};
//!
//! # async fn measure() -> Result<(), pyrograph::loadtest::LoadError> {
//! let plan = LoadPlan {
//!     bodies: vec![br#"{"prompt": "a lovely cat"}"#.to_vec()],
//!     load: Load::Closed { clients: 4 },
//!     ..LoadPlan::new("http://127.0.0.1:8080/invocations")
//! };
//! let report = run(plan, |_| ControlFlow::Continue(())).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```

mod answer;
mod article;
mod bootstrap;
mod client;
mod closed;
mod error;
mod figures;
mod histogram;
mod open;
mod plan;
mod plot;
mod recorder;
mod remarks;
mod report;
mod run;

pub use article::{ARTICLE_PROMPT, ArticleFigures};
pub use bootstrap::BootstrapOptions;
pub use error::LoadError;
pub use figures::{Latencies, LatencyFigures, PercentileMethod, Spread, percentile};
pub use histogram::LatencyHistogram;
pub use plan::{Arrivals, BodyOrder, Load, LoadPlan};
pub use plot::latency_picture;
pub use recorder::TimelinePoint;
pub use report::{Ending, LoadReport, LoadSettings, WarmUpReport};
pub use run::{Phase, Progress, run};
