//! Matching by a teacher: the teacher's predictions decide which priors are positive.

use pyrograph_vision::CenterBox;

use super::{MatchedBoxes, PriorMatcher, TruthBox, matching::proper};

/// A prior that an object claims.
#[derive(Clone, Copy)]
struct Claim {
    /// The teacher's probability of the object's class · IoU of the teacher's box with the object.
    score: f32,
    object: usize,
    prior: usize,
}

/// What a teacher predicts from one image on.
struct Predictions<'a> {
    loc: &'a [f32],
    conf: &'a [f32],
    classes: usize,
}

impl PriorMatcher {
    /// Matches the objects of every image by the predictions of a teacher
    /// ([LAD, Nguyen et al., WACV 2022](https://arxiv.org/abs/2108.10520)).
    ///
    /// Candidates of an object are the priors whose own IoU with the object is `candidate_iou` or
    /// more, and the priors that `plain` gave to the object. Candidates rank by
    ///
    /// `teacher's softmax probability of the object's class · IoU(teacher's decoded box, object)`
    ///
    /// and the first n are the object's positives, where n is the number of priors that `plain`
    /// gave to the object. Ties go to the lower prior; a score that is NaN ranks last. If two
    /// objects claim one prior, the object with the higher score gets it, then the earlier object;
    /// the other object gets no replacement. So this matching never has more positives than
    /// `plain`. The divisor of the losses is that of `plain`, so that losses of
    /// [parts](MatchedBoxes::part) of a batch still add up to the loss of the batch.
    ///
    /// # Shapes
    /// `loc` [batch, priors, 4] and `conf` [batch, priors, classes], the background first: offsets
    /// and logits of the teacher in row-major order. `plain` comes from [`matches`](Self::matches)
    /// with the same objects. The caller checks the shapes; a prior without a prediction ranks
    /// last.
    pub fn matches_by_teacher(
        &self,
        truths: &[Vec<TruthBox>],
        plain: &MatchedBoxes,
        loc: &[f32],
        conf: &[f32],
        candidate_iou: f32,
    ) -> MatchedBoxes {
        let priors = self.centers.len();
        let mut matched = MatchedBoxes::background(truths.len(), priors);
        matched.positives_of_batch = plain.positives_of_batch;
        let classes = conf.len() / (priors * truths.len()).max(1);
        for (item, truths) in truths.iter().enumerate() {
            let predictions = Predictions {
                loc: loc.get(item * priors * 4..).unwrap_or_default(),
                conf: conf.get(item * priors * classes..).unwrap_or_default(),
                classes,
            };
            let owned = self.owned_by(plain, item, truths.len());
            for claim in self.claims(truths, &owned, &predictions, candidate_iou) {
                let truth = &truths[claim.object];
                let offsets = self.coder.encode(truth.bbox, self.centers[claim.prior]);
                matched.push(item, claim.prior, claim.object, truth.class, offsets);
            }
        }
        matched
    }

    /// The priors that `plain` gave to each object of image `item`.
    fn owned_by(&self, plain: &MatchedBoxes, item: usize, objects: usize) -> Vec<Vec<usize>> {
        let priors = self.centers.len();
        let mut owned = vec![Vec::new(); objects];
        for ((place, _), object) in plain.positives.iter().zip(&plain.objects) {
            if let (true, Some(owned)) = (place / priors == item, owned.get_mut(*object)) {
                owned.push(place % priors);
            }
        }
        owned
    }

    /// The positives of one image, by ascending prior.
    fn claims(
        &self,
        truths: &[TruthBox],
        owned: &[Vec<usize>],
        predictions: &Predictions<'_>,
        candidate_iou: f32,
    ) -> Vec<Claim> {
        let mut winners: Vec<Option<Claim>> = vec![None; self.centers.len()];
        for (object, truth) in proper(truths) {
            let owned = &owned[object];
            if owned.is_empty() {
                continue;
            }
            let is_candidate = |prior: &usize| {
                truth.bbox.iou(self.corners[*prior]) >= candidate_iou
                    || owned.binary_search(prior).is_ok()
            };
            let mut claims: Vec<Claim> = (0..self.centers.len())
                .filter(is_candidate)
                .map(|prior| Claim {
                    score: self.score(truth, prior, predictions),
                    object,
                    prior,
                })
                .collect();
            // Stable, so that of equal scores the lower prior counts first.
            claims.sort_by(|a, b| b.score.total_cmp(&a.score));
            for claim in claims.into_iter().take(owned.len()) {
                let winner = &mut winners[claim.prior];
                if winner.is_none_or(|winner| claim.score > winner.score) {
                    *winner = Some(claim);
                }
            }
        }
        winners.into_iter().flatten().collect()
    }

    /// The teacher's score of `prior` for an object; −1 where it is not a number.
    fn score(&self, truth: &TruthBox, prior: usize, predictions: &Predictions<'_>) -> f32 {
        let score = predictions
            .offsets(prior)
            .zip(predictions.probability(prior, truth.class + 1))
            .map(|(offsets, probability)| {
                let center: CenterBox = self.centers[prior];
                probability * self.coder.decode(offsets, center).iou(truth.bbox)
            });
        match score {
            Some(score) if !score.is_nan() => score,
            _ => -1.0,
        }
    }
}

impl Predictions<'_> {
    fn offsets(&self, prior: usize) -> Option<[f32; 4]> {
        self.loc.get(prior * 4..prior * 4 + 4)?.try_into().ok()
    }

    /// The softmax probability of `class`, without overflow.
    fn probability(&self, prior: usize, class: usize) -> Option<f32> {
        let start = prior * self.classes;
        let logits = self.conf.get(start..start + self.classes)?;
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|x| (x - largest).exp()).sum();
        Some((logits.get(class)? - largest).exp() / sum)
    }
}
