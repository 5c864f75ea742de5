//! The queue, and the workers that batch between steps.
//!
//! A request waits in the [`queue`], which is bounded, and fair between clients and between sizes by deficit round robin
//! ([`fair`]). A [`Worker`] is one thread with one loaded model. It admits requests between two steps as long as the batch
//! is not full ([`caps`], measured at warm-up), and drops those that nobody waits for.

mod caps;
mod estimate;
mod fair;
mod queue;
mod running;
mod shared;
mod turn;
mod warm_up;
mod worker;

pub(crate) use queue::{Entry, Listener};
pub(crate) use running::chain;
pub(crate) use shared::{Shared, WorkerState};
pub use worker::Worker;
