//! Sprite sampling: a trained ContextUnet, a sampler, contexts, and noise.

mod context;
mod figures;
mod pipeline;
mod request;
mod rules;
mod walk;

pub use context::{class_rows, parse_context};
pub use figures::{class_sheet, denoising_frames, with_and_without_noise};
pub use pipeline::SpritePipeline;
pub use request::{Frame, SpriteRequest, SpriteSamples, StartNoise};
pub use rules::SpriteRules;
pub use walk::SpriteWalk;
