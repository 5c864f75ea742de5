//! A small teacher, and what is learned from it.

use std::path::{Path, PathBuf};

use pyrograph_losses::DistillMethod;
use pyrograph_models::weights::{StateDict, TensorEntry};
use pyrograph_train::ssd::{
    Distillation, SsdTraining, WeightedMethod, best_weights, teacher_checksum,
};
use tempfile::TempDir;

use super::common::{Run, tiny};

/// A small detector that has learned next to nothing, in a file.
pub(crate) struct SmallTeacher {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl SmallTeacher {
    pub(crate) fn of(config: &SsdTraining) -> Self {
        let run = Run::new(config);
        run.train(config, &mut ()).expect("trained");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("teacher.safetensors");
        std::fs::copy(best_weights(&run.folder).expect("weights"), &path).expect("copied");
        Self {
            path,
            _folder: folder,
        }
    }

    /// Twice as wide as the student.
    pub(crate) fn new() -> Self {
        let mut config = tiny(2);
        config.model.width = 0.0625;
        config.seed = 5;
        Self::of(&config)
    }

    /// Its file with some tensors changed.
    pub(crate) fn change(&self, change: impl Fn(&str, &mut Vec<f32>)) {
        let mut dict = StateDict::open(&self.path).expect("reads");
        let keys: Vec<String> = dict.keys().map(str::to_owned).collect();
        for key in keys {
            let entry = dict.get(&key).expect("there");
            let (shape, mut values) = (entry.shape().to_vec(), entry.to_f32());
            change(&key, &mut values);
            dict.insert(key, TensorEntry::from_f32(shape, values));
        }
        let metadata = dict.metadata().clone();
        dict.save(&self.path, metadata).expect("written");
    }
}

pub(crate) fn learning(teacher: &Path, methods: &[(&str, f64)]) -> Distillation {
    let weighted = |&(name, weight): &(&str, f64)| WeightedMethod {
        method: name.parse::<DistillMethod>().expect("a method"),
        weight,
    };
    Distillation {
        teacher: teacher.into(),
        teacher_checksum: teacher_checksum(teacher).expect("reads"),
        teacher_classes: Vec::new(),
        methods: methods.iter().map(weighted).collect(),
        until: 1.0,
        every: 1,
        projector: Default::default(),
        cache: None,
        any_teacher: true,
        unlabelled: None,
    }
}

pub(crate) fn taught(steps: u64, distillation: Distillation) -> SsdTraining {
    SsdTraining {
        distillation: Some(distillation),
        ..tiny(steps)
    }
}

/// The message of a training that is refused.
#[track_caller]
pub(crate) fn refusal(config: &SsdTraining) -> String {
    let trained = Run::new(config).train(config, &mut ());
    trained.expect_err("refused").to_string()
}
