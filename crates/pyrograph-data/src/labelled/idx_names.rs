//! Finding the files of MNIST and its relatives by their names.

use std::path::{Path, PathBuf};

use super::Split;
use crate::DataError;
use crate::listing::{Listing, name_of};

/// Where torchvision keeps the files of a set, below the folder of the set.
const RAW: &str = "raw";

/// A pair of idx files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdxPair {
    pub(super) images: PathBuf,
    pub(super) labels: PathBuf,
}

/// The parts of the name of an idx file.
#[derive(Debug, PartialEq, Eq)]
struct IdxName {
    /// The prefix before the part, such as `emnist-letters-`; empty in MNIST's own files.
    family: String,
    is_images: bool,
    is_gzip: bool,
}

/// The idx files of a part in a folder, or where torchvision keeps them below it; none where there are no such files.
///
/// The error is a reason in words: one of a pair is missing, or there are several pairs.
pub(super) fn find(
    path: &Path,
    split: Split,
) -> Result<Result<Option<IdxPair>, String>, DataError> {
    let listing = Listing::of(path)?;
    let mut places = vec![vec![path.to_path_buf()]];
    let raw = |folder: &PathBuf| folder.join(RAW);
    places.push(vec![raw(&path.to_path_buf())]);
    places.push(listing.folders.iter().map(raw).collect());
    // Kaggle's archives hold a folder of the same name around each file.
    let files = same_named(&listing)?;
    for folders in places {
        let mut pairs = Vec::new();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            match pairs_of(&Listing::of(folder)?.files, split) {
                Ok(found) => pairs.extend(found),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        if !pairs.is_empty() {
            return Ok(only(pairs));
        }
    }
    Ok(pairs_of(&files, split).and_then(only))
}

/// Whether a file is one of MNIST's own, by its name: its folder holds one set.
pub(super) fn is_of_mnist(file: &Path) -> bool {
    let name = name_of(file);
    let parsed = |split| parse(&name, split).is_some_and(|name| name.family.is_empty());
    parsed(Split::Train) || parsed(Split::Test)
}

/// The pair that the file of the images, or of the labels, belongs to, where a name tells it from
/// other sets in its folder; none for a file of another name. The name says the part too.
pub(super) fn pair_of(file: &Path) -> Result<Option<IdxPair>, DataError> {
    let name = name_of(file);
    let of_part = |part: Split| parse(&name, part).map(|parsed| (part, parsed));
    let mut known = [Split::Train, Split::Test].into_iter().filter_map(of_part);
    let Some((part, known)) = known.find(|(_, known)| !known.family.is_empty()) else {
        return Ok(None);
    };
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let files = Listing::of(folder)?.files;
    let of_family = |file: &PathBuf| {
        let parsed = parse(&name_of(file), part);
        parsed.is_some_and(|parsed| parsed.family == known.family)
    };
    let files: Vec<_> = files.into_iter().filter(of_family).collect();
    let pairs = pairs_of(&files, part).unwrap_or_default();
    Ok(pairs.into_iter().next())
}

/// Files that lie alone in a folder of their own name.
fn same_named(listing: &Listing) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for folder in &listing.folders {
        let inner = folder.join(name_of(folder));
        if inner.is_file() {
            files.push(inner);
        }
    }
    Ok(files)
}

/// The one pair there is.
fn only(mut pairs: Vec<IdxPair>) -> Result<Option<IdxPair>, String> {
    if pairs.len() < 2 {
        return Ok(pairs.pop());
    }
    // What is one of MNIST's own is told from others by its folder.
    let given = |pair: &IdxPair| match pair.images.parent() {
        Some(folder) if is_of_mnist(&pair.images) => folder.display().to_string(),
        _ => pair.images.display().to_string(),
    };
    let names: Vec<String> = pairs.iter().map(given).collect();
    Err(format!(
        "several sets could be it: give one of {}",
        names.join(", ")
    ))
}

