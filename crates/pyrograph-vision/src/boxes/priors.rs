//! Prior boxes, the reference boxes of a detector.

use serde::{Deserialize, Serialize};

use super::{BoxCoder, CenterBox};
use crate::VisionError;

/// The most priors of a detector; SSD512 has 24,564.
pub(crate) const MAX_PRIORS: usize = 1_000_000;

/// What a number has to be, in words.
const POSITIVE: &str = "a finite number above 0";

/// The numbers of the priors that are clipped to the range from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorClip {
    /// No clipping.
    None,
    /// Widths and heights, as torchvision does.
    Size,
    /// Centres, widths and heights, as ssd.pytorch does.
    All,
}

/// The priors over one feature map: the same few boxes around the centre of each cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorMap {
    /// The side of the map, in cells.
    pub size: usize,
    /// The distance between the centres of neighbouring cells, in pixels of the input image.
    pub step: f32,
    /// The side of the small square, in pixels of the input image.
    pub min_size: f32,
    /// The side of the next map's small square. The side of the large square is the geometric mean
    /// of `min_size` and `max_size`.
    pub max_size: f32,
    /// The aspect ratios of the boxes that are not squares. Each ratio gives two boxes, a wide and
    /// a tall one.
    pub ratios: Vec<f32>,
}

/// The priors of a detector, "default boxes" in [SSD](https://arxiv.org/abs/1512.02325), section 2.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorConfig {
    /// The side of the square input image, in pixels.
    pub image_size: f32,
    /// The feature maps, in the order in which the detector's heads take them.
    pub maps: Vec<PriorMap>,
    /// The numbers that are clipped to the range from 0 to 1.
    pub clip: PriorClip,
    /// The variances of the [`coder`](Self::coder).
    pub variances: [f32; 2],
}

impl PriorConfig {
    /// The 8732 priors of SSD300 on VOC, as in ssd.pytorch.
    pub fn voc() -> Self {
        Self::ssd300(
            [30.0, 60.0, 111.0, 162.0, 213.0, 264.0, 315.0],
            PriorClip::All,
        )
    }

    /// The 8732 priors of SSD300 on COCO, as in ssd.pytorch.
    pub fn coco() -> Self {
        Self::ssd300(
            [21.0, 45.0, 99.0, 153.0, 207.0, 261.0, 315.0],
            PriorClip::All,
        )
    }

    /// The 8732 priors of torchvision's `ssd300_vgg16`: those of COCO, whose centres may lie outside the image.
    pub fn torchvision() -> Self {
        Self {
            clip: PriorClip::Size,
            ..Self::coco()
        }
    }

    /// The 3000 priors of the MobileNet detectors of
    /// [qfgaohao/pytorch-ssd](https://github.com/qfgaohao/pytorch-ssd) (`mobilenetv1_ssd_config.py`).
    pub fn mobilenet() -> Self {
        let maps = [
            (19, 16.0),
            (10, 32.0),
            (5, 64.0),
            (3, 100.0),
            (2, 150.0),
            (1, 300.0),
        ];
        let sizes = [60.0, 105.0, 150.0, 195.0, 240.0, 285.0, 330.0];
        Self::of(maps, sizes, [&[2.0, 3.0]; 6], PriorClip::All)
    }

    fn ssd300(sizes: [f32; 7], clip: PriorClip) -> Self {
        let maps = [
            (38, 8.0),
            (19, 16.0),
            (10, 32.0),
            (5, 64.0),
            (3, 100.0),
            (1, 300.0),
        ];
        let (few, many): (&[f32], &[f32]) = (&[2.0], &[2.0, 3.0]);
        Self::of(maps, sizes, [few, many, many, many, few, few], clip)
    }

