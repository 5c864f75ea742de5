//! From images to scores.

use std::{ops::ControlFlow, path::Path};

use burn::tensor::{DType, Tensor};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{PreparedWeights, VisionAutodiff},
};
use pyrograph_losses::AnomalyScore;
use pyrograph_metrics::quantile_threshold;
use pyrograph_models::{
    ModelError,
    dcgan::{AnoGan, DcganConfig, Encoder},
    weights::{LoadOptions, Precision, StateDict, build_model_by, read_config, save_model},
};

use super::{
    AnomalyCard, Calibration, Method, SearchConfig,
    search::{Frozen, Networks, Start, search},
    start::{LastPool, Starts},
};
use crate::PipelineError;

/// Values of all images of a pool together: 1 GiB.
const MAX_POOL_VALUES: usize = 1 << 28;

/// What is known of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredImage {
    /// A(x).
    pub score: f32,
    /// R(x), of the pixels.
    pub residual: f32,
    /// D(x), of the features.
    pub discrimination: f32,
    /// Its twin `G(z)`, channels first.
    pub twin: Vec<f32>,
    /// The latent vector of the twin.
    pub latent: Vec<f32>,
    /// Steps that the search took; 0 for the encoder.
    pub steps: usize,
}

/// A fitted AnoGAN.
#[derive(Debug)]
pub struct AnomalyScorer<B: VisionAutodiff> {
    networks: AnoGan<B::InnerBackend>,
    /// Those of the encoder; a search prepares its own networks.
    _prepared: PreparedWeights,
    config: DcganConfig,
    card: AnomalyCard,
    pool: LastPool<B::InnerBackend>,
    device: B::Device,
}

impl<B: VisionAutodiff> AnomalyScorer<B> {
    /// A scorer over networks in memory.
    pub fn new(
        networks: AnoGan<B::InnerBackend>,
        config: DcganConfig,
        card: AnomalyCard,
        device: &B::Device,
    ) -> Self {
        Self {
            _prepared: PreparedWeights::of(&networks.encoder),
            networks,
            config,
            card,
            pool: LastPool::new(),
            device: device.clone(),
        }
    }

    /// A model file that [`save`](Self::save) wrote: it carries the networks, their numbers and the thresholds.
    ///
    /// # Errors
    /// When the file does not read, or is none of a fitted scorer.
    pub fn open(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, PipelineError> {
        Self::open_by(path, &LoadOptions::default(), device)
    }

    /// The same with the types of the parameters given, as by [`LoadOptions::of_weights`]. Only [`Method::Encoder`] takes
    /// weights in half precision.
    ///
    /// # Errors
    /// As [`open`](Self::open); when the backend lacks the type.
    pub fn open_by(
        path: impl AsRef<Path>,
        options: &LoadOptions,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let dict = StateDict::open(path)?;
        let config = read_config::<B::InnerBackend, AnoGan<B::InnerBackend>>(&dict)?;
        let no_card = |reason: String| ModelError::NoConfig {
            path: dict.path().into(),
            reason,
        };
        let text = dict.metadata().get(AnomalyCard::KEY);
        let text = text.ok_or_else(|| no_card("the file does not say how it scores".into()))?;
        let card = serde_json::from_str(text).map_err(|error| {
            no_card(format!("what it says of its scores does not read: {error}"))
        })?;
        let networks = build_model_by(&config, &dict, options, device)?;
        Ok(Self::new(networks, config, card, device))
    }

    /// Writes the model file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PipelineError> {
        let text = serde_json::to_string(&self.card)
            .map_err(|error| PipelineError::Device(error.to_string()))?;
        let notes = [(AnomalyCard::KEY.to_owned(), text)].into();
        Ok(save_model(&self.networks, &self.config, notes, path)?)
    }

    /// The networks' numbers.
    pub fn config(&self) -> &DcganConfig {
        &self.config
    }

    /// What is known of the scores.
    pub fn card(&self) -> &AnomalyCard {
        &self.card
    }

