use super::*;

/// Two RGB images of 2×2 in two classes.
fn small() -> SpriteSet {
    let names = vec!["a".to_owned(), "b".to_owned()];
    SpriteSet::new(
        (0..24).map(|i| i * 10).collect(),
        2,
        3,
        vec![0.0, 1.0, 1.0, 0.0],
        names,
    )
    .unwrap()
}

fn refused(result: Result<SpriteSet, DataError>, text: &str) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, DataError::Parts { .. }) && error.to_string().contains(text),
        "{error}"
    );
}

#[test]
fn images_contexts_and_classes_are_found_by_index() {
    let set = small();
    assert_eq!(
        (set.len(), set.side(), set.channels(), set.context_width()),
        (2, 2, 3, 2)
    );
    assert_eq!(set.pixels(1)[..3], [120, 130, 140]);
    assert_eq!(set.context(0), [0.0, 1.0]);
    assert_eq!((set.class_of(0), set.class_of(1)), (1, 0));
    assert_eq!(set.class_counts(), [1, 1]);
    assert_eq!(set.image(1).get_pixel(1, 0).0, [150, 160, 170]);
}

#[test]
fn values_are_planes_in_minus_one_to_one() {
    let set = small();
    let mut out = [0.0; 12];
    set.write_chw(0, &mut out);
    let byte = |value: f32| ((value * 0.5 + 0.5) * 255.0).round() as u8;
    assert_eq!(
        out.map(byte),
        [0, 30, 60, 90, 10, 40, 70, 100, 20, 50, 80, 110]
    );
    assert_eq!(out[0], -1.0);
    set.write_chw_flipped(0, &mut out);
    assert_eq!(
        out.map(byte),
        [30, 0, 90, 60, 40, 10, 100, 70, 50, 20, 110, 80]
    );
    assert_eq!(set.to_nchw()[12..], pyrograph_vision::to_chw(&set.image(1)));
}

#[test]
fn augmentation_mirrors_the_images_it_names() {
    let set = small();
    let augment = Augment {
        horizontal_flip: true,
    };
    let (mut plain, mut mirrored, mut out) = ([0.0; 12], [0.0; 12], [0.0; 12]);
    set.write_chw(0, &mut plain);
    set.write_chw_flipped(0, &mut mirrored);
    for epoch in 0..20 {
        set.write_chw_augmented(0, &augment, 5, epoch, &mut out);
        assert_eq!(
            out,
            if augment.flips(5, epoch, 0) {
                mirrored
            } else {
                plain
            }
        );
        set.write_chw_augmented(0, &Augment::default(), 5, epoch, &mut out);
        assert_eq!(out, plain);
    }
}

#[test]
fn grey_images_show_as_grey() {
    let set = SpriteSet::new(vec![1, 2, 3, 4], 2, 1, vec![1.0], vec!["digit".into()]).unwrap();
    assert_eq!(set.image(0).get_pixel(1, 1).0, [4, 4, 4]);
    assert_eq!(set.to_nchw().len(), 4);
}

#[test]
fn a_subset_has_the_images_in_the_order_asked_for() {
    let set = small();
    let twice = set.subset(&[1, 0, 1]);
    assert_eq!(twice.len(), 3);
    assert_eq!(
        (twice.pixels(0), twice.pixels(1)),
        (set.pixels(1), set.pixels(0))
    );
    assert_eq!(twice.class_names(), set.class_names());
    assert!(set.subset(&[]).is_empty());
    assert_eq!(set.subset(&[]).len(), 0);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let name = || vec!["a".to_owned()];
    refused(
        SpriteSet::new(vec![0; 8], 2, 2, vec![1.0], name()),
        "channels: 2",
    );
    refused(
        SpriteSet::new(vec![0; 4], 2, 1, vec![], vec![]),
        "class names: 0",
    );
    refused(
        SpriteSet::new(vec![0; 4], 0, 1, vec![1.0], name()),
        "side of the images: 0",
    );
    refused(
        SpriteSet::new(vec![0; 4], usize::MAX, 3, vec![1.0], name()),
        "side",
    );
    refused(
        SpriteSet::new(vec![0; 5], 2, 1, vec![1.0], name()),
        "5 where a multiple of 4",
    );
    refused(
        SpriteSet::new(vec![], 2, 1, vec![], name()),
        "0 where a multiple of 4",
    );
    refused(
        SpriteSet::new(vec![0; 8], 2, 1, vec![1.0], name()),
        "1 where 2 times 1",
    );
    refused(
        SpriteSet::new(vec![0; 4], 2, 1, vec![f32::NAN], name()),
        "undefined",
    );
}

#[test]
fn a_resized_set_keeps_contexts_and_channels() {
    let large = small().resized(4).unwrap();
    assert_eq!((large.len(), large.side(), large.channels()), (2, 4, 3));
    assert_eq!(large.context(1), small().context(1));
    assert_eq!(large.resized(2).unwrap(), small());
    let grey = SpriteSet::new(vec![0, 80, 160, 240], 2, 1, vec![1.0], vec!["x".into()]).unwrap();
    assert_eq!(grey.resized(1).unwrap().pixels(0), [120]);
    assert!(matches!(grey.resized(0), Err(DataError::Range { .. })));
}

#[test]
fn a_checksum_tells_pixels_contexts_and_their_order() {
    let set = small();
    assert_eq!(set.checksum(), small().checksum());
    assert_ne!(set.checksum(), set.subset(&[1, 0]).checksum());
    let mut other = small();
    other.pixels[23] ^= 1;
    assert_ne!(set.checksum(), other.checksum());
    let mut other = small();
    other.contexts[3] = -0.0;
    assert_ne!(set.checksum(), other.checksum());
}

#[test]
fn giant_numbers_are_named_in_short() {
    let error = small().split(1e300, 0).unwrap_err().to_string();
    assert!(error.contains("is 1e300:"), "{error}");
}
