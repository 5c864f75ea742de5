//! The part of the plane around an image that becomes the new image.

use pyrograph_vision::{BoundingBox, RgbImage, resize_bilinear};

use super::distortion::Distortion;
use crate::detection::BoxObject;

/// The most pixels that are painted: a network sees a fraction of them.
const MOST_PIXELS: f64 = 16e6;
/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// A rectangle in pixels of an image, which it may go beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Its first column.
    pub(super) left: i64,
    /// Its first row.
    pub(super) top: i64,
    /// Its columns.
    pub(super) width: u32,
    /// Its rows.
    pub(super) height: u32,
}

impl Window {
    /// An image of `width` by `height` as it is.
    pub(super) fn whole(width: u32, height: u32) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// The window `inner` of what is seen in this one.
    pub(super) fn part(self, inner: Self) -> Self {
        Self {
            left: self.left + inner.left,
            top: self.top + inner.top,
            ..inner
        }
    }

    /// As a box in pixels of the image.
    pub(super) fn bbox(self) -> BoundingBox {
        let (left, top) = (self.left as f32, self.top as f32);
        BoundingBox::new(
            left,
            top,
            left + self.width as f32,
            top + self.height as f32,
        )
    }

    /// Whether the middle of `bbox` is in the window, not on its edge.
    pub(super) fn has_middle_of(self, bbox: BoundingBox) -> bool {
        let (window, middle) = (self.bbox(), bbox.to_center());
        window.x1 < middle.cx
            && middle.cx < window.x2
            && window.y1 < middle.cy
            && middle.cy < window.y2
    }

    /// The objects whose middle is in the window, in pixels of it and clipped to it.
    pub(super) fn place(self, objects: &[BoxObject]) -> Vec<BoxObject> {
        let (left, top) = (self.left as f32, self.top as f32);
        let kept = objects.iter().filter(|o| self.has_middle_of(o.bbox));
        let moved = kept.map(|object| {
            let BoundingBox { x1, y1, x2, y2 } = object.bbox;
            let bbox = BoundingBox::new(x1 - left, y1 - top, x2 - left, y2 - top);
            BoxObject { bbox, ..*object }
        });
        clipped(&moved.collect::<Vec<_>>(), self.width, self.height)
    }

    /// The image, and the window onto it, shrunk where the window has too many pixels; the objects,
    /// in pixels of the window, too.
    pub(super) fn shrunk(self, image: RgbImage, objects: &mut [BoxObject]) -> (RgbImage, Self) {
        let pixels = f64::from(self.width) * f64::from(self.height);
        if pixels <= MOST_PIXELS {
            return (image, self);
        }
        let scale = (MOST_PIXELS / pixels).sqrt();
        let side = |side: u32| ((f64::from(side) * scale) as u32).max(1);
        let Ok(small) = resize_bilinear(&image, side(image.width()), side(image.height())) else {
            // An image without pixels, of which nothing is painted.
            return (image, self);
        };
        let moved = |at: i64| (at as f64 * scale).round() as i64;
        let window = Self {
            left: moved(self.left),
            top: moved(self.top),
            width: side(self.width),
            height: side(self.height),
        };
        let (x, y) = (
            window.width as f32 / self.width as f32,
            window.height as f32 / self.height as f32,
        );
        for object in objects {
            object.bbox = object.bbox.scaled(x, y);
        }
        (small, window)
    }

    /// The pixels seen in the window: `image` with other colours, and `fill` outside it.
    pub(super) fn paint(
        self,
        image: &RgbImage,
        fill: [u8; CHANNELS],
        distortion: &Distortion,
    ) -> RgbImage {
        let (columns, rows) = (image.width() as usize, i64::from(image.height()));
        let (width, height) = (self.width as usize, i64::from(self.height));
        // Columns of the image that are seen, and what is seen left of them; a cast of what lies in 0..=side is exact.
        let inside = |at: i64| at.clamp(0, columns as i64) as usize;
        let seen = inside(self.left)..inside(self.left + width as i64);
        let before = (-self.left).clamp(0, width as i64) as usize;
        let empty = fill.repeat(width);
        let mut bytes = Vec::with_capacity(empty.len() * height as usize);
        for row in self.top..self.top + height {
            if !(0..rows).contains(&row) || seen.is_empty() {
                bytes.extend_from_slice(&empty);
                continue;
            }
            let source = &image.as_raw()[row as usize * columns * CHANNELS..][..columns * CHANNELS];
            let painted = &source[seen.start * CHANNELS..seen.end * CHANNELS];
            bytes.extend_from_slice(&empty[..before * CHANNELS]);
            let start = bytes.len();
            bytes.extend_from_slice(painted);
            distortion.apply(&mut bytes[start..]);
            let after = empty.len() - before * CHANNELS - painted.len();
            bytes.extend_from_slice(&empty[..after]);
        }
        // Every row added `width` pixels.
        RgbImage::from_raw(self.width, self.height, bytes).expect("rows of the image's width")
    }
}

