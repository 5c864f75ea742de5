//! How well a detector finds what is there.

use pyrograph_backend::vision::VisionBackend;
use pyrograph_data::detection::{BoxObject, DetectionSet};
use pyrograph_metrics::{DetectionScorer, Truth, TruthKind};
use pyrograph_models::ssd::Detector;
use pyrograph_vision::DetectOptions;

use crate::TrainError;

/// Sets what `detector` finds in every image of `set`, `batch` at a time, against its objects. `each` hears how many images are
/// done.
///
/// # Errors
/// When an image does not read, or an option is not allowed.
pub fn score_set<B: VisionBackend>(
    detector: &Detector<B>,
    set: &DetectionSet,
    options: &DetectOptions,
    batch: usize,
    each: &mut dyn FnMut(usize),
) -> Result<DetectionScorer, TrainError> {
    let mut scorer = DetectionScorer::new(set.class_names().len())?;
    let places: Vec<usize> = (0..set.len()).collect();
    for places in places.chunks(batch.max(1)) {
        let images = places
            .iter()
            .map(|place| set.image(*place))
            .collect::<Result<Vec<_>, _>>()?;
        let found = detector.detect(&images, options)?;
        for (place, found) in places.iter().zip(found) {
            let truths: Vec<Truth> = set.samples()[*place].objects.iter().map(truth).collect();
            scorer.push(&truths, &found)?;
            each(place + 1);
        }
    }
    Ok(scorer)
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
