//! Where tokens lie.

use std::ops::Range;

use burn_std::bf16;
use bytemuck::{AnyBitPattern, NoUninit};

use rayon::prelude::*;

use super::super::{
    buffers::Buffer,
    product::Matrix,
    words::{self, Number, Rows},
};

/// The features of tokens.
#[derive(Clone, Copy)]
pub(super) enum Tokens<'a> {
    /// [items, tokens, features].
    Rows(&'a [f32]),
    /// [items, features, tokens].
    Pixels(&'a [f32]),
    /// [items, tokens, features], rounded, each token a step of so many numbers after the one before.
    Rounded(&'a [bf16], usize),
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
            Self::Rounded(..) => unreachable!("rounded tokens are multiplied by words"),
        }
    }

    /// The tokens rounded to bf16, row after row, each `step` numbers after the one before, in half as many values.
    pub(super) fn round(&self, [items, count, inner]: [usize; 3], step: usize) -> Buffer {
        let mut memory = Buffer::new((items * count * step).div_ceil(2));
        let all: &mut [bf16] = bytemuck::cast_slice_mut(&mut memory);
        let all = &mut all[..items * count * step];
        let at_once = |to: &mut [bf16], item: usize, token: usize| match self {
            Self::Rows(values) => {
                let from = values[(item * count + token) * inner..].chunks_exact(inner);
                for (to, from) in to.chunks_exact_mut(step).zip(from) {
                    words::narrow(from, &mut to[..inner]);
                }
            }
            Self::Pixels(values) => {
                let from = &values[item * count * inner..][token..];
                let size = [inner, to.len() / step];
                words::narrow_columns(to, step, from, count, size);
            }
            Self::Rounded(..) => unreachable!("rounded tokens stay as they are"),
        };
        if inner == 0 {
            return memory;
        }
        all.par_chunks_mut(count * step)
            .enumerate()
            .for_each(|(item, to)| {
                to.par_chunks_mut(AT_ONCE * step)
                    .enumerate()
                    .for_each(|(part, to)| at_once(to, item, part * AT_ONCE));
            });
        memory
    }
}

/// Tokens that a thread rounds at once.
const AT_ONCE: usize = 64;

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
        let Tokens::Rounded(values, step) = *tokens else {
            unreachable!("tokens are rounded before");
        };
        let first = (item * count + range.start) * step;
        let values = &values[first..first + range.len() * step];
        body(Rows::new(values, range.len(), inner, step))
    }
}
