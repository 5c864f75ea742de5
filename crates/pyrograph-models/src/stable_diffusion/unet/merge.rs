//! Merging of similar tokens before self-attention: ToMe for Stable Diffusion ([Bolya and Hoffman,
//! 2023](https://arxiv.org/abs/2303.17604)).

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData, backend::Backend};
use pyrograph_backend::rng::{NoiseKey, host_tensor};

/// The side of a cell of tokens, of which one is a destination.
const CELL: usize = 2;
/// Keeps the norm of a token of zeros from dividing by 0.
const SMALLEST_NORM: f64 = 1e-12;

/// Merging of tokens before self-attention, and back after it.
///
/// One token of each 2 × 2 cell, drawn at random, is a destination, and all others are sources.
/// Each source is assigned to the destination with the largest cosine similarity. The `⌊ratio · N⌋`
/// most similar sources of `N` tokens merge with their destinations, which take the mean. After
/// attention every merged source gets a copy of its destination's output.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenMerging {
    /// The fraction of the tokens that are merged, above 0 and at most
    /// [`MAX_RATIO`](Self::MAX_RATIO).
    pub ratio: f64,
    /// The number of levels whose tokens merge, from the highest resolution on.
    pub levels: usize,
    /// The noise key that draws the destinations of the cells, for each row of the batch.
    pub draws: Vec<NoiseKey>,
}

impl TokenMerging {
    /// The largest ratio: one token of each 2 × 2 cell remains.
    pub const MAX_RATIO: f64 = 0.75;

    pub(super) fn acts_at(&self, level: usize) -> bool {
        level < self.levels
    }

    /// The tokens of `x` [batch, height·width, channels] that merge; none where there is no cell,
    /// or the ratio merges no token.
    pub(super) fn matched<B: Backend>(
        &self,
        x: &Tensor<B, 3>,
        sides: [usize; 2],
    ) -> Option<MergedTokens<B>> {
        let [_, tokens, _] = x.dims();
        let split: Vec<_> = self
            .draws
            .iter()
            .map(|draw| Split::new(draw, sides))
            .collect();
        let sources = split.first()?.sources.len();
        let merged = ((self.ratio * tokens as f64) as usize).min(sources);
        if merged == 0 || sources == tokens {
            return None;
        }
        let (alike, nearest) = nearest(x, &split);
        let plans = split
            .iter()
            .zip(alike.chunks(sources).zip(nearest.chunks(sources)));
        let plans = plans.map(|(split, (alike, nearest))| split.plan(alike, nearest, merged));
        Some(MergedTokens::new(plans.collect(), tokens, &x.device()))
    }
}

/// The tokens of one row: sources and destinations, by place.
struct Split {
    sources: Vec<usize>,
    destinations: Vec<usize>,
}

impl Split {
    /// Draws a destination in each whole cell; tokens beyond the last whole cell are sources.
    fn new(draw: &NoiseKey, [height, width]: [usize; 2]) -> Self {
        let [down, across] = [height / CELL, width / CELL];
        let drawn = draw.below(0, down * across, (CELL * CELL) as u32);
        let mut is_destination = vec![false; height * width];
        for (cell, inside) in drawn.into_iter().enumerate() {
            let row = cell / across * CELL + inside as usize / CELL;
            let column = cell % across * CELL + inside as usize % CELL;
            is_destination[row * width + column] = true;
        }
        let (destinations, sources) = (0..height * width).partition(|place| is_destination[*place]);
        Self {
            sources,
            destinations,
        }
    }

    /// Merges the `count` sources that are most alike to their nearest destinations, `nearest` by place in the list.
    fn plan(&self, alike: &[f32], nearest: &[usize], count: usize) -> RowPlan {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.sort_by(|a, b| alike[*b].total_cmp(&alike[*a]));
        let (merged, unmerged) = order.split_at(count);
        let kept = unmerged.iter().map(|source| self.sources[*source]);
        let kept: Vec<usize> = kept.chain(self.destinations.iter().copied()).collect();
        let mut back = vec![0; self.sources.len() + self.destinations.len()];
        for (place, token) in kept.iter().enumerate() {
            back[*token] = place;
        }
        let pairs: Vec<[usize; 2]> = merged
            .iter()
            .map(|source| [self.sources[*source], unmerged.len() + nearest[*source]])
            .collect();
        for [token, into] in &pairs {
            back[*token] = *into;
        }
        RowPlan { kept, pairs, back }
    }
}

