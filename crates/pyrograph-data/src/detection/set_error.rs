//! The errors of deriving a set of images from another set.

/// The errors of deriving a set of images from another set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The size of a subset is 0, or above the number of images.
    #[error("{seen} images cannot be chosen from {present}: allowed is 1 to the number there are")]
    ChoiceSize {
        /// The requested number.
        seen: usize,
        /// The images of the set.
        present: usize,
    },

    /// An object is not allowed for the image.
    #[error("object {object} of {image}: {what} is {seen}: allowed is {allowed}")]
    ObjectValue {
        /// The name of the image.
        image: Box<str>,
        /// The number of the object among those of its image, from 1.
        object: usize,
        /// The value: the class, the box, the area or the score.
        what: &'static str,
        /// The value seen.
        seen: Box<str>,
        /// The values allowed, in words.
        allowed: Box<str>,
    },
}
