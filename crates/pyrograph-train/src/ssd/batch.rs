//! Batches that are read, augmented and matched while the trainer works.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use pyrograph_data::{
    DataError,
    detection::{BoxObject, DetectionSet},
    epoch_order,
};
use pyrograph_losses::{MatchedBoxes, PriorMatcher, TruthBox};
use pyrograph_vision::{RgbImage, resize_bilinear_chw};

use super::SsdTraining;
use crate::TrainError;

/// Batches that wait for the trainer, for each loader.
const AHEAD: usize = 2;

/// One step's images, and what the network is to say of them.
pub(super) struct Batch {
    /// [images, 3, side, side], normalised.
    pub(super) values: Vec<f32>,
    pub(super) matched: MatchedBoxes,
    pub(super) names: Vec<String>,
}

/// What a batch is made of: a function of the step alone.
struct Recipe {
    set: Arc<DetectionSet>,
    matcher: PriorMatcher,
    training: SsdTraining,
    per_epoch: u64,
}

/// Threads that make the batches of a run, in the order of its steps.
pub(super) struct Loader {
    /// Loader k makes steps k, k + n, k + 2n, …
    receivers: Vec<Receiver<Result<Batch, TrainError>>>,
    next: u64,
}

impl Loader {
    /// Batches from step `first` on, counted from 0.
    pub(super) fn start(
        set: Arc<DetectionSet>,
        training: &SsdTraining,
        first: u64,
    ) -> Result<Self, TrainError> {
        let priors = training.model.prior_boxes()?;
        let recipe = Arc::new(Recipe {
            per_epoch: training.steps_per_epoch(set.len()),
            matcher: PriorMatcher::new(priors, training.model.prior_config().coder()),
            training: training.clone(),
            set,
        });
        let loaders = training.loaders as u64;
        let receivers = (0..loaders)
            .map(|k| {
                let (sender, receiver) = sync_channel(AHEAD);
                let recipe = Arc::clone(&recipe);
                let steps = (first..).skip(k as usize).step_by(training.loaders);
                thread::Builder::new()
                    .name(format!("loader {k}"))
                    .spawn(move || load(&recipe, steps, &sender))
                    .map_err(|error| TrainError::io("a loader thread", error))?;
                Ok(receiver)
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(Self { receivers, next: 0 })
    }

    /// The next step's batch.
    pub(super) fn next(&mut self) -> Result<Batch, TrainError> {
        let loader = (self.next % self.receivers.len() as u64) as usize;
        self.next += 1;
        // A loader ends when nobody listens, or by a panic, which is a bug of ours.
        self.receivers[loader].recv().unwrap_or_else(|_| {
            let ended = std::io::Error::other("it has ended");
            Err(TrainError::io("a loader thread", ended))
        })
    }
}

/// Makes batches until nobody listens.
fn load(
    recipe: &Recipe,
    steps: impl Iterator<Item = u64>,
    sender: &SyncSender<Result<Batch, TrainError>>,
) {
    for step in steps {
        if sender.send(recipe.batch(step)).is_err() {
            return;
        }
    }
}

impl Recipe {
    fn batch(&self, step: u64) -> Result<Batch, TrainError> {
        let training = &self.training;
        let epoch = step / self.per_epoch;
        let order = epoch_order(self.set.len(), training.seed, epoch);
        let start = (step % self.per_epoch) as usize * training.batch_size;
        let items = &order[start..(start + training.batch_size).min(order.len())];
        let side = training.model.side();
        let size = 3 * side * side;
        let mut values = vec![0.0; items.len() * size];
        let mut truths = Vec::with_capacity(items.len());
        let mut names = Vec::with_capacity(items.len());
        for (values, &item) in values.chunks_exact_mut(size).zip(items) {
            let item = item as usize;
            let sample = &self.set.samples()[item];
            // Before anything is cut: a part of the image is chosen by what is trained on.
            let trained: Vec<BoxObject> = sample
                .objects
                .iter()
                .filter(|object| object.is_trained_on(training.difficult))
                .copied()
                .collect();
            let (image, objects) =
                training
                    .augment
                    .apply(self.set.image(item)?, &trained, training.seed, epoch, item);
            // The side is a constant of the architecture, far below u32's bound.
            let normalisation = &training.normalisation;
            resize_bilinear_chw(&image, side as u32, side as u32, normalisation, values)
                .map_err(DataError::from)?;
            truths.push(truths_of(&image, &objects));
            names.push(sample.name.clone());
        }
        Ok(Batch {
            values,
            matched: self.matcher.matches(&truths, training.loss.iou_threshold),
            names,
        })
    }
}

/// The objects in shares of the image.
fn truths_of(image: &RgbImage, objects: &[BoxObject]) -> Vec<TruthBox> {
    let (x, y) = (1.0 / image.width() as f32, 1.0 / image.height() as f32);
    objects
        .iter()
        .map(|object| TruthBox {
            bbox: object.bbox.scaled(x, y),
            class: object.class,
        })
        .collect()
}
