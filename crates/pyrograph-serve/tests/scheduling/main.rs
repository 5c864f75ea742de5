//! The queue and the workers, with an engine that counts.

mod batches;
mod common;
mod ends;
