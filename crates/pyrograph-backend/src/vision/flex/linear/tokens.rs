//! Where tokens lie.

use std::ops::Range;

use burn_std::bf16;

use super::super::{
    pairs::{self, Rows},
    product::Matrix,
    scratch,
};

/// The features of tokens.
#[derive(Clone, Copy)]
pub(super) enum Tokens<'a> {
    /// [items, tokens, features].
    Rows(&'a [f32]),
    /// [items, features, tokens].
    Pixels(&'a [f32]),
}

impl<'a> Tokens<'a> {
    /// Some tokens of item `item`, each of which has `count`.
    pub(super) fn matrix(
        &self,
        item: usize,
        count: usize,
        tokens: Range<usize>,
        inner: usize,
    ) -> Matrix<'a> {
        let first = item * count * inner;
        match self {
            Self::Rows(values) => {
                let values = &values[first + tokens.start * inner..first + tokens.end * inner];
                Matrix::by_rows(values, tokens.len(), inner)
            }
            Self::Pixels(values) if inner == 0 => Matrix::by_rows(&values[..0], tokens.len(), 0),
            Self::Pixels(values) => {
                let values = &values[first + tokens.start..first + count * inner];
                Matrix::by_distant_rows(values, inner, tokens.len(), count).transposed()
            }
        }
    }

    /// The same in bf16, one after the other.
    pub(super) fn rounded<R>(
        &self,
        item: usize,
        count: usize,
        tokens: Range<usize>,
        inner: usize,
        body: impl FnOnce(Rows<'_>) -> R,
    ) -> R {
        let first = item * count * inner;
        scratch::with_numbers(tokens.len() * inner, |rounded: &mut [bf16]| {
            match self {
                Self::Rows(values) => {
                    let values = &values[first + tokens.start * inner..first + tokens.end * inner];
                    pairs::narrow(values, rounded);
                }
                Self::Pixels(values) => {
                    let values = &values[first..first + count * inner];
                    let from = values.get(tokens.start..).unwrap_or_default();
                    pairs::narrow_columns(rounded, from, count, [inner, tokens.len()]);
                }
            }
            body(Rows::new(rounded, tokens.len(), inner, inner))
        })
    }
}
