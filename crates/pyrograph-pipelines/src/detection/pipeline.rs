//! From pictures and files to what was found.

use std::path::{Path, PathBuf};

use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ssd::{Detector, DetectorCard, DetectorInput, Ssd, SsdConfig},
    weights::{LoadOptions, StateDict, build_model_by, read_config},
};
use pyrograph_vision::{DetectOptions, RgbImage, VisionError, read_image};

use super::FoundImage;
use crate::PipelineError;

/// More pictures at once than any device is faster with.
const MAX_BATCH: usize = 256;

/// A picture from a file and what is in it, or what is wrong with the file.
pub type FileResult = Result<(RgbImage, FoundImage), VisionError>;

/// A detector for pictures of any size.
#[derive(Debug)]
pub struct DetectionPipeline<B: VisionBackend> {
    detector: Detector<B>,
}

impl<B: VisionBackend> DetectionPipeline<B> {
    /// A pipeline over a detector in memory.
    pub fn new(detector: Detector<B>) -> Self {
        Self { detector }
    }

    /// A model file of pyrograph: it carries weights, numbers, names and normalisation.
    ///
    /// # Errors
    /// When the file does not read, is of another model, or lacks what [`from_weights`](Self::from_weights) is given.
    pub fn open(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, PipelineError> {
        let dict = StateDict::open(path)?;
        let config = read_config::<B, Ssd<B>>(&dict)?;
        let card = DetectorCard::of(&dict, &config)?;
        let card = card.ok_or_else(|| PipelineError::NoDetectorCard {
            path: dict.path().into(),
        })?;
        Self::from_weights(&dict, config, card, device)
    }

    /// Weights by their published names, with what their file does not say; see [`published_card`](super::published_card) and
    /// [`SsdConfig::with_priors_of`].
    ///
    /// # Errors
    /// When a number is not allowed, the card is of another detector, or the weights do not fit.
    pub fn from_weights(
        dict: &StateDict,
        config: SsdConfig,
        card: DetectorCard,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        Self::from_weights_by(dict, config, card, &LoadOptions::default(), device)
    }

    /// The same with the types of the parameters given, as by [`LoadOptions::of_weights`].
    ///
    /// # Errors
    /// As [`from_weights`](Self::from_weights); when the backend lacks the type.
    pub fn from_weights_by(
        dict: &StateDict,
        config: SsdConfig,
        card: DetectorCard,
        options: &LoadOptions,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let config = config.with_priors_of(dict);
        // Before the weights are taken, which takes longer.
        card.check(&config)?;
        let network = build_model_by::<B, Ssd<B>>(&config, dict, options, device)?;
        Ok(Self::new(Detector::new(
            network,
            config,
            card,
            device.clone(),
        )?))
    }

    /// The detector.
    pub fn detector(&self) -> &Detector<B> {
        &self.detector
    }

    /// What is in each of the pictures, which may differ in size. All of them are in memory at once, and a forward pass takes
    /// them all: for many, hand in some at a time.
    ///
    /// # Errors
    /// When an option is not allowed, or a picture has no pixels.
    pub fn detect(
        &self,
        images: &[RgbImage],
        options: &DetectOptions,
    ) -> Result<Vec<FoundImage>, PipelineError> {
        let found = self.detector.detect(images, options)?;
        let classes = self.detector.classes();
        Ok(images
            .iter()
            .zip(&found)
            .map(|(image, found)| FoundImage::new(image.dimensions(), found, classes))
            .collect())
    }

    /// The same for pictures that are ready for the network, of each by its own options, in one forward pass.
    ///
    /// # Errors
    /// When an option is not allowed, or a picture is for another network.
    pub fn detect_each(
        &self,
        pictures: &[(&DetectorInput, &DetectOptions)],
    ) -> Result<Vec<FoundImage>, PipelineError> {
        let found = self.detector.detect_each(pictures)?;
        let classes = self.detector.classes();
        Ok(pictures
            .iter()
            .zip(&found)
            .map(|((input, _), found)| {
                FoundImage::new((input.width(), input.height()), found, classes)
            })
            .collect())
    }

    /// What is in each of the files, in their order, `batch` of them at once; no more pictures than these are in memory.
    ///
    /// `each` is called for every file, with its place among `paths`. One that does not read holds up no other; what `each`
    /// refuses ends it.
    ///
    /// # Errors
    /// When an option is not allowed, the batch is not 1 to 256, or by `each`.
    pub fn detect_files<E: From<PipelineError>>(
        &self,
        paths: &[PathBuf],
        options: &DetectOptions,
        batch: usize,
        each: &mut dyn FnMut(usize, FileResult) -> Result<(), E>,
    ) -> Result<(), E> {
        check_batch(batch)?;
        options.check().map_err(PipelineError::from)?;
        let mut place = 0;
        for paths in paths.chunks(batch) {
            let mut images = Vec::with_capacity(paths.len());
            let mut faults = Vec::with_capacity(paths.len());
            for path in paths {
                match read_image(path) {
                    Ok(image) => {
                        images.push(image);
                        faults.push(None);
                    }
                    Err(error) => faults.push(Some(error)),
                }
            }
            let found = self.detect(&images, options)?;
            let mut results = images.into_iter().zip(found).map(Ok);
            for (path, fault) in paths.iter().zip(faults) {
                // Of files without a fault there are as many as results.
                let Some(result) = fault.map(Err).or_else(|| results.next()) else {
                    break;
                };
                let named = result.map(|(image, found)| {
                    let path = Some(path.display().to_string());
                    (
                        image,
                        FoundImage {
                            image: path,
                            ..found
                        },
                    )
                });
                each(place, named)?;
                place += 1;
            }
        }
        Ok(())
    }
}

/// Whether so many pictures can be taken at once.
///
/// # Errors
/// When they are not 1 to 256.
pub fn check_batch(batch: usize) -> Result<(), PipelineError> {
    if (1..=MAX_BATCH).contains(&batch) {
        return Ok(());
    }
    Err(PipelineError::Number {
        field: "batch",
        seen: batch.to_string(),
        allowed: format!("1 to {MAX_BATCH}"),
    })
}
