//! Linear layers whose outputs are the channels of an image.

use std::ops::Range;

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        buffers::Buffer,
        features::vectorised,
        half::{Pairs, Values},
        math,
        product::{Into, Matrix, Shared, Target},
        scratch,
        tensors::{floats, image},
        words::{self, Panels, Rows},
    },
    Weight,
    tokens::Tokens,
};

/// Pixels of a block.
const PIXELS: usize = 256;
/// Output channels of a block.
const CHANNELS: usize = 192;

/// `W·x + b` for every token, plus `skip`: `x` [batch, height·width, in], `skip` and result [batch, out, height, width].
pub(super) fn to_pixels(
    x: &FlexTensor,
    weight: Weight<'_>,
    bias: Option<&FlexTensor>,
    skip: &FlexTensor,
) -> FlexTensor {
    let [batch, count, inner] = x.shape().dims();
    let outputs = weight.outputs;
    let shape: [usize; 4] = skip.shape().dims();
    assert_eq!(inner, weight.inner, "the features of a linear layer");
    assert_eq!(
        [shape[0], shape[1], shape[2] * shape[3]],
        [batch, outputs, count],
        "images of as many channels and pixels as there are outputs and tokens"
    );
    let [x, skip] = [x, skip].map(FlexTensor::to_contiguous);
    let bias = bias.map(FlexTensor::to_contiguous);
    let job = Job {
        x: Tokens::Rows(floats(&x)),
        weight: weight.values,
        pairs: weight.values.is_paired().then(|| weight.values.all_pairs()),
        bias: bias.as_ref().map(floats),
        skip: floats(&skip),
        inner,
        count,
        outputs,
    };
    let mut out = Buffer::new(batch * outputs * count);
    let target = Shared::new(&mut out);
    let across = count.div_ceil(PIXELS);
    (0..batch * across).into_par_iter().for_each(|block| {
        let (item, first) = (block / across, block % across * PIXELS);
        job.pixels(item, first..count.min(first + PIXELS), &target);
    });
    image(out, shape)
}

struct Job<'a> {
    x: Tokens<'a>,
    weight: Values<'a>,
    /// The weight where products run in bf16: all pixels see all of it.
    pairs: Option<Pairs<'a>>,
    bias: Option<&'a [f32]>,
    skip: &'a [f32],
    inner: usize,
    count: usize,
    outputs: usize,
}

impl Job<'_> {
    /// All channels of some pixels of an image.
    fn pixels(&self, item: usize, pixels: Range<usize>, out: &Shared<'_>) {
        let inner = self.inner;
        let Some(weight) = &self.pairs else {
            let x = self.x.matrix(item, self.count, pixels.clone(), inner);
            return self.groups(item, &pixels, out, |first, channels, into, target| {
                let weight = self.weight.part(first * inner..(first + channels) * inner);
                weight.with(|weight| {
                    let weight = Matrix::by_rows(weight, channels, inner);
                    target.product(&(weight, x.transposed()), into);
                });
            });
        };
        let columns = pixels.len();
        scratch::with_numbers(Panels::<bf16>::words(inner, columns), |words| {
            self.pack(item, pixels.clone(), words);
            let panels = Panels::new(words, inner, columns);
            self.groups(item, &pixels, out, |first, channels, into, target| {
                let weight = &weight[first * inner..(first + channels) * inner];
                let rows = Rows::new(weight, channels, inner, inner);
                target.product(&(rows, panels), into);
            });
        });
    }

    fn pack(&self, item: usize, pixels: Range<usize>, words: &mut [u32]) {
        let (inner, columns) = (self.inner, pixels.len());
        let Tokens::Rows(values) = self.x else {
            unreachable!("tokens are rows here");
        };
        let first = (item * self.count + pixels.start) * inner;
        scratch::with_numbers(columns * inner, |rounded: &mut [bf16]| {
            words::narrow(&values[first..][..columns * inner], rounded);
            words::pack_columns(words, rounded, inner, [inner, columns]);
        });
    }

    /// Runs `product` on groups of channels: after their skip and bias have been written, or before, where their sums have scales.
    fn groups(
        &self,
        item: usize,
        pixels: &Range<usize>,
        out: &Shared<'_>,
        mut product: impl FnMut(usize, usize, Into, &mut Target<'_>),
    ) {
        for first in (0..self.outputs).step_by(CHANNELS) {
            let channels = CHANNELS.min(self.outputs - first);
            let place = |channel: usize| {
                (item * self.outputs + first + channel) * self.count + pixels.start
            };
            // SAFETY: a pixel of an image is in one block, which one thread writes, one group after the other.
            let mut target = unsafe { out.block(place(0), self.count, [channels, pixels.len()]) };
            let scales = self.weight.scales_of_sums();
            if scales.is_some() {
                product(first, channels, Into::Overwrite, &mut target);
            }
            for channel in 0..channels {
                let bias = self.bias.map_or(0.0, |bias| bias[first + channel]);
                let skip = &self.skip[place(channel)..][..pixels.len()];
                match scales {
                    Some(scales) => {
                        scale_and_add(target.row(channel), scales[first + channel], skip, bias);
                    }
                    None => plus(skip, bias, target.row(channel)),
                }
            }
            if scales.is_none() {
                product(first, channels, Into::Add, &mut target);
            }
        }
    }
}

vectorised! {
    /// `sum · scale + value + number`.
    fn scale_and_add(sums: &mut [f32], scale: f32, values: &[f32], number: f32) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = math::fused::<FUSED>(*sum, scale, value + number);
        }
    }
}

vectorised! {
    fn plus(values: &[f32], number: f32, to: &mut [f32]) {
        for (to, value) in to.iter_mut().zip(values) {
            *to = value + number;
        }
    }
}
