use proptest::prelude::*;
use pyrograph_vision::Normalisation;

use super::*;

/// Grey images of 1 by 2 pixels that carry their number, in three classes in turn.
fn numbered(count: u8) -> LabelledImages {
    let pixels = (0..count).flat_map(|i| [i, 255 - i]).collect();
    let labels = (0..count).map(|i| usize::from(i % 3)).collect();
    LabelledImages::new(pixels, 1, 1, 2, labels, names(&["cat", "Good", "dog"])).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn numbers(set: &LabelledImages) -> Vec<u8> {
    (0..set.len()).map(|index| set.pixels(index)[0]).collect()
}

#[test]
fn a_set_tells_what_it_was_made_of() {
    let set = numbered(7);
    assert_eq!((set.len(), set.is_empty()), (7, false));
    assert_eq!((set.channels(), set.height(), set.width()), (1, 1, 2));
    assert_eq!(set.values_per_image(), 2);
    assert_eq!((set.pixels(3), set.label(3)), (&[3, 252][..], 0));
    assert_eq!(set.class_counts(), [3, 2, 2]);
    assert_eq!(set.normal_class(), Some(1));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let new = |bytes: usize,
               [channels, height, width]: [usize; 3],
               labels: &[usize],
               classes: &[&str]| {
        LabelledImages::new(
            vec![0; bytes],
            channels,
            height,
            width,
            labels.into(),
            names(classes),
        )
    };
    assert!(new(24, [3, 2, 2], &[0, 1], &["a", "b"]).is_ok());
    for (result, part) in [
        (new(16, [2, 2, 4], &[0], &["a"]), "channels"),
        (new(0, [1, 0, 4], &[], &["a"]), "height"),
        (new(0, [1, 4, usize::MAX], &[], &["a"]), "width"),
        (new(0, [1, 2, 2], &[], &["a"]), "bytes"),
        (new(7, [1, 2, 2], &[0], &["a"]), "bytes"),
        (new(8, [1, 2, 2], &[0], &["a"]), "number of labels"),
        (new(8, [1, 2, 2], &[0, 1], &["a"]), "a label"),
        (new(4, [1, 2, 2], &[0], &[]), "a label"),
        (new(4, [1, 2, 2], &[0], &["a", "a"]), "name of class"),
    ] {
        let error = result.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, DataError::Parts { .. }) && text.contains(part),
            "{text}"
        );
    }
}

#[test]
fn classes_are_picked_by_name_and_keep_their_order_and_labels() {
    let set = numbered(7);
    let picked = set.only(&["dog", "cat"]).unwrap();
    assert_eq!(numbers(&picked), [0, 2, 3, 5, 6]);
    assert_eq!(picked.labels(), [0, 2, 0, 2, 0]);
    assert_eq!(picked.class_names(), set.class_names());
    assert_eq!(set.only(&[String::from("Good")]).unwrap().len(), 2);
}

#[test]
fn a_class_that_is_unknown_or_without_images_is_refused_with_those_there_are() {
    let set = numbered(7);
    let text = set.only(&["cat", "cow"]).unwrap_err().to_string();
    assert!(
        text.contains("\"cow\"") && text.contains("cat, Good, dog"),
        "{text}"
    );
    let cats = set.only(&["cat"]).unwrap();
    let text = cats.only(&["dog"]).unwrap_err().to_string();
    assert!(
        text.contains("class dog") && text.contains("cat (3)"),
        "{text}"
    );
    assert!(matches!(
        cats.only::<&str>(&[]),
        Err(DataError::NothingLeft { .. })
    ));
}

#[test]
fn the_first_images_can_be_taken_but_not_none_or_too_many() {
    let set = numbered(7);
    assert_eq!(numbers(&set.head(2).unwrap()), [0, 1]);
    assert_eq!(set.head(7).unwrap(), set);
    for count in [0, 8, usize::MAX] {
        let text = set.head(count).unwrap_err().to_string();
        assert!(
            text.contains(&count.to_string()) && text.contains("1 to 7"),
            "{text}"
        );
    }
}

#[test]
fn the_checksum_sees_pixels_labels_and_their_order() {
    let set = numbered(6);
    assert_eq!(set.checksum(), numbered(6).checksum());
    let mut others = vec![set.head(5).unwrap(), set.subset(&[1, 0, 2, 3, 4, 5])];
    let mut relabelled = set.clone();
    relabelled.labels[0] = 2;
    others.push(relabelled);
    assert!(
        others
            .iter()
            .all(|other| other.checksum() != set.checksum())
    );
}

#[test]
fn values_and_pictures_keep_channels_rows_and_columns_apart() {
    // Two pixels: red over blue.
    let pixels = vec![255, 0, 0, 0, 0, 255];
    let set = LabelledImages::new(pixels, 3, 2, 1, vec![0], names(&["a"])).unwrap();
    let picture = set.image(0);
    assert_eq!(picture.dimensions(), (1, 2));
    assert_eq!(picture.as_raw(), &[255, 0, 0, 0, 0, 255]);
    let mut values = [0.0; 6];
    set.write_chw(0, &Normalisation::TANH, &mut values);
    assert_eq!(values, [1.0, -1.0, -1.0, -1.0, -1.0, 1.0]);
    assert_eq!(set.to_nchw(&Normalisation::TANH), values);
    assert_eq!(set.to_rgb(), set);
}

#[test]
fn grey_becomes_three_equal_channels() {
    let set = numbered(2).to_rgb();
    assert_eq!((set.channels(), set.len()), (3, 2));
    assert_eq!(set.pixels(1), [1, 254, 1, 254, 1, 254]);
    assert_eq!(set.image(1), numbered(2).image(1));
}

#[test]
fn sizes_that_no_image_can_have_are_refused() {
    let set = numbered(3);
    assert_eq!(set.resized(1, 2).unwrap(), set);
    let large = set.resized(4, 3).unwrap();
    assert_eq!((large.len(), large.height(), large.width()), (3, 4, 3));
    assert_eq!(large.labels(), set.labels());
    for (height, width) in [(0, 2), (2, 0), (4097, 1)] {
        assert!(matches!(
            set.resized(height, width),
            Err(DataError::Range { .. })
        ));
    }
}

proptest! {
    #[test]
    fn a_subset_holds_the_images_asked_for(
        count in 1_u8..60,
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
    ) {
        let set = numbered(count);
        let indices: Vec<usize> = picks.iter().map(|pick| pick.index(set.len())).collect();
        let part = set.subset(&indices);
        prop_assert_eq!(part.len(), indices.len());
        prop_assert_eq!(part.is_empty(), indices.is_empty());
        for (place, &index) in indices.iter().enumerate() {
            prop_assert_eq!(part.pixels(place), set.pixels(index));
            prop_assert_eq!(part.label(place), set.label(index));
        }
    }

    #[test]
    fn values_become_the_bytes_they_came_from(pixels in proptest::collection::vec(any::<u8>(), 12)) {
        let set = LabelledImages::new(pixels, 3, 2, 2, vec![0], names(&["a"])).unwrap();
        for normalisation in [Normalisation::TANH, Normalisation::MNIST] {
            let values = set.to_nchw(&normalisation);
            let back: Vec<u8> = values.iter().map(|&value| normalisation.byte(value)).collect();
            prop_assert_eq!(&back, set.pixels(0));
        }
    }
}
