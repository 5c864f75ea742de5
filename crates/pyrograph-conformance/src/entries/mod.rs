//! The cases of every entry.

pub(crate) mod convolutions;
pub(crate) mod distill;
pub(crate) mod layers;
mod layout;
mod lived_in;
pub(crate) mod losses;
pub(crate) mod models;
pub(crate) mod operations;
pub(crate) mod quantised;
pub(crate) mod sampling;
pub(crate) mod sequence;
pub(crate) mod ssd;
pub(crate) mod stable_diffusion;
pub(crate) mod training;
pub(crate) mod walks;
