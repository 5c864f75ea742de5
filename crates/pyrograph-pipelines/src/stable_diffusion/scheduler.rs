//! The scheduler of a request: the checkpoint's file, and what the request changes of it.