/// The objects as far as they lie in an image of `width` by `height`, without those of which nothing does.
pub(super) fn clipped(objects: &[BoxObject], width: u32, height: u32) -> Vec<BoxObject> {
    let objects = objects.iter().map(|object| BoxObject {
        bbox: object.bbox.clip(width as f32, height as f32),
        ..*object
    });
    objects.filter(|o| o.bbox.is_proper()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> RgbImage {
        RgbImage::from_fn(4, 3, |x, y| [x as u8, y as u8, 0].into())
    }

    const FILL: [u8; 3] = [9, 8, 7];

    #[test]
    fn what_is_seen_is_the_image_and_the_fill_around_it() {
        for left in -6..6 {
            for top in -5..5 {
                let (width, height) = (5, 4);
                let window = Window {
                    left,
                    top,
                    width,
                    height,
                };
                let seen = window.paint(&numbered(), FILL, &Distortion::none());
                for (x, y, pixel) in seen.enumerate_pixels() {
                    let (x, y) = (i64::from(x) + left, i64::from(y) + top);
                    let is_inside = (0..4).contains(&x) && (0..3).contains(&y);
                    let expected = if is_inside {
                        [x as u8, y as u8, 0]
                    } else {
                        FILL
                    };
                    assert_eq!(pixel.0, expected, "{left} {top}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_giant_window_is_shrunk_with_its_image_and_its_objects() {
        let mut image = RgbImage::from_pixel(3000, 2000, FILL.into());
        for y in 500..1500 {
            for x in 1000..2000 {
                image.put_pixel(x, y, [200, 0, 0].into());
            }
        }
        let window = Window {
            left: -4000,
            top: -3000,
            width: 12_000,
            height: 8000,
        };
        let object = BoxObject::new(BoundingBox::new(5000.0, 3500.0, 6000.0, 4500.0), 0);
        let mut objects = [object];
        let (small, shrunk) = window.shrunk(image, &mut objects);
        assert!(f64::from(shrunk.width) * f64::from(shrunk.height) <= MOST_PIXELS);
        assert!((f64::from(shrunk.width) / f64::from(shrunk.height) - 1.5).abs() < 1e-3);
        let painted = shrunk.paint(&small, [0; 3], &Distortion::none());
        let BoundingBox { x1, y1, x2, y2 } = objects[0].bbox;
        let at = |x: f32, y: f32| painted.get_pixel(x as u32, y as u32).0[0];
        assert_eq!(at((x1 + x2) / 2.0, (y1 + y2) / 2.0), 200);
        assert_eq!((at(x1 + 3.0, y1 + 3.0), at(x2 - 3.0, y2 - 3.0)), (200, 200));
        assert!(at(x1 - 3.0, y1) < 200 && at(x2 + 3.0, y2) < 200);
        let (image, same) = Window::whole(4, 3).shrunk(numbered(), &mut []);
        assert_eq!((image, same), (numbered(), Window::whole(4, 3)));
    }

    #[test]
    fn a_window_of_a_window_is_one_window() {
        let outer = Window {
            left: -2,
            top: -1,
            width: 8,
            height: 6,
        };
        let inner = Window {
            left: 3,
            top: 2,
            width: 2,
            height: 3,
        };
        let paint = |w: Window, image: &RgbImage| w.paint(image, FILL, &Distortion::none());
        let twice = paint(inner, &paint(outer, &numbered()));
        assert_eq!(paint(outer.part(inner), &numbered()), twice);
    }

    #[test]
    fn objects_stay_whose_middle_is_seen_with_all_that_is_known_of_them() {
        let window = Window {
            left: 10,
            top: 20,
            width: 30,
            height: 10,
        };
        let object = |x1, y1, x2, y2| BoxObject {
            difficult: true,
            truncated: true,
            crowd: true,
            ..BoxObject::new(BoundingBox::new(x1, y1, x2, y2), 4)
        };
        let placed = window.place(&[
            object(5.0, 18.0, 25.0, 26.0),
            // Its middle lies on the edge, and that of the next far off.
            object(0.0, 20.0, 20.0, 30.0),
            object(30.0, 21.0, 60.0, 29.0),
        ]);
        assert_eq!(placed, [object(0.0, 0.0, 15.0, 6.0)]);
    }

    #[test]
    fn boxes_without_an_area_in_the_image_vanish() {
        let object = |x1, y1, x2, y2| BoxObject::new(BoundingBox::new(x1, y1, x2, y2), 0);
        let objects = [
            object(3.0, 3.0, 3.0, 8.0),
            object(-5.0, 0.0, 0.0, 5.0),
            object(f32::NAN, 0.0, 5.0, 5.0),
            object(6.0, 0.0, 2.0, 5.0),
            object(-5.0, 1.0, 50.0, 5.0),
        ];
        assert_eq!(clipped(&objects, 10, 10), [object(0.0, 1.0, 10.0, 5.0)]);
    }
}
