//! Hard negative mining.

use super::MatchedBoxes;

/// The priors of the cross-entropy: the positives and the mined negatives of a batch.
///
/// [`MultiBoxLoss::select`](crate::MultiBoxLoss::select) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardPriors {
    places: Vec<usize>,
}

impl HardPriors {
    /// The indices of the priors in [batch · priors], ascending.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// Mines the negatives of each image by falling loss; see [`kept`].
    pub(super) fn mine(
        logits: &[f32],
        matched: &MatchedBoxes,
        ratio: usize,
        for_empty: usize,
    ) -> Self {
        Self {
            places: kept(logits, matched, ratio, for_empty),
        }
    }
}

/// The places of the priors that count in the cross-entropy, ascending: those with an object and,
/// image by image, the negatives of the largest loss: `ratio` for each positive, or `for_empty` in
/// an image without objects. Of equal losses the first count.
fn kept(logits: &[f32], matched: &MatchedBoxes, ratio: usize, for_empty: usize) -> Vec<usize> {
    let priors = matched.priors;
    let classes = logits.len() / matched.classes.len().max(1);
    let mut kept = Vec::new();
    for (item, targets) in matched.classes.chunks(priors.max(1)).enumerate() {
        let positives = targets.iter().filter(|class| **class > 0).count();
        let wanted = match positives
            .saturating_mul(ratio)
            .min(priors.saturating_sub(1))
        {
            0 => for_empty,
            negatives => negatives,
        };
        let rows = logits[item * priors * classes..].chunks_exact(classes.max(1));
        let mut negatives: Vec<(f32, usize)> = targets
            .iter()
            .zip(rows)
            .enumerate()
            .filter(|(_, (class, _))| **class == 0)
            .map(|(prior, (_, row))| (background_loss(row), prior))
            .collect();
        if wanted < negatives.len() {
            // By falling loss, NaN first, so that it shows in the loss; then by place.
            let order =
                |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            negatives.select_nth_unstable_by(wanted, order);
            negatives.truncate(wanted);
        }
        let positives = (0..targets.len()).filter(|prior| targets[*prior] > 0);
        let first = kept.len();
        kept.extend(positives.chain(negatives.into_iter().map(|(_, prior)| prior)));
        kept[first..].sort_unstable();
        for place in &mut kept[first..] {
            *place += item * priors;
        }
    }
    kept
}

/// The cross-entropy of a prior that should say "background", `ln Σ eˣ − x₀`, without overflow.
fn background_loss(row: &[f32]) -> f32 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = row.iter().map(|x| (x - largest).exp()).sum();
    let loss = largest + sum.ln() - row[0];
    // One sign of NaN, which orders first.
    if loss.is_nan() { f32::NAN.abs() } else { loss }
}
