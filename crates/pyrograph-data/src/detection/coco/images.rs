//! The image files of a set.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::listing::{Listing, within};

/// The files of a folder that images are found in.
pub(super) struct ImageFiles<'a> {
    folder: &'a Path,
    /// Files that already belong to an image.
    taken: HashSet<PathBuf>,
    /// The files by their names in small letters, listed when a name is not found as it is; none
    /// for names that two files have.
    lowercase: Option<HashMap<String, Option<PathBuf>>>,
}

impl<'a> ImageFiles<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            taken: HashSet::new(),
            lowercase: None,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder
    }

    /// The file of an image: as [`file_of`] finds it, or else the one whose name differs in its
    /// case alone, as on Windows.
    pub(super) fn find(&mut self, name: &str) -> Option<PathBuf> {
        if let Some(found) = file_of(self.folder, name) {
            return Some(found);
        }
        let folder = self.folder;
        let names = self.lowercase.get_or_insert_with(|| {
            let mut names = HashMap::new();
            // A folder that does not read has no such file.
            for path in Listing::of(folder).unwrap_or_default().files {
                let Some(name) = path
                    .file_name()
                    .map(|name| name.to_string_lossy().to_lowercase())
                else {
                    continue;
                };
                let path = Some(path);
                names
                    .entry(name)
                    .and_modify(|seen| *seen = None)
                    .or_insert(path);
            }
            names
        });
        names
            .get(&last_part(name).to_lowercase())
            .cloned()
            .flatten()
    }

    /// Whether no image before has the file.
    pub(super) fn take(&mut self, file: PathBuf) -> bool {
        self.taken.insert(file)
    }
}

/// The file of an image in a folder: by its name, or by as much of its end as leads to a file, as
/// some tools write the folders of the machine they ran on, which may have been a Windows machine.
pub(super) fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    /// Folders within a set that are looked into.
    const DEEPEST: usize = 8;
    let path = name.replace('\\', "/");
    let ends = path.rmatch_indices('/').map(|(at, _)| &path[at + 1..]);
    let ends: Vec<_> = ends.take(DEEPEST).collect();
    let names = [name, &path].into_iter().chain(ends.into_iter().rev());
    let mut files = names.filter_map(|name| within(folder, name));
    files.find(|path| path.is_file())
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}
