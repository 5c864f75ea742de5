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
//! | no files: sprites drawn by [`procedural`] | [`SpriteSet::procedural`] |
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
//! | no files: digits drawn by strokes | [`LabelledImages::stroke_digits`] |
//!
//! All randomness of a training comes from seeds: [`SpriteSet::split`], [`epoch_order`],
//! [`Augment`] and [`Jitter`] give the same results on every machine. Input files never cause a
//! panic: a [`DataError`] names the file, the value found and the values allowed.
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_data as data; }
//! use pyrograph::data::{SpriteSet, epoch_order};
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! let sprites = SpriteSet::procedural(50, 7)?;
//! let (training, held_out) = sprites.split(0.1, 0)?;
//! assert_eq!((training.len(), held_out.len()), (45, 5));
//!
//! let mut image = vec![0.0; training.values_per_image()];
//! for index in epoch_order(training.len(), 0, 0) {
//!     training.write_chw(index as usize, &mut image);
//!     let context = training.context(index as usize); // such as [0, 0, 1, 0, 0] for food
//!     assert_eq!((image.len(), context.len()), (3 * 16 * 16, 5));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Training images of two classes of digits, jittered in every epoch:
//!
//! ```
//! # mod pyrograph { pub use pyrograph_vision as vision; pub use pyrograph_data as data; }
//! use pyrograph::data::{Jitter, LabelledImages};
//! use pyrograph::vision::Normalisation;
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! let digits = LabelledImages::stroke_digits(100, &[2, 7, 8], 0)?;
//! let normal = digits.only(&["7", "8"])?.head(40)?.resized(64, 64)?;
//! let jitter = Jitter { rotation: 10.0, shift: 0.05, ..Jitter::default() }.validated()?;
//!
//! let normalisation = Normalisation::TANH;
//! let (black, _white) = normalisation.range();
//! let mut image = vec![0.0; normal.values_per_image()];
//! let mut moved = image.clone();
//! normal.write_chw(3, &normalisation, &mut image);
//! jitter.apply(&image, 1, 64, 64, black, 0, 0, 3, &mut moved);
//! assert_eq!(normal.class_names()[normal.label(3)], "8");
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
pub mod procedural;
mod sprites;

pub use error::DataError;
pub use faults::Faults;
pub use jitter::Jitter;
pub use labelled::{
    Channels, CsvError, LabelColumn, LabelledImages, LabelledOptions, LabelledReader,
    LabelledReading, Split, Switch,
};
pub use order::{Augment, epoch_order};
pub use sprites::{SpriteLabels, SpriteOptions, SpriteReader, SpriteReading, SpriteSet};
