//! Matching of priors to objects.

use std::ops::Range;

use burn::tensor::{Element, Tensor, TensorData, backend::Backend};
use pyrograph_vision::{BoundingBox, BoxCoder, CenterBox};

/// A ground-truth object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBox {
    /// The box, in fractions of the image's sides.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
}

/// Matches priors to objects ([SSD](https://arxiv.org/abs/1512.02325), section 2.2).
#[derive(Clone, Debug)]
pub struct PriorMatcher {
    pub(super) centers: Vec<CenterBox>,
    pub(super) corners: Vec<BoundingBox>,
    pub(super) coder: BoxCoder,
}

/// What stands for the overlap of a prior that is forced: above any other.
const FORCED: f32 = 2.0;

/// The targets of every prior of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedBoxes {
    pub(super) priors: usize,
    /// One a prior, image by image: 0 for the background, or the object's class + 1.
    pub(super) classes: Vec<usize>,
    /// Place of each prior with an object in `classes`, ascending, and its encoded offsets.
    pub(super) positives: Vec<(usize, [f32; 4])>,
    /// The object of each positive: its place in the image's list.
    pub(super) objects: Vec<usize>,
    /// Priors with an object in the whole batch, of which this may be a part.
    pub(super) positives_of_batch: usize,
}

impl MatchedBoxes {
    /// Images of the batch.
    pub fn batch(&self) -> usize {
        self.classes.len() / self.priors.max(1)
    }

    /// Selects some images of the batch. The loss of a part is divided by the positives of the
    /// whole batch, so that the losses of all parts add up to the loss of the batch.
    pub fn part(&self, images: Range<usize>) -> Self {
        let places = images.start * self.priors..images.end * self.priors;
        let (positives, objects) = self
            .positives
            .iter()
            .zip(&self.objects)
            .filter(|((place, _), _)| places.contains(place))
            .map(|((place, offsets), object)| ((place - places.start, *offsets), *object))
            .unzip();
        Self {
            priors: self.priors,
            classes: self.classes[places].to_vec(),
            positives,
            objects,
            positives_of_batch: self.positives_of_batch,
        }
    }

    /// Images without objects, for `priors` priors each.
    pub(super) fn background(batch: usize, priors: usize) -> Self {
        Self {
            priors,
            classes: vec![0; priors * batch],
            positives: Vec::new(),
            objects: Vec::new(),
            positives_of_batch: 0,
        }
    }

    /// Gives the object with number `object` of image `item` to `prior`.
    pub(super) fn push(
        &mut self,
        item: usize,
        prior: usize,
        object: usize,
        class: usize,
        offsets: [f32; 4],
    ) {
        let place = item * self.priors + prior;
        self.classes[place] = class + 1;
        self.positives.push((place, offsets));
        self.objects.push(object);
    }

    /// The divisor of the losses: max(1, N), N the priors with an object in the whole batch.
    pub(crate) fn divisor(&self) -> f64 {
        self.positives_of_batch.max(1) as f64
    }

    /// The number of priors of an image.
    pub(crate) fn priors(&self) -> usize {
        self.priors
    }

    /// The places of the positives, ascending.
    pub(crate) fn positive_places(&self) -> Vec<usize> {
        self.positives.iter().map(|(place, _)| *place).collect()
    }

    /// The offsets that the positives are to say, [positives, 4].
    pub(crate) fn positive_offsets<B: Backend>(&self, device: &B::Device) -> Tensor<B, 2> {
        let offsets = self.positives.iter().flat_map(|(_, offsets)| *offsets);
        let offsets = TensorData::new(offsets.collect(), [self.positives.len(), 4]);
        Tensor::from_data(offsets, (device, B::FloatElem::dtype()))
    }

    /// The class of every prior, image by image: 0 for the background, or the object's class + 1.
    pub fn classes(&self) -> &[usize] {
        &self.classes
    }

    /// Every prior with an object, by its index in [`classes`](Self::classes), with its target
    /// offsets.
    pub fn positives(&self) -> &[(usize, [f32; 4])] {
        &self.positives
    }
}

impl PriorMatcher {
    /// A matcher for `priors`, which are in fractions of the image's sides.
    pub fn new(priors: Vec<CenterBox>, coder: BoxCoder) -> Self {
        let corners = priors
            .iter()
            .map(|p| BoundingBox::from_center(*p))
            .collect();
        Self {
            centers: priors,
            corners,
            coder,
        }
    }

    /// The priors.
    pub fn priors(&self) -> &[CenterBox] {
        &self.centers
    }

    /// Matches the objects of every image of a batch.
    ///
    /// A prior gets the object that it overlaps most, if their IoU is `threshold` or more. In
    /// addition the best prior of every object gets that object for any IoU; if two objects have
    /// the same best prior, the later object gets it. Ties go to the first. An object without an
    /// area, or with a corner that is not finite, gets no prior. With a NaN threshold no IoU
    /// reaches it.
    pub fn matches(&self, truths: &[Vec<TruthBox>], threshold: f32) -> MatchedBoxes {
        let priors = self.centers.len();
        let mut matched = MatchedBoxes::background(truths.len(), priors);
        let mut best = vec![(0.0_f32, 0_usize); priors];
        for (item, truths) in truths.iter().enumerate() {
            let proper: Vec<_> = proper(truths).collect();
            if proper.is_empty() || priors == 0 {
                continue;
            }
            self.assign(&proper, &mut best);
            for (prior, &(overlap, truth)) in best.iter().enumerate() {
                // Written so that NaN meets nothing but what is forced.
                let meets = overlap >= threshold || overlap == FORCED;
                if !meets {
                    continue;
                }
                let (object, truth) = proper[truth];
                let offsets = self.coder.encode(truth.bbox, self.centers[prior]);
                matched.push(item, prior, object, truth.class, offsets);
            }
        }
        matched.positives_of_batch = matched.positives.len();
        matched
    }

