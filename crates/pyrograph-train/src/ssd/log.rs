//! What the training of a detector writes down.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_losses::MultiBoxTerms;
use serde::{Deserialize, Serialize};

use super::SsdHooks;
use crate::{TrainError, run_folder::RunFolder};

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRecord {
    /// Steps taken, this one included.
    pub step: u64,
    /// The epoch it belongs to, from 0.
    pub epoch: u64,
    /// The smooth L1 distance of the offsets, over the priors with an object.
    pub loc_loss: f32,
    /// The cross-entropy, over the priors with an object.
    pub conf_loss: f32,
    /// Priors with an object.
    pub positives: usize,
    /// The norm of all gradients together, before clipping; none without clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f32>,
    /// The learning rate.
    pub rate: f64,
    /// Mean average precision at IoU 0.5 on the validation images, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<f64>,
}

/// A step's figures on the device, each `[1]`.
struct Figures<B: Backend> {
    loc: Tensor<B, 1>,
    conf: Tensor<B, 1>,
    norm: Option<Tensor<B, 1>>,
}

/// Steps between reads of the figures from the device.
const LOG_EVERY: usize = 10;

/// Figures that wait on the device until it is time to read them.
pub(super) struct Log<'a, B: Backend> {
    run: &'a RunFolder,
    pending: Vec<(Figures<B>, DetectionRecord, Vec<String>)>,
    pub(super) last: Option<DetectionRecord>,
}

impl<'a, B: Backend> Log<'a, B> {
    pub(super) fn new(run: &'a RunFolder) -> Self {
        Self {
            run,
            pending: Vec::new(),
            last: None,
        }
    }

    /// Keeps a step's figures with the names of its images.
    pub(super) fn push(
        &mut self,
        terms: MultiBoxTerms<B>,
        norm: Option<Tensor<B, 1>>,
        record: DetectionRecord,
        images: Vec<String>,
    ) {
        let MultiBoxTerms { loc, conf, .. } = terms;
        let figures = Figures { loc, conf, norm };
        self.pending.push((figures, record, images));
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= LOG_EVERY
    }

    /// Reads what waits, and writes it down, up to a figure that is no number, which is an error.
    pub(super) fn flush(
        &mut self,
        progress: f64,
        hooks: &mut impl SsdHooks<B>,
    ) -> Result<(), TrainError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut steps = Vec::with_capacity(self.pending.len());
        let mut columns = Vec::new();
        for (figures, record, images) in self.pending.drain(..) {
            let norm = figures.norm.unwrap_or_else(|| figures.loc.zeros_like());
            columns.extend([figures.loc, figures.conf, norm]);
            steps.push((record, images));
        }
        let values: Vec<f32> = Tensor::cat(columns, 0).into_data().iter::<f32>().collect();
        let mut records = Vec::with_capacity(steps.len());
        let mut diverged = None;
        for ((mut record, images), values) in steps.into_iter().zip(values.chunks_exact(3)) {
            let terms = [
                "loss of the boxes",
                "loss of the classes",
                "norm of the gradients",
            ];
            let not_finite = terms
                .into_iter()
                .zip(values)
                .find(|(_, value)| !value.is_finite());
            if let Some((term, &value)) = not_finite {
                diverged = Some(TrainError::DivergedBatch {
                    step: record.step,
                    term,
                    value,
                    images,
                });
                break;
            }
            record.loc_loss = values[0];
            record.conf_loss = values[1];
            record.gradient_norm = record.gradient_norm.map(|_| values[2]);
            records.push(record);
        }
        if !records.is_empty() {
            self.run.append_metrics(&records)?;
            self.last = records.last().copied();
            hooks.logged(&records, progress);
        }
        diverged.map_or(Ok(()), Err)
    }
}
