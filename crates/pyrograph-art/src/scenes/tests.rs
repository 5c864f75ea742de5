use super::*;
use pyrograph_vision::BoundingBox;

/// The side of most images looked at.
const SIDE: u32 = 128;

fn scenes() -> impl Iterator<Item = Scene> {
    (0..300).map(|index| Scene::new(11, index, SIDE))
}

/// The middle of the pixel at `place` of an image of side [`SIDE`].
fn middle(place: u32) -> [f32; 2] {
    [(place % SIDE) as f32 + 0.5, (place / SIDE) as f32 + 0.5]
}

#[test]
fn boxes_agree_with_what_is_painted_to_a_pixel() {
    for (index, scene) in scenes().enumerate() {
        for shape in &scene.shapes {
            let with = |shapes: Vec<_>| {
                let (before, grain) = (Vec::new(), 0.0);
                let scene = Scene {
                    shapes,
                    before,
                    grain,
                    ..scene.clone()
                };
                scene.draw()
            };
            let (alone, empty) = (with(vec![shape.clone()]), with(Vec::new()));
            let changed = (0..SIDE * SIDE).filter(|&place| {
                let (x, y) = (place % SIDE, place / SIDE);
                alone.get_pixel(x, y) != empty.get_pixel(x, y)
            });
            let mut extent = BoundingBox::new(f32::MAX, f32::MAX, 0.0, 0.0);
            for [x, y] in changed.map(middle) {
                extent.x1 = extent.x1.min(x - 0.5);
                extent.y1 = extent.y1.min(y - 0.5);
                extent.x2 = extent.x2.max(x + 0.5);
                extent.y2 = extent.y2.max(y + 0.5);
            }
            let bbox = shape.0.outline.bbox();
            let class = CLASS_NAMES[shape.0.class];
            for (seen, edge) in [
                (extent.x1, bbox.x1),
                (extent.y1, bbox.y1),
                (extent.x2, bbox.x2),
                (extent.y2, bbox.y2),
            ] {
                assert!(
                    (seen - edge).abs() <= 1.0,
                    "{index} {class}: {extent:?} {bbox:?}"
                );
            }
        }
    }
}

#[test]
fn no_shape_is_hidden_by_more_than_half() {
    let mut least: f32 = 1.0;
    for (index, scene) in scenes().enumerate() {
        let mut seen = vec![0.0_f32; scene.shapes.len()];
        let mut whole = seen.clone();
        for point in (0..SIDE * SIDE).map(middle) {
            let inside = |(shape, _): &(Shape, Look)| shape.outline.distance(point) < 0.0;
            let mut places = (0..seen.len()).filter(|&i| inside(&scene.shapes[i]));
            places.clone().for_each(|i| whole[i] += 1.0);
            if let Some(top) = places.next_back() {
                seen[top] += 1.0;
            }
        }
        for (seen, whole) in seen.iter().zip(&whole) {
            least = least.min(seen / whole);
            // A small shape is of few pixels, which count as a whole or not at all.
            assert!(seen / whole > 0.48, "{index}: {seen} of {whole}");
        }
    }
    assert!(least < 0.8, "some overlap is meant to be: {least}");
}

#[test]
fn scenes_have_one_to_six_shapes_of_all_sizes_and_classes_in_turn() {
    let (mut counts, mut classes) = ([0; 7], [0; CLASS_NAMES.len()]);
    let (mut small, mut large) = (0, 0);
    for scene in scenes() {
        let objects = scene.objects();
        counts[objects.len()] += 1;
        for BoxObject { bbox, class, .. } in objects {
            classes[class] += 1;
            let size = bbox.width().max(bbox.height()) / SIDE as f32;
            assert!((0.119..=0.451).contains(&size), "{size}");
            assert_eq!(bbox.clip(SIDE as f32, SIDE as f32), bbox);
            small += usize::from(size < 0.2);
            large += usize::from(size > 0.35);
        }
    }
    assert_eq!(counts[0], 0);
    assert!(counts[1..].iter().all(|&count| count > 15), "{counts:?}");
    let total: usize = classes.iter().sum();
    assert!(
        classes.iter().all(|&count| count > total / 7),
        "{classes:?}"
    );
    assert!(
        small > total / 10 && large > total / 10,
        "{small} {large} {total}"
    );
}

#[test]
fn scenes_are_the_same_in_every_release_and_on_every_machine() {
    // Recipes that name a seed rely on it.
    let mut hasher = crc32fast::Hasher::new();
    for index in 0..40 {
        let scene = Scene::new(7, index, 96);
        hasher.update(&scene.draw());
        for BoxObject { bbox, class, .. } in scene.objects() {
            hasher.update(&[class as u8]);
            for edge in [bbox.x1, bbox.y1, bbox.x2, bbox.y2] {
                hasher.update(&edge.to_le_bytes());
            }
        }
    }
    assert_eq!(hasher.finalize(), 41_172_023);
}
