//! The training itself, and what it shows on the way.

use anyhow::Context;
use pyrograph::{
    backend::{
        Device, DevicesTask,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::detection::DetectionSet,
    metrics::VocReport,
    models::{ModelError, ssd::Transfer, weights::StateDict},
    train::{
        run_folder::RunFolder,
        ssd::{
            DetectionRecord, SsdHooks, SsdTraining, check_devices, check_teacher, train_ssd_beside,
        },
    },
};

use crate::training::{Summary, Watch};

/// Whether a training can begin: its devices start, and the weights that it begins from fit.
pub(super) struct Start {
    pub(super) training: SsdTraining,
    pub(super) classes: Vec<String>,
}

impl DevicesTask for Start {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>, others: Vec<Device<B>>) -> Self::Output {
        if self.training.distillation.is_none() {
            check_devices(1 + others.len())?;
        }
        let teacher_device = others.first().unwrap_or(&device);
        check_teacher::<B::InnerBackend>(&self.training, &self.classes, teacher_device)?;
        let Some(start) = &self.training.start else {
            return Ok(());
        };
        let dict = StateDict::open(&start.path)?;
        let model = &self.training.model;
        let begun = model.init_from::<B::InnerBackend>(
            &dict,
            start.part.as_deref(),
            start.transfer,
            &device,
            0,
        );
        match begun {
            Ok(_) => Ok(()),
            Err(error) => {
                let hint = hint(&error, start.transfer);
                Err(error).context(format!("--start: {hint}"))
            }
        }
    }
}

/// What to try where weights do not fit.
fn hint(error: &ModelError, transfer: Transfer) -> &'static str {
    let ModelError::Architecture { report, .. } = error else {
        return "these weights cannot be taken";
    };
    let tells_classes =
        |key: &str| key.contains("conf.") || key.contains("classification_headers.");
    let of_heads_alone =
        report.missing.is_empty() && report.shapes.iter().all(|(key, ..)| tells_classes(key));
    match transfer {
        Transfer::All if of_heads_alone => {
            "the file tells other classes: --transfer replace-heads takes all but the heads that tell them"
        }
        _ if !report.shapes.is_empty() => {
            "its layers are of another size: see --width, --backbone and --batch-norm"
        }
        Transfer::All | Transfer::ReplaceHeads => {
            "it is no whole detector of this kind: --transfer backbone takes a backbone alone; see --backbone and --batch-norm too"
        }
        Transfer::Backbone => "it is no such backbone: see --backbone and --batch-norm",
    }
}

pub(super) struct Job {
    pub(super) run: RunFolder,
    /// Whether the further device is a teacher's.
    pub(super) distils: bool,
    pub(super) training: SsdTraining,
    pub(super) data: DetectionSet,
    pub(super) validation: Option<DetectionSet>,
    pub(super) watch: Watch,
}

impl DevicesTask for Job {
    type Output = anyhow::Result<Summary<DetectionRecord>>;

    fn run<B: VisionAutodiff>(mut self, device: Device<B>, others: Vec<Device<B>>) -> Self::Output {
        let (devices, teacher) = match self.distils {
            true => (
                vec![device.clone()],
                others.first().cloned().unwrap_or(device),
            ),
            false => ([vec![device.clone()], others].concat(), device),
        };
        let trained = train_ssd_beside::<B>(
            &self.training,
            &self.data,
            self.validation.as_ref(),
            &self.run,
            &mut self.watch,
            &devices,
            &teacher,
        );
        let trained = trained?;
        Ok(Summary {
            steps: trained.steps,
            seconds: trained.seconds,
            last: trained.last,
            best: trained.best,
            interrupted: trained.interrupted,
            picture: None,
        })
    }
}

impl<B: VisionBackend> SsdHooks<B> for Watch {
    fn logged(&mut self, records: &[DetectionRecord], progress: f64) {
        if let Some(last) = records.last() {
            let (loc, conf, rate) = (last.loc_loss, last.conf_loss, last.rate);
            let figures = format!("boxes {loc:.3} classes {conf:.3} lr {rate:.1e}");
            self.at(last.step, records.len(), progress, &figures);
        }
    }

    fn evaluated(&mut self, step: u64, report: &VocReport) {
        if let Some(map) = report.map {
            Watch::remark(self, &format!("step {step}: mAP@.5 {map:.4}"));
        }
    }

    fn remark(&mut self, text: &str) {
        Watch::remark(self, text);
    }

    fn stop_requested(&self) -> bool {
        Watch::stop_requested(self)
    }
}
