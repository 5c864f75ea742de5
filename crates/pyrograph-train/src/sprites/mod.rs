//! Sprites: training of a ContextUnet as a diffusion model.

mod batch;
mod classifier;
mod config;
mod diversity;
mod evaluate;
mod run;
mod session;
mod training;

pub use config::SpriteTraining;
pub use evaluate::{SpriteJudge, SpriteReport};
pub use run::{DataSource, SpriteRun};
pub use training::{Moment, SpriteHooks, StepRecord, Trained, train_sprites};
