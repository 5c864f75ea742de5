//! A quick check of the image files of a set, before the set is used.

use std::path::{Path, PathBuf};

use pyrograph_vision::{Exif, ImageHeader, check_image_file};

use super::{DetectionSample, DetectionSet, Pixels};
use crate::faults::FaultList;
use crate::{DataError, Faults};

/// An image that its EXIF data rotate or mirror without changing its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedImage {
    /// Its name in the set.
    pub image: String,
    /// The rotation or mirroring, in words.
    pub turn: &'static str,
}

/// The result of checking the headers of a set's images.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImageChecks {
    /// Images with objects that EXIF rotates or mirrors into a picture of the same size, so that
    /// the annotation does not tell whether its boxes refer to the upright or to the stored
    /// picture. Empty unless images are read upright.
    pub turned: Vec<TurnedImage>,
    /// The faults of the images to skip, one sentence each.
    pub faults: Vec<String>,
    /// The places of the others.
    sound: Vec<usize>,
}

impl DetectionSet {
    /// Checks the header and the end of every image file. This finds files that are missing,
    /// truncated or not images, and images whose size differs from their annotation, before the set
    /// is used. `each` is called after every image.
    ///
    /// # Errors
    /// The error of [`image`](Self::image) for the first such image, or [`DataError::BrokenItems`]
    /// for all of them, depending on `faults`. Damage in the middle of a file is found only by
    /// [`image`](Self::image).
    pub fn check_images(
        &self,
        faults: Faults,
        each: &mut dyn FnMut(),
    ) -> Result<ImageChecks, DataError> {
        let mut faults = FaultList::new(faults);
        let mut checks = ImageChecks::default();
        for (place, sample) in self.samples.iter().enumerate() {
            if let Some(turned) = faults.keep(sample.look())? {
                checks.sound.push(place);
                checks.turned.extend(turned);
            }
            each();
        }
        let folder = self.folder();
        faults.check(&folder, self.len())?;
        if checks.sound.is_empty() {
            faults.nothing_left(&folder, self.len())?;
        }
        checks.faults = faults.in_words();
        Ok(checks)
    }

    /// Removes the images whose files have faults; [`broken`](Self::broken) then lists them.
    ///
    /// # Errors
    /// [`DataError::BrokenItems`] if no image is left.
    pub fn without_broken_images(self, each: &mut dyn FnMut()) -> Result<Self, DataError> {
        let checks = self.check_images(Faults::Skip, each)?;
        if checks.faults.is_empty() {
            return Ok(self);
        }
        let mut left = self.subset(&checks.sound);
        left.broken.extend(checks.faults);
        Ok(left)
    }

    /// The folder of the first image file.
    fn folder(&self) -> PathBuf {
        let first = self.files().into_iter().next();
        let folder = first.as_deref().and_then(Path::parent);
        folder.map(Path::to_path_buf).unwrap_or_default()
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
