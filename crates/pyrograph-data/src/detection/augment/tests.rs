//! What holds for whatever parts are on.

use std::collections::HashSet;

use proptest::prelude::*;
use pyrograph_vision::{BoundingBox, Rgb};

use super::*;

/// What only moves pixels.
fn geometry() -> SsdAugment {
    SsdAugment {
        photometric: None,
        ..SsdAugment::ssd()
    }
}

/// The colour that only the object at `index` has.
fn paint(index: usize) -> Rgb<u8> {
    Rgb([200, 10 * index as u8, 0])
}

/// A grey image with a rectangle of its own colour for each object, and the objects. Rectangles lie in cells of 40
/// pixels, so that none hides another.
fn painted(cells: &[(u32, u32, u32, u32)]) -> (RgbImage, Vec<BoxObject>) {
    let mut image = RgbImage::from_pixel(160, 120, Rgb([90, 90, 90]));
    let mut objects = Vec::new();
    for (index, &(x, y, w, h)) in cells.iter().enumerate() {
        let (left, top) = (index as u32 % 4 * 40 + x, index as u32 / 4 * 40 + y);
        for (row, column) in (top..top + h).flat_map(|row| (left..left + w).map(move |c| (row, c)))
        {
            image.put_pixel(column, row, paint(index));
        }
        let [x1, y1, x2, y2] = [left, top, left + w, top + h].map(|edge| edge as f32);
        objects.push(BoxObject::new(BoundingBox::new(x1, y1, x2, y2), index));
    }
    (image, objects)
}

/// The box around the pixels of a colour.
fn extent(image: &RgbImage, colour: Rgb<u8>) -> Option<BoundingBox> {
    let places = image
        .enumerate_pixels()
        .filter(|(_, _, pixel)| **pixel == colour);
    places.fold(None, |extent: Option<BoundingBox>, (x, y, _)| {
        let (x, y) = (x as f32, y as f32);
        let pixel = BoundingBox::new(x, y, x + 1.0, y + 1.0);
        Some(extent.map_or(pixel, |e| BoundingBox {
            x1: e.x1.min(pixel.x1),
            y1: e.y1.min(pixel.y1),
            x2: e.x2.max(pixel.x2),
            y2: e.y2.max(pixel.y2),
        }))
    })
}

/// One to twelve rectangles, each within its cell.
fn cells() -> impl Strategy<Value = Vec<(u32, u32, u32, u32)>> {
    prop::collection::vec((0_u32..10, 0_u32..10, 3_u32..30, 3_u32..30), 1..=12)
}

#[test]
fn without_parts_nothing_changes_but_boxes_are_clipped() {
    let (image, mut objects) = painted(&[(3, 4, 10, 20), (0, 0, 30, 5)]);
    objects[1].bbox.y1 = -10.0;
    let (same, left) = SsdAugment::none().apply(image.clone(), &objects, 1, 2, 3);
    assert_eq!(same, image);
    objects[1].bbox.y1 = 0.0;
    assert_eq!(left, objects);
}

#[test]
fn the_same_arguments_give_the_same_image_and_each_of_them_matters() {
    let (image, objects) = painted(&[(3, 4, 10, 20), (0, 0, 30, 5), (9, 9, 20, 20)]);
    let apply =
        |seed, epoch, index| SsdAugment::ssd().apply(image.clone(), &objects, seed, epoch, index);
    assert_eq!(apply(1, 2, 3), apply(1, 2, 3));
    let mut seen = HashSet::new();
    for n in 0..12 {
        for arguments in [
            apply(n, 99, 98),
            apply(97, n, 98),
            apply(97, 99, n as usize),
        ] {
            seen.insert(arguments.0.into_raw());
        }
    }
    // The same image comes again now and then: a 32nd part of the draws leaves it whole, unmirrored and uncropped.
    assert!(seen.len() > 30, "{}", seen.len());
}

#[test]
fn a_part_does_the_same_whether_or_not_the_others_are_on() {
    let (image, objects) = painted(&[(3, 4, 10, 20), (0, 0, 30, 5)]);
    for index in 0..50 {
        let coloured = SsdAugment {
            photometric: SsdAugment::ssd().photometric,
            ..SsdAugment::none()
        };
        let (first, _) = coloured.apply(image.clone(), &objects, 0, 0, index);
        let mirrored = SsdAugment {
            mirror: Some(Mirror::default()),
            ..SsdAugment::none()
        };
        let (second, left) = mirrored.apply(first, &objects, 0, 0, index);
        let both = SsdAugment::light().apply(image.clone(), &objects, 0, 0, index);
        assert_eq!(both, (second, left));
    }
}

#[test]
fn images_without_pixels_or_objects_pass() {
    for (width, height) in [(0, 0), (0, 3), (1, 1), (7, 5)] {
        for index in 0..40 {
            let image = RgbImage::new(width, height);
            let (_, left) = SsdAugment::ssd().apply(image, &[], 0, 0, index);
            assert!(left.is_empty());
        }
    }
}

