//! The files of MNIST and its relatives by their names.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pyrograph_data::{DataError, Split, Switch};

use super::{read, read_as, said, with, write};

fn idx(sides: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sides.len() as u8];
    sides
        .iter()
        .for_each(|side| file.extend(side.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Two images of 2 by 3 pixels.
fn images() -> Vec<u8> {
    idx(&[2, 2, 3], &(60..72).collect::<Vec<u8>>())
}

fn labels() -> Vec<u8> {
    idx(&[2], &[7, 8])
}

#[test]
fn torchvision_s_folders_are_found() {
    let root = tempfile::tempdir().unwrap();
    for part in ["train", "t10k"] {
        let path = |kind| format!("MNIST/raw/{part}-{kind}-ubyte");
        write(&root, &path("images-idx3"), &images());
        write(&root, &path("labels-idx1"), &labels());
    }
    for below in ["", "MNIST", "MNIST/raw"] {
        let reading = read_as(&root.path().join(below), Split::Test, |_| ()).unwrap();
        assert_eq!(reading.images.labels(), [7, 8], "{below}");
        assert_eq!(reading.images.pixels(0), [60, 61, 62, 63, 64, 65]);
        assert_eq!(
            reading.images.item_name(1),
            Some("t10k-images-idx3-ubyte[1]")
        );
    }
    let file = root.path().join("MNIST/raw/t10k-images-idx3-ubyte");
    let error = read_as(&file, Split::Test, |_| ()).unwrap_err();
    assert!(error.to_string().contains("give the folder"), "{error}");
    // A second set beside it has to be told from it.
    for kind in ["images-idx3", "labels-idx1"] {
        let from = root.path().join(format!("MNIST/raw/t10k-{kind}-ubyte"));
        let bytes = fs::read(from).unwrap();
        write(&root, &format!("KMNIST/raw/t10k-{kind}-ubyte"), &bytes);
    }
    let error = read_as(root.path(), Split::Test, |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("KMNIST/raw") && text.contains("MNIST/raw"),
        "{text}"
    );
    // What it says to give can be given.
    assert!(!text.contains("raw/t10k"), "{text}");
}

#[test]
fn emnist_is_turned_upright_and_said() {
    let root = tempfile::tempdir().unwrap();
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let name = |kind: &str| format!("emnist-letters-train-{kind}-ubyte.gz");
    write(&root, &name("images-idx3"), &gzip(&images()));
    write(&root, &name("labels-idx1"), &gzip(&labels()));
    let reading = read(&root, Split::Train);
    assert_eq!((reading.images.height(), reading.images.width()), (3, 2));
    assert_eq!(reading.images.pixels(0), [60, 63, 61, 64, 62, 65]);
    assert!(
        said(&reading.remarks, "--transpose off"),
        "{:?}",
        reading.remarks
    );
    let off = read_as(
        root.path(),
        Split::Train,
        with(|o| o.transpose = Switch::Off),
    );
    let off = off.unwrap();
    assert_eq!(off.images.pixels(0), [60, 61, 62, 63, 64, 65]);
    assert!(off.remarks.is_empty(), "{:?}", off.remarks);
    // Of several sets in a folder the file says which is meant.
    let digits = |kind: &str| format!("emnist-digits-train-{kind}-ubyte");
    write(&root, &digits("images-idx3"), &images());
    write(&root, &digits("labels-idx1"), &idx(&[2], &[3, 4]));
    let both = read_as(root.path(), Split::Train, |_| ()).unwrap_err();
    assert!(both.to_string().contains("emnist-digits"), "{both}");
    let file = root.path().join(digits("images-idx3"));
    let one = read_as(&file, Split::Train, |_| ()).unwrap();
    assert_eq!(one.images.labels(), [3, 4]);
    // Kaggle's tables of it lie on their side too.
    write(&root, "emnist-digits-train.csv", b"3,100,101,102,103\n");
    let table = root.path().join("emnist-digits-train.csv");
    let table = read_as(&table, Split::Train, |_| ()).unwrap();
    assert_eq!(table.images.pixels(0), [100, 102, 101, 103]);
}

#[test]
fn a_file_of_one_part_is_read_whatever_part_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    for (part, label) in [("train", 3), ("test", 4)] {
        let name = |kind: &str| format!("emnist-letters-{part}-{kind}-ubyte");
        write(&root, &name("images-idx3"), &images());
        write(&root, &name("labels-idx1"), &idx(&[2], &[label; 2]));
    }
    for (part, label) in [("train", 3), ("test", 4)] {
        let file = root
            .path()
            .join(format!("emnist-letters-{part}-images-idx3-ubyte"));
        for split in [Split::Train, Split::Test] {
            let reading = read_as(&file, split, |_| ()).unwrap();
            assert_eq!(reading.images.labels(), [label; 2], "{part}, {split}");
        }
    }
}

#[test]
fn the_first_number_of_qmnist_s_rows_is_the_class() {
    let root = tempfile::tempdir().unwrap();
    let labels = |rows: &[[i32; 8]]| {
        let mut file = vec![0, 0, 12, 2];
        file.extend((rows.len() as u32).to_be_bytes());
        file.extend(8_u32.to_be_bytes());
        file.extend(
            rows.as_flattened()
                .iter()
                .flat_map(|number| number.to_be_bytes()),
        );
        file
    };
    let name = "qmnist-train-labels-idx2-int";
    write(&root, "qmnist-train-images-idx3-ubyte", &images());
    write(&root, name, &labels(&[[5, 4, 2, 3, 1, 0, 0, 0], [9; 8]]));
    assert_eq!(read(&root, Split::Train).images.labels(), [5, 9]);
    write(&root, name, &labels(&[[5; 8], [-1; 8]]));
    let error = read_as(root.path(), Split::Train, |_| ()).unwrap_err();
    assert!(
        matches!(error, DataError::Range { seen: -1.0, .. }),
        "{error}"
    );
    let whole = labels(&[[5; 8], [9; 8]]);
    write(&root, name, &whole[..whole.len() - 1]);
    let error = read_as(root.path(), Split::Train, |_| ()).unwrap_err();
    assert!(
        matches!(error, DataError::Truncated { needed: 64, .. }),
        "{error}"
    );
}
