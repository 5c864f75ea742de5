//! Training of a DCGAN on normal images, and of an encoder through its generator.

mod batch;
mod config;
mod diversity;
mod encoder;
mod log;
mod penalty;
mod run;
mod session;
mod training;

pub use config::DcganTraining;
pub use encoder::{EncoderRecord, EncoderTraining, train_encoder};
pub use log::AdversarialRecord;
pub use run::{DcganRun, ImageSource};
pub use session::NORMALISATION_KEY;
pub use training::{DcganHooks, TrainedDcgan, train_dcgan};