/// For each source of each row, the largest cosine with a destination and the destination's place in its list.
fn nearest<B: Backend>(x: &Tensor<B, 3>, split: &[Split]) -> (Vec<f32>, Vec<usize>) {
    let x = x.clone().detach();
    let norms = x.clone().powi_scalar(2).sum_dim(2).sqrt();
    let x = x / norms.clamp_min(SMALLEST_NORM); // [batch, tokens, channels]
    let [rows, tokens, channels] = x.dims();
    let device = x.device();
    let flat: Tensor<B, 2> = x.reshape([rows * tokens, channels]);
    let of = |list: fn(&Split) -> &Vec<usize>| {
        let places = split
            .iter()
            .enumerate()
            .flat_map(|(row, split)| list(split).iter().map(move |place| row * tokens + place));
        let places: Vec<usize> = places.collect();
        let count = places.len() / rows;
        let taken = flat.clone().select(0, places_on(&places, &device));
        taken.reshape([rows, count, channels])
    };
    let (sources, destinations) = (of(|split| &split.sources), of(|split| &split.destinations));
    let cosines = sources.matmul(destinations.swap_dims(1, 2)); // [batch, sources, destinations]
    let (alike, nearest) = cosines.max_dim_with_indices(2);
    let alike = alike.into_data().iter::<f32>().collect();
    let places = nearest.into_data();
    let nearest = places.iter::<i64>().map(|place| place as usize).collect();
    (alike, nearest)
}

/// How the tokens of one row merge.
struct RowPlan {
    /// The tokens that stay: sources that are not merged, then destinations.
    kept: Vec<usize>,
    /// A merged token, and the place in `kept` that it merges into.
    pairs: Vec<[usize; 2]>,
    /// The place in `kept` whose output each token takes.
    back: Vec<usize>,
}

/// Which tokens of a batch merge.
pub(super) struct MergedTokens<B: Backend> {
    rows: usize,
    tokens: usize,
    /// Places in [rows · tokens].
    kept: Tensor<B, 1, Int>,
    sources: Tensor<B, 1, Int>,
    /// Places in [rows · kept].
    into: Tensor<B, 1, Int>,
    back: Tensor<B, 1, Int>,
    /// One over the number of tokens that each kept one is the mean of: [rows · kept, 1].
    shares: Tensor<B, 2>,
}

impl<B: Backend> MergedTokens<B> {
    fn new(plans: Vec<RowPlan>, tokens: usize, device: &B::Device) -> Self {
        let (rows, stay) = (plans.len(), plans[0].kept.len());
        let flat = |each: fn(&RowPlan) -> Vec<usize>, a_row: usize| {
            let places = plans.iter().enumerate().flat_map(|(row, plan)| {
                each(plan).into_iter().map(move |place| row * a_row + place)
            });
            places.collect::<Vec<usize>>()
        };
        let into = flat(|plan| plan.pairs.iter().map(|pair| pair[1]).collect(), stay);
        let mut counts = vec![1.0_f32; rows * stay];
        into.iter().for_each(|place| counts[*place] += 1.0);
        let shares = counts.into_iter().map(f32::recip).collect();
        let sources = flat(
            |plan| plan.pairs.iter().map(|pair| pair[0]).collect(),
            tokens,
        );
        Self {
            rows,
            tokens,
            kept: places_on(&flat(|plan| plan.kept.clone(), tokens), device),
            sources: places_on(&sources, device),
            into: places_on(&into, device),
            back: places_on(&flat(|plan| plan.back.clone(), stay), device),
            shares: host_tensor(shares, [rows * stay, 1], device),
        }
    }

    /// [batch, tokens, channels] → [batch, tokens that stay, channels].
    pub(super) fn merge(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [rows, tokens, channels] = x.dims();
        let flat: Tensor<B, 2> = x.reshape([rows * tokens, channels]);
        let sources = flat.clone().select(0, self.sources.clone());
        let sums = flat.select(0, self.kept.clone()).select_assign(
            0,
            self.into.clone(),
            sources,
            IndexingUpdateOp::Add,
        );
        let means = sums * self.shares.clone();
        let [kept, _] = means.dims();
        means.reshape([rows, kept / rows, channels])
    }

