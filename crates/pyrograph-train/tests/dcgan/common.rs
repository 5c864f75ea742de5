//! A small set, small networks, and how both are run.

use std::cell::Cell;

use burn::backend::Autodiff;
use burn_flex::Flex;
use pyrograph_data::{Jitter, LabelledImages};
use pyrograph_losses::{AdversarialLoss, GradientPenalty};
use pyrograph_models::{
    dcgan::{DcganConfig, Generator},
    weights::{NamedModel, StateDict, state_dict_of},
};
use pyrograph_train::{
    TrainError,
    dcgan::{AdversarialRecord, DcganHooks, DcganTraining, TrainedDcgan, train_dcgan},
    run_folder::RunFolder,
};
use tempfile::TempDir;

pub(crate) type A = Autodiff<Flex>;

pub(crate) fn digits() -> LabelledImages {
    let digits = pyrograph_art::stroke_digits(25, &[7, 8], 3).expect("a small set");
    digits.resized(16, 16).expect("smaller")
}

/// Batches of 8: three whole ones an epoch, and a rest of one image that is left out.
pub(crate) fn tiny(steps: u64) -> DcganTraining {
    let usual = DcganTraining::for_set(&digits());
    DcganTraining {
        model: DcganConfig {
            z_dim: 5,
            width: 4,
            blocks: 2,
            ..usual.model
        },
        jitter: Jitter {
            rotation: 5.0,
            ..Jitter::default()
        },
        penalty_every: 2,
        batch_size: 8,
        steps: Some(steps),
        sample_every: 0,
        checkpoint_every: 0,
        seed: 11,
        ..usual
    }
}

/// A training of each kind, by name.
pub(crate) fn every_kind(steps: u64) -> Vec<(&'static str, DcganTraining)> {
    let normed = |mut config: DcganTraining| {
        config.model.discriminator.norm = true;
        config.penalty = None;
        config
    };
    vec![
        ("stable", tiny(steps)),
        (
            "article, with smoothing and instance noise",
            DcganTraining {
                real_label: 0.9,
                instance_noise: 0.3,
                final_rate: 0.5,
                ema: None,
                ..normed(tiny(steps))
            },
        ),
        (
            "hinge",
            DcganTraining {
                loss: AdversarialLoss::Hinge,
                ..normed(tiny(steps))
            },
        ),
        (
            "wgan-gp",
            DcganTraining {
                loss: AdversarialLoss::Wasserstein,
                penalty: Some(GradientPenalty::Unit(10.0)),
                penalty_every: 1,
                discriminator_steps: 3,
                ..tiny(steps)
            },
        ),
    ]
}

/// A run folder that goes with the test.
pub(crate) struct Run {
    pub(crate) folder: RunFolder,
    _temporary: TempDir,
}

impl Run {
    pub(crate) fn new(config: &DcganTraining) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::create(temporary.path().join("run"), config).expect("a new folder");
        Self {
            folder,
            _temporary: temporary,
        }
    }

    pub(crate) fn train(
        &self,
        config: &DcganTraining,
        hooks: &mut impl DcganHooks<Flex>,
    ) -> Result<TrainedDcgan<Flex>, TrainError> {
        train_dcgan::<A>(config, &digits(), &self.folder, hooks, &Default::default())
    }

    pub(crate) fn log(&self) -> Vec<AdversarialRecord> {
        self.folder.metrics().expect("a readable log")
    }
}

/// Asks to stop once so many steps were begun, and counts pictures.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) stop_after: Option<u64>,
    pub(crate) begun: Cell<u64>,
    pub(crate) pictures: Vec<u64>,
    pub(crate) remarks: Vec<String>,
}

impl DcganHooks<Flex> for Notes {
    fn sample(
        &mut self,
        step: u64,
        _: &Generator<Flex>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.pictures.push(step);
        Ok(())
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

pub(crate) fn weights<M: NamedModel<Flex>>(model: &M) -> StateDict {
    state_dict_of(model).expect("readable")
}

#[track_caller]
pub(crate) fn assert_same_weights<M: NamedModel<Flex>>(a: &M, b: &M) {
    let (a, b) = (weights(a), weights(b));
    for key in a.keys() {
        assert_eq!(a.get(key), b.get(key), "{key}");
    }
}
