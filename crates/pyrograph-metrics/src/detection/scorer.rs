//! Truths and detections, collected image by image and grouped by class.

use pyrograph_vision::{BoundingBox, Detection};

use super::overlap::area;
use super::{Truth, TruthKind};
use crate::MetricsError;

/// Collects the truths and detections of a set of images, then scores them by the rules of Pascal
/// VOC ([`voc`](Self::voc)) and COCO ([`coco`](Self::coco)).
///
/// It stores 32 bytes for each detection and 40 for each truth. Scoring does not change the
/// collection, so intermediate figures may be taken.
///
/// # Example
///
/// ```
/// # mod pyrograph { pub use pyrograph_vision as vision; pub use pyrograph_metrics as metrics; }
/// use pyrograph::metrics::{DetectionScorer, Truth, VocConfig};
/// use pyrograph::vision::{BoundingBox, Detection};
///
/// # fn main() -> Result<(), pyrograph::metrics::MetricsError> {
/// let cat = BoundingBox::new(10.0, 10.0, 50.0, 40.0);
/// let mut scorer = DetectionScorer::new(2)?;
/// scorer.push(
///     &[Truth::new(cat, 0)],
///     &[Detection { bbox: cat, class: 0, score: 0.9 }],
/// )?;
/// let voc = scorer.voc(&VocConfig::default())?;
/// assert_eq!(voc.classes[0].ap, Some(1.0));
/// assert_eq!(voc.classes[1].ap, None); // there is nothing of this class to be found
/// assert_eq!(voc.map, Some(1.0));
/// assert_eq!(scorer.coco().mean.ap_medium, Some(1.0)); // 1,200 square pixels
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionScorer {
    /// The number of images so far.
    images: usize,
    /// One a class.
    pub(super) classes: Vec<ClassItems>,
}

/// Everything of one class, in the order in which it came: image after image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClassItems {
    pub(super) truths: Vec<TruthItem>,
    pub(super) detections: Vec<DetectionItem>,
}

/// A truth of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TruthItem {
    pub(super) image: usize,
    pub(super) bbox: BoundingBox,
    pub(super) kind: TruthKind,
    /// In square pixels.
    pub(super) area: f64,
}

/// A detection of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DetectionItem {
    pub(super) image: usize,
    pub(super) bbox: BoundingBox,
    pub(super) score: f32,
}

impl ClassItems {
    /// Images with truths or detections of the class, in order, with both.
    pub(super) fn images(&self) -> impl Iterator<Item = (&[TruthItem], &[DetectionItem])> {
        let (mut truths, mut detections) = (&self.truths[..], &self.detections[..]);
        std::iter::from_fn(move || {
            let first = [
                truths.first().map(|truth| truth.image),
                detections.first().map(|detection| detection.image),
            ];
            let image = first.into_iter().flatten().min()?;
            let until = truths.partition_point(|truth| truth.image == image);
            let of_image;
            (of_image, truths) = truths.split_at(until);
            let until = detections.partition_point(|detection| detection.image == image);
            let found;
            (found, detections) = detections.split_at(until);
            Some((of_image, found))
        })
    }
}

impl DetectionScorer {
    /// A scorer for detectors of `classes` classes, without the background.
    ///
    /// # Errors
    /// [`MetricsError::Zero`] without a class.
    pub fn new(classes: usize) -> Result<Self, MetricsError> {
        if classes == 0 {
            return Err(MetricsError::Zero {
                what: "the number of classes",
            });
        }
        Ok(Self {
            images: 0,
            classes: vec![ClassItems::default(); classes],
        })
    }

    /// The number of images so far.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Adds the truths and detections of an image, in pixels of that image. Either list may be
    /// empty. Only the order of the scores matters; detections of equal score rank in their order.
    ///
    /// A box may have no area, for example after clipping; it overlaps with nothing.
    ///
    /// # Errors
    /// [`MetricsError::BoxCorners`] for a box that is inverted, infinite or not a number,
    /// [`MetricsError::Class`] for a class beyond their number, [`MetricsError::Score`] for a score
    /// that is NaN or infinite, [`MetricsError::Area`] for an invalid area, each with its index in
    /// the list. The image is then not added.
    pub fn push(&mut self, truths: &[Truth], detections: &[Detection]) -> Result<(), MetricsError> {
        let classes = self.classes.len();
        for (position, truth) in truths.iter().enumerate() {
            check_item("truth", position, truth.bbox, truth.class, classes)?;
            if let Some(seen) = truth.area
                && !(seen.is_finite() && seen >= 0.0)
            {
                return Err(MetricsError::Area { seen, position });
            }
        }
        for (position, detection) in detections.iter().enumerate() {
            check_item(
                "detection",
                position,
                detection.bbox,
                detection.class,
                classes,
            )?;
            let seen = detection.score;
            if !seen.is_finite() {
                return Err(MetricsError::Score { seen, position });
            }
        }
        let image = self.images;
        for truth in truths {
            self.classes[truth.class].truths.push(TruthItem {
                image,
                bbox: truth.bbox,
                kind: truth.kind,
                area: truth.area.map_or_else(|| area(truth.bbox), f64::from),
            });
        }
        for detection in detections {
            self.classes[detection.class]
                .detections
                .push(DetectionItem {
                    image,
                    bbox: detection.bbox,
                    // -0 becomes 0, which is the same score.
                    score: detection.score + 0.0,
                });
        }
        self.images += 1;
        Ok(())
    }
}

