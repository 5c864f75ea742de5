//! Training on a small procedural set, from the first step to the last checkpoint.

mod common;
mod damage;
mod divergence;
mod judge;
mod refusals;
mod resume;
mod training;
