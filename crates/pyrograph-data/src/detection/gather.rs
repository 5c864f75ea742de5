//! Objects as they come from a file: their class is looked up and their box is cleaned.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pyrograph_vision::BoundingBox;

use super::clean::{Cleaned, clean};
use super::options::{BoxPolicy, DetectionOptions, UnknownClass};
use super::remark::{BoxAction, BoxRemark, Place};
use super::{BoxObject, DetectionSample, DetectionSet};
use crate::DataError;
use crate::faults::FaultList;

/// The number of each class by its name.
///
/// # Errors
/// [`DataError::BadClasses`] without a class, for one without a name, and for two of one name.
pub(super) fn numbers_of(class_names: &[String]) -> Result<HashMap<String, usize>, DataError> {
    let classes: HashMap<String, usize> = class_names.iter().cloned().zip(0..).collect();
    if classes.is_empty() || classes.len() != class_names.len() || classes.contains_key("") {
        let seen = class_names.to_vec();
        return Err(DataError::BadClasses { seen });
    }
    Ok(classes)
}

/// An object as it stands in a file.
pub(super) struct RawObject<'a> {
    /// The name of its class.
    pub(super) class: &'a str,
    /// Its box in pixels; class 0 until the name is looked up.
    pub(super) object: BoxObject,
}

/// The set that grows while files are read.
pub(super) struct Gatherer {
    class_names: Vec<String>,
    classes: HashMap<String, usize>,
    unknown: UnknownClass,
    policy: BoxPolicy,
    samples: Vec<DetectionSample>,
    remarks: Vec<BoxRemark>,
    skipped: BTreeMap<String, usize>,
    /// The faults met so far.
    pub(super) faults: FaultList,
}

impl Gatherer {
    /// Nothing yet, with the classes of the options or else those of the data.
    ///
    /// # Errors
    /// [`DataError::BadClasses`] where there is no class, one without a name, or two of the same.
    pub(super) fn new(
        options: &DetectionOptions,
        of_data: impl FnOnce() -> Result<Vec<String>, DataError>,
    ) -> Result<Self, DataError> {
        let class_names = match &options.classes {
            Some(classes) => classes.clone(),
            None => of_data()?,
        };
        let classes = numbers_of(&class_names)?;
        Ok(Self {
            class_names,
            classes,
            unknown: options.unknown,
            policy: options.boxes,
            samples: Vec::new(),
            remarks: Vec::new(),
            skipped: BTreeMap::new(),
            faults: FaultList::new(options.faults),
        })
    }

    /// The cleaned object; `None` if it is skipped. `size` is the width and height of the image.
    ///
    /// # Errors
    /// [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`], if the options refuse such
    /// objects.
    fn object(
        &mut self,
        place: Place<'_>,
        size: (u32, u32),
        raw: &RawObject<'_>,
    ) -> Result<Option<BoxObject>, DataError> {
        let Some(&class) = self.classes.get(raw.class) else {
            return match self.unknown {
                UnknownClass::Skip => {
                    *self.skipped.entry(raw.class.to_owned()).or_default() += 1;
                    Ok(None)
                }
                UnknownClass::Refuse => Err(DataError::UnknownObjectClass {
                    path: place.file.into(),
                    place: format!("object {} of {}", place.object, place.image).into(),
                    seen: raw.class.into(),
                    allowed: self.class_names.join(", "),
                }),
            };
        };
        let bbox = raw.object.bbox;
        let (bbox, changed) = match clean(bbox, size.0, size.1, self.policy) {
            Cleaned::Sound => (Some(bbox), None),
            Cleaned::Changed(fault, action) => match action {
                BoxAction::Skipped => (None, Some((fault, action))),
                BoxAction::Kept => (Some(bbox), Some((fault, action))),
                BoxAction::Clipped(to) => (Some(to), Some((fault, action))),
            },
            Cleaned::Refused(fault) => {
                return Err(DataError::BoxRefused {
                    path: place.file.into(),
                    image: place.image.into(),
                    // No file numbers more objects than that.
                    object: u32::try_from(place.object).unwrap_or(u32::MAX),
                    class: raw.class.into(),
                    bbox,
                    fault,
                });
            }
        };
        if let Some((fault, action)) = changed {
            self.remarks.push(BoxRemark {
                file: place.file.into(),
                image: place.image.into(),
                object: place.object,
                class: raw.class.into(),
                bbox: raw.object.bbox,
                fault,
                action,
            });
        }
        let placed = |bbox: BoundingBox| BoxObject {
            bbox,
            class,
            ..raw.object
        };
        Ok(bbox.map(placed))
    }

    /// The objects of an image in their clean form; none after the first fault was noted. Remarks
    /// of an image with a fault stay with it, and go when it does.
    ///
    /// # Errors
    /// As [`object`](Self::object), where the first fault ends the reading.
    pub(super) fn objects<'a>(
        &mut self,
        (file, image): (&Path, &str),
        size: (u32, u32),
        objects: impl Iterator<Item = Result<RawObject<'a>, DataError>>,
    ) -> Result<Option<Vec<BoxObject>>, DataError> {
        let remarks = self.remarks.len();
        let mut clean = Vec::new();
        let mut is_sound = true;
        for (number, raw) in (1..).zip(objects) {
            let place = Place {
                file,
                image,
                object: number,
            };
            let object = raw.and_then(|raw| self.object(place, size, &raw));
            match self.faults.keep(object)? {
                Some(object) => clean.extend(object),
                None => is_sound = false,
            }
        }
        if !is_sound {
            self.remarks.truncate(remarks);
        }
        Ok(is_sound.then_some(clean))
    }

    /// Adds an image with its clean objects.
    pub(super) fn sample(&mut self, sample: DetectionSample) {
        self.samples.push(sample);
    }

    /// The set of all that was gathered from `images` images.
    ///
    /// # Errors
    /// The faults, unless their images are left out and others are there, and [`DataError::Empty`]
    /// for `path` without any image.
    pub(super) fn finish(mut self, path: &Path, images: usize) -> Result<DetectionSet, DataError> {
        // Where the data are refused anyway, so that all of their faults are listed.
        if self.faults.are_listed() {
            for sample in &self.samples {
                self.faults.keep(sample.look())?;
            }
        }
        self.faults.check(path, images)?;
        if self.samples.is_empty() {
            self.faults.nothing_left(path, images)?;
            return Err(DataError::Empty { path: path.into() });
        }
        let mut set = DetectionSet::from_parts(self.class_names, self.samples);
        set.remarks = self.remarks;
        set.skipped_classes = self.skipped.into_iter().collect();
        set.broken = self.faults.in_words();
        Ok(set)
    }
}