    /// [batch, tokens that stay, channels] → [batch, tokens, channels].
    pub(super) fn undo(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [rows, kept, channels] = x.dims();
        let flat: Tensor<B, 2> = x.reshape([rows * kept, channels]);
        flat.select(0, self.back.clone())
            .reshape([self.rows, self.tokens, channels])
    }
}

fn places_on<B: Backend>(places: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use pyrograph_backend::rng::Purpose;

    use super::*;

    fn draws(rows: usize) -> Vec<NoiseKey> {
        (0..rows as u64)
            .map(|seed| NoiseKey::new(seed, Purpose::TokenMerging, 0))
            .collect()
    }

    fn merging(ratio: f64, rows: usize) -> TokenMerging {
        TokenMerging {
            ratio,
            levels: 1,
            draws: draws(rows),
        }
    }

    fn noise(shape: [usize; 3]) -> Tensor<Flex, 3> {
        let key = NoiseKey::new(9, Purpose::Other, 0);
        key.normal_tensor(0, shape, &Default::default())
    }

    fn values(x: Tensor<Flex, 3>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn every_cell_has_one_destination_and_tokens_beyond_the_cells_are_sources() {
        let sides = [5, 7];
        let split = Split::new(&draws(1)[0], sides);
        assert_eq!(split.destinations.len(), 2 * 3);
        assert_eq!(split.sources.len() + split.destinations.len(), 35);
        let mut cells: Vec<_> = split
            .destinations
            .iter()
            .map(|place| (place / 7 / 2, place % 7 / 2))
            .collect();
        cells.dedup();
        assert_eq!(cells.len(), 6);
        let drawn = |seed| Split::new(&NoiseKey::new(seed, Purpose::TokenMerging, 0), [8, 8]);
        assert_eq!(drawn(1).destinations, drawn(1).destinations);
        assert_ne!(drawn(1).destinations, drawn(2).destinations);
    }

    #[test]
    fn the_most_alike_sources_merge_by_mean_and_come_back_as_copies() {
        // One row of 2 × 2 tokens, of which one is the destination.
        let split = Split::new(&draws(1)[0], [2, 2]);
        let [destination] = split.destinations[..] else {
            panic!("one destination");
        };
        let [near, far, farther] = split.sources[..] else {
            panic!("three sources");
        };
        let mut rows = [[0.0_f32; 2]; 4];
        rows[destination] = [1.0, 0.0];
        rows[near] = [3.0, 0.1];
        rows[far] = [1.0, 1.0];
        rows[farther] = [-1.0, 1.0];
        let x = Tensor::<Flex, 2>::from_floats(rows, &Default::default()).unsqueeze::<3>();
        let matched = merging(0.25, 1).matched(&x, [2, 2]).expect("one merges");
        let merged = matched.merge(x);
        assert_eq!(merged.dims(), [1, 3, 2]);
        assert_eq!(values(merged.clone()), [1.0, 1.0, -1.0, 1.0, 2.0, 0.05]);
        let back = values(matched.undo(merged));
        let token = |place: usize| [back[2 * place], back[2 * place + 1]];
        assert_eq!(token(near), token(destination));
        assert_eq!((token(far), token(farther)), (rows[far], rows[farther]));
    }

    #[test]
    fn rows_merge_by_themselves_and_the_largest_ratio_leaves_the_destinations() {
        let x = noise([2, 24, 6]);
        let both = merging(0.75, 2);
        let matched = both.matched(&x, [4, 6]).expect("merges");
        let merged = matched.merge(x.clone());
        assert_eq!(merged.dims(), [2, 6, 6]);
        let alone = TokenMerging {
            draws: both.draws[1..].to_vec(),
            ..both
        };
        let second = x.narrow(0, 1, 1);
        let alone = alone
            .matched(&second, [4, 6])
            .expect("merges")
            .merge(second);
        assert_eq!(values(alone), values(merged)[36..]);
    }

    #[test]
    fn a_strip_without_a_cell_and_a_ratio_below_one_token_merge_nothing() {
        assert!(merging(0.5, 1).matched(&noise([1, 7, 4]), [1, 7]).is_none());
        assert!(
            merging(0.01, 1)
                .matched(&noise([1, 16, 4]), [4, 4])
                .is_none()
        );
    }
}
