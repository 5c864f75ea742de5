//! Adversarial training at a tiny size: 16×16 digits, networks of width 4.

mod common;
mod encoder;
mod resume;
mod runs;
mod training;
