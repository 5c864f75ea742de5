//! Models as one archive, for SageMaker's `ModelDataUrl`.
//!
//! [`pack`] writes `model.tar.gz` with the files at its root and a [`Manifest`]; the server holds an unpacked folder against
//! the manifest before it loads the model.

mod archive;
mod manifest;
mod source;
#[cfg(test)]
mod tests;

pub use archive::{PackRequest, Packed, pack};
pub use manifest::{MANIFEST, Manifest, PackedFile};
