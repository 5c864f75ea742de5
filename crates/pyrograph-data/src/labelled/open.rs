//! Recognising the kind of labelled images at a path.

use std::path::{Path, PathBuf};

use super::idx_names::{IdxPair, find, is_of_mnist, pair_of};
use super::{LabelledImages, LabelledReader, LabelledReading, Split, Switch, csv, folder};
use crate::DataError;
use crate::listing::{Listing, is_any_image, name_of};

/// How the names of EMNIST's files begin, in which rows and columns are swapped.
const EMNIST: &str = "emnist";
/// Endings of tables of numbers.
const TABLES: [&str; 6] = [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".data"];

impl LabelledImages {
    /// Reads one part of the set at `path`, which is one of these, tried in this order:
    ///
    /// 1. a file `*.csv` or `*.tsv`, also inside gzip, as by
    ///    [`from_csv`](LabelledImages::from_csv): it is read for any `split`. The same holds for
    ///    the idx file of the images of a named set, such as
    ///    `emnist-letters-train-images-idx3-ubyte`, with the file of its labels beside it;
    /// 2. a folder with the idx files of MNIST for this part (`train-images-idx3-ubyte.gz` with
    ///    `train-labels-idx1-ubyte.gz`, `t10k-…`; also without `.gz`, as `train-images.idx3-ubyte`,
    ///    and `test-…`), also with a prefix as in `emnist-letters-train-images-idx3-ubyte`, or in
    ///    torchvision's folders `raw` or `MNIST/raw` below it, as by
    ///    [`from_idx`](LabelledImages::from_idx);
    /// 3. a folder with one CSV file whose name has `train` in it, or `test` and no `train`;
    /// 4. a folder of images, as by [`from_folder`](LabelledImages::from_folder) without a size.
    ///
    /// A [`LabelledReader`] reports its guesses and has options to override them.
    ///
    /// # Errors
    /// [`DataError::NoLabelledImages`] if the path is none of these (the error lists the files that
    /// were looked for), or has images without labels, labels without images, or several CSV files
    /// for the part; also the errors of the functions above.
    pub fn open(path: impl AsRef<Path>, split: Split) -> Result<LabelledImages, DataError> {
        let reader = LabelledReader::strict(split);
        Ok(reader.read(path, &mut |_, _| ())?.images)
    }

    /// Like [`open`](LabelledImages::open), with every image resized to `size` (height, width) as
    /// by [`resized`](LabelledImages::resized). The images of a folder may then differ in size.
    ///
    /// # Errors
    /// Those of [`open`](LabelledImages::open), and [`DataError::Range`] for a side of 0 or beyond 4096.
    pub fn open_resized(
        path: impl AsRef<Path>,
        split: Split,
        size: (usize, usize),
    ) -> Result<LabelledImages, DataError> {
        let reader = LabelledReader {
            size: Some(size),
            ..LabelledReader::strict(split)
        };
        let set = reader.read(path, &mut |_, _| ())?.images;
        if (set.height(), set.width()) == size {
            return Ok(set);
        }
        set.resized(size.0, size.1)
    }
}

/// Reads what a path holds, whatever it is.
pub(super) fn read(
    reader: &LabelledReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    let split = reader.split;
    let refuse = |reason| {
        Err(DataError::NoLabelledImages {
            path: path.into(),
            split,
            reason,
        })
    };
    if path.is_file() {
        if let Some(pair) = pair_of(path)? {
            return read_idx(reader, &pair);
        }
        if is_table(path) {
            return read_table(reader, path, progress);
        }
        let is_image = is_any_image(path);
        if is_image && reader.unlabelled {
            let files = vec![path.to_path_buf()];
            return folder::read_unlabelled(reader, path, files, Vec::new(), progress);
        }
        return match is_image {
            true => refuse("it is one image, which no folder of a class holds".into()),
            false if is_of_mnist(path) => {
                refuse("it is one of several files: give the folder".into())
            }
            false if folder::is_unread(path) => {
                refuse("it is a file that is not read: unpack or convert it".into())
            }
            false => refuse(format!(
                "it is a file, and its name ends in none of {}",
                TABLES.join(", ")
            )),
        };
    }
    match find(path, split)? {
        Ok(Some(pair)) => return read_idx(reader, &pair),
        Ok(None) => {}
        Err(reason) => return refuse(reason),
    }
    let listing = Listing::of(path)?;
    let tables = tables_of(&listing.files, split);
    match tables.as_slice() {
        [] => folder::read(reader, path, progress),
        [table] => read_table(reader, table, progress),
        several => {
            let names: Vec<String> = several.iter().map(|file| name_of(file)).collect();
            refuse(format!("several files could be it: {}", names.join(", ")))
        }
    }
}

fn read_idx(reader: &LabelledReader, pair: &IdxPair) -> Result<LabelledReading, DataError> {
    let set = LabelledImages::from_idx(&pair.images, &pair.labels)?;
    let name = name_of(&pair.images);
    let names = (0..set.len()).map(|place| format!("{name}[{place}]"));
    let names = names.collect();
    let mut reading = LabelledReading::of(set.with_item_names(names)?);
    if let Some(white) = reader.options.white_level {
        reading.images.stretch(white);
    }
    turn(reader, &pair.images, &mut reading);
    Ok(reading)
}

fn read_table(
    reader: &LabelledReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    let mut reading = csv::read(reader, path, progress)?;
    turn(reader, path, &mut reading);
    Ok(reading)
}

/// Swaps rows and columns where that is wanted, or where a file is one of EMNIST's.
fn turn(reader: &LabelledReader, path: &Path, reading: &mut LabelledReading) {
    let is_emnist = name_of(path).to_lowercase().starts_with(EMNIST);
    let turned = match reader.options.transpose {
        Switch::Auto => is_emnist,
        Switch::On => true,
        Switch::Off => false,
    };
    if turned {
        reading.images = reading.images.transposed();
    }
    if turned && reader.options.transpose == Switch::Auto {
        reading.remarks.push(format!(
            "rows and columns of {} are swapped, as EMNIST's files lie on their side; say --transpose off if this one \
             does not",
            name_of(path)
        ));
    }
}

/// Whether a file is a table of numbers, by its name.
fn is_table(file: &Path) -> bool {
    let name = name_of(file).to_lowercase();
    TABLES.iter().any(|ending| name.ends_with(ending))
}

/// The tables of a part, by their names. `latest_train.csv` is to train on. Texts that are no CSV by name are none.
fn tables_of(files: &[PathBuf], split: Split) -> Vec<&PathBuf> {
    let is_of = |file: &&PathBuf| {
        let name = name_of(file).to_lowercase();
        let to_train = name.contains("train");
        let is_csv = TABLES[..4].iter().any(|ending| name.ends_with(ending));
        is_csv
            && match split {
                Split::Train => to_train,
                Split::Test => name.contains("test") && !to_train,
            }
    };
    files.iter().filter(is_of).collect()
}