#[test]
fn numbers_that_are_not_allowed_are_refused_by_name() {
    let refusal = |augment: SsdAugment| augment.validated().unwrap_err().to_string();
    let (photometric, expand) = (PhotometricDistort::default(), Expand::default());
    let crop = IouCrop::default();
    for (augment, message) in [
        (
            SsdAugment {
                photometric: Some(PhotometricDistort {
                    contrast: [1.5, 0.5],
                    ..photometric
                }),
                ..SsdAugment::none()
            },
            "a contrast of the photometric distortion is 0.5: allowed is two numbers from 0 to 10, the smaller first",
        ),
        (
            SsdAugment {
                expand: Some(Expand {
                    ratio: [0.5, 4.0],
                    ..expand
                }),
                ..SsdAugment::none()
            },
            "a ratio of the expansion is 0.5: allowed is two numbers from 1 to 16, the smaller first",
        ),
        (
            SsdAugment {
                crop: Some(IouCrop {
                    trials: 0,
                    ..crop.clone()
                }),
                ..SsdAugment::none()
            },
            "the number of trials of the crop is 0.0: allowed is 1 to 10000",
        ),
        (
            SsdAugment {
                crop: Some(IouCrop {
                    min_ious: vec![0.5, 2.0],
                    ..crop.clone()
                }),
                ..SsdAugment::none()
            },
            "a least overlap of the crop is 2.0: allowed is 0 to 1",
        ),
        (
            SsdAugment {
                mirror: Some(Mirror {
                    probability: f32::NAN,
                }),
                ..SsdAugment::none()
            },
            "the probability of the mirror is NaN: allowed is 0 to 1",
        ),
    ] {
        assert_eq!(refusal(augment), message);
    }
    for augment in [SsdAugment::ssd(), SsdAugment::light(), SsdAugment::none()] {
        assert_eq!(augment.clone().validated().unwrap(), augment);
    }
}

#[test]
fn files_name_parts_and_what_they_leave_out_is_the_papers() {
    let read = |text: &str| serde_json::from_str::<SsdAugment>(text);
    assert_eq!(read("{}").unwrap(), SsdAugment::none());
    let seen = read(r#"{"photometric": {}, "expand": {}, "crop": {}, "mirror": {}}"#);
    assert_eq!(seen.unwrap(), SsdAugment::ssd());
    let seen = read(r#"{"expand": {"ratio": [1, 2]}}"#).unwrap().expand;
    let expected = Expand {
        ratio: [1.0, 2.0],
        ..Expand::default()
    };
    assert_eq!(seen, Some(expected));
    let written = serde_json::to_string(&SsdAugment::ssd()).unwrap();
    assert_eq!(read(&written).unwrap(), SsdAugment::ssd());
    for unknown in [r#"{"flip": {}}"#, r#"{"mirror": {"chance": 0.5}}"#] {
        let message = read(unknown).unwrap_err().to_string();
        assert!(message.contains("unknown field"), "{message}");
    }
}

#[test]
fn a_golden_image_is_the_same_in_every_release_and_on_every_machine() {
    // A resumed training relies on it.
    let (image, objects) = painted(&[(3, 4, 10, 20), (0, 0, 30, 5), (9, 9, 20, 20)]);
    let mut hasher = crc32fast::Hasher::new();
    for index in 0..40 {
        let (image, left) = SsdAugment::ssd().apply(image.clone(), &objects, 7, 1, index);
        hasher.update(&image.width().to_le_bytes());
        hasher.update(&image);
        for BoxObject { bbox, .. } in left {
            for edge in [bbox.x1, bbox.y1, bbox.x2, bbox.y2] {
                hasher.update(&edge.to_le_bytes());
            }
        }
    }
    assert_eq!(hasher.finalize(), 1_080_433_649);
}

proptest! {
    #[test]
    fn boxes_stay_around_their_pixels_to_a_pixel(cells in cells(), seed: u64, index in 0_usize..1000) {
        let (image, objects) = painted(&cells);
        let (moved, left) = geometry().apply(image, &objects, seed, 0, index);
        for object in &left {
            prop_assert_eq!(extent(&moved, paint(object.class)), Some(object.bbox));
        }
        // The others are gone but for less than half of their pixels on a side.
        let gone = objects.iter().filter(|o| left.iter().all(|l| l.class != o.class));
        for object in gone {
            if let Some(rest) = extent(&moved, paint(object.class)) {
                let (width, height) = (object.bbox.width(), object.bbox.height());
                prop_assert!(rest.width() <= width / 2.0 || rest.height() <= height / 2.0);
            }
        }
    }

    #[test]
    fn boxes_lie_in_the_new_image_and_objects_keep_what_is_known_of_them(
        boxes in prop::collection::vec((-50.0_f32..200.0, -50.0_f32..200.0, -9.0_f32..90.0, -9.0_f32..90.0), 0..6),
        flags: [bool; 3],
        seed: u64,
    ) {
        let objects: Vec<_> = boxes
            .into_iter()
            .enumerate()
            .map(|(class, (x, y, w, h))| BoxObject {
                bbox: BoundingBox::new(x, y, x + w, y + h),
                class,
                difficult: flags[0],
                truncated: flags[1],
                crowd: flags[2],
                area: None,
            })
            .collect();
        let image = RgbImage::new(131, 97);
        let (new, left) = SsdAugment::ssd().apply(image, &objects, seed, 3, 0);
        for object in left {
            let BoundingBox { x1, y1, x2, y2 } = object.bbox;
            prop_assert!(object.bbox.is_proper());
            prop_assert!(x1 >= 0.0 && y1 >= 0.0 && x2 <= new.width() as f32 && y2 <= new.height() as f32);
            let before = objects[object.class];
            prop_assert_eq!(BoxObject { bbox: before.bbox, ..object }, before);
        }
    }
}
