//! A run's network and optimizer, fresh or from the last whole checkpoint.

use std::path::{Path, PathBuf};

use burn::{module::AutodiffModule, optim::Optimizer};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_models::{
    ssd::{DetectorCard, Projectors, Ssd, SsdConfig},
    weights::{StateDict, save_weights},
};

use super::{
    DetectionRecord, SsdTraining, StartFrom,
    best::{BestNote, best_of, best_path},
    learner::Learner,
    log::ADVICE,
    optimizer::Parted,
    training::Inputs,
};
use crate::{
    Ema, TrainError, checkpoint,
    checkpoint_writer::CheckpointWriter,
    clock::RunClock,
    resume::{Resumed, drop_metrics_after},
    run_folder::RunFolder,
};

/// The projectors of a distillation, beside the network: they are no part of it.
const PROJECTORS: &str = "projectors.safetensors";
/// The seed of fresh projectors differs from the network's by this.
const PROJECTOR_SEED: u64 = 0x9707_EC70;
/// The line of the log of a step whose evaluation was due when the checkpoint was written.
const UNJUDGED: &str = "unjudged-step.json";

/// What changes from step to step.
pub(super) struct Session<B: VisionAutodiff, O> {
    pub(super) learner: Learner<B>,
    pub(super) ema: Option<Ema<Ssd<B::InnerBackend>>>,
    pub(super) optimizer: Parted<O>,
    pub(super) clock: RunClock,
    /// The network of the best evaluation, in a run that keeps none on disk.
    pub(super) best: Option<Ssd<B::InnerBackend>>,
    /// The line of the last step, where its evaluation is due still.
    pub(super) unjudged: Option<DetectionRecord>,
    card: DetectorCard,
}

impl<B, O> Session<B, O>
where
    B: VisionAutodiff,
    O: Optimizer<Learner<B>, B>,
{
    /// Continues from the last whole checkpoint of `run`, or begins; what the user should know goes to `remark`.
    pub(super) fn start(
        inputs: Inputs<'_, B>,
        card: DetectorCard,
        optimizer: Parted<O>,
        teacher: Option<&SsdConfig>,
        remark: &mut dyn FnMut(&str),
    ) -> Result<Self, TrainError> {
        let Inputs {
            config, data, run, ..
        } = inputs;
        let device = inputs.devices.main();
        let mut resumed = Resumed::find(run, config.seed, data, remark)?;
        let model: Ssd<B> = match (resumed.model(&config.model, device)?, &config.start) {
            (Some(model), _) => model,
            (None, None) => config.model.init(device, config.seed)?,
            (None, Some(from)) => begin_from(config, from, remark, device)?,
        };
        let teacher = teacher.filter(|_| config.wants_projectors());
        let projectors = match teacher {
            None => Projectors::none(),
            Some(teacher) => projectors(config, teacher, resumed.folder.as_deref(), device)?,
        };
        let learner = Learner::new(model, projectors);
        let ema = resumed.average(config.ema, &learner.network, &config.model, device)?;
        let optimizer = optimizer.resumed::<B, Learner<B>>(&resumed, device)?;
        let unjudged = match &resumed.folder {
            None => None,
            Some(folder) => unjudged_step(run, folder, resumed.state.step)?,
        };
        let logged = resumed.state.step - u64::from(unjudged.is_some());
        drop_metrics_after(run, logged, |line: &DetectionRecord| line.step)?;
        resumed.state.best = best_of(run, resumed.state.best);
        Ok(Self {
            learner: learner.freeze(config.freeze),
            ema,
            optimizer,
            clock: RunClock::new(config.limits(data.len()), resumed.state),
            best: None,
            unjudged,
            card,
        })
    }

    /// Writes a checkpoint and gives its folder; its weights must be finite. `unjudged` is the line
    /// of the step where its evaluation is due still: a run that is killed in it owes it.
    pub(super) fn save(
        &self,
        config: &SsdTraining,
        run: &RunFolder,
        unjudged: Option<&DetectionRecord>,
    ) -> Result<PathBuf, TrainError> {
        let average = self.ema.as_ref().map(Ema::model);
        let notes = self.card.to_note()?;
        self.writer(run).write(
            &self.learner.network.valid(),
            average,
            &config.model,
            notes,
            |folder| {
                if !self.learner.projectors.is_empty() {
                    self.learner.projectors.save(folder.join(PROJECTORS))?;
                }
                if let Some(line) = unjudged {
                    checkpoint::save_json(line, folder, UNJUDGED)?;
                }
                self.optimizer.save::<B, Learner<B>>(folder)
            },
        )
    }

    fn writer<'a>(&'a self, run: &'a RunFolder) -> CheckpointWriter<'a> {
        CheckpointWriter {
            run,
            state: &self.clock.state,
            advice: ADVICE,
        }
    }

    /// Writes the network to use where it is the best so far, and with it, in one file, how good it
    /// is.
    pub(super) fn keep_best(
        &mut self,
        map: f64,
        config: &SsdTraining,
        run: &RunFolder,
    ) -> Result<(), TrainError> {
        if self.clock.state.best.is_some_and(|best| map <= best) {
            return Ok(());
        }
        let network = self.network();
        let weights = self.writer(run).finite_weights(&network)?;
        if run.is_in_memory() {
            self.best = Some(network);
        } else {
            let mut notes = self.card.to_note()?;
            let step = self.clock.step();
            BestNote { step, map }.add_to(&mut notes, run)?;
            let path = best_path(run);
            save_weights::<_, Ssd<B::InnerBackend>>(&weights, &config.model, notes, path)?;
        }
        self.clock.state.best = Some(map);
        Ok(())
    }

    /// The network to use: the moving average, unless it is turned off.
    pub(super) fn network(&self) -> Ssd<B::InnerBackend> {
        match &self.ema {
            Some(ema) => ema.model().clone(),
            None => self.learner.network.valid(),
        }
    }
}

