//! Linear layers: blocks of tokens and outputs, each a matrix product, finished while it lies in the cache.

#![allow(unsafe_code)] // Threads write blocks of the output that lie side by side.

mod bytes;
mod dots;
mod packed;
mod to_pixels;
mod tokens;

use std::ops::Range;

use burn::tensor::{DType, Shape, TensorMetadata};
use burn_flex::{Flex, FlexQTensor, FlexTensor};
use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        Activation, LinearForm,
        linear::composed,
        plain,
        primitives::{into, tensor},
    },
    buffers::Buffer,
    features::vectorised,
    half::{Values, parameter},
    math,
    product::{Into, Matrix, Shared, Target},
    scratch,
    tensors::{floats, shaped},
    words::{self, Number},
};
use packed::Panelled;
use to_pixels::to_pixels;
use tokens::Tokens;

/// Tokens of a block: enough that a weight's way into the cache is paid for.
const ROWS: usize = 512;
/// The same where weights are packed into panels.
const ROWS_OF_WORDS: usize = 1024;
/// Values of the weight that a block takes (1 MiB of f32).
const WEIGHTS: usize = 1 << 18;
/// Multiplications that are worth a thread's while.
const LEAST: usize = 1 << 20;
/// Tokens up to which the time goes into reading a large weight, so that a product of matrices, which copies it, does not pay.
const FEW: usize = 4;

/// The layer, where its values are f32 and its weight of a type that [`Values`] holds; else by burn's operations.
pub(super) fn linear(layer: super::super::Linear<FlexTensor>) -> FlexTensor {
    let (dtype, of_weight) = (layer.x.dtype(), layer.weight.dtype());
    let is_ours = dtype == DType::F32 && Values::hold(of_weight);
    let agrees = match &layer.form {
        LinearForm::Plus(added) | LinearForm::ToPixels(added) => added.dtype() == DType::F32,
        _ => true,
    };
    let bias = layer.bias.clone().map(|bias| parameter(bias, dtype));
    match &layer.form {
        LinearForm::Rows if !is_ours => {
            let weight = parameter(layer.weight.clone(), dtype);
            into(plain::linear(
                tensor::<Flex, 2>(layer.x),
                tensor(weight),
                bias.map(tensor),
            ))
        }
        _ if !is_ours || !agrees => composed::<Flex>(layer),
        form => {
            let weight = layer.weight.to_contiguous();
            let weight = Weight::new(Values::of(&weight), weight.shape().dims());
            of_form(&layer.x, weight, bias.as_ref(), form)
        }
    }
}

/// The layer with a weight in int8, of which `weight` holds the numbers; everything else is f32.
pub(super) fn quantised(
    layer: super::super::Linear<FlexTensor, FlexQTensor>,
    weight: Values<'_>,
) -> FlexTensor {
    let bias = layer.bias.map(|bias| parameter(bias, DType::F32));
    let weight = Weight::new(weight, layer.weight.shape().dims());
    of_form(&layer.x, weight, bias.as_ref(), &layer.form)
}

/// The values of a weight [out, in].
#[derive(Clone, Copy)]
struct Weight<'a> {
    values: Values<'a>,
    outputs: usize,
    inner: usize,
}

impl<'a> Weight<'a> {
    fn new(values: Values<'a>, [outputs, inner]: [usize; 2]) -> Self {
        Self {
            values,
            outputs,
            inner,
        }
    }
}

fn of_form(
    x: &FlexTensor,
    weight: Weight<'_>,
    bias: Option<&FlexTensor>,
    form: &LinearForm<FlexTensor>,
) -> FlexTensor {
    if let Some(numbers) = weight.values.bytes()
        && bytes::pays(x, form)
    {
        return bytes::of_form(x, (numbers, weight.outputs), bias, form);
    }
    match form {
        LinearForm::Rows => of_rows(x, weight, bias, None),
        LinearForm::Plus(residual) => of_rows(x, weight, bias, Some(residual)),
        LinearForm::Gated => gated(x, weight, bias),
        LinearForm::OfPixels => of_pixels(x, weight, bias),
        LinearForm::ToPixels(skip) => to_pixels(x, weight, bias, skip),
    }
}

/// `x·Wᵀ + b`, plus `residual` of the output's shape: `x` [tokens, in].
fn of_rows(
    x: &FlexTensor,
    weight: Weight<'_>,
    bias: Option<&FlexTensor>,
    residual: Option<&FlexTensor>,
) -> FlexTensor {
    let [count, inner] = x.shape().dims();
    let x = x.to_contiguous();
    let tokens = Tokens::Rows(floats(&x));
    layer(tokens, [1, count, inner], weight, bias, residual, [count])
}