fn check_item(
    what: &'static str,
    position: usize,
    bbox: BoundingBox,
    class: usize,
    classes: usize,
) -> Result<(), MetricsError> {
    let corners = [bbox.x1, bbox.y1, bbox.x2, bbox.y2];
    let finite = corners.iter().all(|corner| corner.is_finite());
    if !finite || bbox.x1 > bbox.x2 || bbox.y1 > bbox.y2 {
        return Err(MetricsError::BoxCorners {
            what,
            seen: corners,
            position,
        });
    }
    if class >= classes {
        return Err(MetricsError::Class {
            what,
            seen: class,
            position,
            classes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: BoundingBox = BoundingBox::new(0.0, 0.0, 1.0, 1.0);

    fn found(bbox: BoundingBox, class: usize, score: f32) -> Detection {
        Detection { bbox, class, score }
    }

    #[test]
    fn images_come_back_in_order_each_with_what_is_in_it() {
        let mut scorer = DetectionScorer::new(2).unwrap();
        scorer.push(&[Truth::new(UNIT, 1); 2], &[]).unwrap();
        scorer.push(&[], &[]).unwrap();
        scorer.push(&[], &[found(UNIT, 1, 0.5)]).unwrap();
        scorer
            .push(&[Truth::new(UNIT, 1)], &[found(UNIT, 1, 0.25); 3])
            .unwrap();
        let counts: Vec<_> = scorer.classes[1]
            .images()
            .map(|(truths, detections)| (truths.len(), detections.len()))
            .collect();
        assert_eq!(counts, [(2, 0), (0, 1), (1, 3)]);
        assert_eq!(scorer.classes[0].images().count(), 0);
        assert_eq!(scorer.images(), 4);
    }

    #[test]
    fn what_cannot_be_scored_is_refused_with_its_place_and_leaves_nothing_behind() {
        let zero = DetectionScorer::new(0).unwrap_err().to_string();
        assert_eq!(zero, "the number of classes is 0: it has to be at least 1");
        let mut scorer = DetectionScorer::new(2).unwrap();
        let empty = scorer.clone();
        let nan = BoundingBox::new(0.0, f32::NAN, 1.0, 1.0);
        let inverted = BoundingBox::new(1.0, 0.0, 0.0, 1.0);
        let truth = Truth::new(UNIT, 0);
        let good = found(UNIT, 0, 0.5);
        let cases = [
            (
                scorer.push(&[truth], &[good, found(nan, 0, 0.5)]),
                "the box of the detection at position 1 is [0.0, NaN, 1.0, 1.0]: its corners have to be \
                 finite, with x1 ≤ x2 and y1 ≤ y2",
            ),
            (
                scorer.push(&[Truth::new(inverted, 0)], &[good]),
                "the box of the truth at position 0 is [1.0, 0.0, 0.0, 1.0]: its corners have to be \
                 finite, with x1 ≤ x2 and y1 ≤ y2",
            ),
            (
                scorer.push(&[truth], &[found(UNIT, 0, f32::NAN)]),
                "the score at position 0 is NaN: it has to be a finite number",
            ),
            (
                scorer.push(&[truth], &[found(UNIT, 2, 0.5)]),
                "detection class 2 at position 0: allowed are 0 to 1",
            ),
            (
                scorer.push(&[truth, Truth::new(UNIT, 7)], &[]),
                "truth class 7 at position 1: allowed are 0 to 1",
            ),
            (
                scorer.push(
                    &[Truth {
                        area: Some(-1.0),
                        ..truth
                    }],
                    &[],
                ),
                "the area of the truth at position 0 is -1: it has to be a finite number that is not \
                 negative",
            ),
        ];
        for (result, message) in cases {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
        assert_eq!(scorer, empty);
    }
}
