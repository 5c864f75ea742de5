//! Images that code draws.

use std::sync::Arc;

use pyrograph_data::detection::{BoxObject, DetectionSet, DrawnImages};
use pyrograph_vision::{BoundingBox, Rgb, RgbImage};

/// Images of one colour with a white square.
#[derive(Debug)]
struct Squares {
    side: u32,
    seed: u64,
}

impl Squares {
    /// The side of the square of the image at `index`, in pixels.
    fn square(&self, index: usize) -> u32 {
        4 + index as u32 % 8
    }
}

impl DrawnImages for Squares {
    fn draw(&self, index: usize) -> RgbImage {
        let square = self.square(index);
        RgbImage::from_fn(self.side, self.side, |x, y| {
            match x < square && y < square {
                true => Rgb([255; 3]),
                false => Rgb([self.seed as u8, index as u8, 0]),
            }
        })
    }

    fn identity(&self) -> String {
        format!("squares {} {}", self.side, self.seed)
    }
}

/// `count` images of `side` by `side` pixels with an object each, of three classes in turn.
pub(crate) fn scenes(count: usize, side: u32, seed: u64) -> DetectionSet {
    let source = Squares { side, seed };
    let images = (0..count).map(|index| {
        let corner = source.square(index) as f32;
        let bbox = BoundingBox::new(0.0, 0.0, corner, corner);
        let name = format!("scene-{seed}-{index}");
        (name, (side, side), vec![BoxObject::new(bbox, index % 3)])
    });
    let images = images.collect();
    let names = ["a", "b", "c"].map(String::from).to_vec();
    DetectionSet::from_drawn(names, images, Arc::new(source)).unwrap()
}

#[test]
fn drawn_images_are_those_of_the_source_and_equal_by_its_identity() {
    let (set, other) = (scenes(4, 48, 1), scenes(4, 48, 2));
    let image = set.image(3).unwrap();
    assert_eq!(image.get_pixel(6, 6).0, [255; 3]);
    assert_eq!(image.get_pixel(7, 7).0, [1, 3, 0]);
    assert!(set.files().is_empty());
    assert_eq!(set, scenes(4, 48, 1));
    assert_ne!(set, other);
    assert_eq!(set.subset(&[2]).image(0).unwrap(), set.image(2).unwrap());
}
