//! Scoring at a tiny size: 16×16 images, networks of width 4 that look trained.

mod common;
mod files;
mod refusals;
mod scoring;