    /// The same scorer with a line between normal and anomalous for `method`: the `quantile` of the scores of `normal` images, which
    /// the training should not have seen.
    ///
    /// # Errors
    /// As [`score`](Self::score), and for a quantile outside (0, 1].
    pub fn calibrated(
        mut self,
        normal: &[f32],
        method: Method,
        config: &SearchConfig,
        quantile: f64,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Self, PipelineError> {
        // The quantile first: a search takes minutes.
        quantile_threshold(&[0.0], quantile)?;
        let scored = self.score(normal, method, config, progress)?;
        let scores: Vec<f32> = scored.iter().map(|image| image.score).collect();
        let threshold = quantile_threshold(&scores, quantile)?;
        let search = (method != Method::Encoder).then_some(*config);
        let line = Calibration::new(&scores, threshold, quantile, search);
        self.card
            .calibrations
            .extend(line.map(|line| (method, line)));
        Ok(self)
    }

    /// The same scorer with another λ; its thresholds are gone, which were drawn with the old one.
    pub fn with_score(mut self, score: AnomalyScore) -> Self {
        if self.card.score != score {
            self.card.calibrations.clear();
        }
        self.card.score = score;
        self
    }

    /// Where `method`'s line between normal and anomalous runs.
    ///
    /// # Errors
    /// When it was not calibrated.
    pub fn calibration(&self, method: Method) -> Result<&Calibration, PipelineError> {
        let known = self.card.calibrations.keys().map(ToString::to_string);
        self.card
            .calibrations
            .get(&method)
            .ok_or_else(|| PipelineError::NoThreshold {
                method,
                known: known.collect(),
            })
    }

    /// Refuses a search by weights in half precision: the rounding of their products would reach Adam's steps through the
    /// gradients, and searches are fitted in f32.
    fn check_type(&self, method: Method) -> Result<(), PipelineError> {
        let weights = self.networks.generator.weight_type();
        let seen = match weights {
            DType::BF16 => Precision::Bf16,
            DType::F16 => Precision::F16,
            _ => return Ok(()),
        };
        match method {
            Method::Encoder => Ok(()),
            Method::Search | Method::Warm => Err(PipelineError::Number {
                field: "the type of the weights",
                seen: seen.to_string(),
                allowed: format!(
                    "f32 for the method {method}, which follows gradients; the method {} takes every type",
                    Method::Encoder
                ),
            }),
        }
    }

    /// The values of one image.
    fn size(&self) -> usize {
        self.config.channels * self.config.side() * self.config.side()
    }

    /// Scores images, given as values by the card's normalisation, one after the other, channels first. `progress` is told the steps
    /// that are done and in all, and may break off.
    ///
    /// # Errors
    /// When the values do not fill whole images or are not finite, a number of `search` is not allowed, `progress` breaks off, or
    /// a score is not finite; when a search is asked of weights in half precision.
    pub fn score(
        &self,
        images: &[f32],
        method: Method,
        config: &SearchConfig,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<ScoredImage>, PipelineError> {
        let seeds = vec![config.seed; images.len() / self.size()];
        self.score_seeded(images, &seeds, method, config, progress)
    }

    /// The same with a seed of its own for each image, in place of that of `config`. Images of one seed, side by side, share the
    /// pool that their searches start from.
    ///
    /// # Errors
    /// As [`score`](Self::score), and when there are not as many seeds as images.
    pub fn score_seeded(
        &self,
        images: &[f32],
        seeds: &[u64],
        method: Method,
        config: &SearchConfig,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<ScoredImage>, PipelineError> {
        config.check()?;
        self.check_type(method)?;
        let size = self.size();
        if images.is_empty() || !images.len().is_multiple_of(size) {
            return Err(PipelineError::Number {
                field: "the number of values of the images",
                seen: images.len().to_string(),
                allowed: format!("a multiple of {size}, the values of one image, above 0"),
            });
        }
        if seeds.len() != images.len() / size {
            return Err(PipelineError::Number {
                field: "the number of seeds",
                seen: seeds.len().to_string(),
                allowed: format!("{}, one for each image", images.len() / size),
            });
        }
        if let Some(place) = images.iter().position(|value| !value.is_finite()) {
            return Err(PipelineError::Image {
                image: place / size,
                place: place % size,
                value: images[place],
            });
        }
        let AnoGan {
            generator,
            discriminator,
            ..
        } = &self.networks;
        // The encoder was trained beside networks in evaluation.
        let train_mode = config.train_mode && method != Method::Encoder;
        let networks = Networks::new(generator, discriminator, train_mode);
        let frozen = Frozen::<B> {
            networks: networks.recording(),
            score: self.card.score,
        };
        // The first start of a warm search is the encoder's.
        let pool = match method {
            Method::Encoder => 0,
            Method::Warm if config.restarts == 1 => 0,
            Method::Search | Method::Warm => config.pool,
        };
        if pool.saturating_mul(size) > MAX_POOL_VALUES {
            return Err(PipelineError::Number {
                field: "pool",
                seen: pool.to_string(),
                allowed: format!(
                    "up to {} for images of {size} values",
                    MAX_POOL_VALUES / size
                ),
            });
        }
        let config = &SearchConfig { pool, ..*config };
        let view = View {
            scorer: self,
            networks,
            frozen,
        };
        let batches = images.len().div_ceil(size * config.batch_size);
        let per_batch = if method == Method::Encoder {
            1
        } else {
            config.steps
        };
        let mut scored = Vec::with_capacity(images.len() / size);
        let values = images.chunks(size * config.batch_size);
        for (batch, (values, seeds)) in values.zip(seeds.chunks(config.batch_size)).enumerate() {
            let mut stepped = |done: usize| progress(batch * per_batch + done, batches * per_batch);
            scored.extend(view.batch(values, seeds, method, config, &mut stepped)?);
        }
        Ok(scored)
    }
}

/// The networks as scoring uses them.
struct View<'a, B: VisionAutodiff> {
    scorer: &'a AnomalyScorer<B>,
    networks: Networks<B::InnerBackend>,
    frozen: Frozen<B>,
}

impl<B: VisionAutodiff> View<'_, B> {
    fn batch(
        &self,
        values: &[f32],
        seeds: &[u64],
        method: Method,
        config: &SearchConfig,
        stepped: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<ScoredImage>, PipelineError> {
        let scorer = self.scorer;
        let (device, side) = (&scorer.device, scorer.config.side());
        let count = values.len() / scorer.size();
        let shape = [count, scorer.config.channels, side, side];
        let x: Tensor<B::InnerBackend, 4> = host_tensor(values.to_vec(), shape, device);
        let encoder: &Encoder<B::InnerBackend> = &scorer.networks.encoder;
        match method {
            Method::Encoder => {
                let z = encoder.forward(x.clone());
                let steps = vec![0; count];
                let scored = self.rate(x, z, &steps)?;
                if stepped(1).is_break() {
                    return Err(PipelineError::Stopped);
                }
                Ok(scored)
            }
            Method::Search | Method::Warm => {
                let warm = (method == Method::Warm).then(|| encoder.forward(x.clone()));
                self.search(x, (values, seeds), warm, config, stepped)
            }
        }
    }

    /// Where searches of a seed start.
    fn starts(&self, seed: u64, config: &SearchConfig) -> Starts<B::InnerBackend> {
        let scorer = self.scorer;
        let (config, z_dim) = (&SearchConfig { seed, ..*config }, scorer.config.z_dim);
        let generator = self.networks.generator();
        Starts::new(config, generator, z_dim, &scorer.pool, &scorer.device)
    }

    /// Searches from every start of every image at once, and takes the best of each image.
    fn search(
        &self,
        x: Tensor<B::InnerBackend, 4>,
        (values, seeds): (&[f32], &[u64]),
        warm: Option<Tensor<B::InnerBackend, 2>>,
        config: &SearchConfig,
        stepped: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<ScoredImage>, PipelineError> {
        let (device, z_dim) = (&self.scorer.device, self.scorer.config.z_dim);
        let count = x.dims()[0];
        let from_encoder = usize::from(warm.is_some());
        let others = config.restarts - from_encoder;
        let of_image = values
            .chunks(self.scorer.size())
            .zip(seeds)
            .map(|(image, seed)| self.starts(*seed, config).of(image, others, device))
            .collect::<Result<Vec<_>, _>>()?;
        // Start after start: all images of the first, then all of the second.
        let mut starts: Vec<_> = warm.into_iter().collect();
        for restart in 0..others {
            let row = of_image.iter().flat_map(|starts| &starts[restart]);
            starts.push(host_tensor(row.copied().collect(), [count, z_dim], device));
        }
        let features = self.networks.features(x.clone());
        let start = Start {
            z: Tensor::cat(starts, 0),
            x: x.clone().repeat_dim(0, config.restarts),
            features: features.repeat_dim(0, config.restarts),
        };
        let all = start.x.clone();
        let found = search(&self.frozen, start, config, stepped)?;
        let z = host_tensor(found.z, [count * config.restarts, z_dim], device);
        let mut scored: Vec<Option<ScoredImage>> = vec![None; count];
        for (row, image) in self.rate(all, z, &found.steps)?.into_iter().enumerate() {
            let best = &mut scored[row % count];
            if best.as_ref().is_none_or(|best| image.score < best.score) {
                *best = Some(image);
            }
        }
        Ok(scored.into_iter().flatten().collect())
    }

    /// Scores images with latent vectors that are known, and reads the result.
    fn rate(
        &self,
        x: Tensor<B::InnerBackend, 4>,
        z: Tensor<B::InnerBackend, 2>,
        steps: &[usize],
    ) -> Result<Vec<ScoredImage>, PipelineError> {
        let twin = self.networks.generate(z.clone());
        let (x_features, twin_features) = (
            self.networks.features(x.clone()),
            self.networks.features(twin.clone()),
        );
        let parts = self
            .scorer
            .card
            .score
            .forward(x, twin.clone(), x_features, twin_features)?;
        let one = |values: Tensor<B::InnerBackend, 1>| -> Result<Vec<f32>, PipelineError> {
            let data = values.try_into_data();
            let data = data.map_err(|error| PipelineError::Device(format!("{error:?}")))?;
            Ok(data.iter::<f32>().collect())
        };
        let scores = one(parts.score)?;
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            let value = scores[index];
            return Err(PipelineError::NonFinite { index, value });
        }
        let (residuals, discriminations) = (one(parts.residual)?, one(parts.discrimination)?);
        let twins = one(twin.flatten(0, 3))?;
        let latents = one(z.flatten(0, 1))?;
        let (size, z_dim) = (self.scorer.size(), self.scorer.config.z_dim);
        let image = |i: usize| ScoredImage {
            score: scores[i],
            residual: residuals[i],
            discrimination: discriminations[i],
            twin: twins[i * size..][..size].to_vec(),
            latent: latents[i * z_dim..][..z_dim].to_vec(),
            steps: steps[i],
        };
        Ok((0..scores.len()).map(image).collect())
    }
}
