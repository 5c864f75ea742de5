//! Training loops that read from top to bottom, with exact resume.
//!
//! - [`sprites`]: a ContextUnet as a diffusion model, and the quality of its samples
//!   ([`sprites::SpriteJudge`]).
//! - [`dcgan`]: adversarial training of a generator and a discriminator, and the encoder of
//!   f-AnoGAN.
//! - [`ssd`]: a detector on images with boxes, and its evaluation ([`ssd::score_set`]).
//! - [`compare`]: comparison of finished detector runs over several seeds.
//! - [`run_folder`]: the files of a run; a partly written file is never trusted.
//! - [`Ema`]: the moving average of a model's weights.
//!
//! A program without files trains with [`RunFolder::in_memory`](run_folder::RunFolder::in_memory).
//!
//! All randomness of a run is a function of one seed and the step, so a resumed run draws the same
//! numbers as an uninterrupted one.
//!
//! ```no_run
//! # mod pyrograph {
//! #     pub use burn;
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_art as art;
//! #     pub use pyrograph_train as train;
//! # }
//! use pyrograph::burn::backend::Autodiff;
//! use pyrograph::backend::Flex;
//! use pyrograph::train::{run_folder::RunFolder, sprites::{SpriteTraining, train_sprites}};
//!
//! let data = pyrograph::art::sprites(2000, 0)?;
//! let config = SpriteTraining { epochs: Some(2), ..SpriteTraining::for_set(&data) };
//! let run = RunFolder::create("runs/demo", &config)?;
//! let trained = train_sprites::<Autodiff<Flex>>(&config, &data, &run, &mut (), &Default::default())?;
//! println!("{} steps, last loss {:?}", trained.steps, trained.last_loss);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adam;
mod checkpoint;
mod checkpoint_writer;
mod checks;
mod clip;
mod clock;
pub mod compare;
pub mod dcgan;
mod ema;
mod error;
mod fingerprint;
mod ids;
mod limits;
mod resume;
pub mod run_folder;
pub mod sprites;
pub mod ssd;
mod step_log;

pub use checkpoint::TrainState;
pub use clip::clip_global_norm;
pub use ema::Ema;
pub use error::TrainError;
pub use fingerprint::DataFingerprint;
pub use limits::Limits;
pub use resume::{weights_path, whole_weights};
