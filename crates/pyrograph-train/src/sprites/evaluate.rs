//! How good samples are: are they like the real ones, new, and of the class asked for?

use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_data::SpriteSet;
use pyrograph_metrics::{
    NeighbourSummary, SlicedWassersteinConfig, class_agreement, held_out_baseline,
    nearest_neighbour_distances, sliced_wasserstein,
};
use pyrograph_models::sprite_classifier::SpriteClassifier;
use serde::Serialize;

use super::{
    classifier::{classify, train_classifier},
    diversity::ClassSpread,
};
use crate::TrainError;

/// Root mean square difference below which a sample counts as a near copy: four steps of a byte, in [−1, 1].
const NEAR_COPY: f32 = 4.0 * 2.0 / 255.0;

/// The figures of one set of samples, and what real images score by the same measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpriteReport {
    /// Samples judged.
    pub samples: usize,
    /// Sliced Wasserstein distance to the held-out images; lower is better.
    pub sliced_wasserstein: f64,
    /// That of the training images: the floor.
    pub sliced_wasserstein_training: f64,
    /// Mean distance to the nearest training image.
    pub nearest_training: f64,
    /// That of the held-out images.
    pub nearest_training_held_out: f64,
    /// The share of samples that equal a training image but for rounding.
    pub near_copies: f64,
    /// That of the held-out images.
    pub near_copies_held_out: f64,
    /// The share of samples in which the judge sees the class asked for; none where no class was asked for.
    pub class_agreement: Option<f64>,
    /// That of the held-out images: the judge's own accuracy.
    pub class_agreement_held_out: f64,
    /// The share by class, in the order of the context; none for a class not asked for.
    pub class_agreement_by_class: Vec<Option<f64>>,
    /// Mean distance between two samples of a class (L2 norm), over that of two training images of it: 1 for samples as
    /// varied as the data, 0 where all of a class look the same. None where no class has two samples.
    pub diversity: Option<f64>,
    /// That of the held-out images.
    pub diversity_held_out: Option<f64>,
}

/// Judges samples against one split of one data set. The judge of classes is trained once, here.
#[derive(Debug)]
pub struct SpriteJudge<B: VisionBackend> {
    training: Vec<f32>,
    held_out: Vec<f32>,
    shape: [usize; 3],
    classes: usize,
    classifier: SpriteClassifier<B>,
    device: B::Device,
    floor: f64,
    spread: ClassSpread,
    diversity: Option<f64>,
    neighbours: NeighbourSummary,
    judge_accuracy: f64,
}

impl<B: VisionBackend> SpriteJudge<B> {
    /// Prepares the figures of the real images, and trains the judge on the training images.
    ///
    /// # Errors
    /// When one of the sets is empty.
    pub fn new<A>(
        training: &SpriteSet,
        held_out: &SpriteSet,
        seed: u64,
        device: &B::Device,
    ) -> Result<Self, TrainError>
    where
        A: VisionAutodiff<InnerBackend = B>
            + burn::tensor::backend::BackendTypes<Device = B::Device>,
    {
        let shape = [training.channels(), training.side(), training.side()];
        let dim = shape.iter().product();
        let classifier = train_classifier::<A>(training, seed, device)?;
        let class = |item| training.class_of(item);
        let classes_of_training: Vec<_> = (0..training.len()).map(class).collect();
        let (training, real) = (training.to_nchw(), held_out.to_nchw());
        let spread = ClassSpread::new(&training, &classes_of_training, dim)?;
        let seen = classify(&classifier, &real, shape, device);
        let expected: Vec<_> = (0..held_out.len())
            .map(|item| held_out.class_of(item))
            .collect();
        let classes = held_out.context_width();
        Ok(Self {
            shape,
            classes,
            device: device.clone(),
            floor: sliced_wasserstein(&training, &real, dim, &SlicedWassersteinConfig::default())?,
            neighbours: held_out_baseline(&real, &training, dim, NEAR_COPY)?,
            judge_accuracy: class_agreement(&expected, &seen, classes)?.accuracy,
            diversity: spread.diversity(&real, &expected)?,
            spread,
            training,
            held_out: real,
            classifier,
        })
    }

    /// Judges `samples`, images [channels, side, side] one after another; `asked` is the class asked for of each, if any was.
    ///
    /// # Errors
    /// When the samples are no whole images, not finite, or not as many as the classes asked for.
    pub fn judge(
        &self,
        samples: &[f32],
        asked: Option<&[usize]>,
    ) -> Result<SpriteReport, TrainError> {
        let dim = self.shape.iter().product();
        let distance = sliced_wasserstein(
            samples,
            &self.held_out,
            dim,
            &SlicedWassersteinConfig::default(),
        )?;
        let neighbours = nearest_neighbour_distances(samples, &self.training, dim)?;
        let neighbours = NeighbourSummary::new(&neighbours, NEAR_COPY)?;
        let agreement = match asked {
            Some(asked) => {
                let seen = classify(&self.classifier, samples, self.shape, &self.device);
                Some(class_agreement(asked, &seen, self.classes)?)
            }
            None => None,
        };
        let unasked = || vec![0; samples.len() / dim];
        let diversity = match asked {
            Some(asked) => self.spread.diversity(samples, asked)?,
            None => self.spread.of_all().diversity(samples, &unasked())?,
        };
        Ok(SpriteReport {
            samples: samples.len() / dim,
            sliced_wasserstein: distance,
            sliced_wasserstein_training: self.floor,
            nearest_training: neighbours.mean,
            nearest_training_held_out: self.neighbours.mean,
            near_copies: neighbours.near_copies,
            near_copies_held_out: self.neighbours.near_copies,
            class_agreement: agreement.as_ref().map(|agreement| agreement.accuracy),
            class_agreement_held_out: self.judge_accuracy,
            class_agreement_by_class: agreement
                .map(|agreement| agreement.per_class)
                .unwrap_or_default(),
            diversity,
            diversity_held_out: self.diversity,
        })
    }
}
