//! Linear layers by products of words: the weights of a block are packed, then tokens are taken, some at a time, and
//! their outputs are finished while they lie in the cache.

use std::{ops::Range, sync::Arc};

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        features::vectorised,
        half::Values,
        math,
        prepared::{self, Form, Key},
        product::{Into, Target},
        scratch,
        words::{self, Number, Panels},
    },
    Block, Linear, add, multiply_by_gelu,
    tokens::TokenNumber,
};

/// Tokens that are taken at once: whole tiles of the kernels.
const TOKENS: usize = 96;
/// Panels of a prepared weight that a thread packs at once.
const SIDE_BY_SIDE: usize = 4;

/// The panels of a whole weight.
pub(super) struct Panelled(Arc<Form>);

/// Some outputs, their packed weights, and what their sums are multiplied by and added to.
struct Packed<'a> {
    outputs: Range<usize>,
    weights: Weights<'a>,
    scales: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

enum Weights<'a> {
    Pairs(Panels<'a, bf16>),
    Numbers(Panels<'a, f32>),
}

impl Linear<'_> {
    /// Writes the outputs of a block.
    pub(super) fn write_by_words(&self, block: &Block, target: &mut Target<'_>) {
        let step = words::spread::<f32>(block.outputs.len());
        self.with_packed(&block.outputs, |packed| {
            if self.residual.is_none() && packed.is_finished() {
                for tokens in some(&block.tokens) {
                    let first = tokens.start - block.tokens.start;
                    let out = &mut target.rows(first, tokens.len());
                    self.sums(block, &tokens, &packed, out);
                }
                return;
            }
            scratch::with(TOKENS * step, |sums| {
                for tokens in some(&block.tokens) {
                    let size = [tokens.len(), block.outputs.len()];
                    self.sums(block, &tokens, &packed, &mut Target::of(sums, step, size));
                    for (token, sums) in tokens.zip(sums.chunks(step)) {
                        let out = target.row(token - block.tokens.start);
                        packed.finish(sums, out);
                        if let Some(residual) = self.residual {
                            let row = block.item * self.sizes[1] + token;
                            let first = row * self.outputs + block.outputs.start;
                            add(&residual[first..][..out.len()], out);
                        }
                    }
                }
            });
        });
    }

    /// Writes the outputs of a block times the GELU of their `gates`.
    pub(super) fn write_gated_by_words(
        &self,
        block: &Block,
        gates: &Range<usize>,
        target: &mut Target<'_>,
    ) {
        let step = words::spread::<f32>(gates.len());
        self.with_packed(&block.outputs, |values| {
            self.with_packed(gates, |gates| {
                let sizes = [TOKENS * step, TOKENS * step, gates.outputs.len()];
                scratch::with_pieces(sizes, |[of_values, of_gates, gate]| {
                    for tokens in some(&block.tokens) {
                        let size = [tokens.len(), gates.outputs.len()];
                        for (packed, to) in [(&values, &mut *of_values), (&gates, &mut *of_gates)] {
                            self.sums(block, &tokens, packed, &mut Target::of(to, step, size));
                        }
                        let sums = of_values.chunks(step).zip(of_gates.chunks(step));
                        for (token, (value, of_gate)) in tokens.zip(sums) {
                            let out = target.row(token - block.tokens.start);
                            values.finish(value, out);
                            gates.finish(of_gate, gate);
                            multiply_by_gelu(out, gate);
                        }
                    }
                });
            });
        });
    }

    /// The panels of all outputs, where the weight is prepared: of its own type, in the numbers that are multiplied.
    pub(super) fn panelled(&self) -> Option<Panelled> {
        let form = match self.weight {
            Values::Bf16(weight) if self.weight.is_paired() => self.panels_of("pairs", weight),
            Values::F32(weight) if self.is_by_words() => self.panels_of("numbers", weight),
            _ => None,
        };
        form.map(Panelled)
    }

    fn panels_of<T: Number + Send>(&self, kind: &'static str, weight: &[T]) -> Option<Arc<Form>> {
        let (inner, outputs) = (self.sizes[2], self.outputs);
        let key = || Key::new(kind, [inner, outputs]);
        let words = Panels::<T>::words(inner, outputs);
        prepared::form(weight, key, words, |form| {
            let some = SIDE_BY_SIDE * words::wide::<T>();
            form.par_chunks_mut(Panels::<T>::words(inner, some))
                .zip(weight.par_chunks(some * inner))
                .for_each(|(to, weight)| {
                    let size = [inner, weight.len() / inner];
                    words::pack_columns(bytemuck::cast_slice_mut(to), weight, inner, size);
                });
        })
    }

    /// The part of prepared panels that some outputs have, where these are whole panels.
    fn part_of_panels<T: Number>(&self, outputs: &Range<usize>) -> Option<Panels<'_, T>> {
        let Panelled(form) = self.panels.as_ref()?;
        let is_whole = |end: usize| end.is_multiple_of(words::wide::<T>()) || end == self.outputs;
        if ![outputs.start, outputs.end].into_iter().all(is_whole) {
            return None;
        }
        let (inner, count) = (self.sizes[2], outputs.len());
        let first = Panels::<T>::words(inner, outputs.start);
        let words = &form.numbers()[first..first + Panels::<T>::words(inner, count)];
        Some(Panels::new(words, inner, count))
    }

    /// Runs `body` on the packed weights of some outputs.
    fn with_packed<R>(&self, outputs: &Range<usize>, body: impl FnOnce(Packed<'_>) -> R) -> R {
        let inner = self.sizes[2];
        let weight = self.weight.part(outputs.start * inner..outputs.end * inner);
        let size = [inner, outputs.len()];
        if weight.is_paired() {
            if let Some(panels) = self.part_of_panels(outputs) {
                return body(self.packed(outputs, Weights::Pairs(panels)));
            }
            let count = Panels::<bf16>::words(inner, outputs.len());
            return scratch::with_numbers(count, |words| {
                weight.with_pairs(|weight| words::pack_columns(words, weight, inner, size));
                let panels = Panels::new(words, inner, outputs.len());
                body(self.packed(outputs, Weights::Pairs(panels)))
            });
        }
        if let Some(panels) = self.part_of_panels(outputs) {
            return body(self.packed(outputs, Weights::Numbers(panels)));
        }
        scratch::with_numbers(Panels::<f32>::words(inner, outputs.len()), |words| {
            weight.with(|weight| words::pack_columns(words, weight, inner, size));
            let panels = Panels::new(words, inner, outputs.len());
            body(self.packed(outputs, Weights::Numbers(panels)))
        })
    }

    fn packed<'p>(&'p self, outputs: &Range<usize>, weights: Weights<'p>) -> Packed<'p> {
        Packed {
            outputs: outputs.clone(),
            weights,
            scales: self
                .weight
                .scales_of_sums()
                .map(|all| &all[outputs.clone()]),
            bias: self.bias.map(|all| &all[outputs.clone()]),
        }
    }

    /// Writes the products of some tokens with weights.
    fn sums(&self, block: &Block, tokens: &Range<usize>, packed: &Packed<'_>, to: &mut Target<'_>) {
        let [_, count, inner] = self.sizes;
        let place = (block.item, count, tokens.clone(), inner);
        let into = Into::Overwrite;
        match packed.weights {
            Weights::Pairs(panels) => bf16::with_rows(&self.x, place, |rows| {
                to.product(&(rows, panels), into);
            }),
            Weights::Numbers(panels) => f32::with_rows(&self.x, place, |rows| {
                to.product(&(rows, panels), into);
            }),
        }
    }
}

