//! The folders and files of a set in the layout of Pascal VOC.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::listing::{Listing, name_of, within};

/// The name of the part that is every annotation file, in the order of their names, where no file of ids has that name.
pub const ALL_ANNOTATIONS: &str = "all";

/// The folder of the annotation files.
const ANNOTATIONS: &str = "Annotations";
/// The folder of the images.
const IMAGES: &str = "JPEGImages";
/// The folder of the files that list the parts.
const PARTS: &str = "ImageSets/Main";
/// What images may end in, the commonest first.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "JPG", "JPEG", "PNG"];
/// How far below the path given the folders may be: `VOCdevkit/VOC2007`.
const DEEPEST: usize = 2;
/// The flags of files of one class: without it, difficult, with it.
const FLAGS: [&str; 3] = ["-1", "0", "1"];

/// Where a set lies.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Finds the folders at `path` or below it.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::NoDetectionSet`].
    pub(super) fn find(path: &Path) -> Result<Self, DataError> {
        let mut level = vec![path.to_path_buf()];
        for depth in 0..=DEEPEST {
            let mut roots: Vec<_> = level
                .iter()
                .filter(|root| root.join(ANNOTATIONS).is_dir())
                .collect();
            match roots.as_slice() {
                [] if depth < DEEPEST => {
                    let mut deeper = Vec::new();
                    for folder in &level {
                        deeper.extend(Listing::of(folder)?.folders);
                    }
                    level = deeper;
                }
                [] => {}
                [_] => return Self::complete(roots.swap_remove(0)),
                several => {
                    let names: Vec<_> = several.iter().map(|root| name_of(root)).collect();
                    let reason = format!("it holds several, give one: {}", names.join(", "));
                    return Err(no_set(path, reason));
                }
            }
        }
        let reason = format!("there is no folder {ANNOTATIONS} in it, nor in a folder of it");
        Err(no_set(path, reason))
    }

    fn complete(root: &Path) -> Result<Self, DataError> {
        if root.join(IMAGES).is_dir() {
            return Ok(Self { root: root.into() });
        }
        let reason = format!("there is no folder {IMAGES} beside {ANNOTATIONS}");
        Err(no_set(root, reason))
    }

    /// The file of an image's annotation.
    pub(super) fn annotation(&self, id: &str) -> PathBuf {
        // Not `with_extension`, which would take the end of an id such as `frame.7` for one.
        self.root.join(ANNOTATIONS).join(format!("{id}.xml"))
    }

    /// Every annotation file, by name.
    ///
    /// # Errors
    /// [`DataError::Read`].
    pub(super) fn annotation_files(&self) -> Result<Vec<PathBuf>, DataError> {
        let mut files = Listing::of(&self.root.join(ANNOTATIONS))?.files;
        files.retain(|file| has_extension(file, "xml"));
        Ok(files)
    }

    /// The file of an image, which lies within its folder.
    ///
    /// # Errors
    /// [`DataError::NoImageFile`].
    pub(super) fn image(&self, id: &str, filename: Option<&str>) -> Result<PathBuf, DataError> {
        let folder = self.root.join(IMAGES);
        let by_id = EXTENSIONS.map(|extension| format!("{id}.{extension}"));
        let mut names = by_id.into_iter().chain(filename.map(str::to_owned));
        let found = names.find_map(|name| {
            let path = within(&folder, &name)?;
            path.is_file().then_some(path)
        });
        found.ok_or_else(|| {
            let by_id = folder.join(id);
            let by_name = filename.map(|name| format!(", {}", folder.join(name).display()));
            DataError::NoImageFile {
                path: self.annotation(id),
                looked_for: format!(
                    "{}.{{jpg, jpeg, png}}{}",
                    by_id.display(),
                    by_name.unwrap_or_default()
                ),
            }
        })
    }

    /// The ids of a part, in the order of its file.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::NoDetectionSplit`], [`DataError::Empty`] and [`DataError::AnnotationValue`] for an id
    /// that stands twice or leads out of the set.
    pub(super) fn ids(&self, split: &str) -> Result<Vec<String>, DataError> {
        let folder = self.root.join(PARTS);
        let file = folder.join(format!("{split}.txt"));
        let unreadable = |source| DataError::Read {
            path: file.clone(),
            source,
        };
        if !file.is_file() {
            if split == ALL_ANNOTATIONS {
                return self.all_ids();
            }
            return Err(self.no_split(&folder, split)?);
        }
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        let mut ids = Vec::new();
        let mut seen = HashSet::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let id = self.id_of(line);
            let refused = |allowed: &str| DataError::AnnotationValue {
                path: file.clone(),
                place: format!("line {}", index + 1).into(),
                seen: id.into(),
                allowed: allowed.into(),
            };
            if within(&self.root, id).is_none() {
                return Err(refused("the name of a file within the set"));
            }
            if !seen.insert(id) {
                return Err(refused("an id that no line before has"));
            }
            ids.push(id.to_owned());
        }
        if ids.is_empty() {
            return Err(DataError::Empty { path: file });
        }
        Ok(ids)
    }

    /// The line without its flag. An id may have spaces, so a line that is one as a whole keeps what could be a flag.
    fn id_of<'a>(&self, line: &'a str) -> &'a str {
        match line.rsplit_once(char::is_whitespace) {
            Some((id, flag)) if FLAGS.contains(&flag) && !self.annotation(line).is_file() => {
                id.trim_end()
            }
            _ => line,
        }
    }

    fn all_ids(&self) -> Result<Vec<String>, DataError> {
        let files = self.annotation_files()?;
        if files.is_empty() {
            let path = self.root.join(ANNOTATIONS);
            return Err(DataError::Empty { path });
        }
        let ids = files.iter().filter_map(|file| file.file_stem());
        Ok(ids.map(|id| id.to_string_lossy().into_owned()).collect())
    }

    /// The error that names the parts there are.
    fn no_split(&self, folder: &Path, split: &str) -> Result<DataError, DataError> {
        let mut files = if folder.is_dir() {
            Listing::of(folder)?.files
        } else {
            Vec::new()
        };
        files.retain(|file| has_extension(file, "txt"));
        let stems = files.iter().filter_map(|file| file.file_stem());
        let mut names: Vec<_> = stems.map(|stem| stem.to_string_lossy()).collect();
        names.push(ALL_ANNOTATIONS.into());
        names.dedup();
        Ok(DataError::NoDetectionSplit {
            path: folder.into(),
            seen: split.into(),
            present: names.join(", "),
        })
    }
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    let extension = file.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

fn no_set(path: &Path, reason: String) -> DataError {
    DataError::NoDetectionSet {
        path: path.into(),
        format: "VOC",
        reason,
    }
}