/// The projectors to the maps of `teacher`: those of `checkpoint`, or initial ones.
fn projectors<B: VisionAutodiff>(
    config: &SsdTraining,
    teacher: &SsdConfig,
    checkpoint: Option<&Path>,
    device: &B::Device,
) -> Result<Projectors<B>, TrainError> {
    let (theirs, ours) = (teacher.map_channels(), config.model.map_channels());
    let (kind, seed) = (config.projector_kind(), config.seed ^ PROJECTOR_SEED);
    Ok(match checkpoint {
        Some(folder) => Projectors::load(folder.join(PROJECTORS), kind, &ours, &theirs, device)?,
        None => Projectors::new(device, seed, kind, &ours, &theirs)?,
    })
}

fn begin_from<B: VisionAutodiff>(
    config: &SsdTraining,
    from: &StartFrom,
    remark: &mut dyn FnMut(&str),
    device: &B::Device,
) -> Result<Ssd<B>, TrainError> {
    let dict = StateDict::open(&from.path)?;
    let start = config.model.init_from(
        &dict,
        from.part.as_deref(),
        from.transfer,
        device,
        config.seed,
    )?;
    if !start.source.is_whole_file() {
        remark(&format!("{}: {}", from.path.display(), start.source));
    }
    remark(&format!(
        "{}: {} tensors are taken, {} begin afresh",
        from.path.display(),
        start.taken,
        start.fresh
    ));
    Ok(start.model)
}

/// The line of the step of a checkpoint, where its evaluation is due still.
fn unjudged_step(
    run: &RunFolder,
    checkpoint: &Path,
    step: u64,
) -> Result<Option<DetectionRecord>, TrainError> {
    let Some(line) = checkpoint::load_json::<DetectionRecord>(checkpoint, UNJUDGED)? else {
        return Ok(None);
    };
    let is_judged = |line: &DetectionRecord| line.step == step && line.val_loc_loss.is_some();
    let lines: Vec<DetectionRecord> = run.metrics()?;
    Ok((!lines.iter().any(is_judged)).then_some(line))
}
