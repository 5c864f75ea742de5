//! Images that are in memory.

use std::sync::Arc;

use pyrograph_vision::RgbImage;

use super::{BoxObject, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

impl DetectionSet {
    /// A set of images in memory, each with a name and its objects. Boxes are clipped to their
    /// image.
    ///
    /// ```
    /// # mod pyrograph { pub use pyrograph_vision as vision; pub use pyrograph_data as data; }
    /// use pyrograph::data::detection::{BoxObject, DetectionSet};
    /// use pyrograph::vision::{BoundingBox, RgbImage};
    ///
    /// let cell = BoxObject::new(BoundingBox::new(4.0, 4.0, 20.0, 24.0), 0);
    /// let images = vec![("first".to_owned(), RgbImage::new(48, 32), vec![cell])];
    /// let set = DetectionSet::from_images(vec!["cell".to_owned()], images)?;
    /// assert_eq!((set.len(), set.objects()), (1, 1));
    /// # Ok::<(), pyrograph::data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// As [`with_objects`](Self::with_objects): for a class that is not in `class_names`, and for a
    /// box without an area in its image.
    pub fn from_images(
        class_names: Vec<String>,
        images: Vec<(String, RgbImage, Vec<BoxObject>)>,
    ) -> Result<Self, DataError> {
        let mut objects = Vec::with_capacity(images.len());
        let samples = images.into_iter().map(|(name, image, of_image)| {
            objects.push(of_image);
            let size = image.dimensions();
            DetectionSample::new(name, size, Vec::new(), Pixels::Memory(Arc::new(image)))
        });
        let samples = samples.collect();
        Self::from_parts(class_names, samples).with_objects(objects)
    }
}

#[cfg(test)]
mod tests {
    use pyrograph_vision::BoundingBox;

    use super::*;
    use crate::Faults;

    fn set(class: usize) -> Result<DetectionSet, DataError> {
        let mut image = RgbImage::new(40, 20);
        image.put_pixel(3, 2, [9, 8, 7].into());
        let object = BoxObject::new(BoundingBox::new(-5.0, 2.0, 10.0, 30.0), class);
        let images = vec![
            ("a".to_owned(), image, vec![object]),
            ("b".to_owned(), RgbImage::new(8, 8), Vec::new()),
        ];
        DetectionSet::from_images(vec!["cell".to_owned()], images)
    }

    #[test]
    fn images_in_memory_keep_their_pixels_and_their_boxes_are_clipped() {
        let set = set(0).expect("legal");
        assert_eq!(set.image(0).expect("there").get_pixel(3, 2).0, [9, 8, 7]);
        let bbox = set.samples()[0].objects[0].bbox;
        assert_eq!([bbox.x1, bbox.y1, bbox.x2, bbox.y2], [0.0, 2.0, 10.0, 20.0]);
        assert!(set.files().is_empty() && set.check_images(Faults::List, &mut || ()).is_ok());
        assert_eq!(set.shared_with(&set.clone()), Some("a"));
    }

    #[test]
    fn a_class_without_a_name_is_refused_with_the_image() {
        let error = set(1).expect_err("one class alone").to_string();
        assert!(
            error.contains("of a") && error.contains("0 to 0"),
            "{error}"
        );
    }
}
