//! Replacing the objects of a set.

use super::clean::{Cleaned, clean};
use super::{
    BeyondImage, BoxAction, BoxObject, BoxPolicy, Corners, Degenerate, DetectionSample,
    DetectionSet, SetError,
};
use crate::DataError;

/// Boxes are clipped to the image, and refused if that leaves no area.
const POLICY: BoxPolicy = BoxPolicy {
    degenerate: Degenerate::Refuse,
    beyond: BeyondImage::Clip,
};

impl DetectionSet {
    /// Removes all objects, and with them remarks and skipped classes.
    #[must_use]
    pub fn without_objects(mut self) -> Self {
        for sample in &mut self.samples {
            sample.objects.clear();
        }
        self.remarks.clear();
        self.skipped_classes.clear();
        self
    }

    /// Replaces the objects by `objects`, one list for each image, in the order of the images.
    /// Boxes are clipped to their image. Remarks and skipped classes are dropped with the old
    /// objects.
    ///
    /// # Errors
    /// - [`DataError::Parts`] if the number of lists differs from the number of images;
    /// - [`SetError::ObjectValue`] for a class that the set does not have, for a box with a corner
    ///   that is not finite or without an area in its image, and for an area that is not finite or
    ///   below 0.
    pub fn with_objects(mut self, objects: Vec<Vec<BoxObject>>) -> Result<Self, DataError> {
        if objects.len() != self.len() {
            return Err(DataError::Parts {
                what: "the number of lists of objects",
                seen: objects.len(),
                expected: format!("{}, one for each image,", self.len()),
            });
        }
        let classes = self.class_names.len();
        for (sample, objects) in self.samples.iter_mut().zip(objects) {
            let numbered = (1..).zip(objects);
            sample.objects = numbered
                .map(|(number, object)| sample.checked(number, object, classes))
                .collect::<Result<_, _>>()?;
        }
        self.remarks.clear();
        self.skipped_classes.clear();
        Ok(self)
    }
}

impl DetectionSample {
    /// `object`, the one of that number, with its box clipped to the image.
    fn checked(
        &self,
        number: usize,
        object: BoxObject,
        classes: usize,
    ) -> Result<BoxObject, DataError> {
        if object.class >= classes {
            let allowed = format!("0 to {}", classes.saturating_sub(1));
            return Err(self.refused(number, "the class", object.class, allowed));
        }
        let is_area = |area: f32| area.is_finite() && area >= 0.0;
        if let Some(area) = object.area.filter(|area| !is_area(*area)) {
            let allowed = "a finite number of 0 or more";
            return Err(self.refused(number, "the area", area, allowed));
        }
        let bbox = match clean(object.bbox, self.width, self.height, POLICY) {
            Cleaned::Changed(_, BoxAction::Clipped(to)) => to,
            Cleaned::Sound | Cleaned::Changed(_, BoxAction::Skipped | BoxAction::Kept) => {
                object.bbox
            }
            Cleaned::Refused(fault) => {
                let seen = format!("{}, which {fault}", Corners(object.bbox));
                let (width, height) = (self.width, self.height);
                let allowed =
                    format!("a box with an area in the image of {width} by {height} pixels");
                return Err(self.refused(number, "the box", seen, allowed));
            }
        };
        Ok(BoxObject { bbox, ..object })
    }

    /// The refusal of a value of the object of that number.
    pub(super) fn refused(
        &self,
        number: usize,
        what: &'static str,
        seen: impl ToString,
        allowed: impl Into<Box<str>>,
    ) -> DataError {
        let refused = SetError::ObjectValue {
            image: self.name.as_str().into(),
            object: number,
            what,
            seen: seen.to_string().into(),
            allowed: allowed.into(),
        };
        refused.into()
    }
}
