//! Training of SSD on images with boxes, and its evaluation.

mod batch;
mod best;
mod cache;
mod config;
mod devices;
mod distill;
mod distiller;
mod evaluate;
mod judging;
mod learner;
mod log;
mod optimizer;
#[cfg(feature = "several-devices")]
mod pool;
mod pseudo;
mod run;
mod session;
mod share;
mod targets;
mod teacher;
mod training;

pub use best::best_weights;
pub use config::{RateSchedule, SsdOptimizer, SsdTraining, StartFrom, Unfreeze};
pub use devices::check_devices;
pub use distill::{CacheOptions, Distillation, Unlabelled, UnlabelledSource, WeightedMethod};
pub use evaluate::score_set;
pub use log::{DetectionRecord, TermRecord};
pub use pseudo::{PseudoLabelling, PseudoLabels, label_by_teacher};
pub use run::{DetectionSource, SsdRun};
pub use teacher::{check_teacher, teacher_checksum};
pub use training::{SsdHooks, TrainedSsd, train_ssd, train_ssd_beside};
