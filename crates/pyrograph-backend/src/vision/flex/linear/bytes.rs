//! Linear layers whose tokens are quantised to int8, a scale for each: products of whole numbers.

use std::{ops::Range, slice, sync::Arc};

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::{
        super::LinearForm,
        buffers::Buffer,
        bytes::{self, Columns, Panel, Rows, STRIP, Scale, Stores, WIDE, With},
        features::{ByteProducts, vectorised},
        half::Int8,
        prepared::{self, Form, Key},
        product::{Shared, Target},
        scratch,
        tensors::{floats, image, shaped},
    },
    FEW, LEAST,
};

/// Tokens of a block, which meet the panels of a task one after the other.
const ROWS: usize = 1024;
/// Tokens of a block whose outputs become channels.
const PIXELS: usize = 512;
/// Bytes of packed weights that stay in a core's own cache beside tokens, and panels of them at most.
const PACKED: usize = 1 << 19;
const MOST_PANELS: usize = 8;
/// Tokens that a thread quantises at once: of pixels, some lines of the cache of each plane.
const AT_ONCE: usize = 128;

/// Whether there are tokens enough: of few, the time goes into reading the weight.
pub(super) fn pays(x: &FlexTensor, form: &LinearForm<FlexTensor>) -> bool {
    let shape = x.shape();
    let tokens = match form {
        LinearForm::OfPixels => shape[0] * shape[2] * shape[3],
        LinearForm::ToPixels(_) => shape[0] * shape[1],
        LinearForm::Rows | LinearForm::Plus(_) | LinearForm::Gated => shape[0],
    };
    tokens > FEW
}

/// The layer with the numbers of a weight of so many outputs.
pub(super) fn of_form(
    x: &FlexTensor,
    (weight, outputs): (Int8<'_>, usize),
    bias: Option<&FlexTensor>,
    form: &LinearForm<FlexTensor>,
) -> FlexTensor {
    let shape = x.shape().to_vec();
    let (numbers, scales) = weight.parts();
    let inner = numbers.len() / outputs.max(1);
    let [items, count, features] = match form {
        LinearForm::OfPixels => [shape[0], shape[2] * shape[3], shape[1]],
        LinearForm::ToPixels(_) => [shape[0], shape[1], shape[2]],
        LinearForm::Rows | LinearForm::Plus(_) | LinearForm::Gated => [1, shape[0], shape[1]],
    };
    assert_eq!(features, inner, "the features of a linear layer");
    let by = bytes::kernel();
    let (x, bias) = (x.to_contiguous(), bias.map(FlexTensor::to_contiguous));
    let tokens = match form {
        LinearForm::OfPixels => Tokens::of_pixels(by, floats(&x), [items, count, inner]),
        _ => Tokens::of_rows(by, floats(&x), inner),
    };
    let job = Job {
        by,
        tokens,
        numbers,
        scales,
        bias: bias.as_ref().map(floats),
        inner,
        outputs,
        starts: bytes::starts(inner),
        form: None,
    }
    .prepared();
    let rows = items * count;
    match form {
        LinearForm::Rows => job.rows([rows, outputs].into(), None),
        LinearForm::OfPixels => job.rows([items, count, outputs].into(), None),
        LinearForm::Plus(residual) => {
            let residual = residual.to_contiguous();
            job.rows([rows, outputs].into(), Some(floats(&residual)))
        }
        LinearForm::Gated => job.gated(rows),
        LinearForm::ToPixels(skip) => job.to_pixels([items, count], skip),
    }
}

/// Tokens in int8, [`bytes::row_step`] apart.
struct Tokens {
    memory: Buffer,
    scales: Vec<f32>,
    step: usize,
}

impl Tokens {
    /// Memory for so many tokens, and the rows that kernels may read after them.
    fn new(count: usize, inner: usize) -> Self {
        let step = bytes::row_step(inner);
        Self {
            memory: Buffer::new((count + bytes::BEYOND) * step / size_of::<f32>()),
            scales: vec![0.0; count],
            step,
        }
    }

    /// Of tokens that lie one after the other.
    fn of_rows(by: ByteProducts, x: &[f32], inner: usize) -> Self {
        let mut tokens = Self::new(x.len() / inner, inner);
        let (step, zero) = (tokens.step, bytes::zero(by));
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut tokens.memory);
        memory
            .par_chunks_mut(AT_ONCE * step)
            .zip(tokens.scales.par_chunks_mut(AT_ONCE))
            .zip(x.par_chunks(AT_ONCE * inner))
            .for_each(|((to, scales), x)| {
                let rows = to.chunks_mut(step).zip(x.chunks(inner));
                for ((to, x), token) in rows.zip(scales) {
                    let scale = Scale::of(bytes::largest(x));
                    bytes::quantise(x, scale.inverse, zero, &mut to[..inner]);
                    *token = scale.scale;
                }
            });
        tokens
    }

    /// Of the pixels of images [items, inner, count].
    fn of_pixels(by: ByteProducts, x: &[f32], [items, count, inner]: [usize; 3]) -> Self {
        let mut tokens = Self::new(items * count, inner);
        let (step, zero) = (tokens.step, bytes::zero(by));
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut tokens.memory);
        let of_item = (count * step).max(1);
        memory
            .par_chunks_mut(of_item)
            .zip(tokens.scales.par_chunks_mut(count.max(1)))
            .zip(x.par_chunks((inner * count).max(1)))
            .for_each(|((to, scales), x)| {
                to.par_chunks_mut(AT_ONCE * step)
                    .zip(scales.par_chunks_mut(AT_ONCE))
                    .enumerate()
                    .for_each(|(part, (to, scales))| {
                        let x = &x[part * AT_ONCE..];
                        bytes::quantise_tokens(x, count, inner, zero, to, step, scales);
                    });
            });
        tokens
    }

    /// Some of them, with their scales.
    fn some<'a>(&'a self, range: &Range<usize>, starts: &'a [usize]) -> (Rows<'a>, &'a [f32]) {
        let memory: &[u8] = bytemuck::cast_slice(&self.memory);
        let memory = &memory[range.start * self.step..];
        let rows = Rows::new(memory, range.len(), self.step, starts);
        (rows, &self.scales[range.clone()])
    }
}

