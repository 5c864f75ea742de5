//! A small set, a small network, and how both are run.

use std::{cell::Cell, error::Error};

use burn::{backend::Autodiff, tensor::backend::Backend};
use burn_flex::Flex;
use pyrograph_data::SpriteSet;
use pyrograph_models::{
    context_unet::{ContextUnet, ContextUnetConfig},
    weights::{StateDict, state_dict_of},
};
use pyrograph_train::{
    TrainError,
    run_folder::RunFolder,
    sprites::{Moment, SpriteHooks, SpriteTraining, StepRecord, Trained, train_sprites},
};
use tempfile::TempDir;

pub(crate) type A = Autodiff<Flex>;

/// Ten images more than two batches: an epoch is three steps, and the third is smaller.
pub(crate) const COUNT: usize = 50;
pub(crate) const BATCH: usize = 20;
pub(crate) const PER_EPOCH: u64 = 3;

pub(crate) fn sprites() -> SpriteSet {
    pyrograph_art::sprites(COUNT, 3).expect("a small set")
}

/// A network of width 8 and a run of `steps` with one checkpoint, at its end.
pub(crate) fn tiny(set: &SpriteSet, steps: u64) -> SpriteTraining {
    let base = SpriteTraining::for_set(set);
    SpriteTraining {
        model: ContextUnetConfig {
            n_feat: 8,
            ..base.model
        },
        batch_size: BATCH,
        steps: Some(steps),
        sample_every: 0,
        checkpoint_every: 0,
        seed: 11,
        ..base
    }
}

/// A run folder that goes with the test.
pub(crate) struct Run {
    pub(crate) folder: RunFolder,
    _temporary: TempDir,
}

impl Run {
    pub(crate) fn new(config: &SpriteTraining) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::create(temporary.path().join("run"), config).expect("a new folder");
        Self {
            folder,
            _temporary: temporary,
        }
    }

    pub(crate) fn train(
        &self,
        config: &SpriteTraining,
        set: &SpriteSet,
    ) -> Result<Trained<Flex>, TrainError> {
        self.train_with(config, set, &mut ())
    }

    pub(crate) fn train_with(
        &self,
        config: &SpriteTraining,
        set: &SpriteSet,
        hooks: &mut impl SpriteHooks<Flex>,
    ) -> Result<Trained<Flex>, TrainError> {
        train_sprites::<A>(config, set, &self.folder, hooks, &Default::default())
    }

    /// Trains for `steps` more steps, then stops as a person would.
    pub(crate) fn train_for(&self, steps: u64, config: &SpriteTraining, set: &SpriteSet) {
        let trained = self
            .train_with(config, set, &mut StopAfter::new(steps))
            .expect("legal");
        assert!(trained.interrupted, "stopped at step {}", trained.steps);
    }

    pub(crate) fn log(&self) -> Vec<StepRecord> {
        self.folder.metrics().expect("a readable log")
    }

    pub(crate) fn losses(&self) -> Vec<f32> {
        self.log().iter().map(|line| line.loss).collect()
    }

    /// Steps of the whole checkpoints.
    pub(crate) fn checkpoints(&self) -> Vec<u64> {
        self.folder
            .checkpoints()
            .expect("readable")
            .into_iter()
            .map(|(step, _)| step)
            .collect()
    }
}

/// A run of `config` from its start to its end.
pub(crate) fn unbroken(config: &SpriteTraining, set: &SpriteSet) -> (Run, Trained<Flex>) {
    let run = Run::new(config);
    let trained = run.train(config, set).expect("legal");
    (run, trained)
}

/// Asks to stop once so many steps were begun.
pub(crate) struct StopAfter(Cell<u64>);

impl StopAfter {
    pub(crate) fn new(steps: u64) -> Self {
        Self(Cell::new(steps))
    }
}

impl<B: Backend> SpriteHooks<B> for StopAfter {
    fn stop_requested(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

/// Notes what it is told.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) logged: Vec<(StepRecord, f64)>,
    pub(crate) samples: Vec<u64>,
    /// Fails instead of sampling.
    pub(crate) refuse: bool,
    /// Says that no picture is there.
    pub(crate) lost_samples: bool,
    pub(crate) remarks: Vec<String>,
}

impl<B: Backend> SpriteHooks<B> for Notes {
    fn logged(&mut self, records: &[StepRecord], progress: f64) {
        self.logged
            .extend(records.iter().map(|&record| (record, progress)));
    }

    fn sample(
        &mut self,
        moment: Moment,
        _: &ContextUnet<B>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.samples.push(moment.epochs);
        if self.refuse {
            Err("no more paper".into())
        } else {
            Ok(())
        }
    }

    fn has_sample(&self, _: Moment) -> bool {
        !self.lost_samples
    }

    fn remark(&mut self, text: &str) {
        self.remarks.push(text.to_owned());
    }
}

pub(crate) fn weights(model: &ContextUnet<Flex>) -> StateDict {
    state_dict_of(model).expect("readable")
}

/// Equal to the bit, tensor by tensor.
#[track_caller]
pub(crate) fn assert_same_weights(ours: &StateDict, theirs: &StateDict) {
    assert!(ours.keys().eq(theirs.keys()), "the names differ");
    for key in ours.keys() {
        let (a, b) = (ours.get(key).expect(key), theirs.get(key).expect(key));
        assert_eq!(a.shape(), b.shape(), "{key}");
        let differ = a
            .to_f32()
            .iter()
            .zip(&b.to_f32())
            .position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(differ, None, "{key} differs");
    }
}

/// The weights in one file of the last checkpoint.
#[track_caller]
pub(crate) fn saved(run: &Run, name: &str) -> StateDict {
    let (_, folder) = run.folder.last_checkpoint().expect("a checkpoint");
    StateDict::open(folder.join(name)).expect(name)
}

pub(crate) fn mean(losses: &[f32]) -> f32 {
    losses.iter().sum::<f32>() / losses.len() as f32
}
