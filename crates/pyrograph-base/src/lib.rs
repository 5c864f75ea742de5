//! What the libraries of pyrograph share and none of them owns.
//!
//! [`SplitMix64`] is a small seeded generator for orders, augmentation, drawn data and arrival times. It implements the
//! traits of [`rand`], so that the distributions of `rand` and `rand_distr` draw from it. The noise of diffusion comes
//! from `pyrograph_backend::rng`.
//!
//! [`atomic_write`] writes a file whole or not at all, [`check_target`] finds out beforehand whether it can.

mod atomic;
mod split_mix;

pub use atomic::{WriteError, atomic_write, atomic_write_with, check_target};
pub use rand;
pub use split_mix::{SplitMix64, hash};