/// A layer.
struct Job<'a> {
    by: ByteProducts,
    tokens: Tokens,
    numbers: &'a [i8],
    scales: &'a [f32],
    bias: Option<&'a [f32]>,
    inner: usize,
    outputs: usize,
    starts: Vec<usize>,
    /// The panels of a prepared weight.
    form: Option<Arc<Form>>,
}

/// Blocks of tokens, each with some of `panels` panels: by the sizes alone, so that results do not depend on the number
/// of threads.
fn grid(blocks: &[Range<usize>], panels: usize, inner: usize) -> Vec<(usize, Range<usize>)> {
    let rows = blocks.first().map_or(0, Range::len);
    let worth = LEAST.div_ceil((rows * inner * WIDE).max(1));
    let fair = (panels * blocks.len()).div_ceil(16);
    let at_once = worth.max(fair).min(panels).max(1);
    let of_block = |block: usize| {
        (0..panels)
            .step_by(at_once)
            .map(move |first| (block, first..panels.min(first + at_once)))
    };
    (0..blocks.len()).flat_map(of_block).collect()
}

/// Ranges of nearly equal size, of at most `most`.
fn ranges(count: usize, most: usize) -> Vec<Range<usize>> {
    let parts = count.div_ceil(most);
    let bound = |part: usize| part * count / parts;
    (0..parts)
        .map(|part| bound(part)..bound(part + 1))
        .collect()
}

/// The outputs of each panel.
fn panels(outputs: usize) -> Vec<Range<usize>> {
    let firsts = (0..outputs).step_by(WIDE);
    firsts
        .map(|first| first..outputs.min(first + WIDE))
        .collect()
}