    /// The overlap and the number of every prior's object in one image; a forced one has an overlap above any other.
    fn assign(&self, truths: &[(usize, &TruthBox)], best: &mut [(f32, usize)]) {
        best.fill((f32::NEG_INFINITY, 0));
        let mut forced = Vec::with_capacity(truths.len());
        for (number, (_, truth)) in truths.iter().enumerate() {
            let mut found = (f32::NEG_INFINITY, 0);
            for (prior, (corners, best)) in self.corners.iter().zip(best.iter_mut()).enumerate() {
                let overlap = truth.bbox.iou(*corners);
                if overlap > best.0 {
                    *best = (overlap, number);
                }
                if overlap > found.0 {
                    found = (overlap, prior);
                }
            }
            forced.push(found.1);
        }
        for (number, prior) in forced.into_iter().enumerate() {
            best[prior] = (FORCED, number);
        }
    }
}

/// The objects of an image that have an area, each with its place in the list.
pub(super) fn proper(truths: &[TruthBox]) -> impl Iterator<Item = (usize, &TruthBox)> {
    truths
        .iter()
        .enumerate()
        .filter(|(_, t)| t.bbox.is_proper())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid() -> Vec<CenterBox> {
        let cell = |i: usize| (i as f32 + 0.5) / 4.0;
        let square = |w: f32| {
            (0..16).map(move |i| CenterBox {
                cx: cell(i % 4),
                cy: cell(i / 4),
                w,
                h: w * 0.9,
            })
        };
        square(0.25).chain(square(0.5)).collect()
    }

    fn truth(corners: [f32; 4], class: usize) -> TruthBox {
        let [x1, y1, x2, y2] = corners;
        TruthBox {
            bbox: BoundingBox::new(x1, y1, x2, y2),
            class,
        }
    }

    /// The rules as they are worded, prior by prior.
    fn naive(priors: &[CenterBox], truths: &[TruthBox], threshold: f32) -> Vec<usize> {
        let iou = |t: &TruthBox, p: &CenterBox| t.bbox.iou(BoundingBox::from_center(*p));
        let first_best = |scores: Vec<f32>| {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            scores.iter().position(|s| *s == largest)
        };
        let best_prior: Vec<_> = truths
            .iter()
            .map(|t| first_best(priors.iter().map(|p| iou(t, p)).collect()))
            .collect();
        let class = |(number, prior): (usize, &CenterBox)| {
            if let Some(truth) = best_prior.iter().rposition(|best| *best == Some(number)) {
                return truths[truth].class + 1;
            }
            match first_best(truths.iter().map(|t| iou(t, prior)).collect()) {
                Some(truth) if iou(&truths[truth], prior) >= threshold => truths[truth].class + 1,
                _ => 0,
            }
        };
        priors.iter().enumerate().map(class).collect()
    }

    #[test]
    fn objects_without_an_area_have_no_prior() {
        let matcher = PriorMatcher::new(grid(), BoxCoder::SSD);
        let broken = [
            truth([0.5, 0.1, 0.5, 0.4], 0),
            truth([0.6, 0.1, 0.5, 0.4], 0),
            truth([f32::NAN, 0.1, 0.5, 0.4], 0),
        ];
        let matched = matcher.matches(&[broken.to_vec(), Vec::new()], 0.5);
        assert_eq!(matched.batch(), 2);
        assert!(matched.positives.is_empty() && matched.classes.iter().all(|c| *c == 0));
    }

    #[test]
    fn a_later_object_takes_over_the_best_prior_of_an_earlier_one() {
        let matcher = PriorMatcher::new(grid(), BoxCoder::SSD);
        let corners = [0.0, 0.0, 0.25, 0.25];
        let matched = matcher.matches(&[vec![truth(corners, 3), truth(corners, 5)]], 0.99);
        assert_eq!(matched.positives.len(), 1);
        assert_eq!(matched.classes[0], 6);
    }

    proptest! {
        #[test]
        fn matching_is_as_it_is_worded(
            boxes in prop::collection::vec((0.0_f32..0.8, 0.0_f32..0.8, 0.05_f32..0.5, 0.05_f32..0.5), 0..8),
            threshold in 0.2_f32..0.8,
        ) {
            let truths: Vec<_> = boxes
                .iter()
                .enumerate()
                .map(|(class, &(x, y, w, h))| truth([x, y, x + w, y + h], class))
                .collect();
            let matcher = PriorMatcher::new(grid(), BoxCoder::SSD);
            let matched = matcher.matches(std::slice::from_ref(&truths), threshold);
            prop_assert_eq!(&matched.classes, &naive(&grid(), &truths, threshold));
            for (place, offsets) in &matched.positives {
                let found = BoxCoder::SSD.decode(*offsets, grid()[*place]);
                let truth = truths[matched.classes[*place] - 1].bbox;
                prop_assert!(found.iou(truth) > 0.999, "{found:?} {truth:?}");
            }
        }
    }
}
