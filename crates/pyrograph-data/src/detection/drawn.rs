//! Images that code draws.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pyrograph_vision::RgbImage;

use super::{BoxObject, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

/// Code that draws the images of a set.
pub trait DrawnImages: Debug + Send + Sync {
    /// The image at `index` of the set, the same in each call.
    fn draw(&self, index: usize) -> RgbImage;

    /// What tells this source from others: sources of one identity draw the same image at each
    /// index.
    fn identity(&self) -> String;
}

impl DetectionSet {
    /// A set of images that `source` draws when they are asked for, each with a name, its width and
    /// height, and its objects. Boxes are clipped to their image.
    ///
    /// # Errors
    /// As [`with_objects`](Self::with_objects): for a class that is not in `class_names`, and for a
    /// box without an area in its image.
    pub fn from_drawn(
        class_names: Vec<String>,
        images: Vec<(String, (u32, u32), Vec<BoxObject>)>,
        source: Arc<dyn DrawnImages>,
    ) -> Result<Self, DataError> {
        let identity: Arc<str> = source.identity().into();
        let mut objects = Vec::with_capacity(images.len());
        let numbered = images.into_iter().enumerate();
        let samples = numbered.map(|(index, (name, size, of_image))| {
            objects.push(of_image);
            let drawn = Drawn {
                source: source.clone(),
                identity: identity.clone(),
                index,
            };
            DetectionSample::new(name, size, Vec::new(), Pixels::Drawn(drawn))
        });
        let samples = samples.collect();
        Self::from_parts(class_names, samples).with_objects(objects)
    }
}

/// One image of a source. Two are equal if their sources have one identity and their places are
/// equal.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    source: Arc<dyn DrawnImages>,
    identity: Arc<str>,
    index: usize,
}

impl Drawn {
    pub(super) fn draw(&self) -> RgbImage {
        self.source.draw(self.index)
    }
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        (self.index, &self.identity) == (other.index, &other.identity)
    }
}

impl Eq for Drawn {}

impl Hash for Drawn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.index, &self.identity).hash(state);
    }
}
