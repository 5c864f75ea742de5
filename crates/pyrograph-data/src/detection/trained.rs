//! The objects that are used in training.

use super::{BoxObject, DetectionSet};

/// The numbers of objects that are not used in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untrained {
    /// Objects that Pascal VOC marks as difficult.
    pub difficult: usize,
    /// COCO's boxes around many objects.
    pub crowds: usize,
}

impl DetectionSet {
    /// The number of objects of each class that are used in training, including difficult ones if
    /// `difficult` is true.
    pub fn trained_counts(&self, difficult: bool) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        let trained = self
            .all_objects()
            .filter(|object| object.is_trained_on(difficult));
        for object in trained {
            counts[object.class] += 1;
        }
        counts
    }

    /// The numbers of objects that are not used in training. A difficult crowd counts as a crowd.
    pub fn untrained(&self, difficult: bool) -> Untrained {
        let mut left = Untrained::default();
        for object in self
            .all_objects()
            .filter(|object| !object.is_trained_on(difficult))
        {
            match object.crowd {
                true => left.crowds += 1,
                false => left.difficult += 1,
            }
        }
        left
    }

    /// Whether every box lies within the first pixel of its image, as when corners are fractions of
    /// the image instead of pixels.
    pub fn boxes_look_like_shares(&self) -> bool {
        let mut objects = self.all_objects().peekable();
        let within = |object: &BoxObject| object.bbox.x2 <= 1.0 && object.bbox.y2 <= 1.0;
        objects.peek().is_some() && objects.all(within)
    }

    fn all_objects(&self) -> impl Iterator<Item = &BoxObject> {
        self.samples.iter().flat_map(|sample| &sample.objects)
    }
}
