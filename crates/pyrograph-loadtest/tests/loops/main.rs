//! Load tests against servers of known behaviour.

mod answers;
mod errors;
mod servers;
mod stall;
