//! Pairs of `.npy` files, as they should be and as they should not.

use std::fs;
use std::path::PathBuf;

use pyrograph_data::{DataError, SpriteSet};
use tempfile::TempDir;

/// A folder with a pair of files, of which parts can be replaced.
struct Pair {
    folder: TempDir,
}

impl Pair {
    /// Three RGB images of 2×2 with five classes.
    fn good() -> Self {
        let pair = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let pixels: Vec<u8> = (0..36).collect();
        pair.images(&npy("|u1", "(3, 2, 2, 3)", &pixels));
        pair.labels(&npy("<f8", "(3, 5)", &doubles(&one_hot_rows())));
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn images(&self, bytes: &[u8]) {
        fs::write(self.path("sprites_16x16.npy"), bytes).unwrap();
    }

    fn labels(&self, bytes: &[u8]) {
        fs::write(self.path("sprite_labels_16x16.npy"), bytes).unwrap();
    }

    fn read(&self) -> Result<SpriteSet, DataError> {
        SpriteSet::from_npy(
            self.path("sprites_16x16.npy"),
            self.path("sprite_labels_16x16.npy"),
        )
    }

    /// The error for other images, which has to name their file.
    fn with_images(bytes: &[u8]) -> DataError {
        let pair = Self::good();
        pair.images(bytes);
        let error = pair.read().unwrap_err();
        assert!(error.to_string().contains("sprites_16x16.npy"), "{error}");
        error
    }

    /// The error for other labels, which has to name their file.
    fn with_labels(bytes: &[u8]) -> DataError {
        let pair = Self::good();
        pair.labels(bytes);
        let error = pair.read().unwrap_err();
        assert!(
            error.to_string().contains("sprite_labels_16x16.npy"),
            "{error}"
        );
        error
    }
}

fn npy(dtype: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
    npy_with(
        &format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"),
        payload,
    )
}

fn npy_with(header: &str, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len() + 1).unwrap().to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        length.as_slice(),
        header.as_bytes(),
        b"\n",
        payload,
    ]
    .concat()
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Classes 4, 0 and 2.
fn one_hot_rows() -> Vec<f64> {
    let mut rows = vec![0.0; 15];
    [4, 5, 12].into_iter().for_each(|index| rows[index] = 1.0);
    rows
}

#[test]
fn a_pair_is_read_with_its_pixels_and_classes() {
    let set = Pair::good().read().unwrap();
    assert_eq!(
        (set.len(), set.side(), set.channels(), set.context_width()),
        (3, 2, 3, 5)
    );
    assert_eq!(set.pixels(2)[..3], [24, 25, 26]);
    assert_eq!([0, 1, 2].map(|index| set.class_of(index)), [4, 0, 2]);
    assert_eq!(set.class_names()[4], "side-facing");
}

#[test]
fn labels_of_any_plain_type_and_both_byte_orders_are_read() {
    let rows = one_hot_rows();
    let payloads: [(&str, Vec<u8>); 6] = [
        (
            "<f4",
            rows.iter()
                .flat_map(|&x| (x as f32).to_le_bytes())
                .collect(),
        ),
        (">f8", rows.iter().flat_map(|&x| x.to_be_bytes()).collect()),
        (
            "<i8",
            rows.iter()
                .flat_map(|&x| (x as i64).to_le_bytes())
                .collect(),
        ),
        (
            ">i4",
            rows.iter()
                .flat_map(|&x| (x as i32).to_be_bytes())
                .collect(),
        ),
        ("|b1", rows.iter().map(|&x| x as u8).collect()),
        ("|u1", rows.iter().map(|&x| x as u8).collect()),
    ];
    let expected = Pair::good().read().unwrap();
    for (dtype, payload) in payloads {
        let pair = Pair::good();
        pair.labels(&npy(dtype, "(3, 5)", &payload));
        assert_eq!(pair.read().unwrap(), expected, "{dtype}");
    }
}

#[test]
fn grey_and_transparent_images_are_read() {
    let pair = Pair::good();
    pair.images(&npy("|u1", "(3, 1, 1, 1)", &[1, 2, 3]));
    assert_eq!(pair.read().unwrap().channels(), 1);
    pair.images(&npy(
        "|u1",
        "(3, 1, 1, 4)",
        &[0, 0, 0, 0, 9, 9, 9, 255, 0, 100, 200, 51],
    ));
    let set = pair.read().unwrap();
    assert_eq!(
        (set.channels(), set.pixels(0), set.pixels(1)),
        (3, &[255; 3][..], &[9; 3][..])
    );
    assert_eq!(set.pixels(2), [204, 224, 244]);
}

#[test]
fn newer_headers_are_read() {
    let pair = Pair::good();
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1, 1, 1), }\n";
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    pair.images(&[b"\x93NUMPY\x02\x00", length.as_slice(), header, &[1, 2, 3]].concat());
    assert_eq!(pair.read().unwrap().pixels(2), [3]);
}

