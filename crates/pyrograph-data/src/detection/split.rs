//! Parts of a set.

use std::collections::HashSet;

use super::{DetectionSet, SetError};
use crate::DataError;
use crate::order::{shuffle_for_choice, shuffle_for_split};

/// Images of a detection set hold several classes, so the shuffle is one over all of them.
const ALL_CLASSES: usize = 0;

impl DetectionSet {
    /// The images at `indices`, in this order, with all classes and with the remarks on these
    /// images.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> DetectionSet {
        let samples: Vec<_> = indices.iter().map(|&i| self.samples[i].clone()).collect();
        let names: HashSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
        let remarks = self.remarks.iter();
        DetectionSet {
            class_names: self.class_names.clone(),
            remarks: remarks
                .filter(|remark| names.contains(remark.image.as_str()))
                .cloned()
                .collect(),
            samples,
            skipped_classes: self.skipped_classes.clone(),
            broken: self.broken.clone(),
            unannotated: self.unannotated.clone(),
        }
    }

    /// Chooses `count` images at random, for example to train with few labels. The images keep
    /// their order.
    ///
    /// The choice depends on `seed` and the number of images. It is the first `count` indices of a
    /// permutation, so a smaller choice with the same seed is a subset of a larger one. Remarks on
    /// the other images are dropped, as by [`subset`](Self::subset).
    ///
    /// # Errors
    /// [`SetError::ChoiceSize`] for a count of 0, or above the number of images.
    pub fn choose(&self, count: usize, seed: u64) -> Result<DetectionSet, DataError> {
        if !(1..=self.len()).contains(&count) {
            let (seen, present) = (count, self.len());
            return Err(SetError::ChoiceSize { seen, present }.into());
        }
        let mut indices: Vec<usize> = (0..self.len()).collect();
        shuffle_for_choice(&mut indices, seed);
        indices.truncate(count);
        indices.sort_unstable();
        Ok(self.subset(&indices))
    }

    /// Splits the set into a training part and a held-out part, the fraction `held_out` of the
    /// images, rounded to whole images.
    ///
    /// The held-out images depend on `seed` and the number of images; both parts keep the order of
    /// the images. A part may be empty.
    ///
    /// # Errors
    /// [`DataError::Range`] unless the fraction lies in [0, 1].
    pub fn split_off(
        &self,
        held_out: f64,
        seed: u64,
    ) -> Result<(DetectionSet, DetectionSet), DataError> {
        if !(0.0..=1.0).contains(&held_out) {
            return Err(DataError::Range {
                what: "the share held out",
                seen: held_out,
                allowed: "0 to 1",
            });
        }
        let mut indices: Vec<usize> = (0..self.len()).collect();
        shuffle_for_split(&mut indices, seed, ALL_CLASSES);
        // At most the length, as the share is at most 1.
        let count = (held_out * self.len() as f64).round() as usize;
        let mut rest = indices.split_off(count);
        indices.sort_unstable();
        rest.sort_unstable();
        Ok((self.subset(&rest), self.subset(&indices)))
    }
}
