//! Errors of invalid arguments.

/// The largest value an item may have: the squares of differences up to twice as large can be added
/// up millions of times within the range of f32.
pub(crate) const MAX_VALUE: f32 = 1e15;

/// The errors of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A set has nothing in it.
    #[error("{what} is empty: at least one item is needed")]
    Empty {
        /// The set.
        what: &'static str,
    },

    /// A number that must be at least one is zero.
    #[error("{what} is 0: it has to be at least 1")]
    Zero {
        /// The number.
        what: &'static str,
    },

    /// A set does not consist of whole items.
    #[error("{what} holds {seen} values, which is no multiple of {dim}, the values of one item")]
    Length {
        /// The set.
        what: &'static str,
        /// Values in it.
        seen: usize,
        /// Values of an item.
        dim: usize,
    },

    /// A value is infinite, not a number, or so large that sums of it could overflow.
    #[error(
        "{what} holds {seen} at value {position} of item {item}: allowed are {} to {MAX_VALUE}",
        -MAX_VALUE
    )]
    Value {
        /// The set.
        what: &'static str,
        /// The value.
        seen: f32,
        /// The item, from 0.
        item: usize,
        /// The place within the item, from 0.
        position: usize,
    },

    /// Two lists that belong together differ in length.
    #[error(
        "{expected} expected classes but {predicted} predicted ones: there has to be one for each"
    )]
    Counts {
        /// Length of the expected classes.
        expected: usize,
        /// Length of the predicted classes.
        predicted: usize,
    },

    /// A class beyond the number of classes.
    #[error("{what} class {seen} at position {position}: allowed are 0 to {}", classes - 1)]
    Class {
        /// "expected" or "predicted", "truth" or "detection".
        what: &'static str,
        /// The class.
        seen: usize,
        /// Its index in the list, from 0.
        position: usize,
        /// The number of classes, at least 1.
        classes: usize,
    },

    /// More classes than a confusion matrix could have.
    #[error("{seen} classes are too many: at most {allowed} are allowed")]
    TooManyClasses {
        /// The number of classes given.
        seen: usize,
        /// The most that are allowed.
        allowed: usize,
    },

    /// A threshold is not a distance.
    #[error("the threshold is {seen}: it has to be a finite number that is not negative")]
    Threshold {
        /// The threshold.
        seen: f32,
    },

    /// Scores and labels that belong together differ in number.
    #[error("{scores} scores but {labels} labels: there has to be one label for each score")]
    Labels {
        /// The number of scores.
        scores: usize,
        /// The number of labels.
        labels: usize,
    },

    /// A score cannot be ranked.
    #[error("the score at position {position} is {seen}: it has to be a finite number")]
    Score {
        /// The score.
        seen: f32,
        /// Its index in the list, from 0.
        position: usize,
    },

    /// A box whose corners are not finite, or are inverted.
    #[error(
        "the box of the {what} at position {position} is {seen:?}: its corners have to be finite, \
         with x1 ≤ x2 and y1 ≤ y2"
    )]
    BoxCorners {
        /// "truth" or "detection".
        what: &'static str,
        /// x1, y1, x2 and y2.
        seen: [f32; 4],
        /// Its index in the list, from 0.
        position: usize,
    },

    /// The area of an object is invalid.
    #[error(
        "the area of the truth at position {position} is {seen}: it has to be a finite number that \
         is not negative"
    )]
    Area {
        /// The area.
        seen: f32,
        /// Its index in the list, from 0.
        position: usize,
    },

    /// Only one class is present.
    #[error(
        "{anomalous} anomalous and {normal} normal items: at least one of each is needed to rank them"
    )]
    OneClass {
        /// Anomalous items.
        anomalous: usize,
        /// Normal items.
        normal: usize,
    },

    /// A number lies outside its range.
    #[error("{what} is {seen}: allowed is {allowed}")]
    Range {
        /// What is out of range.
        what: &'static str,
        /// The number.
        seen: f64,
        /// The allowed range, in words.
        allowed: &'static str,
    },

    /// A set has items, but fewer than the figure needs.
    #[error("{what} has {seen} item(s): at least {needed} are needed")]
    TooFew {
        /// The set.
        what: &'static str,
        /// Items in it.
        seen: usize,
        /// The least number.
        needed: usize,
    },

    /// More principal components than the data can have.
    #[error(
        "{seen} components of {items} items of {dim} values: allowed are 1 to {allowed}, one less than \
         the items and at most the values"
    )]
    Components {
        /// The requested number of components.
        seen: usize,
        /// The number of items given.
        items: usize,
        /// Values of an item.
        dim: usize,
        /// The most components.
        allowed: usize,
    },

    /// All items are equal, so there are no principal components.
    #[error("all {items} items are equal: principal components need some that differ")]
    NoVariance {
        /// The number of items given.
        items: usize,
    },
}
