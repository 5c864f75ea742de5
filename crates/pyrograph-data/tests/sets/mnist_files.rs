//! MNIST's files: idx plain and inside gzip, CSV, damaged ones, and the real set in `$PYROGRAPH_DATA/mnist`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use pyrograph_data::{DataError, LabelledImages, Split};
use pyrograph_vision::Normalisation;
use tempfile::TempDir;

/// The bytes of an idx file of these sides.
fn idx(sides: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sides.len() as u8];
    sides
        .iter()
        .for_each(|side| file.extend(side.to_be_bytes()));
    file.extend(bytes);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three images of 2 by 3 pixels.
fn images() -> Vec<u8> {
    idx(&[3, 2, 3], &(0..18).collect::<Vec<u8>>())
}

fn labels() -> Vec<u8> {
    idx(&[3], &[7, 0, 11])
}

/// A folder with files of these names and contents.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(root.path().join(name), bytes).unwrap();
    }
    root
}

/// What is wrong with images of these bytes.
fn error_of_images(bytes: &[u8]) -> DataError {
    let root = folder(&[("images", bytes), ("labels", &labels())]);
    LabelledImages::from_idx(root.path().join("images"), root.path().join("labels")).unwrap_err()
}

#[test]
fn plain_and_gzip_are_the_same_under_all_names_in_use() {
    let (images, labels) = (images(), labels());
    let (images_gz, labels_gz) = (gzip(&images), gzip(&labels));
    let cases: [[(&str, &[u8]); 2]; 4] = [
        [
            ("train-images-idx3-ubyte", &images),
            ("train-labels-idx1-ubyte", &labels),
        ],
        [
            ("train-images-idx3-ubyte.gz", &images_gz),
            ("train-labels-idx1-ubyte.gz", &labels_gz),
        ],
        [
            ("train-images.idx3-ubyte", &images),
            ("train-labels.idx1-ubyte", &labels),
        ],
        [
            ("train-images-idx3-ubyte.gz", &images_gz),
            ("train-labels.idx1-ubyte", &labels),
        ],
    ];
    for files in cases {
        let set = LabelledImages::open(folder(&files).path(), Split::Train).unwrap();
        assert_eq!((set.len(), set.channels()), (3, 1));
        assert_eq!((set.height(), set.width()), (2, 3));
        assert_eq!(set.pixels(1), [6, 7, 8, 9, 10, 11]);
        assert_eq!(set.labels(), [7, 0, 11]);
        // Names go up to the largest label.
        assert_eq!(set.class_names().len(), 12);
        assert_eq!(set.class_names()[11], "11");
    }
}

#[test]
fn the_part_picks_the_files_and_a_half_pair_is_refused() {
    let (images, labels) = (images(), labels());
    let root = folder(&[
        ("t10k-images-idx3-ubyte", &images),
        ("t10k-labels-idx1-ubyte", &labels),
        ("train-images-idx3-ubyte", &images),
    ]);
    assert_eq!(
        LabelledImages::open(root.path(), Split::Test)
            .unwrap()
            .len(),
        3
    );
    let error = LabelledImages::open(root.path(), Split::Train).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, DataError::NoLabelledImages { .. }) && text.contains("no labels"),
        "{text}"
    );
}

#[test]
fn a_folder_with_neither_is_refused_with_what_was_looked_for() {
    let root = folder(&[("notes.txt", b"hello")]);
    let text = LabelledImages::open(root.path(), Split::Test)
        .unwrap_err()
        .to_string();
    for part in ["t10k-images-idx3-ubyte", "*test*.csv", "normal/"] {
        assert!(text.contains(part), "{text}");
    }
    let file = root.path().join("notes.txt");
    assert!(LabelledImages::open(&file, Split::Test).is_err());
    assert!(matches!(
        LabelledImages::open(root.path().join("missing"), Split::Test),
        Err(DataError::Read { .. })
    ));
}

#[test]
fn files_of_another_kind_and_swapped_files_are_refused() {
    for bytes in [&b"P5 28 28"[..], b"\0\0", b"", &labels()] {
        let error = error_of_images(bytes);
        let text = error.to_string();
        assert!(
            matches!(error, DataError::NotIdx { .. }) && text.contains("[00, 00, 08, 03]"),
            "{text}"
        );
    }
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    let whole = images();
    for length in 0..whole.len() {
        let error = error_of_images(&whole[..length]);
        let is_named = match &error {
            DataError::NotIdx { .. } => length < 4,
            DataError::Read { .. } => (4..16).contains(&length),
            DataError::Truncated { needed, .. } => length >= 16 && *needed == 18,
            _ => false,
        };
        assert!(is_named, "{length}: {error}");
    }
}

