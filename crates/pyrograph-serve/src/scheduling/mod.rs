//! The queue, and the workers that batch between steps.

mod worker;

pub use worker::Worker;
