//! Random changes of training images with boxes, as SSD makes them.

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
use crate::order::{Draws, Purpose};

pub use crop::IouCrop;
pub use expand::Expand;
pub use mirror::Mirror;
pub use photometric::PhotometricDistort;

use distortion::Distortion;
use window::{Window, clipped};

/// What happens to an image with boxes on its way into a batch: the augmentation of [SSD](https://arxiv.org/abs/1512.02325),
/// section 2.2 and 3.6, each part of it on or off. By default nothing.
///
/// The parts come in the paper's order: colours, expansion, crop, mirror. Each draws from a stream of its own that is
/// given by (seed, epoch, index), so that neither order nor batch size nor another part changes what it does. A part
/// that is named in a file without some of its numbers has the paper's for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SsdAugment {
    /// Other light and colours.
    pub photometric: Option<PhotometricDistort>,
    /// Empty space around the image, which makes objects small.
    pub expand: Option<Expand>,
    /// A part of the image, which makes objects large.
    pub crop: Option<IouCrop>,
    /// Left and right exchanged.
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

    /// What leaves every object its size: colours and mirror.
    pub fn light() -> Self {
        Self {
            expand: None,
            crop: None,
            ..Self::ssd()
        }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The augmentation, if all its numbers are allowed.
    ///
    /// # Errors
    /// [`DataError::Range`] names the first that is not, also one that is infinite or not a number.
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

    /// The image at `index` of a set as epoch `epoch` sees it, and the objects that are left of `objects`, in pixels of
    /// the new image. The same arguments give the same result on every machine.
    ///
    /// Boxes are first clipped to `image`, and those without an area are dropped; every box that comes back lies in the
    /// new image and has an area. What is known of an object beside its box stays as it is. The numbers are those of a
    /// [`validated`](SsdAugment::validated) augmentation; where an expanded or cut image would have more than 16 million pixels, it
    /// is shrunk to as many.
    pub fn apply(
        &self,
        mut image: RgbImage,
        objects: &[BoxObject],
        seed: u64,
        epoch: u64,
        index: usize,
    ) -> (RgbImage, Vec<BoxObject>) {
        let draws = |purpose| Draws::new(purpose, seed, epoch, index);
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
