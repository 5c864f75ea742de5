//! What the training of a detector writes down.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_losses::MultiBoxTerms;
use serde::{Deserialize, Serialize};

use super::{SsdHooks, targets::NamedTerm};
use crate::{TrainError, run_folder::RunFolder};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The terms of a distillation by name; none in a step that asked no teacher.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distillation: BTreeMap<String, TermRecord>,
    /// Mean average precision at IoU 0.5 on the validation images, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<f64>,
    /// The loss of the boxes on the validation images, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loc_loss: Option<f32>,
    /// The loss of the classes on the validation images, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_conf_loss: Option<f32>,
}

/// A term of a distillation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermRecord {
    /// Its value times the weight of its method.
    pub loss: f32,
    /// That value over the detection loss, the sum of `loc_loss` and `conf_loss`; 0 where that is
    /// 0.
    pub ratio: f32,
}

/// A step's figures on the device, each `[1]`.
struct Figures<B: Backend> {
    loc: Tensor<B, 1>,
    conf: Tensor<B, 1>,
    norm: Option<Tensor<B, 1>>,
    terms: Vec<NamedTerm<B>>,
}

/// Steps between reads of the figures from the device.
const LOG_EVERY: usize = 10;

/// Figures that wait on the device until it is time to read them.
pub(super) struct Log<'a, B: Backend> {
    run: &'a RunFolder,
    pending: Vec<(Figures<B>, DetectionRecord, Vec<String>)>,
    /// Terms that were said to be larger than the detection loss.
    warned: Vec<String>,
    pub(super) last: Option<DetectionRecord>,
}

impl<'a, B: Backend> Log<'a, B> {
    pub(super) fn new(run: &'a RunFolder) -> Self {
        Self {
            run,
            pending: Vec::new(),
            warned: Vec::new(),
            last: None,
        }
    }

    /// Keeps a step's figures with the names of its images.
    pub(super) fn push(
        &mut self,
        losses: MultiBoxTerms<B>,
        terms: Vec<NamedTerm<B>>,
        norm: Option<Tensor<B, 1>>,
        record: DetectionRecord,
        images: Vec<String>,
    ) {
        let MultiBoxTerms { loc, conf, .. } = losses;
        let figures = Figures {
            loc,
            conf,
            norm,
            terms,
        };
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
            let (names, terms): (Vec<_>, Vec<_>) = figures.terms.into_iter().unzip();
            columns.extend(terms);
            steps.push((record, names, images));
        }
        let values: Vec<f32> = Tensor::cat(columns, 0).into_data().iter::<f32>().collect();
        let mut values = values.into_iter();
        let mut records = Vec::with_capacity(steps.len());
        let mut diverged = None;
        for (mut record, names, images) in steps {
            let count = FIGURES.len() + names.len();
            let values: Vec<f32> = values.by_ref().take(count).collect();
            if let Some((term, value)) = not_finite(&values, &names) {
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
            let detection = record.loc_loss + record.conf_loss;
            let terms = names.iter().zip(&values[FIGURES.len()..]);
            let term = |loss: f32| TermRecord {
                loss,
                // JSON has no infinity.
                ratio: match detection > 0.0 {
                    true => (loss / detection).clamp(f32::MIN, f32::MAX),
                    false => 0.0,
                },
            };
            record.distillation = terms
                .map(|(name, loss)| ((*name).into(), term(*loss)))
                .collect();
            records.push(record);
        }
        if !records.is_empty() {
            self.run.append_metrics(&records)?;
            self.last = records.last().cloned();
            self.warn_of_large_terms(&records, hooks);
            hooks.logged(&records, progress);
        }
        diverged.map_or(Ok(()), Err)
    }

    /// Says once of each term that it outweighs the detection loss.
    fn warn_of_large_terms(&mut self, records: &[DetectionRecord], hooks: &mut impl SsdHooks<B>) {
        let mut sums: BTreeMap<&str, (f32, usize)> = BTreeMap::new();
        for (name, term) in records.iter().flat_map(|record| &record.distillation) {
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + term.ratio.abs(), sum.1 + 1);
        }
        for (name, (sum, count)) in sums {
            let mean = sum / count as f32;
            if mean > 1.0 && !self.warned.iter().any(|warned| warned == name) {
                self.warned.push(name.into());
                hooks.remark(&format!(
                    "the distillation term `{name}` is {mean:.2} times the detection loss: it may drown the boxes; a lower weight is safer"
                ));
            }
        }
    }
}

/// What every step has, before the terms of a distillation.
const FIGURES: [&str; 3] = [
    "loss of the boxes",
    "loss of the classes",
    "norm of the gradients",
];

/// The first figure that is no number. The terms of a distillation come first, as they are part of
/// the norm.
fn not_finite(values: &[f32], names: &[&'static str]) -> Option<(String, f32)> {
    let (figures, terms) = values.split_at(FIGURES.len());
    let losses = FIGURES
        .iter()
        .zip(figures)
        .take(2)
        .map(|(name, value)| (name.to_string(), *value));
    let terms = names
        .iter()
        .zip(terms)
        .map(|(name, value)| (format!("distillation term `{name}`"), *value));
    let norm = std::iter::once((FIGURES[2].to_string(), figures[2]));
    losses
        .chain(terms)
        .chain(norm)
        .find(|(_, value)| !value.is_finite())
}
