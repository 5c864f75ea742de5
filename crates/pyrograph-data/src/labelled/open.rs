//! Finding out what kind of labelled images a path holds.

use std::path::{Path, PathBuf};

use super::{LabelledImages, Split};
use crate::DataError;
use crate::listing::{Listing, name_of};

impl LabelledImages {
    /// Reads one part of the set at `path`, whichever of these it is, in this order:
    ///
    /// 1. a file `*.csv`, as by [`from_csv`](LabelledImages::from_csv): it is its own part, whatever `split` says;
    /// 2. a folder with the idx files of MNIST for this part (`train-images-idx3-ubyte.gz` with
    ///    `train-labels-idx1-ubyte.gz`, `t10k-…`; also without `.gz`, as `train-images.idx3-ubyte`, and `test-…`), as by
    ///    [`from_idx`](LabelledImages::from_idx);
    /// 3. a folder with one CSV file whose name has `train` in it, or `test` and no `train`;
    /// 4. a folder of images, as by [`from_folder`](LabelledImages::from_folder) without a size.
    ///
    /// # Errors
    /// [`DataError::NoLabelledImages`] where the path is none of these, with what was looked for, or holds images
    /// without labels, labels without images, or several CSV files for the part; otherwise those of the functions.
    pub fn open(path: impl AsRef<Path>, split: Split) -> Result<LabelledImages, DataError> {
        Self::open_as(path.as_ref(), split, None)
    }

    /// The same with every image at `size` (height, width), as by [`resized`](LabelledImages::resized); images of a folder may then be
    /// of different sizes.
    ///
    /// # Errors
    /// Those of [`open`](LabelledImages::open), and [`DataError::Range`] for a side of 0 or beyond 4096.
    pub fn open_resized(
        path: impl AsRef<Path>,
        split: Split,
        size: (usize, usize),
    ) -> Result<LabelledImages, DataError> {
        let set = Self::open_as(path.as_ref(), split, Some(size))?;
        if (set.height(), set.width()) == size {
            return Ok(set);
        }
        set.resized(size.0, size.1)
    }

    fn open_as(
        path: &Path,
        split: Split,
        size: Option<(usize, usize)>,
    ) -> Result<LabelledImages, DataError> {
        let refuse = |reason| {
            Err(DataError::NoLabelledImages {
                path: path.into(),
                split,
                reason,
            })
        };
        if path.is_file() {
            return if is_csv(path) {
                Self::from_csv(path)
            } else {
                refuse("it is a file, and no .csv".into())
            };
        }
        let listing = Listing::of(path)?;
        let find = |kind| find_idx(&listing.files, split, kind);
        match (find("images-idx3"), find("labels-idx1")) {
            (Some(images), Some(labels)) => return Self::from_idx(images, labels),
            (Some(images), None) => {
                return refuse(format!("{} has no labels beside it", name_of(images)));
            }
            (None, Some(labels)) => {
                return refuse(format!("{} has no images beside it", name_of(labels)));
            }
            (None, None) => {}
        }
        let tables = tables_of(&listing.files, split);
        match tables.as_slice() {
            [] => Self::from_folder(path, split, size),
            [table] => Self::from_csv(table),
            several => {
                let names: Vec<String> = several.iter().map(|file| name_of(file)).collect();
                refuse(format!("several files could be it: {}", names.join(", ")))
            }
        }
    }
}

/// The first of the names in use for a file of this kind, plain before gzip.
fn find_idx<'a>(files: &'a [PathBuf], split: Split, kind: &str) -> Option<&'a PathBuf> {
    let spellings = [kind.to_owned(), kind.replace('-', ".")];
    let names = split.idx_prefixes().iter().flat_map(|prefix| {
        spellings.iter().flat_map(move |spelling| {
            ["", ".gz"].map(|end| format!("{prefix}-{spelling}-ubyte{end}"))
        })
    });
    names
        .into_iter()
        .find_map(|name| files.iter().find(|file| name_of(file) == name))
}

fn is_csv(file: &Path) -> bool {
    let extension = file.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// The CSV files of a part, by their names. `latest_train.csv` is to train on.
fn tables_of(files: &[PathBuf], split: Split) -> Vec<&PathBuf> {
    let is_of = |file: &&PathBuf| {
        let name = name_of(file).to_lowercase();
        let to_train = name.contains("train");
        match split {
            Split::Train => to_train,
            Split::Test => name.contains("test") && !to_train,
        }
    };
    let tables = files.iter().filter(|file| is_csv(file));
    tables.filter(is_of).collect()
}
