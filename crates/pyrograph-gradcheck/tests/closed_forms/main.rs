//! The closed forms beside burn's autodiff, and beside the numbers that the article printed.

mod agreement;
mod article;
mod sequence;
