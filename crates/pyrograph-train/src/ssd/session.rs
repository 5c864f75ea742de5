//! A run's network and optimizer, fresh or from the last whole checkpoint.

use std::path::PathBuf;

use burn::{module::AutodiffModule, optim::Optimizer};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_models::{
    ssd::{DetectorCard, Ssd},
    weights::{StateDict, save_model, state_dict_of},
};

use super::{DetectionRecord, SsdTraining, StartFrom, optimizer::Parted};
use crate::{
    DataFingerprint, Ema, TrainError, TrainState,
    checkpoint::{self, EMA, MODEL},
    ids::with_stable_ids,
    resume::{
        check_finite, check_same_run, drop_metrics_after, last_whole_checkpoint, load_checked,
        weights_path,
    },
    run_folder::RunFolder,
};

/// Checkpoints that stay on disk.
const KEEP: usize = 2;
/// The network of the best evaluation, in the run's folder.
const BEST: &str = "best.safetensors";

/// What changes from step to step.
pub(super) struct Session<B: VisionAutodiff, O> {
    pub(super) model: Ssd<B>,
    pub(super) ema: Option<Ema<Ssd<B::InnerBackend>>>,
    pub(super) optimizer: Parted<O>,
    pub(super) state: TrainState,
    card: DetectorCard,
}

impl<B, O> Session<B, O>
where
    B: VisionAutodiff,
    O: Optimizer<Ssd<B>, B>,
{
    /// Continues from the last whole checkpoint of `run`, or begins; what the user should know goes to `remark`.
    pub(super) fn start(
        config: &SsdTraining,
        card: DetectorCard,
        data: DataFingerprint,
        run: &RunFolder,
        optimizer: Parted<O>,
        remark: &mut dyn FnMut(&str),
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let Some((state, folder)) = last_whole_checkpoint(run, remark)? else {
            drop_metrics_after(run, 0, |line: &DetectionRecord| line.step)?;
            let model = match &config.start {
                None => config.model.init::<B>(device, config.seed)?,
                Some(from) => begin_from(config, from, remark, device)?,
            };
            let model = with_stable_ids(model);
            return Ok(Self {
                ema: config.ema.map(|decay| Ema::new(model.valid(), decay, 0)),
                model: model.freeze(config.freeze),
                optimizer,
                state: TrainState {
                    step: 0,
                    seconds: 0.0,
                    seed: config.seed,
                    data,
                    best: None,
                },
                card,
            });
        };
        check_same_run(&state, &folder, config.seed, data)?;
        // On the backend that trains: a module that comes from the inner one has no parameter that asks for a gradient.
        let model: Ssd<B> = load_checked(&folder.join(MODEL), &config.model, device)?;
        let ema = match config.ema {
            None => None,
            Some(decay) => {
                let average: Ssd<B> = load_checked(&folder.join(EMA), &config.model, device)?;
                Some(Ema::new(average.valid(), decay, state.step))
            }
        };
        drop_metrics_after(run, state.step, |line: &DetectionRecord| line.step)?;
        Ok(Self {
            model: model.freeze(config.freeze),
            ema,
            optimizer: optimizer.load::<B, Ssd<B>>(&folder, device)?,
            state,
            card,
        })
    }

    /// Writes a checkpoint; one whose weights are no numbers would push out those that can be resumed.
    pub(super) fn save(&self, config: &SsdTraining, run: &RunFolder) -> Result<(), TrainError> {
        let model = self.model.valid();
        check_finite(&state_dict_of(&model)?, self.state.step)?;
        run.write_checkpoint(self.state.step, KEEP, |folder| {
            let note = || self.card.to_note();
            save_model(&model, &config.model, note()?, folder.join(MODEL))?;
            if let Some(ema) = &self.ema {
                save_model(ema.model(), &config.model, note()?, folder.join(EMA))?;
            }
            self.optimizer.save::<B, Ssd<B>>(folder)?;
            checkpoint::save_state(&self.state, folder)
        })?;
        Ok(())
    }

    /// Writes the network to use where it is the best so far.
    pub(super) fn keep_best(
        &mut self,
        map: f64,
        config: &SsdTraining,
        run: &RunFolder,
    ) -> Result<(), TrainError> {
        if self.state.best.is_some_and(|best| map <= best) {
            return Ok(());
        }
        let network = self.network();
        check_finite(&state_dict_of(&network)?, self.state.step)?;
        let path = run.path().join(BEST);
        save_model(&network, &config.model, self.card.to_note()?, path)?;
        self.state.best = Some(map);
        Ok(())
    }

    /// The network to use: the moving average, unless it is turned off.
    pub(super) fn network(&self) -> Ssd<B::InnerBackend> {
        match &self.ema {
            Some(ema) => ema.model().clone(),
            None => self.model.valid(),
        }
    }
}

fn begin_from<B: VisionAutodiff>(
    config: &SsdTraining,
    from: &StartFrom,
    remark: &mut dyn FnMut(&str),
    device: &B::Device,
) -> Result<Ssd<B>, TrainError> {
    let dict = StateDict::open(&from.path)?;
    let start = config
        .model
        .init_from(&dict, from.transfer, device, config.seed)?;
    remark(&format!(
        "{}: {} tensors are taken, {} begin afresh",
        from.path.display(),
        start.taken,
        start.fresh
    ));
    Ok(start.model)
}

/// The weights to detect with: of the best evaluation, or of the last checkpoint in a run without evaluations.
///
/// # Errors
/// When there is neither yet, or the last checkpoint is not as it was written.
pub fn best_weights(run: &RunFolder) -> Result<PathBuf, TrainError> {
    let best = run.path().join(BEST);
    match best.is_file() {
        true => Ok(best),
        false => weights_path(run, false),
    }
}
