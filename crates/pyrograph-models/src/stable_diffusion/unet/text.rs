//! The inputs of cross-attention from the text: keys and values, computed once for all steps, or
//! kept outputs.

use burn::tensor::{Tensor, backend::Backend};

/// The text inputs of every cross-attention, in the order of a pass: keys and values by
/// [`text_keys`](super::UNet2DConditionModel::text_keys), or outputs of an earlier pass by
/// [`TextOutputs::mean`].
///
/// Keys and values depend only on the text, so they are the same at all steps.
#[derive(Clone, Debug)]
pub struct TextKeys<B: Backend> {
    sources: Vec<TextSource<B>>,
    rows: usize,
}

/// What one attention reads of the text.
#[derive(Clone, Debug)]
pub(super) enum TextSource<B: Backend> {
    /// Projections of the text's embeddings: [batch, length, width] each.
    Projected {
        key: Tensor<B, 3>,
        value: Tensor<B, 3>,
    },
    /// The output of the attention itself: [batch, tokens, width].
    Output(Tensor<B, 3>),
}

/// The outputs of all attentions to the text in one pass.
#[derive(Clone, Debug)]
pub struct TextOutputs<B: Backend> {
    outputs: Vec<Tensor<B, 3>>,
}

impl<B: Backend> TextKeys<B> {
    /// Of sources that all have `rows` rows.
    pub(super) fn new(sources: Vec<TextSource<B>>, rows: usize) -> Self {
        Self { sources, rows }
    }

    pub(super) fn sources(&self) -> &[TextSource<B>] {
        &self.sources
    }

    /// The rows of the batch that these keys are for.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The keys of a new batch: row `i` is row `rows[i].1` of `rows[i].0`. All must be of one
    /// network and of one kind: keys and values, or outputs.
    ///
    /// # Panics
    /// When `rows` is empty, names a missing row, or mixes networks or kinds: a caller's bug.
    pub fn gather(rows: &[(&Self, usize)]) -> Self {
        let (first, _) = rows[0];
        let is_whole = rows.len() == first.rows
            && rows
                .iter()
                .enumerate()
                .all(|(place, (keys, row))| std::ptr::eq(*keys, first) && *row == place);
        if is_whole {
            return first.clone();
        }
        let sources = (0..first.sources.len()).map(|place| {
            let parts = rows.iter().map(|(keys, row)| (&keys.sources[place], *row));
            TextSource::gather(parts)
        });
        Self::new(sources.collect(), rows.len())
    }
}

impl<B: Backend> TextSource<B> {
    fn gather<'a>(parts: impl Iterator<Item = (&'a Self, usize)> + Clone) -> Self {
        let cat = |tensor: fn(&Self) -> Option<&Tensor<B, 3>>| {
            let rows = parts
                .clone()
                .filter_map(|(part, row)| Some(tensor(part)?.clone().narrow(0, row, 1)));
            let rows: Vec<_> = rows.collect();
            assert!(
                rows.is_empty() || rows.len() == parts.clone().count(),
                "keys and outputs do not go into one batch"
            );
            (!rows.is_empty()).then(|| Tensor::cat(rows, 0))
        };
        match (cat(Self::key), cat(Self::value), cat(Self::output)) {
            (Some(key), Some(value), None) => Self::Projected { key, value },
            (None, None, Some(output)) => Self::Output(output),
            _ => unreachable!("a source has a key and a value, or an output"),
        }
    }

    fn key(&self) -> Option<&Tensor<B, 3>> {
        match self {
            Self::Projected { key, .. } => Some(key),
            Self::Output(_) => None,
        }
    }

    fn value(&self) -> Option<&Tensor<B, 3>> {
        match self {
            Self::Projected { value, .. } => Some(value),
            Self::Output(_) => None,
        }
    }

    fn output(&self) -> Option<&Tensor<B, 3>> {
        match self {
            Self::Output(output) => Some(output),
            Self::Projected { .. } => None,
        }
    }
}

impl<B: Backend> TextOutputs<B> {
    pub(super) fn new(outputs: Vec<Tensor<B, 3>>) -> Self {
        Self { outputs }
    }

    /// The mean over `rows` of each output, as the text input of one row from the next pass on:
    /// T-GATE ([Zhang et al., 2024](https://arxiv.org/abs/2404.02747)), where `rows` are the
    /// conditional and the unconditional row of a picture.
    ///
    /// # Panics
    /// When `rows` is empty or names a missing row: a caller's bug.
    pub fn mean(&self, rows: &[usize]) -> TextKeys<B> {
        let mean = |output: &Tensor<B, 3>| {
            let rows = rows.iter().map(|row| output.clone().narrow(0, *row, 1));
            TextSource::Output(Tensor::cat(rows.collect(), 0).mean_dim(0))
        };
        TextKeys::new(self.outputs.iter().map(mean).collect(), 1)
    }
}
