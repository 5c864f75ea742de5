//! A small set, a small network, and how both are run.

use std::cell::Cell;

use burn::backend::Autodiff;
use burn_flex::Flex;
use pyrograph_data::detection::DetectionSet;
use pyrograph_metrics::VocReport;
use pyrograph_models::{
    ssd::{Ssd, SsdBackbone},
    weights::{StateDict, state_dict_of},
};
use pyrograph_train::{
    TrainError,
    run_folder::RunFolder,
    ssd::{DetectionRecord, SsdHooks, SsdTraining, TrainedSsd, train_ssd},
};
use tempfile::TempDir;

pub(crate) type A = Autodiff<Flex>;

/// Seven images: batches of two, and a rest of one that is left out.
pub(crate) fn scenes() -> DetectionSet {
    pyrograph_art::scenes(7, 48, 3).expect("a small set")
}

pub(crate) fn tiny(steps: u64) -> SsdTraining {
    SsdTraining {
        batch_size: 2,
        warm_up: 2,
        steps: Some(steps),
        checkpoint_every: 0,
        evaluate_every: 0,
        seed: 11,
        ..SsdTraining::for_set(&scenes(), SsdBackbone::Vgg16, 0.03125)
    }
}

/// A run folder that goes with the test.
pub(crate) struct Run {
    pub(crate) folder: RunFolder,
    _temporary: TempDir,
}

impl Run {
    pub(crate) fn new(config: &SsdTraining) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::create(temporary.path().join("run"), config).expect("a new folder");
        Self {
            folder,
            _temporary: temporary,
        }
    }

    pub(crate) fn train_on(
        &self,
        config: &SsdTraining,
        data: &DetectionSet,
        validation: Option<&DetectionSet>,
        hooks: &mut impl SsdHooks<Flex>,
    ) -> Result<TrainedSsd<Flex>, TrainError> {
        train_ssd::<A>(
            config,
            data,
            validation,
            &self.folder,
            hooks,
            &[Default::default()],
        )
    }

    /// On so many devices, of which this machine has one: it stands for each.
    pub(crate) fn train_shared(
        &self,
        config: &SsdTraining,
        devices: usize,
    ) -> Result<TrainedSsd<Flex>, TrainError> {
        let devices = vec![Default::default(); devices];
        train_ssd::<A>(config, &scenes(), None, &self.folder, &mut (), &devices)
    }

    pub(crate) fn train(
        &self,
        config: &SsdTraining,
        hooks: &mut impl SsdHooks<Flex>,
    ) -> Result<TrainedSsd<Flex>, TrainError> {
        self.train_on(config, &scenes(), None, hooks)
    }

    pub(crate) fn log(&self) -> Vec<DetectionRecord> {
        self.folder.metrics().expect("a readable log")
    }
}

/// Asks to stop once so many steps were begun, and counts evaluations.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) stop_after: Option<u64>,
    pub(crate) begun: Cell<u64>,
    pub(crate) evaluated: Vec<u64>,
    pub(crate) remarks: Vec<String>,
}

impl SsdHooks<Flex> for Notes {
    fn evaluated(&mut self, step: u64, _: &VocReport) {
        self.evaluated.push(step);
    }

    fn remark(&mut self, text: &str) {
        self.remarks.push(text.into());
    }

    fn stop_requested(&self) -> bool {
        let begun = self.begun.get();
        self.begun.set(begun + 1);
        self.stop_after.is_some_and(|steps| begun >= steps)
    }
}

pub(crate) fn weights(model: &Ssd<Flex>) -> StateDict {
    state_dict_of(model).expect("readable")
}

#[track_caller]
pub(crate) fn assert_same_weights(a: &Ssd<Flex>, b: &Ssd<Flex>) {
    let (a, b) = (weights(a), weights(b));
    for key in a.keys() {
        assert_eq!(a.get(key), b.get(key), "{key}");
    }
}
