//! Training a detector: steps, resume, evaluation, refusals.

mod common;
mod devices;
mod distill;
mod distill_refusals;
mod files;
mod pseudo;
mod refusals;
mod resume;
mod teachers;
mod training;
