//! Where tokens lie.

use std::ops::Range;

use burn_std::bf16;
use bytemuck::{AnyBitPattern, NoUninit};

use super::super::{
    product::Matrix,
    scratch,
    words::{self, Number, Rows},
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
}

/// Some tokens: the item, tokens of each item, which of them, and their features.
pub(super) type Place = (usize, usize, Range<usize>, usize);

/// A number type that tokens are multiplied in.
pub(super) trait TokenNumber: Number + AnyBitPattern + NoUninit {
    /// Runs `body` on some tokens, one after the other.
    fn with_rows<R>(tokens: &Tokens<'_>, place: Place, body: impl FnOnce(Rows<'_, Self>) -> R)
    -> R;
}

impl TokenNumber for f32 {
    fn with_rows<R>(
        tokens: &Tokens<'_>,
        (item, count, range, inner): Place,
        body: impl FnOnce(Rows<'_, f32>) -> R,
    ) -> R {
        let Tokens::Rows(values) = tokens else {
            unreachable!("tokens that are pixels are multiplied otherwise");
        };
        let first = (item * count + range.start) * inner;
        let values = &values[first..first + range.len() * inner];
        body(Rows::new(values, range.len(), inner, inner))
    }
}

impl TokenNumber for bf16 {
    fn with_rows<R>(
        tokens: &Tokens<'_>,
        (item, count, range, inner): Place,
        body: impl FnOnce(Rows<'_, bf16>) -> R,
    ) -> R {
        let first = item * count * inner;
        scratch::with_numbers(range.len() * inner, |rounded: &mut [bf16]| {
            match tokens {
                Tokens::Rows(values) => {
                    let values = &values[first + range.start * inner..first + range.end * inner];
                    words::narrow(values, rounded);
                }
                Tokens::Pixels(values) => {
                    let values = &values[first..first + count * inner];
                    let from = values.get(range.start..).unwrap_or_default();
                    words::narrow_columns(rounded, from, count, [inner, range.len()]);
                }
            }
            body(Rows::new(rounded, range.len(), inner, inner))
        })
    }
}