    /// For images of 300 pixels. `sizes` are one more than maps: the largest of a map is the smallest of the next.
    fn of(maps: [(usize, f32); 6], sizes: [f32; 7], ratios: [&[f32]; 6], clip: PriorClip) -> Self {
        let map = |k: usize| PriorMap {
            size: maps[k].0,
            step: maps[k].1,
            min_size: sizes[k],
            max_size: sizes[k + 1],
            ratios: ratios[k].to_vec(),
        };
        Self {
            image_size: 300.0,
            maps: (0..maps.len()).map(map).collect(),
            clip,
            variances: BoxCoder::SSD.variances,
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`VisionError::Empty`] without maps, [`VisionError::Range`] for an image size or a variance and
    /// [`VisionError::PriorMap`] for a number of a map that is not finite or not above 0, or for a `max_size` below
    /// `min_size`, [`VisionError::TooManyPriors`] beyond a million.
    pub fn check(&self) -> Result<(), VisionError> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let [center, size] = self.variances;
        for (what, seen) in [
            ("the image size of the priors", self.image_size),
            ("the priors' variance of the centre", center),
            ("the priors' variance of the size", size),
        ] {
            if !positive(seen) {
                return Err(VisionError::Range {
                    what,
                    seen: seen.into(),
                    allowed: POSITIVE,
                });
            }
        }
        if self.maps.is_empty() {
            return Err(VisionError::Empty {
                what: "the priors' feature maps",
            });
        }
        for (index, map) in self.maps.iter().enumerate() {
            let refuse = |what, seen, allowed| {
                Err(VisionError::PriorMap {
                    index,
                    what,
                    seen,
                    allowed,
                })
            };
            if map.size == 0 {
                return refuse("size", 0.0, "a whole number of at least 1");
            }
            let sides = [("step", map.step), ("min_size", map.min_size)];
            let ratios = map.ratios.iter().map(|&ratio| ("ratio", ratio));
            for (what, seen) in sides.into_iter().chain(ratios) {
                if !positive(seen) {
                    return refuse(what, seen.into(), POSITIVE);
                }
            }
            // Turned round so that what is not a number is refused too.
            if !(map.max_size.is_finite() && map.max_size >= map.min_size) {
                let allowed = "a finite number of at least min_size";
                return refuse("max_size", map.max_size.into(), allowed);
            }
        }
        match self.count() {
            seen if seen > MAX_PRIORS => Err(VisionError::TooManyPriors { seen }),
            _ => Ok(()),
        }
    }

    /// The number of priors around the centre of a cell, for each map: two squares and two boxes for each ratio.
    pub fn per_cell(&self) -> Vec<usize> {
        self.maps.iter().map(PriorMap::per_cell).collect()
    }

    /// The total number of priors; `usize::MAX` if it overflows.
    pub fn count(&self) -> usize {
        let of_map = |map: &PriorMap| {
            let cells = map.size.saturating_mul(map.size);
            cells.saturating_mul(map.per_cell())
        };
        let counts = self.maps.iter().map(of_map);
        counts.fold(0, usize::saturating_add)
    }

    /// The coder that belongs to these priors.
    pub fn coder(&self) -> BoxCoder {
        BoxCoder {
            variances: self.variances,
        }
    }

    /// All priors, in fractions of the image's sides: map by map, row by row, and in each cell the
    /// small square, the large square, then for each ratio the wide and the tall box.
    ///
    /// With s = min_size / image_size, s' = √(s · max_size / image_size) and a ratio r their sizes
    /// are (s, s), (s', s'), (s·√r, s/√r) and (s/√r, s·√r).
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn boxes(&self) -> Result<Vec<CenterBox>, VisionError> {
        self.check()?;
        let mut boxes = Vec::with_capacity(self.count());
        for map in &self.maps {
            let sizes = map.sizes(self.image_size.into());
            let cells = f64::from(self.image_size) / f64::from(map.step);
            for row in 0..map.size {
                for column in 0..map.size {
                    let (cx, cy) = ((column as f64 + 0.5) / cells, (row as f64 + 0.5) / cells);
                    boxes.extend(sizes.iter().map(|&(w, h)| self.clip.apply([cx, cy, w, h])));
                }
            }
        }
        Ok(boxes)
    }
}

impl PriorMap {
    fn per_cell(&self) -> usize {
        2 + 2 * self.ratios.len()
    }

    /// Widths and heights of the boxes of a cell, as shares of the image's side.
    fn sizes(&self, image_size: f64) -> Vec<(f64, f64)> {
        let small = f64::from(self.min_size) / image_size;
        let large = (small * f64::from(self.max_size) / image_size).sqrt();
        let mut sizes = vec![(small, small), (large, large)];
        for &ratio in &self.ratios {
            let root = f64::from(ratio).sqrt();
            sizes.extend([(small * root, small / root), (small / root, small * root)]);
        }
        sizes
    }
}

impl PriorClip {
    fn apply(self, [cx, cy, w, h]: [f64; 4]) -> CenterBox {
        let clip = |value: f64, clipped| {
            if clipped {
                value.clamp(0.0, 1.0)
            } else {
                value
            }
        };
        let (center, size) = (self == Self::All, self != Self::None);
        CenterBox {
            cx: clip(cx, center) as f32,
            cy: clip(cy, center) as f32,
            w: clip(w, size) as f32,
            h: clip(h, size) as f32,
        }
    }
}

#[cfg(test)]
mod tests;
