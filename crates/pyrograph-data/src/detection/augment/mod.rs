//! SSD's random augmentation of training images with boxes.

mod check;
mod crop;
mod distortion;
mod expand;
mod mirror;
mod photometric;
mod window;

use pyrograph_vision::RgbImage;
use serde::{Deserialize, Serialize};

use super::BoxObject;
use crate::DataError;
use crate::order::{Purpose, draws_of};

pub use crop::IouCrop;
pub use expand::Expand;
pub use mirror::Mirror;
pub use photometric::PhotometricDistort;

use distortion::Distortion;
use window::{Window, clipped};

/// The augmentation of [SSD](https://arxiv.org/abs/1512.02325), section 2.2 and 3.6, applied to an
/// image with boxes on its way into a batch. Each part is on or off; by default all are off.
///
/// The parts are applied in the paper's order: colours, expansion, crop, flip. Each part draws from
/// a stream of its own for (seed, epoch, index), so its result does not depend on the order, the
/// batch size or the other parts. If a file names a part without some of its fields, these fields
/// have the paper's values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SsdAugment {
    /// Changes of brightness and colour.
    pub photometric: Option<PhotometricDistort>,
    /// Empty space around the image, which makes objects small.
    pub expand: Option<Expand>,
    /// A crop of the image, which makes objects large.
    pub crop: Option<IouCrop>,
    /// Horizontal flips.
    pub mirror: Option<Mirror>,
}

impl SsdAugment {
    /// The full recipe of the paper.
    pub fn ssd() -> Self {
        Self {
            photometric: Some(PhotometricDistort::default()),
            expand: Some(Expand::default()),
            crop: Some(IouCrop::default()),
            mirror: Some(Mirror::default()),
        }
    }

    /// The parts that keep the size of every object: colours and flips.
    pub fn light() -> Self {
        Self {
            expand: None,
            crop: None,
            ..Self::ssd()
        }
    }

    /// No augmentation.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the augmentation if all fields are allowed.
    ///
    /// # Errors
    /// [`DataError::Range`] names the first field that is not allowed, infinite or NaN.
    pub fn validated(self) -> Result<Self, DataError> {
        if let Some(part) = &self.photometric {
            part.check()?;
        }
        if let Some(part) = &self.expand {
            part.check()?;
        }
        if let Some(part) = &self.crop {
            part.check()?;
        }
        if let Some(part) = &self.mirror {
            part.check()?;
        }
        Ok(self)
    }

    /// Augments the image at `index` of a set for epoch `epoch`. Returns the new image and the
    /// remaining objects, in pixels of the new image. The same arguments give the same result on
    /// every machine.
    ///
    /// Boxes are first clipped to `image`, and boxes without an area are dropped; every returned
    /// box lies in the new image and has an area. The other fields of an object do not change. The
    /// augmentation must be [`validated`](SsdAugment::validated). If an expanded or cropped image
    /// would have more than 16 million pixels, it is shrunk to that number.
    pub fn apply(
        &self,
        mut image: RgbImage,
        objects: &[BoxObject],
        seed: u64,
        epoch: u64,
        index: usize,
    ) -> (RgbImage, Vec<BoxObject>) {
        let draws = |purpose| draws_of(purpose, seed, epoch, index);
        let whole = Window::whole(image.width(), image.height());
        let mut objects = clipped(objects, whole.width, whole.height);
        let distortion = match &self.photometric {
            Some(part) => part.drawn(&mut draws(Purpose::Photometric)),
            None => Distortion::none(),
        };

        // Only what is left of the image in the end is painted, once: until then a window says what that is.
        let mut window = whole;
        let mut fill = [0; 3];
        if let Some(part) = &self.expand {
            window = part.drawn(whole, &mut draws(Purpose::Expand));
            objects = window.place(&objects);
            fill = part.fill;
        }
        if let Some(part) = &self.crop {
            let kept = part.drawn(window, &objects, &mut draws(Purpose::Crop));
            objects = kept.place(&objects);
            window = window.part(kept);
        }
        if window == whole {
            distortion.apply(&mut image);
        } else {
            (image, window) = window.shrunk(image, &mut objects);
            image = window.paint(&image, fill, &distortion);
        }

        let mirror = self.mirror.as_ref();
        if mirror.is_some_and(|part| part.drawn(&mut draws(Purpose::Mirror))) {
            mirror::mirror(&mut image, &mut objects);
        }
        (image, objects)
    }
}

#[cfg(test)]
mod tests;
