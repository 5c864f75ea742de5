//! SSD trained on images with boxes, and how well it finds them.

mod batch;
mod config;
mod devices;
mod evaluate;
mod log;
mod optimizer;
#[cfg(feature = "several-devices")]
mod pool;
mod pseudo;
mod run;
mod session;
mod share;
mod training;

pub use config::{RateSchedule, SsdOptimizer, SsdTraining, StartFrom};
pub use devices::check_devices;
pub use evaluate::score_set;
pub use log::DetectionRecord;
pub use pseudo::{PseudoLabelling, PseudoLabels, label_by_teacher};
pub use run::{DetectionSource, SsdRun};
pub use session::best_weights;
pub use training::{SsdHooks, TrainedSsd, train_ssd};