#[test]
fn a_file_that_is_cut_inside_gzip_is_refused_wherever_it_is_cut() {
    let whole = gzip(&images());
    for length in 0..whole.len() {
        let error = error_of_images(&whole[..length]);
        assert!(
            matches!(
                error,
                DataError::NotIdx { .. } | DataError::Read { .. } | DataError::Truncated { .. }
            ),
            "{length}: {error}"
        );
    }
}

#[test]
fn damaged_gzip_is_refused() {
    let mut bytes = gzip(&images());
    let last = bytes.len() - 8;
    bytes[last] ^= 1; // The checksum.
    assert!(matches!(error_of_images(&bytes), DataError::Read { .. }));
}

#[test]
fn a_file_that_goes_on_after_its_array_is_refused() {
    let mut bytes = images();
    bytes.push(0);
    for bytes in [gzip(&bytes), bytes] {
        assert!(matches!(
            error_of_images(&bytes),
            DataError::TrailingBytes { needed: 18, .. }
        ));
    }
    // What follows the gzip rather than lies in it is no gzip.
    let bytes = [gzip(&images()), b"more of it".to_vec()].concat();
    assert!(matches!(error_of_images(&bytes), DataError::Read { .. }));
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_anything_is_allocated() {
    for sides in [
        [u32::MAX, 65_535, 65_535],
        [3, 60_000, 60_000],
        [4_000_000_000, 28, 28],
    ] {
        for bytes in [idx(&sides, &[0; 18]), gzip(&idx(&sides, &[0; 18]))] {
            let error = error_of_images(&bytes);
            assert!(matches!(error, DataError::Truncated { .. }), "{error}");
        }
    }
    for sides in [[3, 0, 28], [3, u32::MAX, u32::MAX]] {
        let error = error_of_images(&idx(&sides, &[]));
        assert!(matches!(error, DataError::Shape { .. }), "{error}");
    }
    assert!(matches!(
        error_of_images(&idx(&[0, 28, 28], &[])),
        DataError::Empty { .. }
    ));
}

#[test]
fn a_gzip_bomb_is_read_no_further_than_its_header_allows() {
    // 64 MiB of zeros in 64 KiB, behind a header of three images.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&idx(&[3, 2, 3], &[])).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(matches!(
        error_of_images(&bomb),
        DataError::TrailingBytes { .. }
    ));
    // And one whose header claims more than a gigabyte, which a file of its length could hold.
    let mut claimed = gzip(&idx(&[30_000, 200, 200], &[]));
    claimed.resize(2 << 20, 0);
    let error = error_of_images(&claimed);
    assert!(
        matches!(error, DataError::TooLarge { .. }) && error.to_string().contains("1 GiB"),
        "{error}"
    );
}

#[test]
fn images_and_labels_of_different_number_are_refused() {
    let root = folder(&[("images", &images()), ("labels", &idx(&[2], &[1, 2]))]);
    let error = LabelledImages::from_idx(root.path().join("images"), root.path().join("labels"))
        .unwrap_err();
    assert!(matches!(
        error,
        DataError::CountMismatch {
            images: 3,
            labels: 2,
            ..
        }
    ));
}

#[test]
fn csv_files_are_found_by_their_names_and_idx_files_come_first() {
    let root = folder(&[
        ("latest_train.csv", b"label,a\n1,10\n"),
        ("digits_TEST.CSV", b"2,20\n3,30\n"),
    ]);
    let open = |split| LabelledImages::open(root.path(), split).unwrap();
    assert_eq!(open(Split::Train).labels(), [1]);
    assert_eq!(open(Split::Test).labels(), [2, 3]);
    // A file of its own is what it is.
    let direct = LabelledImages::open(root.path().join("digits_TEST.CSV"), Split::Train);
    assert_eq!(direct.unwrap().labels(), [2, 3]);

    fs::write(root.path().join("other_train.csv"), "1,1\n").unwrap();
    let text = LabelledImages::open(root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("latest_train.csv") && text.contains("other_train.csv"),
        "{text}"
    );

    fs::write(root.path().join("train-images-idx3-ubyte"), images()).unwrap();
    fs::write(root.path().join("train-labels-idx1-ubyte"), labels()).unwrap();
    assert_eq!(open(Split::Train).labels(), [7, 0, 11]);
}

