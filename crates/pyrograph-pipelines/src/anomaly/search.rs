//! AnoGAN's search: Adam on the latent vectors of a batch.

use std::ops::ControlFlow;

use burn::{
    module::{AutodiffModule, Module},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use pyrograph_backend::{
    lock_autodiff,
    vision::{PreparedWeights, VisionAutodiff, VisionBackend},
};
use pyrograph_losses::AnomalyScore;
use pyrograph_models::{
    blocks::BatchStatistics,
    dcgan::{Discriminator, Generator},
};

use super::SearchConfig;
use crate::PipelineError;

/// Adam's numbers, those of its paper.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
/// Steps between looks at which images are done.
const LOOK_EVERY: usize = 25;
/// Looks without progress that end an image's search.
const PATIENCE: usize = 2;

/// Scores [batch], and their gradients for the latent vectors [batch, z_dim].
type ScoresAndSlopes<B> = (Tensor<B, 1>, Tensor<B, 2>);

/// Two networks that do not learn any more, with the running statistics of their norms or with those of each batch.
#[derive(Debug)]
pub(super) struct Networks<B: VisionBackend> {
    generator: Generator<B>,
    discriminator: Discriminator<B>,
    /// Those of both networks: a search passes them hundreds of times.
    prepared: [PreparedWeights; 2],
    train_mode: bool,
}

impl<B: VisionBackend> Networks<B> {
    pub(super) fn new(
        generator: &Generator<B>,
        discriminator: &Discriminator<B>,
        train_mode: bool,
    ) -> Self {
        // Running statistics are folded into the convolutions; statistics of a batch cannot be. bf16
        // weights are not folded, and a search refuses them.
        let (generator, discriminator) = match train_mode {
            true => (generator.clone().no_grad(), discriminator.clone().no_grad()),
            false => (generator.frozen(), discriminator.frozen()),
        };
        let prepared = [
            PreparedWeights::of(&generator),
            PreparedWeights::of(&discriminator),
        ];
        Self {
            generator,
            discriminator,
            prepared,
            train_mode,
        }
    }

    pub(super) fn generator(&self) -> &Generator<B> {
        &self.generator
    }

    /// The images of latent vectors.
    pub(super) fn generate(&self, z: Tensor<B, 2>) -> Tensor<B, 4> {
        match self.train_mode {
            true => self
                .generator
                .forward_training(z, &mut BatchStatistics::default()),
            false => self.generator.forward(z),
        }
    }

    /// The discriminator's features of images.
    pub(super) fn features(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        match self.train_mode {
            true => {
                let statistics = &mut BatchStatistics::default();
                self.discriminator.forward_training(x, statistics).feature
            }
            false => self.discriminator.features(x),
        }
    }

    /// The same networks on the backend that records.
    pub(super) fn recording<A>(&self) -> Networks<A>
    where
        A: VisionAutodiff<InnerBackend = B>,
    {
        Networks {
            generator: Generator::from_inner(self.generator.clone()).no_grad(),
            discriminator: Discriminator::from_inner(self.discriminator.clone()).no_grad(),
            prepared: self.prepared.clone(),
            train_mode: self.train_mode,
        }
    }
}

/// The frozen networks on the backend that records.
pub(super) struct Frozen<B: VisionAutodiff> {
    pub(super) networks: Networks<B>,
    pub(super) score: AnomalyScore,
}

impl<B: VisionAutodiff> Frozen<B> {
    /// The scores of `z` [batch] and their gradients [batch, z_dim]. An image's gradient is its own: nothing joins the items of a batch.
    fn slopes(
        &self,
        z: Tensor<B::InnerBackend, 2>,
        x: Tensor<B::InnerBackend, 4>,
        features: Tensor<B::InnerBackend, 2>,
    ) -> Result<ScoresAndSlopes<B::InnerBackend>, PipelineError> {
        let _turn = lock_autodiff();
        let z = Tensor::<B, 2>::from_inner(z).require_grad();
        let twin = self.networks.generate(z.clone());
        let twin_features = self.networks.features(twin.clone());
        let (x, features) = (Tensor::from_inner(x), Tensor::from_inner(features));
        let parts = self.score.forward(x, twin, features, twin_features)?;
        let scores = parts.score.clone().inner();
        let gradients = parts.score.sum().backward();
        let slopes = z
            .grad(&gradients)
            .ok_or_else(|| PipelineError::Device("the latent vectors have no gradient".into()))?;
        Ok((scores, slopes))
    }
}

/// What a search starts from, a row each.
pub(super) struct Start<B: Backend> {
    pub(super) z: Tensor<B, 2>,
    pub(super) x: Tensor<B, 4>,
    pub(super) features: Tensor<B, 2>,
}

/// Where it ended: latent vectors row after row, and the steps that each row took.
pub(super) struct Found {
    pub(super) z: Vec<f32>,
    pub(super) steps: Vec<usize>,
}

/// The rows that are still searched for.
struct Active<B: Backend> {
    /// Which row of the start each is.
    rows: Vec<usize>,
    start: Start<B>,
    mean: Tensor<B, 2>,
    square: Tensor<B, 2>,
    best_z: Tensor<B, 2>,
    best: Tensor<B, 1>,
    /// Scores at the last look, and looks without progress since.
    seen: Vec<(f32, usize)>,
}

impl<B: Backend> Active<B> {
    fn new(start: Start<B>) -> Self {
        let [rows, z_dim] = start.z.dims();
        let device = start.z.device();
        let zeros = || Tensor::zeros([rows, z_dim], &device);
        Self {
            rows: (0..rows).collect(),
            mean: zeros(),
            square: zeros(),
            best_z: start.z.clone(),
            best: Tensor::full([rows], f32::INFINITY, &device),
            seen: vec![(f32::INFINITY, 0); rows],
            start,
        }
    }

    /// Keeps what is better than the best so far.
    fn keep_best(&mut self, scores: Tensor<B, 1>) {
        let [rows, z_dim] = self.start.z.dims();
        let better = scores.clone().lower(self.best.clone());
        self.best = self.best.clone().mask_where(better.clone(), scores);
        let better = better.reshape([rows, 1]).expand([rows, z_dim]);
        self.best_z = self.best_z.clone().mask_where(better, self.start.z.clone());
    }

    /// One step of Adam (Kingma and Ba, 2015, algorithm 1), the `t`-th from 1.
    fn step(&mut self, slopes: Tensor<B, 2>, t: usize, rate: f64) {
        let [b1, b2] = BETAS;
        self.mean = self.mean.clone() * b1 + slopes.clone() * (1.0 - b1);
        self.square = self.square.clone() * b2 + slopes.square() * (1.0 - b2);
        let correction = |b: f64| 1.0 - b.powi(i32::try_from(t).unwrap_or(i32::MAX));
        let mean = self.mean.clone() / correction(b1);
        let size = (self.square.clone() / correction(b2)).sqrt() + EPSILON;
        self.start.z = self.start.z.clone() - mean / size * rate;
    }

    /// Writes the rows that made no progress to `found`, and goes on with the others.
    fn retire(&mut self, early_stop: f64, done: usize, found: &mut Found) {
        let best: Vec<f32> = self.best.clone().into_data().iter::<f32>().collect();
        for ((last, idle), &now) in self.seen.iter_mut().zip(&best) {
            let fell = f64::from(*last - now) > early_stop * f64::from(now.abs());
            *idle = if fell { 0 } else { *idle + 1 };
            if fell {
                *last = now;
            }
        }
        let stays: Vec<usize> = (0..self.rows.len())
            .filter(|&place| self.seen[place].1 < PATIENCE)
            .collect();
        if stays.len() == self.rows.len() {
            return;
        }
        self.write(|place| self.seen[place].1 >= PATIENCE, done, found);
        let indices: Vec<i32> = stays.iter().map(|&place| place as i32).collect();
        let data = TensorData::new(indices, [stays.len()]);
        let device = self.start.z.device();
        let chosen: Tensor<B, 1, Int> = Tensor::from_data(data, &device);
        let rows = |t: &Tensor<B, 2>| t.clone().select(0, chosen.clone());
        *self = Self {
            rows: stays.iter().map(|&place| self.rows[place]).collect(),
            seen: stays.iter().map(|&place| self.seen[place]).collect(),
            mean: rows(&self.mean),
            square: rows(&self.square),
            best_z: rows(&self.best_z),
            best: self.best.clone().select(0, chosen.clone()),
            start: Start {
                z: rows(&self.start.z),
                features: rows(&self.start.features),
                x: self.start.x.clone().select(0, chosen.clone()),
            },
        };
    }

    /// Writes the best vectors of the places that `ends` names.
    fn write(&self, ends: impl Fn(usize) -> bool, done: usize, found: &mut Found) {
        let [_, z_dim] = self.best_z.dims();
        let values: Vec<f32> = self.best_z.clone().into_data().iter::<f32>().collect();
        for (place, &row) in self
            .rows
            .iter()
            .enumerate()
            .filter(|(place, _)| ends(*place))
        {
            found.z[row * z_dim..][..z_dim].copy_from_slice(&values[place * z_dim..][..z_dim]);
            found.steps[row] = done;
        }
    }
}

/// Searches from every row of `start` at once. `stepped` is told the steps that are done and may break off.
pub(super) fn search<B: VisionAutodiff>(
    networks: &Frozen<B>,
    start: Start<B::InnerBackend>,
    config: &SearchConfig,
    stepped: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Found, PipelineError> {
    let [rows, z_dim] = start.z.dims();
    let mut found = Found {
        z: vec![0.0; rows * z_dim],
        steps: vec![0; rows],
    };
    let mut active = Active::new(start);
    for step in 0..config.steps {
        let Start { z, x, features } = &active.start;
        let (scores, slopes) = networks.slopes(z.clone(), x.clone(), features.clone())?;
        active.keep_best(scores);
        active.step(slopes, step + 1, config.rate_at(step));
        let done = step + 1;
        if stepped(done).is_break() {
            return Err(PipelineError::Stopped);
        }
        if config.early_stop > 0.0 && done.is_multiple_of(LOOK_EVERY) {
            active.retire(config.early_stop, done, &mut found);
            if active.rows.is_empty() {
                return Ok(found);
            }
        }
    }
    // The last step's vectors have not been looked at yet.
    let Start { z, x, features } = &active.start;
    let (scores, _) = networks.slopes(z.clone(), x.clone(), features.clone())?;
    active.keep_best(scores);
    active.write(|_| true, config.steps, &mut found);
    Ok(found)
}
