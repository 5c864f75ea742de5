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
use pyrograph_vision::{RgbImage, resize_bilinear_bytes_chw};

use super::SsdTraining;
use crate::TrainError;

/// Batches that wait for the trainer, for each loader.
const AHEAD: usize = 2;
/// What the seed of the pseudo-labelled images' order differs by from that of the labelled ones.
const PSEUDO_ORDER: u64 = 0x5EED_0F7E_AC4E_2500;

/// One step's images and targets.
pub(super) struct Batch {
    /// [images, 3, side, side]: bytes, which each network normalises in its own way.
    pub(super) pixels: Vec<f32>,
    pub(super) truths: Vec<Vec<TruthBox>>,
    pub(super) matched: MatchedBoxes,
    /// Which drawn view of which image each is; a cached training sees a view again.
    pub(super) views: Vec<u64>,
    pub(super) names: Vec<String>,
}

/// The images of a run.
#[derive(Clone)]
pub(super) struct Images {
    pub(super) labelled: Arc<DetectionSet>,
    /// Images whose objects a teacher found.
    pub(super) pseudo: Option<Arc<DetectionSet>>,
}

impl Images {
    fn len(&self) -> usize {
        self.labelled.len() + self.pseudo.as_ref().map_or(0, |set| set.len())
    }

    /// The views that a run with `draws` augmentations an image has.
    pub(super) fn views(&self, draws: u64) -> u64 {
        self.len() as u64 * draws
    }
}

/// An image of a batch: its number among all, its set and its place there, and the epoch whose
/// augmentation it has.
struct Item<'a> {
    number: usize,
    set: &'a DetectionSet,
    place: usize,
    epoch: u64,
}

/// What a batch is made of: a function of the step alone.
struct Recipe {
    images: Images,
    matcher: Arc<PriorMatcher>,
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
        images: Images,
        matcher: Arc<PriorMatcher>,
        training: &SsdTraining,
        first: u64,
    ) -> Result<Self, TrainError> {
        let recipe = Arc::new(Recipe {
            per_epoch: training.steps_per_epoch(images.labelled.len()),
            matcher,
            training: training.clone(),
            images,
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
        let items = self.items(step);
        let side = training.model.side();
        let size = 3 * side * side;
        let mut pixels = vec![0.0; items.len() * size];
        let mut truths = Vec::with_capacity(items.len());
        let mut names = Vec::with_capacity(items.len());
        let draws = self.draws();
        let mut views = Vec::with_capacity(items.len());
        for (pixels, item) in pixels.chunks_exact_mut(size).zip(&items) {
            let sample = &item.set.samples()[item.place];
            // Before anything is cut: a part of the image is chosen by what is trained on.
            let trained: Vec<BoxObject> = sample
                .objects
                .iter()
                .filter(|object| object.is_trained_on(training.difficult))
                .copied()
                .collect();
            let epoch = draws.map_or(item.epoch, |draws| item.epoch % draws);
            let image = item.set.image(item.place)?;
            let (image, objects) =
                training
                    .augment
                    .apply(image, &trained, training.seed, epoch, item.number);
            // The side is a constant of the architecture, far below u32's bound.
            resize_bilinear_bytes_chw(&image, side as u32, side as u32, pixels)
                .map_err(DataError::from)?;
            truths.push(truths_of(&image, &objects));
            names.push(sample.name.clone());
            views.push(item.number as u64 * draws.unwrap_or(1) + epoch);
        }
        Ok(Batch {
            pixels,
            matched: self.matcher.matches(&truths, training.loss.iou_threshold),
            truths,
            views,
            names,
        })
    }

    /// The number of augmentations of an image that repeat; `None` if each epoch draws its own.
    fn draws(&self) -> Option<u64> {
        let distillation = self.training.distillation.as_ref()?;
        Some(distillation.cache.as_ref()?.draws)
    }

    /// Labelled images of this epoch's order, then pseudo-labelled ones of theirs.
    fn items(&self, step: u64) -> Vec<Item<'_>> {
        let (training, labelled) = (&self.training, &self.images.labelled);
        let epoch = step / self.per_epoch;
        let order = epoch_order(labelled.len(), training.seed, epoch);
        let per_batch = training.labelled_per_batch();
        let start = (step % self.per_epoch) as usize * per_batch;
        let places = &order[start..(start + per_batch).min(order.len())];
        let mut items: Vec<Item<'_>> = places
            .iter()
            .map(|&place| Item {
                number: place as usize,
                set: labelled,
                place: place as usize,
                epoch,
            })
            .collect();
        let Some(pseudo) = &self.images.pseudo else {
            return items;
        };
        let (count, len) = (
            (training.batch_size - per_batch) as u64,
            pseudo.len() as u64,
        );
        let seed = training.seed ^ PSEUDO_ORDER;
        for position in step * count..(step + 1) * count {
            let epoch = position / len;
            let place = epoch_order(pseudo.len(), seed, epoch)[(position % len) as usize] as usize;
            items.push(Item {
                number: labelled.len() + place,
                set: pseudo,
                place,
                epoch,
            });
        }
        items
    }
}

/// The objects in shares of the image.
pub(super) fn truths_of(image: &RgbImage, objects: &[BoxObject]) -> Vec<TruthBox> {
    let (x, y) = (1.0 / image.width() as f32, 1.0 / image.height() as f32);
    objects
        .iter()
        .map(|object| TruthBox {
            bbox: object.bbox.scaled(x, y),
            class: object.class,
        })
        .collect()
}