#[test]
fn a_csv_that_is_missing_or_wrong_is_named() {
    let root = folder(&[("a.csv", b"1,2,3,4,300\n")]);
    let text = LabelledImages::from_csv(root.path().join("a.csv"))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("a.csv, line 1, column 5") && text.contains("\"300\""),
        "{text}"
    );
    assert!(matches!(
        LabelledImages::from_csv(root.path().join("b.csv")),
        Err(DataError::Read { .. })
    ));
    assert!(matches!(
        LabelledImages::from_csv(root.path()),
        Err(DataError::Read { .. })
    ));
}

#[test]
fn a_damaged_first_label_is_no_header_and_counted_columns_are_one() {
    let read = |text: &str| {
        let root = folder(&[("a.csv", text.as_bytes())]);
        LabelledImages::from_csv(root.path().join("a.csv"))
    };
    for damaged in ["7a,1,2,2,4\n8,0,0,0,0\n", ",1,2,2,4\n8,0,0,0,0\n"] {
        let message = read(damaged).unwrap_err().to_string();
        assert!(message.contains("line 1, column 1"), "{message}");
    }
    for header in ["label,0,1,2,3", "label,1,2,3,4", "label,1x1,1x2,2x1,2x2"] {
        let set = read(&format!("{header}\n8,0,0,0,9\n")).unwrap();
        assert_eq!((set.labels(), set.pixels(0)), (&[8][..], &[0, 0, 0, 9][..]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_the_reader_panic(
        sides in proptest::collection::vec(prop_oneof![0_u32..5, any::<u32>()], 0..4),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        zipped: bool,
    ) {
        let mut file = idx(&sides, &bytes);
        file[3] = 3;
        let file = if zipped { gzip(&file) } else { file };
        let root = folder(&[("images", &file), ("labels", &labels())]);
        let _ = LabelledImages::from_idx(root.path().join("images"), root.path().join("labels"));
    }
}

fn mnist() -> Option<PathBuf> {
    let Some(root) = std::env::var_os("PYROGRAPH_DATA") else {
        eprintln!("skipped: PYROGRAPH_DATA is not set");
        return None;
    };
    let folder = Path::new(&root).join("mnist");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn the_real_set_has_its_counts() {
    let Some(folder) = mnist() else { return };
    let train = LabelledImages::open(&folder, Split::Train).unwrap();
    assert_eq!(
        (train.len(), train.height(), train.width()),
        (60_000, 28, 28)
    );
    let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!(train.class_counts(), counts);
    let test = LabelledImages::open(&folder, Split::Test).unwrap();
    let counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!((test.len(), test.class_counts()), (10_000, counts.to_vec()));
    assert_eq!(test.normal_class(), None);
}

#[test]
fn the_lines_of_the_real_csv_are_the_first_of_the_real_idx() {
    let Some(folder) = mnist() else { return };
    for (file, split) in [
        ("mnist_train_first2100.csv", Split::Train),
        ("mnist_test_first2000.csv", Split::Test),
    ] {
        let lines = LabelledImages::open(folder.join(file), split).unwrap();
        let whole = LabelledImages::open(&folder, split).unwrap();
        assert_eq!(lines, whole.head(lines.len()).unwrap());
    }
}

#[test]
fn the_parts_of_the_article_can_be_taken() {
    let Some(folder) = mnist() else { return };
    let part = |split, classes: &[&str], count| {
        let all = LabelledImages::open(&folder, split).unwrap();
        all.only(classes).unwrap().head(count).unwrap()
    };
    let train = part(Split::Train, &["7", "8"], 400);
    assert_eq!(train.class_counts(), [0, 0, 0, 0, 0, 0, 0, 225, 175, 0]);
    let test = part(Split::Test, &["2", "7", "8"], 600);
    assert_eq!(test.class_counts(), [0, 0, 214, 0, 0, 0, 0, 201, 185, 0]);

    let large = train.head(8).unwrap().resized(64, 64).unwrap();
    let values = large.to_nchw(&Normalisation::MNIST);
    assert_eq!(values.len(), 8 * 64 * 64);
    // Beyond what tanh reaches.
    assert!(values.iter().any(|&value| value > 2.8));
    let values = large.to_nchw(&Normalisation::TANH);
    assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
}
