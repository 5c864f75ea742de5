//! The images of annotations, by their names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::detection::AnnotationError;
use crate::listing::{EXTENSIONS, Listing, is_image, name_of, within};

/// The image files of some folders, each listed once.
#[derive(Debug)]
pub(super) struct Images {
    /// The folders that are searched, the likeliest first.
    folders: Vec<PathBuf>,
    listed: HashMap<PathBuf, Names>,
}

/// The files of a folder by their names without extension.
#[derive(Debug, Default)]
struct Names {
    images: HashMap<String, Vec<PathBuf>>,
    /// The files by lower-case names, as Windows compares names.
    lowercase: HashMap<String, Vec<PathBuf>>,
    /// Files whose extension is that of no image.
    others: HashMap<String, PathBuf>,
}

impl Names {
    fn of(folder: &Path) -> Result<Self, DataError> {
        let mut names = Self::default();
        if !folder.is_dir() {
            return Ok(names);
        }
        for path in Listing::of(folder)?.files {
            let Some(stem) = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
            else {
                continue;
            };
            if is_image(&path) {
                let small = stem.to_lowercase();
                names.lowercase.entry(small).or_default().push(path.clone());
                names.images.entry(stem).or_default().push(path);
            } else if path
                .extension()
                .is_some_and(|seen| !seen.eq_ignore_ascii_case("xml"))
            {
                names.others.insert(stem, path);
            }
        }
        Ok(names)
    }

    fn with_stem(&self, stem: &str) -> &[PathBuf] {
        let exact = self.images.get(stem);
        let found = exact.or_else(|| self.lowercase.get(&stem.to_lowercase()));
        found.map_or(&[], Vec::as_slice)
    }
}

impl Images {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            listed: HashMap::new(),
        }
    }

    /// The file of the image `id`, which `annotation` is of and calls `filename`. It is the one
    /// that has the name of the annotation, or else the one that the annotation names: many tools
    /// write a name that the file has no longer, or the path on another machine.
    ///
    /// # Errors
    /// [`DataError::NoImageFile`], [`AnnotationError::AmbiguousImage`], [`DataError::Read`].
    pub(super) fn find(
        &mut self,
        id: &str,
        filename: Option<&str>,
        annotation: &Path,
    ) -> Result<PathBuf, DataError> {
        let filename = filename.filter(|name| !name.is_empty());
        let last = filename.map(|name| name.rsplit(['/', '\\']).next().unwrap_or(name));
        let folders = self.folders.clone();
        for folder in &folders {
            if let Some(found) = self.by_stem(folder, id, last, annotation)? {
                return Ok(found);
            }
        }
        for folder in &folders {
            let names = filename.into_iter().chain(last);
            let mut paths = names.filter_map(|name| within(folder, name));
            if let Some(found) = paths.find(|path| path.is_file()) {
                return Ok(found);
            }
            // The extension may be another one.
            if let Some(stem) = last.and_then(|last| Path::new(last).file_stem())
                && let Some(found) =
                    self.by_stem(folder, &stem.to_string_lossy(), last, annotation)?
            {
                return Ok(found);
            }
        }
        Err(self.missing(id, filename, annotation))
    }

    fn by_stem(
        &mut self,
        folder: &Path,
        id: &str,
        last: Option<&str>,
        annotation: &Path,
    ) -> Result<Option<PathBuf>, DataError> {
        let (folder, stem) = match id.rsplit_once('/') {
            Some((below, stem)) => (folder.join(below), stem),
            None => (folder.to_path_buf(), id),
        };
        match self.names(folder)?.with_stem(stem) {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => {
                let named = |is_same: fn(&str, &str) -> bool| {
                    let mut named = several
                        .iter()
                        .filter(|path| last.is_some_and(|last| is_same(&name_of(path), last)));
                    named.next().filter(|_| named.next().is_none())
                };
                match named(|name, last| name == last).or_else(|| named(str::eq_ignore_ascii_case))
                {
                    Some(named) => Ok(Some(named.clone())),
                    None => Err(AnnotationError::AmbiguousImage {
                        path: annotation.into(),
                        images: several
                            .iter()
                            .map(|path| name_of(path))
                            .collect::<Vec<_>>()
                            .join(", "),
                    }
                    .into()),
                }
            }
        }
    }

    fn names(&mut self, folder: PathBuf) -> Result<&Names, DataError> {
        if !self.listed.contains_key(&folder) {
            let names = Names::of(&folder)?;
            self.listed.insert(folder.clone(), names);
        }
        Ok(&self.listed[&folder])
    }

    /// The images of the folders that were looked into that `is_taken` says are none of the set's, by their ids.
    pub(super) fn others(&self, is_taken: impl Fn(&Path, &str) -> bool) -> Vec<String> {
        let files = self.listed.values().flat_map(|names| &names.images);
        let mut others = Vec::new();
        for path in files.flat_map(|(_, paths)| paths) {
            let below = self
                .folders
                .iter()
                .find_map(|folder| path.strip_prefix(folder).ok());
            let id = below.unwrap_or(path).with_extension("");
            if !is_taken(path, &id.to_string_lossy()) {
                others.push(name_of(path));
            }
        }
        others.sort();
        others
    }

    fn missing(&self, id: &str, filename: Option<&str>, annotation: &Path) -> DataError {
        let folder = self.folders.first().cloned().unwrap_or_default();
        let by_name = filename.map(|name| format!(", {}", folder.join(name).display()));
        let other = self.listed.values().find_map(|names| names.others.get(id));
        let other =
            other.map(|path| format!("; {} is there, which is none of them", name_of(path)));
        DataError::NoImageFile {
            path: annotation.into(),
            looked_for: format!(
                "{}.{{{}}}{}{}",
                folder.join(id).display(),
                EXTENSIONS.join(", "),
                by_name.unwrap_or_default(),
                other.unwrap_or_default()
            ),
        }
    }
}