/// Each pixel of `x` [batch, in, height, width] is a token.
fn of_pixels(x: &FlexTensor, weight: Weight<'_>, bias: Option<&FlexTensor>) -> FlexTensor {
    let [batch, inner, height, width] = x.shape().dims();
    let (x, pixels) = (x.to_contiguous(), height * width);
    let tokens = Tokens::Pixels(floats(&x));
    let sizes = [batch, pixels, inner];
    layer(tokens, sizes, weight, bias, None, [batch, pixels])
}

/// With `W` [2·out, in] in two halves, `value · GELU(gate)`; `x` [tokens, in].
fn gated(x: &FlexTensor, weight: Weight<'_>, bias: Option<&FlexTensor>) -> FlexTensor {
    let [count, inner] = x.shape().dims();
    let outputs = weight.outputs / 2;
    let x = x.to_contiguous();
    let bias = bias.map(FlexTensor::to_contiguous);
    let job = Linear {
        x: Tokens::Rows(floats(&x)),
        weight: weight.values,
        bias: bias.as_ref().map(floats),
        residual: None,
        sizes: [1, count, inner],
        outputs: 2 * outputs,
        panels: None,
    };
    let mut out = Buffer::new(count * outputs);
    if !out.is_empty() {
        job.prepared(|job| job.gated(&mut out));
    }
    shaped(out, Shape::from([count, outputs]))
}

fn layer<const D: usize>(
    x: Tokens<'_>,
    sizes: [usize; 3],
    weight: Weight<'_>,
    bias: Option<&FlexTensor>,
    residual: Option<&FlexTensor>,
    axes: [usize; D],
) -> FlexTensor {
    let outputs = weight.outputs;
    let [items, count, inner] = sizes;
    assert_eq!(inner, weight.inner, "the features of a linear layer");
    let [bias, residual] = [bias, residual].map(|x| x.map(FlexTensor::to_contiguous));
    let job = Linear {
        x,
        weight: weight.values,
        bias: bias.as_ref().map(floats),
        residual: residual.as_ref().map(floats),
        sizes,
        outputs,
        panels: None,
    };
    let mut out = Buffer::new(items * count * outputs);
    match x {
        _ if out.is_empty() => {}
        Tokens::Rows(x) if count <= FEW && inner > 0 && inner * outputs >= WEIGHTS => {
            job.few(x, &mut out);
        }
        _ => job.prepared(|job| job.blocks(&mut out)),
    }
    let axes = axes.into_iter().chain([outputs]);
    shaped(out, Shape::from(axes.collect::<Vec<_>>()))
}

struct Linear<'a> {
    x: Tokens<'a>,
    weight: Values<'a>,
    bias: Option<&'a [f32]>,
    /// Values that are added to the outputs, and lie as they do.
    residual: Option<&'a [f32]>,
    /// Items, tokens of each, and features of a token.
    sizes: [usize; 3],
    outputs: usize,
    panels: Option<Panelled>,
}

/// Some tokens of an item, and some outputs of them.
struct Block {
    item: usize,
    tokens: Range<usize>,
    outputs: Range<usize>,
}

