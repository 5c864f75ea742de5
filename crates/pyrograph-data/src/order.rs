//! The random order and augmentation of training data, as functions of seeds.

use pyrograph_base::{SplitMix64, hash};

/// What a key is for, so that no two uses share a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Order = 1,
    Split = 2,
    Flip = 3,
    Jitter = 4,
    /// The colours of an image with boxes.
    Photometric = 5,
    /// The empty space around an image with boxes.
    Expand = 6,
    /// The part of an image with boxes that is kept.
    Crop = 7,
    /// Left and right of an image with boxes.
    Mirror = 8,
    /// The images of a subset; 9 is the scenes' of `pyrograph-art`.
    Choice = 10,
}

/// The order of `len` items in epoch `epoch`: a permutation of `0..len` that depends only on the
/// three arguments.
///
/// It is the Fisher–Yates shuffle with numbers of splitmix64: for i from `len - 1` down to 1, item
/// i is swapped with item ⌊r · (i + 1) / 2⁶⁴⌋, where r is the next number of the stream of (seed,
/// epoch).
///
/// # Panics
/// If `len` exceeds `u32::MAX`; no [`SpriteSet`](crate::SpriteSet) and no
/// [`LabelledImages`](crate::LabelledImages) is that long.
pub fn epoch_order(len: usize, seed: u64, epoch: u64) -> Vec<u32> {
    // The documented panic: both kinds of sets refuse to be longer.
    let len = u32::try_from(len).expect("a set has at most u32::MAX items");
    let mut order: Vec<u32> = (0..len).collect();
    stream(Purpose::Order, seed, epoch).shuffle(&mut order);
    order
}

/// Augmentation of images on their way into a batch. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Mirrors each image with probability ½, drawn again in each epoch. Do not use it for sets in
    /// which left and right have a meaning, such as sprites that face to one side.
    pub horizontal_flip: bool,
}

impl Augment {
    /// Whether the image at `index` is mirrored in this epoch: half of the images on average. The
    /// draw depends on (seed, epoch, index), and not on the order or the batch size.
    pub fn flips(&self, seed: u64, epoch: u64, index: usize) -> bool {
        self.horizontal_flip && hash([seed, epoch, Purpose::Flip as u64, index as u64]) >> 63 == 1
    }
}

/// `N` numbers in [-1, 1] for what happens to the image at `index` in this epoch, each evenly spread.
pub(crate) fn jitter_numbers<const N: usize>(seed: u64, epoch: u64, index: usize) -> [f32; N] {
    let mut draws = draws_of(Purpose::Jitter, seed, epoch, index);
    // Multiples of 2⁻²³, which a 32-bit float holds exactly.
    std::array::from_fn(|_| 2.0 * draws.unit() - 1.0)
}

/// The random numbers of one use at one image in one epoch.
pub(crate) type Draws = SplitMix64;

/// The start of the stream of (`purpose`, `seed`, `epoch`, `index`).
pub(crate) fn draws_of(purpose: Purpose, seed: u64, epoch: u64, index: usize) -> Draws {
    SplitMix64::of([seed, epoch, purpose as u64, index as u64])
}

/// Shuffles in the way of a split: by seed and class.
pub(crate) fn shuffle_for_split(items: &mut [usize], seed: u64, class: usize) {
    stream(Purpose::Split, seed, class as u64).shuffle(items);
}

/// Shuffles in the way of a choice of some items: by seed.
pub(crate) fn shuffle_for_choice(items: &mut [usize], seed: u64) {
    stream(Purpose::Choice, seed, 0).shuffle(items);
}

/// A stream that no other pair or purpose has.
fn stream(purpose: Purpose, seed: u64, item: u64) -> SplitMix64 {
    SplitMix64::of([seed, item, purpose as u64])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pyrograph_base::rand::Rng;

    use super::*;

    #[test]
    fn orders_differ_by_seed_and_by_epoch() {
        let order = |seed, epoch| epoch_order(100, seed, epoch);
        assert_eq!(order(1, 2), order(1, 2));
        assert_ne!(order(1, 2), order(2, 1));
        assert_ne!(order(1, 2), order(1, 3));
        assert_ne!(order(0, 0), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_is_the_same_in_every_release() {
        // A resumed training relies on it.
        assert_eq!(epoch_order(8, 0, 0), GOLDEN_ORDER);
        assert!(epoch_order(0, 0, 0).is_empty());
        assert_eq!(epoch_order(1, 0, 0), [0]);
    }

    /// `epoch_order(8, 0, 0)`, computed once by a second implementation in Python.
    const GOLDEN_ORDER: [u32; 8] = [5, 3, 0, 7, 4, 2, 1, 6];

    #[test]
    fn every_item_is_as_likely_at_every_place() {
        let mut counts = [[0_u32; 5]; 5];
        for epoch in 0..5000 {
            for (place, item) in epoch_order(5, 9, epoch).into_iter().enumerate() {
                counts[place][item as usize] += 1;
            }
        }
        // A thousand each, with a standard deviation of 28.
        assert!(
            counts
                .iter()
                .flatten()
                .all(|&count| (860..1140).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn half_of_the_images_are_mirrored_and_others_in_the_next_epoch() {
        let augment = Augment {
            horizontal_flip: true,
        };
        let flips = |epoch| {
            (0..10_000)
                .filter(|&i| augment.flips(3, epoch, i))
                .collect::<Vec<_>>()
        };
        assert!((4700..5300).contains(&flips(0).len()));
        assert_ne!(flips(0), flips(1));
        assert!((0..100).all(|index| !Augment::default().flips(3, 0, index)));
    }

    #[test]
    fn draws_differ_by_each_of_their_arguments() {
        let first = |purpose, seed, epoch, index| draws_of(purpose, seed, epoch, index).next_u64();
        let base = first(Purpose::Crop, 1, 2, 3);
        assert_eq!(base, first(Purpose::Crop, 1, 2, 3));
        for other in [
            first(Purpose::Mirror, 1, 2, 3),
            first(Purpose::Crop, 2, 2, 3),
            first(Purpose::Crop, 1, 3, 3),
            first(Purpose::Crop, 1, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }

    proptest! {
        #[test]
        fn every_epoch_sees_each_item_once(len in 0_usize..500, seed: u64, epoch: u64) {
            let mut order = epoch_order(len, seed, epoch);
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..len as u32));
        }
    }
}
