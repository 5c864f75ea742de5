//! The quality of samples: similarity to real images, novelty, and agreement with the requested
//! class.

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

/// Root mean square difference below which a sample counts as a near copy: four steps of a byte,
/// for values in [−1, 1].
const NEAR_COPY: f32 = 4.0 * 2.0 / 255.0;

/// The figures of one set of samples, and the same figures of real images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpriteReport {
    /// Number of samples.
    pub samples: usize,
    /// Sliced Wasserstein distance to the held-out images; lower is better.
    pub sliced_wasserstein: f64,
    /// The sliced Wasserstein distance of the training images to the held-out images, a lower bound
    /// in practice.
    pub sliced_wasserstein_training: f64,
    /// Mean distance of a sample to the nearest training image.
    pub nearest_training: f64,
    /// The same figure of the held-out images.
    pub nearest_training_held_out: f64,
    /// The fraction of samples that equal a training image up to rounding.
    pub near_copies: f64,
    /// The same figure of the held-out images.
    pub near_copies_held_out: f64,
    /// The fraction of samples that the classifier assigns to the requested class; `None` if no
    /// class was requested.
    pub class_agreement: Option<f64>,
    /// The same fraction of the held-out images: the accuracy of the classifier.
    pub class_agreement_held_out: f64,
    /// The fraction for each class, in the order of the context; `None` for a class that was not
    /// requested.
    pub class_agreement_by_class: Vec<Option<f64>>,
    /// Mean distance between two samples of a class (L2 norm), divided by that of two training
    /// images of the class: 1 for samples as varied as the data, 0 if all samples of a class are
    /// equal. `None` if no class has two samples.
    pub diversity: Option<f64>,
    /// The same figure of the held-out images.
    pub diversity_held_out: Option<f64>,
}

/// Evaluates samples against one split of a data set, with a classifier that is trained once.
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
    /// Computes the figures of the real images, and trains the classifier on the training images.
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

    /// Evaluates `samples`, images [channels, side, side] one after another; `asked` is the
    /// requested class of each sample, if classes were requested.
    ///
    /// # Errors
    /// When the samples are not whole images, are not finite, or differ in number from the
    /// requested classes.
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
