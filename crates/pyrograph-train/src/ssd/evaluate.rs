//! The evaluation of a detector.

use pyrograph_backend::vision::VisionBackend;
use pyrograph_data::detection::{BoxObject, DetectionSet};
use pyrograph_losses::{PriorMatcher, TruthBox};
use pyrograph_metrics::{DetectionScorer, Truth, TruthKind, VocConfig, VocReport};
use pyrograph_models::ssd::{Detector, DetectorInput, SsdOutput};
use pyrograph_vision::DetectOptions;

use super::SsdTraining;
use crate::TrainError;

/// Compares the detections of `detector` in all images of `set`, in batches of `batch` images, with
/// the objects. `each` is called with the number of finished images.
///
/// # Errors
/// When an image cannot be read, or an option is not allowed.
pub fn score_set<B: VisionBackend>(
    detector: &Detector<B>,
    set: &DetectionSet,
    options: &DetectOptions,
    batch: usize,
    each: &mut dyn FnMut(usize),
) -> Result<DetectionScorer, TrainError> {
    let mut scorer = DetectionScorer::new(set.class_names().len())?;
    for_each_batch(detector, set, batch, &mut |places, inputs, output| {
        push_found(
            &mut scorer,
            detector,
            set,
            options,
            places,
            (inputs, output),
        )?;
        each(places.last().map_or(0, |place| place + 1));
        Ok(())
    })?;
    Ok(scorer)
}

/// A detector's figures on a set.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// Average precisions at IoU 0.5.
    pub(super) report: VocReport,
    /// Both parts of the MultiBox loss, over the priors with an object of the whole set.
    pub(super) loc_loss: f32,
    pub(super) conf_loss: f32,
}

/// What `detector` is worth on the images of `set`, by a training's options.
///
/// # Errors
/// When an image does not read, or the detector puts out what is no number.
pub(super) fn judge<B: VisionBackend>(
    detector: &Detector<B>,
    set: &DetectionSet,
    config: &SsdTraining,
) -> Result<Judged, TrainError> {
    let model = detector.config();
    // A teacher's priors may be others than the student's.
    let matcher = PriorMatcher::new(model.prior_boxes()?, model.prior_config().coder());
    let mut scorer = DetectionScorer::new(set.class_names().len())?;
    let (mut loc, mut conf, mut positives) = (0.0, 0.0, 0);
    for_each_batch(
        detector,
        set,
        config.batch_size,
        &mut |places, inputs, output| {
            let truths: Vec<_> = places
                .iter()
                .map(|&place| truths_of(set, place, config))
                .collect();
            let matched = matcher.matches(&truths, config.loss.iou_threshold);
            let (theirs, logits) = (output.loc.clone(), output.conf.clone());
            let terms = config.loss.forward_matched(theirs, logits, &matched);
            // Sums again: batches have more and fewer objects.
            let divisor = terms.positives.max(1) as f64;
            let sum = |tensor: burn::tensor::Tensor<B, 1>| {
                divisor * f64::from(tensor.into_data().iter::<f32>().sum::<f32>())
            };
            loc += sum(terms.loc);
            conf += sum(terms.conf);
            positives += terms.positives;
            push_found(
                &mut scorer,
                detector,
                set,
                &config.detect,
                places,
                (inputs, output),
            )
        },
    )?;
    let divisor = positives.max(1) as f64;
    Ok(Judged {
        report: scorer.voc(&VocConfig::default())?,
        loc_loss: (loc / divisor) as f32,
        conf_loss: (conf / divisor) as f32,
    })
}

/// The objects of an image that a training learns from, in shares of the image.
fn truths_of(set: &DetectionSet, place: usize, config: &SsdTraining) -> Vec<TruthBox> {
    let sample = &set.samples()[place];
    let (x, y) = (1.0 / sample.width as f32, 1.0 / sample.height as f32);
    let trained = sample
        .objects
        .iter()
        .filter(|object| object.is_trained_on(config.difficult));
    let truth = |object: &BoxObject| TruthBox {
        bbox: object.bbox.scaled(x, y),
        class: object.class,
    };
    trained.map(truth).collect()
}

/// What is done with the images at some places, their inputs, and what the network says of them.
type EachBatch<'a, B> =
    dyn FnMut(&[usize], &[DetectorInput], SsdOutput<B>) -> Result<(), TrainError> + 'a;

fn for_each_batch<B: VisionBackend>(
    detector: &Detector<B>,
    set: &DetectionSet,
    batch: usize,
    each: &mut EachBatch<'_, B>,
) -> Result<(), TrainError> {
    let places: Vec<usize> = (0..set.len()).collect();
    for places in places.chunks(batch.max(1)) {
        let inputs = places
            .iter()
            .map(|place| {
                let image = set.image(*place)?;
                Ok(DetectorInput::new(
                    &image,
                    detector.config(),
                    detector.card(),
                )?)
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let output = detector.forward(&inputs.iter().collect::<Vec<_>>())?;
        each(places, &inputs, output)?;
    }
    Ok(())
}

fn push_found<B: VisionBackend>(
    scorer: &mut DetectionScorer,
    detector: &Detector<B>,
    set: &DetectionSet,
    options: &DetectOptions,
    places: &[usize],
    (inputs, output): (&[DetectorInput], SsdOutput<B>),
) -> Result<(), TrainError> {
    let asked: Vec<_> = inputs.iter().map(|input| (input, options)).collect();
    for (place, found) in places.iter().zip(detector.objects(output, &asked)?) {
        let truths: Vec<Truth> = set.samples()[*place].objects.iter().map(truth).collect();
        scorer.push(&truths, &found)?;
    }
    Ok(())
}

fn truth(object: &BoxObject) -> Truth {
    let kind = match (object.crowd, object.difficult) {
        (true, _) => TruthKind::Crowd,
        (false, true) => TruthKind::Difficult,
        (false, false) => TruthKind::Counted,
    };
    Truth {
        kind,
        area: object.area,
        ..Truth::new(object.bbox, object.class)
    }
}
