//! Data sets of small images, each with its context: the class, one-hot.
//!
//! A [`SpriteSet`] holds a whole set in memory as bytes and hands out single images as the values
//! that models take: channels first, in [-1, 1]. It comes from
//!
//! | source | by |
//! | --- | --- |
//! | a folder of either kind below | [`SpriteSet::open`] |
//! | the pair of `.npy` files of the course | [`SpriteSet::from_npy`] |
//! | a folder of images, with or without a sub-folder a class | [`SpriteSet::from_folder`] |
//! | nothing at all: sprites drawn by [`procedural`] | [`SpriteSet::procedural`] |
//!
//! What a training does with it is decided by seeds alone: [`SpriteSet::split`], [`epoch_order`]
//! and [`Augment`] give the same on every machine. Files that users hand in never panic: a
//! [`DataError`] names the file, what was found and what is allowed.
//!
//! # Example
//!
//! ```
//! use pyrograph_data::{SpriteSet, epoch_order};
//!
//! # fn main() -> Result<(), pyrograph_data::DataError> {
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

mod error;
mod npy;
mod order;
pub mod procedural;
mod sprites;

pub use error::DataError;
pub use order::{Augment, epoch_order};
pub use sprites::SpriteSet;
