//! Data sets of small images: sprites with their context, and labelled images.
//!
//! A [`SpriteSet`] holds square images, each with a context: the class, one-hot. It returns single
//! images as values in [-1, 1], channels first. Its sources are
//!
//! | source | by |
//! | --- | --- |
//! | a folder of either kind below | [`SpriteSet::open`], [`SpriteReader`] |
//! | the pair of `.npy` files of the course | [`SpriteSet::from_npy`] |
//! | a folder of images, with or without a sub-folder a class | [`SpriteSet::from_folder`] |
//!
//! [`LabelledImages`] holds images of any one size with a label each: the number of the class. A
//! [`Normalisation`](pyrograph_vision::Normalisation) maps the bytes to values. Its sources are
//!
//! | source | by |
//! | --- | --- |
//! | a file or folder of any kind below, one [`Split`] of it | [`LabelledImages::open`], [`LabelledReader`] |
//! | MNIST's idx files, also inside gzip | [`LabelledImages::from_idx`] |
//! | a CSV file: a label and a square of pixels | [`LabelledImages::from_csv`] |
//! | a folder of images: `normal/` and others, or the layout of MVTec AD | [`LabelledImages::from_folder`] |
//!
//! All randomness of a training comes from seeds: [`SpriteSet::split`], [`epoch_order`],
//! [`Augment`] and [`Jitter`] give the same results on every machine. Input files never cause a
//! panic: a [`DataError`] names the file, the value found and the values allowed.
//!
//! `pyrograph-art` draws sets of all three kinds by code, without files.
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_data as data; }
//! use pyrograph::data::{SpriteSet, epoch_order};
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! // Forty grey 16×16 images of two classes in turn.
//! let pixels = (0..40).flat_map(|image| [image; 16 * 16]).collect();
//! let contexts = (0..40).flat_map(|image| [[1.0, 0.0], [0.0, 1.0]][image % 2]).collect();
//! let sprites = SpriteSet::new(pixels, 16, 1, contexts, vec!["dark".into(), "light".into()])?;
//! let (training, held_out) = sprites.split(0.1, 0)?;
//! assert_eq!((training.len(), held_out.len()), (36, 4));
//!
//! let mut image = vec![0.0; training.values_per_image()];
//! for index in epoch_order(training.len(), 0, 0) {
//!     training.write_chw(index as usize, &mut image);
//!     let context = training.context(index as usize); // such as [0, 1] for the second class
//!     assert_eq!((image.len(), context.len()), (16 * 16, 2));
//! }
//! # Ok(())
//! # }
//! ```

pub mod detection;
mod error;
mod faults;
mod jitter;
mod labelled;
mod listing;
mod npy;
mod order;
mod sprites;

pub use error::DataError;
pub use faults::Faults;
pub use jitter::Jitter;
pub use labelled::{
    Channels, CsvError, LabelColumn, LabelledImages, LabelledOptions, LabelledReader,
    LabelledReading, Split, Switch,
};
pub use order::{Augment, epoch_order};
pub use sprites::{
    COURSE_CLASSES, SpriteLabels, SpriteOptions, SpriteReader, SpriteReading, SpriteSet,
};
