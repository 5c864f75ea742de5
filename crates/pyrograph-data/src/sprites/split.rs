//! Holding out a part of a set.

use super::SpriteSet;
use crate::DataError;
use crate::order::shuffle_for_split;

impl SpriteSet {
    /// Splits the set into a training part and a held-out part, in this order.
    ///
    /// The fraction `held_out` of each class is held out, rounded to whole images, so that both
    /// parts have the same proportions of classes. `seed` decides which images; both parts keep the
    /// order of the images. A part may be empty.
    ///
    /// # Errors
    /// [`DataError::Range`] unless the fraction lies in [0, 1].
    pub fn split(&self, held_out: f64, seed: u64) -> Result<(SpriteSet, SpriteSet), DataError> {
        if !(0.0..=1.0).contains(&held_out) {
            let allowed = "0 to 1";
            return Err(DataError::Range {
                what: "the share held out",
                seen: held_out,
                allowed,
            });
        }
        let mut by_class = vec![Vec::new(); self.context_width()];
        (0..self.len()).for_each(|index| by_class[self.class_of(index)].push(index));
        let mut is_held_out = vec![false; self.len()];
        for (class, indices) in by_class.iter_mut().enumerate() {
            shuffle_for_split(indices, seed, class);
            // At most the length, as the share is at most 1.
            let count = (held_out * indices.len() as f64).round() as usize;
            indices[..count]
                .iter()
                .for_each(|&index| is_held_out[index] = true);
        }
        let part = |side: bool| {
            let indices: Vec<_> = (0..self.len())
                .filter(|&i| is_held_out[i] == side)
                .collect();
            self.subset(&indices)
        };
        Ok((part(false), part(true)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One-pixel images that carry their number, in two classes.
    fn numbered(count: u8) -> SpriteSet {
        let contexts = (0..count).flat_map(|i| if i % 3 == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
        let names = vec!["third".to_owned(), "rest".to_owned()];
        SpriteSet::new((0..count).collect(), 1, 1, contexts.collect(), names).unwrap()
    }

    fn numbers(set: &SpriteSet) -> Vec<u8> {
        (0..set.len()).map(|index| set.pixels(index)[0]).collect()
    }

    #[test]
    fn each_class_gives_its_share() {
        let (training, held_out) = numbered(60).split(0.1, 4).unwrap();
        assert_eq!(held_out.class_counts(), [2, 4]);
        assert_eq!(training.class_counts(), [18, 36]);
    }

    #[test]
    fn the_seed_decides_which() {
        let held_out = |seed| numbers(&numbered(60).split(0.2, seed).unwrap().1);
        assert_eq!(held_out(1), held_out(1));
        assert_ne!(held_out(1), held_out(2));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(
                numbered(3).split(share, 0),
                Err(DataError::Range { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn every_image_is_in_one_part_and_in_order(
            count in 1_u8..100,
            share in 0_f64..=1.0,
            seed: u64,
        ) {
            let (training, held_out) = numbered(count).split(share, seed).unwrap();
            let (training, held_out) = (numbers(&training), numbers(&held_out));
            prop_assert!(training.is_sorted() && held_out.is_sorted());
            let mut all = [training, held_out].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