impl Job<'_> {
    /// Panels that are packed at once: what lies between two rows of outputs is many pages.
    fn panels_at_once(&self) -> usize {
        (PACKED / Panel::bytes(self.starts.len())).clamp(1, MOST_PANELS)
    }

    /// The products of some tokens with the weights of the outputs of some panels: `finish` gets the number of a panel,
    /// which of the tokens the sums are of, the sums, the tokens' scales, and the outputs' scales and bias.
    fn products(
        &self,
        tokens: &Range<usize>,
        panels: &[Range<usize>],
        mut finish: impl FnMut(usize, Range<usize>, &[i32], &[f32], &Columns),
    ) {
        let columns = panels.iter().map(|outputs| {
            let bias = self.bias.map(|bias| &bias[outputs.clone()]);
            Columns::new(&self.scales[outputs.clone()], bias)
        });
        let columns: Vec<_> = columns.collect();
        let mut products = |packed: Vec<Panel<'_>>| {
            let (rows, scales) = self.tokens.some(tokens, &self.starts);
            bytes::products(self.by, &rows, &packed, |number, range, sums| {
                finish(
                    number,
                    range.clone(),
                    sums,
                    &scales[range],
                    &columns[number],
                );
            });
        };
        if let Some(packed) = self.prepared_panels(panels) {
            return products(packed);
        }
        let bytes = Panel::bytes(self.starts.len());
        scratch::with_numbers(panels.len() * bytes, |memory: &mut [u8]| {
            let packed = panels.iter().zip(memory.chunks_mut(bytes));
            products(
                packed
                    .map(|(outputs, memory)| self.pack(outputs, memory))
                    .collect(),
            );
        });
    }

    fn pack<'m>(&self, outputs: &Range<usize>, memory: &'m mut [u8]) -> Panel<'m> {
        let weight = outputs.start * self.inner..outputs.end * self.inner;
        let size = [outputs.len(), self.inner];
        Panel::pack(self.by, memory, &self.numbers[weight], size)
    }

    /// The panels of these outputs, where the weight is prepared and they begin where its panels do.
    fn prepared_panels(&self, panels: &[Range<usize>]) -> Option<Vec<Panel<'_>>> {
        let form: &[u8] = self.form.as_ref()?.numbers();
        let pieces = self.starts.len();
        let panel = |outputs: &Range<usize>| {
            let is_whole = outputs.len() == WIDE || outputs.end == self.outputs;
            let memory = &form[outputs.start / WIDE * Panel::bytes(pieces)..];
            (is_whole && outputs.start.is_multiple_of(WIDE))
                .then(|| Panel::new(memory, outputs.len(), pieces))
        };
        panels.iter().map(panel).collect()
    }

    /// All panels of a prepared weight.
    fn prepared(mut self) -> Self {
        let all = panels(self.outputs);
        let bytes = Panel::bytes(self.starts.len());
        let key = || Key::new("bytes", [self.by as usize, self.inner, self.outputs]);
        let values = all.len() * bytes / size_of::<f32>();
        self.form = prepared::form(self.numbers, key, values, |form| {
            let memory: &mut [u8] = bytemuck::cast_slice_mut(form);
            memory
                .par_chunks_mut(bytes)
                .zip(&all)
                .for_each(|(memory, outputs)| {
                    self.pack(outputs, memory);
                });
        });
        self
    }

    /// Values that wait for their gates: those of a strip where a sum is taken in one part, else of all tokens, for
    /// each panel.
    fn values(&self, tokens: usize, panels: usize) -> usize {
        let rows = match bytes::is_one_part(self.starts.len()) {
            true => STRIP,
            false => tokens.next_multiple_of(STRIP),
        };
        rows * panels * WIDE
    }

    /// Runs `body` on blocks of tokens and some panels of the first `outputs` outputs, with the target of both in
    /// `out`.
    fn blocks(
        &self,
        out: &mut [f32],
        outputs: usize,
        body: impl Fn(&Range<usize>, &[Range<usize>], Target<'_>) + Sync,
    ) {
        let blocks = ranges(out.len() / outputs, ROWS);
        let stores = Stores::of(out.len());
        let (out, panels) = (Shared::new(out), panels(outputs));
        let tasks = grid(&blocks, panels.len(), self.inner);
        tasks.into_par_iter().for_each(|(block, range)| {
            let tokens = &blocks[block];
            for own in panels[range].chunks(self.panels_at_once()) {
                let columns = own[0].start..own[own.len() - 1].end;
                let first = tokens.start * outputs + columns.start;
                let size = [tokens.len(), columns.len()];
                // SAFETY: blocks of tokens and panels have no common place, and each pair is in one task, which one
                // thread has.
                body(tokens, own, unsafe { out.block(first, outputs, size) });
            }
            bytes::fence(stores);
        });
    }

    /// The outputs of each token, and what is added to them.
    fn rows(&self, shape: Shape, added: Option<&[f32]>) -> FlexTensor {
        let mut out = Buffer::new(shape.num_elements());
        if out.is_empty() {
            return shaped(out, shape);
        }
        let stores = Stores::of(out.len());
        self.blocks(&mut out, self.outputs, |tokens, panels, mut target| {
            self.products(tokens, panels, |number, range, sums, scales, columns| {
                let own = &panels[number];
                let mut to = target.part(&range, own.start - panels[0].start, own.len());
                let first = (tokens.start + range.start) * self.outputs + own.start;
                let with = match added {
                    Some(added) => With::Added(&added[first..], self.outputs),
                    None => With::Nothing,
                };
                bytes::write_rows(&mut to, sums, scales, columns, with, stores);
            });
        });
        shaped(out, shape)
    }

    /// The outputs of the first half, each times the GELU of its gate in the second.
    fn gated(&self, count: usize) -> FlexTensor {
        let features = self.outputs / 2;
        let mut out = Buffer::new(count * features);
        if out.is_empty() {
            return shaped(out, [count, features].into());
        }
        let stores = Stores::of(out.len());
        self.blocks(&mut out, features, |tokens, panels, mut target| {
            // Each panel of values before that of its gates.
            let gates = |own: &Range<usize>| own.start + features..own.end + features;
            let both: Vec<_> = panels
                .iter()
                .flat_map(|own| [own.clone(), gates(own)])
                .collect();
            scratch::with(self.values(tokens.len(), panels.len()), |values| {
                let rows = values.len() / panels.len() / WIDE;
                self.products(tokens, &both, |number, range, sums, scales, columns| {
                    let own = &panels[number / 2];
                    let first = (number / 2 * rows + range.start % rows) * WIDE;
                    if number.is_multiple_of(2) {
                        let memory = Shared::new(&mut *values);
                        // SAFETY: the one block of this memory.
                        let mut to = unsafe { memory.block(first, WIDE, [range.len(), WIDE]) };
                        let (with, stores) = (With::Nothing, Stores::Cached);
                        return bytes::write_rows(&mut to, sums, scales, columns, with, stores);
                    }
                    let with = With::Gated(&values[first..]);
                    let mut to = target.part(&range, own.start - panels[0].start, own.len());
                    bytes::write_rows(&mut to, sums, scales, columns, with, stores);
                });
            });
        });
        shaped(out, [count, features].into())
    }

    /// The outputs as channels of images, plus `skip`.
    fn to_pixels(&self, [items, count]: [usize; 2], skip: &FlexTensor) -> FlexTensor {
        let shape: [usize; 4] = skip.shape().dims();
        assert_eq!(
            [shape[0], shape[1], shape[2] * shape[3]],
            [items, self.outputs, count],
            "images of as many channels and pixels as there are outputs and tokens"
        );
        let skip = skip.to_contiguous();
        let skip = floats(&skip);
        let mut out = Buffer::new(items * self.outputs * count);
        let of_item = ranges(count, PIXELS);
        let blocks: Vec<_> = (0..items)
            .flat_map(|item| of_item.iter().map(move |range| (item, range.clone())))
            .collect();
        let ranges: Vec<_> = blocks.iter().map(|(_, range)| range.clone()).collect();
        let target = Shared::new(&mut out);
        let panels = panels(self.outputs);
        let tasks = grid(&ranges, panels.len(), self.inner);
        tasks.into_par_iter().for_each(|(block, range)| {
            let (item, pixels) = &blocks[block];
            let tokens = item * count + pixels.start..item * count + pixels.end;
            for own in &panels[range] {
                scratch::with(pixels.len().next_multiple_of(STRIP) * WIDE, |products| {
                    let rows = Shared::new(products);
                    self.products(
                        &tokens,
                        slice::from_ref(own),
                        |_, range, sums, scales, columns| {
                            // SAFETY: the one block of this memory.
                            let mut to = unsafe {
                                rows.block(range.start * WIDE, WIDE, [range.len(), WIDE])
                            };
                            let (with, stores) = (With::Nothing, Stores::Cached);
                            bytes::write_rows(&mut to, sums, scales, columns, with, stores);
                        },
                    );
                    let first = (item * self.outputs + own.start) * count + pixels.start;
                    let size = [own.len(), pixels.len()];
                    // SAFETY: as in `blocks`.
                    let mut to = unsafe { target.block(first, count, size) };
                    bytes::turn_into(&mut to, 0, products, [pixels.len(), own.len()]);
                    for channel in 0..own.len() {
                        add(&skip[first + channel * count..], to.row(channel));
                    }
                });
            }
        });
        image(out, shape)
    }
}

vectorised! {
    fn add(values: &[f32], to: &mut [f32]) {
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
    }
}