#[test]
fn classes_are_named_by_the_files_beside_the_labels() {
    let pair = Pair::good();
    let listed = "0 hero (a), 1 beast, 2 food, 3 spell, 4 gear (b, c).";
    fs::write(
        pair.path("PROVENANCE.md"),
        format!("# Sprites\n- Classes: {listed}\n"),
    )
    .unwrap();
    assert_eq!(
        pair.read().unwrap().class_names(),
        ["hero", "beast", "food", "spell", "gear"]
    );

    fs::write(pair.path("classes.txt"), "a\nb\n\n c \nd\ne\n").unwrap();
    assert_eq!(
        pair.read().unwrap().class_names(),
        ["a", "b", "c", "d", "e"]
    );

    fs::write(pair.path("classes.txt"), "a\nb\n").unwrap();
    let error = pair.read().unwrap_err();
    assert!(
        matches!(
            error,
            DataError::ClassNames {
                seen: 2,
                classes: 5,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let pair = Pair::good();
    for name in ["sprites_16x16.npy", "sprite_labels_16x16.npy"] {
        let whole = fs::read(pair.path(name)).unwrap();
        for length in 0..whole.len() {
            fs::write(pair.path(name), &whole[..length]).unwrap();
            let error = pair.read().unwrap_err();
            let header_ends = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            match error {
                DataError::NotNpy { .. } => assert!(length < 6),
                DataError::NpyHeader { .. } => assert!((6..header_ends).contains(&length)),
                DataError::Truncated { .. } => assert!(length >= header_ends),
                other => panic!("{length}: {other}"),
            }
        }
        fs::write(pair.path(name), &whole).unwrap();
    }
}

#[test]
fn files_that_are_missing_folders_or_no_arrays_are_refused() {
    let error = Pair::with_images(b"PK\x03\x04 a zip file");
    assert!(
        matches!(&error, DataError::NotNpy { seen, .. } if seen.starts_with(b"PK")),
        "{error}"
    );
    let missing = SpriteSet::from_npy("/nowhere/a.npy", "/nowhere/b.npy").unwrap_err();
    assert!(matches!(missing, DataError::Read { .. }), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let error = SpriteSet::from_npy(folder.path(), folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
    let version_9 = [b"\x93NUMPY\x09\x00".as_slice(), &[0; 20]].concat();
    assert!(matches!(
        Pair::with_images(&version_9),
        DataError::NpyHeader { .. }
    ));
}

#[test]
fn wrong_types_are_refused_with_the_type_seen() {
    let images = Pair::with_images(&npy("<f4", "(3, 2, 2, 3)", &[0; 144]));
    assert!(
        matches!(&images, DataError::Dtype { seen, .. } if seen == "<f4"),
        "{images}"
    );
    assert!(images.to_string().contains("uint8"));
    let labels = Pair::with_labels(&npy("<U5", "(3, 5)", &[0; 300]));
    assert!(
        matches!(&labels, DataError::Dtype { seen, .. } if seen == "<U5"),
        "{labels}"
    );
    let records = "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (3,), }";
    assert!(matches!(
        Pair::with_labels(&npy_with(records, &[0; 24])),
        DataError::NpyHeader { .. }
    ));
}

#[test]
fn wrong_shapes_are_refused_with_the_shape_seen() {
    for (shape, size) in [
        ("(3, 12)", 36),
        ("(3, 2, 3, 2)", 36),
        ("(3, 2, 2, 2)", 24),
        ("()", 1),
    ] {
        let error = Pair::with_images(&npy("|u1", shape, &vec![0; size]));
        assert!(matches!(error, DataError::Shape { .. }), "{shape}: {error}");
    }
    assert!(matches!(
        Pair::with_images(&npy("|u1", "(3, 0, 0, 3)", &[])),
        DataError::Shape { .. }
    ));
    for (shape, size) in [("(3,)", 24), ("(3, 5, 1)", 120), ("(3, 0)", 0)] {
        let error = Pair::with_labels(&npy("<f8", shape, &vec![0; size]));
        assert!(matches!(error, DataError::Shape { .. }), "{shape}: {error}");
    }
}

#[test]
fn empty_sets_are_refused() {
    let error = Pair::with_images(&npy("|u1", "(0, 16, 16, 3)", &[]));
    assert!(matches!(error, DataError::Empty { .. }), "{error}");
    let error = Pair::with_labels(&npy("<f8", "(0, 5)", &[]));
    assert!(matches!(error, DataError::Empty { .. }), "{error}");
}

#[test]
fn labels_that_are_too_few_are_refused_with_both_numbers() {
    let error = Pair::with_labels(&npy("<f8", "(2, 5)", &doubles(&[0.0; 10])));
    assert!(
        matches!(
            error,
            DataError::CountMismatch {
                images: 3,
                labels: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn labels_that_are_not_finite_are_refused_with_their_place() {
    for value in [f64::NAN, f64::INFINITY, 1e300] {
        let mut rows = one_hot_rows();
        rows[7] = value;
        let error = Pair::with_labels(&npy("<f8", "(3, 5)", &doubles(&rows)));
        assert!(
            matches!(
                error,
                DataError::NonFiniteLabel {
                    row: 1,
                    column: 2,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn fortran_order_is_refused() {
    let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2, 2, 3), }";
    let error = Pair::with_images(&npy_with(header, &[0; 36]));
    assert!(matches!(error, DataError::FortranOrder { .. }), "{error}");
}

#[test]
fn a_header_that_claims_an_absurd_size_allocates_nothing() {
    for shape in [
        "(4000000000, 16, 16, 3)",
        "(18446744073709551615, 18446744073709551615, 18446744073709551615, 3)",
        "(1, 18446744073709551615, 18446744073709551615, 3)",
    ] {
        let error = Pair::with_images(&npy("|u1", shape, &[0; 36]));
        assert!(
            matches!(error, DataError::Truncated { present: 36, .. }),
            "{shape}: {error}"
        );
    }
    let labels = npy("<f8", "(3, 18446744073709551615)", &[0; 36]);
    assert!(matches!(
        Pair::with_labels(&labels),
        DataError::Truncated { .. }
    ));
    let long_header = [b"\x93NUMPY\x02\x00".as_slice(), &[255; 4], &[b' '; 100]].concat();
    assert!(matches!(
        Pair::with_images(&long_header),
        DataError::NpyHeader { .. }
    ));
}
