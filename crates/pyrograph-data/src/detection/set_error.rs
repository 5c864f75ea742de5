//! Why a set of images cannot be made of another one.

/// Why a set of images cannot be made of another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A subset of no image, or of more images than there are.
    #[error("{seen} images cannot be chosen from {present}: allowed is 1 to the number there are")]
    ChoiceSize {
        /// The number wanted.
        seen: usize,
        /// The images of the set.
        present: usize,
    },

    /// An object for an image of a set is not allowed there.
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
