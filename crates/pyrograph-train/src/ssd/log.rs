//! The log of the training of a detector.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_losses::MultiBoxTerms;
use serde::{Deserialize, Serialize};

use super::{SsdHooks, targets::NamedTerm};
use crate::{
    TrainError,
    run_folder::RunFolder,
    step_log::{PendingStep, StepLog},
};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRecord {
    /// Steps taken, this one included.
    pub step: u64,
    /// The epoch it belongs to, from 0.
    pub epoch: u64,
    /// The smooth L1 distance of the offsets, divided by the number of priors with an object.
    pub loc_loss: f32,
    /// The cross-entropy, divided by the number of priors with an object.
    pub conf_loss: f32,
    /// Number of priors with an object.
    pub positives: usize,
    /// The norm of all gradients together before clipping; `None` without clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f32>,
    /// The learning rate.
    pub rate: f64,
    /// The terms of a distillation by name; empty in a step without the teacher.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distillation: BTreeMap<String, TermRecord>,
    /// Mean average precision at IoU 0.5 on the validation images, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<f64>,
    /// The loss of the boxes on the validation images, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loc_loss: Option<f32>,
    /// The loss of the classes on the validation images, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_conf_loss: Option<f32>,
}

/// A term of a distillation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermRecord {
    /// The value of the term times the weight of its method.
    pub loss: f32,
    /// `loss` divided by the detection loss, the sum of `loc_loss` and `conf_loss`; 0 if the
    /// detection loss is 0.
    pub ratio: f32,
}

/// What to do after a divergence.
pub(super) const ADVICE: &str = "look at these images, and begin a new run in another folder with a lower `learning_rate` or a \
     smaller `clip_norm`";

/// A step whose figures are not read yet.
struct Pending {
    record: DetectionRecord,
    /// The terms of the distillation, by name.
    terms: Vec<&'static str>,
    /// The images of the batch.
    images: Vec<String>,
}

impl PendingStep for Pending {
    type Line = DetectionRecord;

    fn into_line(self, figures: &[f32], saved: Option<u64>) -> Result<DetectionRecord, TrainError> {
        let Self {
            mut record,
            terms: names,
            images,
        } = self;
        if let Some((term, value)) = not_finite(figures, &names) {
            return Err(TrainError::DivergedBatch {
                step: record.step,
                term,
                value,
                images,
                advice: ADVICE,
                saved,
            });
        }
        record.loc_loss = figures[0];
        record.conf_loss = figures[1];
        record.gradient_norm = record.gradient_norm.map(|_| figures[2]);
        let detection = record.loc_loss + record.conf_loss;
        let term = |loss: f32| TermRecord {
            loss,
            // JSON has no infinity.
            ratio: match detection > 0.0 {
                true => (loss / detection).clamp(f32::MIN, f32::MAX),
                false => 0.0,
            },
        };
        record.distillation = names
            .iter()
            .zip(&figures[FIGURES.len()..])
            .map(|(name, loss)| ((*name).into(), term(*loss)))
            .collect();
        Ok(record)
    }
}

/// Figures that wait on the device until it is time to read them.
pub(super) struct Log<'a, B: Backend> {
    steps: StepLog<'a, B, Pending>,
    /// Terms that were said to be larger than the detection loss.
    warned: Vec<String>,
}

impl<'a, B: Backend> Log<'a, B> {
    pub(super) fn new(run: &'a RunFolder) -> Self {
        Self {
            steps: StepLog::new(run),
            warned: Vec::new(),
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
        let norm = norm.unwrap_or_else(|| loc.zeros_like());
        let (terms, values): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
        let figures = [loc, conf, norm].into_iter().chain(values).collect();
        let pending = Pending {
            record,
            terms,
            images,
        };
        self.steps.push(figures, pending);
    }

    pub(super) fn is_full(&self) -> bool {
        self.steps.is_full()
    }

    /// The last line that was written.
    pub(super) fn last(&self) -> Option<&DetectionRecord> {
        self.steps.last()
    }

    /// Reads the figures that wait and writes them down, up to one that is no number, which is an
    /// error.
    pub(super) fn flush(
        &mut self,
        progress: f64,
        hooks: &mut impl SsdHooks<B>,
    ) -> Result<(), TrainError> {
        let (lines, diverged) = self.steps.read();
        self.write(&lines, progress, hooks)?;
        diverged.map_or(Ok(()), Err)
    }

    /// The same without the last step, whose line is given back: it waits for its evaluation. None
    /// where no step waits.
    pub(super) fn flush_but_last(
        &mut self,
        progress: f64,
        hooks: &mut impl SsdHooks<B>,
    ) -> Result<Option<DetectionRecord>, TrainError> {
        let (mut lines, diverged) = self.steps.read();
        let last = match diverged {
            None => lines.pop(),
            Some(_) => None,
        };
        self.write(&lines, progress, hooks)?;
        diverged.map_or(Ok(last), Err)
    }

    /// Writes lines down and tells `hooks` of them.
    pub(super) fn write(
        &mut self,
        lines: &[DetectionRecord],
        progress: f64,
        hooks: &mut impl SsdHooks<B>,
    ) -> Result<(), TrainError> {
        self.steps.write(lines)?;
        if !lines.is_empty() {
            self.warn_of_large_terms(lines, hooks);
            hooks.logged(lines, progress);
        }
        Ok(())
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

/// The first figure that is not finite. The terms of a distillation come first, as they are part of
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
