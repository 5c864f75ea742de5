//! Objects in pictures.

mod common;
mod files;
mod pictures;