impl Packed<'_> {
    /// Whether the sums are the outputs.
    fn is_finished(&self) -> bool {
        self.scales.is_none() && self.bias.is_none()
    }

    /// Writes the outputs of a token: sums times the scales of the weights, and the bias.
    fn finish(&self, sums: &[f32], out: &mut [f32]) {
        let sums = &sums[..self.outputs.len()];
        match (self.scales, self.bias) {
            (Some(scales), Some(bias)) => write_scaled_and_added(out, sums, scales, bias),
            (Some(scales), None) => write_scaled(out, sums, scales),
            (None, Some(bias)) => write_added(out, sums, bias),
            (None, None) => out.copy_from_slice(sums),
        }
    }
}

vectorised! {
    fn write_scaled_and_added(out: &mut [f32], sums: &[f32], scales: &[f32], bias: &[f32]) {
        for (((out, sum), scale), bias) in out.iter_mut().zip(sums).zip(scales).zip(bias) {
            *out = math::fused::<FUSED>(*sum, *scale, *bias);
        }
    }
}

vectorised! {
    fn write_scaled(out: &mut [f32], sums: &[f32], scales: &[f32]) {
        for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
            *out = sum * scale;
        }
    }
}

vectorised! {
    fn write_added(out: &mut [f32], sums: &[f32], bias: &[f32]) {
        for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
            *out = sum + bias;
        }
    }
}

/// Tokens in groups of at most [`TOKENS`].
fn some(tokens: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = tokens.end;
    let starts = tokens.clone().step_by(TOKENS);
    starts.map(move |first| first..end.min(first + TOKENS))
}
