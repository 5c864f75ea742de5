//! A quick look at the image files of a set, before anything is done with it.

use std::path::Path;

use pyrograph_vision::{Exif, ImageHeader, check_image_file};

use super::faults::Faults;
use super::{Broken, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

/// An image whose EXIF data turn it in a way that no size shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedImage {
    /// Its name in the set.
    pub image: String,
    /// How it is turned, in words.
    pub turn: &'static str,
}

/// What the headers of a set's images show.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImageChecks {
    /// Images with objects that EXIF turns, or mirrors, into a picture of the size that the annotation states as well: whether
    /// the boxes are of the upright picture or of the stored one does not show. Empty unless they are read upright.
    pub turned: Vec<TurnedImage>,
    /// The faults of the images that are to be left out.
    pub faults: Vec<DataError>,
    /// The places of the others.
    sound: Vec<usize>,
}

impl DetectionSet {
    /// Looks at the header and the end of every image file, so that one that is missing, cut off, no image, or of another size
    /// than its annotation states is found before anything is done with the set. `each` is called after every image.
    ///
    /// # Errors
    /// As [`image`](Self::image), for the first such image or for all of them, as `broken` has it; damage in the midst of a
    /// file shows there only.
    pub fn check_images(
        &self,
        broken: Broken,
        each: &mut dyn FnMut(),
    ) -> Result<ImageChecks, DataError> {
        let mut faults = Faults::new(broken);
        let mut checks = ImageChecks::default();
        for (place, sample) in self.samples.iter().enumerate() {
            if let Some(turned) = faults.sound(sample.look())? {
                checks.sound.push(place);
                checks.turned.extend(turned);
            }
            each();
        }
        checks.faults = faults.finish()?;
        Ok(checks)
    }

    /// The set without the images whose files have faults, which [`broken`](Self::broken) then has.
    ///
    /// # Errors
    /// [`DataError::Empty`] where no image is left.
    pub fn without_broken_images(self, each: &mut dyn FnMut()) -> Result<Self, DataError> {
        let checks = self.check_images(Broken::Skip, each)?;
        let Some(first) = checks.faults.first() else {
            return Ok(self);
        };
        if checks.sound.is_empty() {
            let path = match self.samples.first().map(|sample| &sample.pixels) {
                Some(Pixels::File(path)) => path.clone(),
                _ => first.to_string().into(),
            };
            return Err(DataError::Empty { path });
        }
        let mut left = self.subset(&checks.sound);
        let said = checks.faults.iter().map(DataError::in_words);
        left.broken.extend(said);
        Ok(left)
    }
}

impl DetectionSample {
    /// Looks at the file of the image, if there is one.
    pub(super) fn look(&self) -> Result<Option<TurnedImage>, DataError> {
        let Pixels::File(path) = &self.pixels else {
            return Ok(None);
        };
        let header = check_image_file(path)?;
        self.check_size(path, &header)?;
        let shows =
            header.size(Exif::Stored) != header.size(Exif::Upright) && !self.is_size_of_file;
        let turn = header
            .turn()
            .filter(|_| !shows && self.exif == Exif::Upright && !self.objects.is_empty());
        Ok(turn.map(|turn| TurnedImage {
            image: self.name.clone(),
            turn,
        }))
    }

    /// Refuses an image of another size than is stated: the boxes cannot be of it.
    pub(super) fn check_size(&self, path: &Path, header: &ImageHeader) -> Result<(), DataError> {
        let stated = (self.width, self.height);
        let seen = header.size(self.exif);
        if seen == stated {
            return Ok(());
        }
        let (other, is, flag) = match self.exif {
            Exif::Upright => (Exif::Stored, "as it is stored", "stored"),
            Exif::Stored => (Exif::Upright, "turned upright", "upright"),
        };
        let hint = match header.turn() {
            Some(turn) if header.size(other) == stated => format!(
                "its EXIF data turn it {turn}, and its annotation is of the picture {is}: --exif {flag} takes it so"
            ),
            _ => "its boxes cannot be trusted".into(),
        };
        Err(DataError::SizeMismatch {
            path: path.into(),
            seen,
            stated,
            hint,
        })
    }
}
