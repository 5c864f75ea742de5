//! Sprite sampling: a trained ContextUnet, a sampler, contexts, and noise.

mod context;
mod figures;
mod moments;
mod pipeline;
mod range;
mod request;
mod rules;
mod walk;

pub use context::{NO_CONTEXT, class_rows, parse_context};
pub use figures::{class_sheet, denoising_frames, denoising_strip, with_and_without_noise};
pub use moments::Moments;
pub use pipeline::SpritePipeline;
pub use range::BeyondRange;
pub use request::{Clipping, Frame, SpriteRequest, SpriteSamples, StartNoise};
pub use rules::SpriteRules;
pub use walk::SpriteWalk;
