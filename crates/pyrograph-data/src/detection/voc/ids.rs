//! The ids of a part.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::layout::{ALL_ANNOTATIONS, Layout, has_extension, is_part_name, xml_files};
use crate::DataError;
use crate::detection::text::list_text;
use crate::listing::{Listing, is_image, within};

/// The flags of files of one class: without it, difficult, with it.
const FLAGS: [&str; 3] = ["-1", "0", "1"];

impl Layout {
    /// The ids of a part, in the order of its file.
    ///
    /// # Errors
    /// [`DataError::Read`], [`AnnotationError::Encoding`], [`DataError::NoDetectionSplit`], [`DataError::Empty`] and
    /// [`DataError::AnnotationValue`] for an id that stands twice or leads out of the set.
    pub(super) fn ids(&self, split: &str) -> Result<Vec<String>, DataError> {
        let Some(file) = self.list(split).filter(|_| !self.takes_all(split)) else {
            if self.is_part || split == ALL_ANNOTATIONS {
                return self.all_ids();
            }
            return Err(self.no_split(split)?);
        };
        let text = list_text(&file)?;
        let mut ids = Vec::new();
        let mut seen = HashSet::new();
        for (index, line) in text.lines().enumerate() {
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
            if within(&self.annotations, id).is_none() {
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

    /// The id of a line. It may have spaces, so that a line that is one as a whole keeps what could
    /// be a flag. Lists of other tools have the path of the image, of the annotation
    /// (PaddleDetection has both), or its name with the extension instead.
    fn id_of<'a>(&self, line: &'a str) -> &'a str {
        let is_id =
            |id: &&str| within(&self.annotations, id).is_some() && self.annotation(id).is_file();
        if is_id(&line) {
            return line;
        }
        let id = match line.rsplit_once(char::is_whitespace) {
            Some((id, flag)) if FLAGS.contains(&flag) => id.trim_end(),
            _ => line,
        };
        let last_word = id.rsplit(char::is_whitespace).next();
        let paths = [Some(id), last_word].into_iter().flatten();
        let mut ids = paths.flat_map(|path| {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            [path, without_extension(path), name, without_extension(name)]
        });
        ids.find(is_id).unwrap_or(id)
    }

    fn all_ids(&self) -> Result<Vec<String>, DataError> {
        let files = xml_files(&self.annotations)?;
        if files.is_empty() {
            let path = self.annotations.clone();
            return Err(DataError::Empty { path });
        }
        let id = |file: &PathBuf| {
            let below = file.strip_prefix(&self.annotations).unwrap_or(file);
            let parts = below.iter().map(|part| part.to_string_lossy());
            let name = parts.collect::<Vec<_>>().join("/");
            // Every file has this extension, in letters of either case.
            name[..name.len() - ".xml".len()].to_owned()
        };
        Ok(files.iter().map(id).collect())
    }

    /// The error that names the parts there are.
    fn no_split(&self, split: &str) -> Result<DataError, DataError> {
        let mut names = Vec::new();
        let mut place = &self.annotations;
        for folder in self.lists.iter().filter(|folder| folder.is_dir()) {
            let mut files = Listing::of(folder)?.files;
            files.retain(|file| has_extension(file, "txt"));
            let stems = files.iter().filter_map(|file| file.file_stem());
            names.extend(stems.map(|stem| stem.to_string_lossy().into_owned()));
            // Beside the annotations there are other texts too.
            if *folder == self.root {
                names.retain(|name| is_part_name(name));
            }
            if !names.is_empty() {
                place = folder;
                break;
            }
        }
        names.push(ALL_ANNOTATIONS.into());
        names.dedup();
        Ok(DataError::NoDetectionSplit {
            path: place.into(),
            seen: split.into(),
            present: format!("the parts are {}", names.join(", ")),
        })
    }
}

/// The name of an image or annotation file without its extension.
fn without_extension(name: &str) -> &str {
    let path = Path::new(name);
    match name.rsplit_once('.') {
        Some((stem, _)) if is_image(path) || has_extension(path, "xml") => stem,
        _ => name,
    }
}
