//! The HTTP layer over real sockets, in front of a task that draws squares.

mod common;
mod ends;
mod hostile;
mod invocations;
mod jobs;
mod openai;
mod statuses;
