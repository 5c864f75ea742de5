//! Parts of a set.

use super::LabelledImages;
use crate::DataError;

impl LabelledImages {
    /// The images at `indices`, in their order; an image may come more than once. All classes keep their names.
    ///
    /// # Panics
    /// If an index is not below [`len`](LabelledImages::len).
    pub fn subset(&self, indices: &[usize]) -> LabelledImages {
        let pixels = indices.iter().flat_map(|&index| self.pixels(index));
        let named = indices.iter().filter_map(|&index| self.item_name(index));
        self.with(
            pixels.copied().collect(),
            indices.iter().map(|&index| self.label(index)).collect(),
            named.map(str::to_owned).collect(),
        )
    }

    /// The first `count` images.
    ///
    /// # Errors
    /// [`DataError::Parts`] for a count of 0, or above the number of images.
    pub fn head(&self, count: usize) -> Result<LabelledImages, DataError> {
        if !(1..=self.len()).contains(&count) {
            return Err(DataError::Parts {
                what: "the number of images to take",
                seen: count,
                expected: format!("1 to {}", self.len()),
            });
        }
        Ok(self.with(
            self.pixels[..count * self.values_per_image()].into(),
            self.labels[..count].into(),
            self.item_names.iter().take(count).cloned().collect(),
        ))
    }

    /// The images of the classes `names`, in their order. All class names are kept, so labels keep
    /// their meaning.
    ///
    /// # Errors
    /// [`DataError::UnknownClass`] for an unknown name, with the known names;
    /// [`DataError::NothingLeft`] if no image belongs to these classes.
    pub fn only<S: AsRef<str>>(&self, names: &[S]) -> Result<LabelledImages, DataError> {
        let mut wanted = vec![false; self.class_names.len()];
        for name in names.iter().map(AsRef::as_ref) {
            let Some(class) = self.class_names.iter().position(|known| known == name) else {
                return Err(DataError::UnknownClass {
                    seen: name.into(),
                    allowed: self.class_names.join(", "),
                });
            };
            wanted[class] = true;
        }
        let indices: Vec<usize> = (0..self.len())
            .filter(|&index| wanted[self.label(index)])
            .collect();
        if indices.is_empty() {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            return Err(DataError::NothingLeft {
                classes: names.join(", "),
                present: self.counted_classes(),
            });
        }
        Ok(self.subset(&indices))
    }

    /// A set of this shape and these classes from parts that fit.
    fn with(&self, pixels: Vec<u8>, labels: Vec<usize>, item_names: Vec<String>) -> LabelledImages {
        LabelledImages {
            pixels,
            labels,
            item_names,
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// The classes that have images, each with their number, in words.
    fn counted_classes(&self) -> String {
        let counts = self.class_counts();
        let counted = self.class_names.iter().zip(counts);
        let present: Vec<String> = counted
            .filter(|&(_, count)| count > 0)
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        present.join(", ")
    }
}
