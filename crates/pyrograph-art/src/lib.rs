//! Data sets drawn by code, so that models can be trained without a download.
//!
//! | set | by |
//! | --- | --- |
//! | pixel-art sprites of five classes | [`sprites()`]; [`sprite`] draws one |
//! | handwritten digits, a stand-in for MNIST | [`stroke_digits`] |
//! | scenes of coloured shapes with a box around each | [`scenes()`] |
//!
//! The same arguments give the same bytes on every machine and in every release, and a shorter set
//! is the beginning of a longer one.
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_art as art; pub use pyrograph_data as data; }
//! use pyrograph::{art, data::epoch_order};
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! let sprites = art::sprites(50, 7)?;
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
//! # mod pyrograph {
//! #     pub use pyrograph_art as art;
//! #     pub use pyrograph_data as data;
//! #     pub use pyrograph_vision as vision;
//! # }
//! use pyrograph::{art, data::Jitter};
//! use pyrograph::vision::Normalisation;
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! let digits = art::stroke_digits(100, &[2, 7, 8], 0)?;
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

mod dice;
mod digit_set;
mod digit_shapes;
mod digits;
mod scenes;
mod sprites;

pub use digit_set::stroke_digits;
pub use scenes::scenes;
pub use sprites::{SPRITE_SIDE, SpriteClass, sprite, sprite_set, sprites};