/// The pairs of a part among files, MNIST's own names first.
fn pairs_of(files: &[PathBuf], split: Split) -> Result<Vec<IdxPair>, String> {
    let mut named: Vec<(IdxName, &PathBuf)> = files
        .iter()
        .filter_map(|file| Some((parse(&name_of(file), split)?, file)))
        .collect();
    // Plain before gzip, so that the first of each kind is the one that is read.
    named.sort_by_key(|(name, _)| (name.family.clone(), name.is_gzip));
    let mut families: Vec<&str> = named.iter().map(|(name, _)| name.family.as_str()).collect();
    families.dedup();
    let mut pairs = Vec::new();
    for family in families {
        let find = |is_images: bool| {
            let mut of_kind = named
                .iter()
                .filter(|(name, _)| name.family == family && name.is_images == is_images);
            of_kind.next().map(|(_, file)| *file)
        };
        match (find(true), find(false)) {
            (Some(images), Some(labels)) => pairs.push(IdxPair {
                images: images.clone(),
                labels: labels.clone(),
            }),
            (Some(images), None) => {
                return Err(format!("{} has no labels beside it", name_of(images)));
            }
            (None, Some(labels)) => {
                return Err(format!("{} has no images beside it", name_of(labels)));
            }
            (None, None) => {}
        }
    }
    Ok(pairs)
}

/// Parses the name of an idx file of this part: `[family-]train-images-idx3-ubyte[.gz]`, also with
/// dots.
fn parse(name: &str, split: Split) -> Option<IdxName> {
    let lower = name.to_lowercase();
    let (stem, is_gzip) = match lower.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (lower.as_str(), false),
    };
    let (stem, numbers) = stem.rsplit_once(['-', '.'])?;
    let (stem, dimensions) = stem.rsplit_once(['-', '.'])?;
    let (stem, is_images) = match (dimensions, numbers) {
        ("idx3", "ubyte") => (stem.strip_suffix("images")?, true),
        // The second is QMNIST's.
        ("idx1", "ubyte") | ("idx2", "int") => (stem.strip_suffix("labels")?, false),
        _ => return None,
    };
    let stem = stem.strip_suffix(['-', '.', '_'])?;
    let mut prefixes = split.idx_prefixes().iter();
    let family = prefixes.find_map(|prefix| stem.strip_suffix(prefix))?;
    let ends_a_word = family.is_empty() || family.ends_with(['-', '.', '_']);
    ends_a_word.then(|| IdxName {
        family: family.into(),
        is_images,
        is_gzip,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mnist_and_its_relatives_are_understood() {
        let family = |name: &str| parse(name, Split::Train).map(|name| name.family);
        for (name, expected) in [
            ("train-images-idx3-ubyte", Some("")),
            ("train-images.idx3-ubyte.gz", Some("")),
            ("train-labels-idx1-ubyte", Some("")),
            (
                "emnist-letters-train-images-idx3-ubyte.gz",
                Some("emnist-letters-"),
            ),
            ("qmnist-train-images-idx3-ubyte", Some("qmnist-")),
            ("qmnist-train-labels-idx2-int.gz", Some("qmnist-")),
            ("train-labels-idx1-int", None),
            ("t10k-images-idx3-ubyte", None),
            ("restrain-images-idx3-ubyte", None),
            ("train-images-idx4-ubyte", None),
            ("train-images-idx3-ubyte.zip", None),
        ] {
            assert_eq!(family(name).as_deref(), expected, "{name}");
        }
        let test = parse("emnist-digits-test-labels-idx1-ubyte", Split::Test).unwrap();
        assert!(!test.is_images && test.family == "emnist-digits-");
    }

    #[test]
    fn several_families_are_named_and_a_half_is_refused() {
        let files = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(Into::into).collect() };
        let both = files(&[
            "emnist-digits-train-images-idx3-ubyte",
            "emnist-digits-train-labels-idx1-ubyte",
            "emnist-letters-train-images-idx3-ubyte",
            "emnist-letters-train-labels-idx1-ubyte",
        ]);
        let pairs = pairs_of(&both, Split::Train).unwrap();
        assert_eq!(pairs.len(), 2);
        let reason = only(pairs).unwrap_err();
        assert!(reason.contains("emnist-letters-train-images"), "{reason}");
        let reason = pairs_of(&both[..1], Split::Train).unwrap_err();
        assert!(reason.contains("no labels"), "{reason}");
    }
}