impl Linear<'_> {
    /// Runs `body` on the layer with the panels of a prepared weight, and with its tokens rounded where products are
    /// those of bf16.
    fn prepared(self, body: impl FnOnce(&Linear<'_>)) {
        let panels = self.panelled();
        if !self.weight.is_paired() {
            return body(&Linear { panels, ..self });
        }
        let [items, count, inner] = self.sizes;
        let step = words::spread::<bf16>(inner);
        let memory = self.x.round(self.sizes, step);
        let tokens: &[bf16] = bytemuck::cast_slice(&memory);
        body(&Linear {
            x: Tokens::Rounded(&tokens[..items * count * step], step),
            panels,
            ..self
        });
    }

    /// Blocks of so many outputs in all; by the sizes alone, so that results do not depend on the number of threads.
    fn grid(&self, outputs: usize) -> Vec<Block> {
        let [items, count, inner] = self.sizes;
        let (most, unit) = match self.is_by_words() {
            true => (ROWS_OF_WORDS, words::WIDE),
            false => (ROWS, 16),
        };
        let down = count.div_ceil(most);
        let rows = count.div_ceil(down);
        let weights = match self.weight.is_paired() {
            false if self.is_by_words() => WEIGHTS / 2,
            _ => WEIGHTS,
        };
        let wide = (weights / inner.max(1)).clamp(16, 1024);
        // Smaller ones where there would be few.
        let worth = (LEAST / (rows * inner).max(1)).max(16);
        let fair = (outputs * down * items / 16).max(worth);
        let across = outputs.div_ceil(wide.min(fair).next_multiple_of(unit));
        let columns = outputs.div_ceil(across).next_multiple_of(unit);
        let ranges = |whole: usize, part: usize| {
            (0..whole)
                .step_by(part)
                .map(move |first| first..whole.min(first + part))
        };
        let blocks = (0..items).flat_map(|item| {
            ranges(count, rows).flat_map(move |tokens| {
                ranges(outputs, columns).map(move |outputs| Block {
                    item,
                    tokens: tokens.clone(),
                    outputs,
                })
            })
        });
        blocks.collect()
    }

    /// Where a block lies in an output of so many features.
    fn target<'t>(&self, block: &Block, features: usize, out: &'t Shared<'_>) -> Target<'t> {
        let row = block.item * self.sizes[1] + block.tokens.start;
        let first = row * features + block.outputs.start;
        // SAFETY: the blocks of a grid have no common place, and each is written by one thread.
        unsafe { out.block(first, features, [block.tokens.len(), block.outputs.len()]) }
    }

    fn blocks(&self, out: &mut [f32]) {
        let out = Shared::new(out);
        self.grid(self.outputs).into_par_iter().for_each(|block| {
            let mut target = self.target(&block, self.outputs, &out);
            if self.is_by_words() {
                return self.write_by_words(&block, &mut target);
            }
            self.write(&block, &block.outputs, &mut target);
            // Last, so that sums are those of a layer and an addition.
            let Some(residual) = self.residual else {
                return;
            };
            let row = block.item * self.sizes[1] + block.tokens.start;
            for place in 0..block.tokens.len() {
                let first = (row + place) * self.outputs + block.outputs.start;
                add(&residual[first..][..block.outputs.len()], target.row(place));
            }
        });
    }

    /// Blocks of outputs, each with its gate.
    fn gated(&self, out: &mut [f32]) {
        let out = Shared::new(out);
        let features = self.outputs / 2;
        self.grid(features).into_par_iter().for_each(|block| {
            let mut target = self.target(&block, features, &out);
            let (rows, columns) = (block.tokens.len(), block.outputs.len());
            let gates = block.outputs.start + features..block.outputs.end + features;
            if self.is_by_words() {
                return self.write_gated_by_words(&block, &gates, &mut target);
            }
            self.write(&block, &block.outputs, &mut target);
            scratch::with(rows * columns, |memory| {
                let gate = Shared::new(memory);
                // SAFETY: the one block of this memory.
                let mut gate = unsafe { gate.block(0, columns, [rows, columns]) };
                self.write(&block, &gates, &mut gate);
                (0..rows).for_each(|row| multiply_by_gelu(target.row(row), gate.row(row)));
            });
        });
    }

    /// Writes some outputs of a block's tokens: products are added to the bias, if there is one.
    fn write(&self, block: &Block, outputs: &Range<usize>, target: &mut Target<'_>) {
        let into = match self.bias {
            None => Into::Overwrite,
            Some(bias) => {
                let bias = &bias[outputs.clone()];
                (0..target.size()[0]).for_each(|row| target.row(row).copy_from_slice(bias));
                Into::Add
            }
        };
        let [_, count, inner] = self.sizes;
        let of_outputs = outputs.start * inner..outputs.end * inner;
        self.weight.part(of_outputs).with(|weight| {
            let tokens = block.tokens.clone();
            let x = self.x.matrix(block.item, count, tokens, inner);
            let weight = Matrix::by_rows(weight, outputs.len(), inner).transposed();
            target.product(&(x, weight), into);
        });
    }

    /// Whether the products are those of words.
    fn is_by_words(&self) -> bool {
        self.weight.is_paired() || f32::has_products() && matches!(self.x, Tokens::Rows(_))
    }

    /// Dot products, the weight being read once.
    fn few(&self, x: &[f32], out: &mut [f32]) {
        let [_, count, inner] = self.sizes;
        let sums = dots::products(x, self.weight, inner);
        for (place, sum) in sums.iter().enumerate() {
            let (output, row) = (place / count, place % count);
            let place = row * self.outputs + output;
            let residual = self.residual.map_or(0.0, |residual| residual[place]);
            out[place] = sum + self.bias.map_or(0.0, |bias| bias[output]) + residual;
        }
    }
}

vectorised! {
    fn add(values: &[f32], to: &mut [f32]) {
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
    }
}

vectorised! {
    /// `value · GELU(gate)`.
    fn multiply_by_gelu(values: &mut [f32], gates: &[f32]) {
        let gates = &gates[..values.len()];
        for i in 0..values.len() {
            values[i] *= math::value::<FUSED>(gates[i], Activation::Gelu);
        }
    }
}
