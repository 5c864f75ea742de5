//! The folders and files of a set in the layout of Pascal VOC, and in those of the tools that write its files.

use std::path::{Path, PathBuf};

use super::images::Images;
use crate::DataError;
use crate::listing::{Listing, is_image, name_of, within};

/// The name of the part that consists of all annotation files, sorted by name, unless a list of ids
/// has that name.
pub const ALL_ANNOTATIONS: &str = "all";

/// The folder of the annotation files in VOC's own layout, and the names that it has elsewhere.
const ANNOTATIONS: &str = "Annotations";
const OTHER_ANNOTATIONS: [&str; 6] = [
    "annotations",
    "annotation",
    "labels",
    "xmls",
    "xml",
    "annots",
];
/// The folder of the images in VOC's own layout, and the names that it has elsewhere.
const IMAGES: &str = "JPEGImages";
const OTHER_IMAGES: [&str; 7] = [
    "jpegimages",
    "images",
    "image",
    "imgs",
    "img",
    "data",
    "photos",
];
/// The folders of the files that list the parts; they may also lie in the folder of the set itself.
const PARTS: [&str; 2] = ["ImageSets/Main", "ImageSets"];
/// Names of one part in the layouts that have a folder for each.
const SAME_PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation"],
    &["test", "testing"],
];
/// How far below the path given the folders may be: `VOCdevkit/VOC2007`.
const DEEPEST: usize = 2;

/// Where a set lies.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) annotations: PathBuf,
    images: Vec<PathBuf>,
    /// The folders that may have lists of the parts.
    pub(super) lists: Vec<PathBuf>,
    /// The folder of the set.
    pub(super) root: PathBuf,
    /// The annotations of the other parts, where each part has a folder.
    others: Vec<PathBuf>,
    /// Whether all annotation files are the part that was asked for.
    pub(super) is_part: bool,
}

impl Layout {
    /// Finds the folders of the part `split` at `path` or below it.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::NoDetectionSet`].
    pub(super) fn find(path: &Path, split: &str) -> Result<Self, DataError> {
        if path.is_file() {
            return Err(no_set(path, "it is a file, and a folder is needed".into()));
        }
        let mut level = vec![path.to_path_buf()];
        for depth in 0..=DEEPEST {
            let mut roots = Vec::new();
            for folder in &level {
                if let Some(layout) = Self::of_part(folder, split)? {
                    roots.push((folder, layout));
                }
            }
            match roots.len() {
                0 if depth < DEEPEST => {
                    let mut deeper = Vec::new();
                    for folder in &level {
                        deeper.extend(Listing::of(folder)?.folders);
                    }
                    level = deeper;
                }
                0 => {}
                1 => {
                    let (_, layout) = roots.swap_remove(0);
                    return layout.complete();
                }
                _ => {
                    let names: Vec<_> = roots.iter().map(|(root, _)| name_of(root)).collect();
                    let reason = format!("it holds several, give one: {}", names.join(", "));
                    return Err(no_set(path, reason));
                }
            }
        }
        let reason = format!(
            "there is no folder {ANNOTATIONS} in it, nor in a folder of it, and no .xml file beside images"
        );
        Err(no_set(path, reason))
    }

    /// The layout of a part at `folder` itself: of the set there, or of a folder that has the part's name.
    fn of_part(folder: &Path, split: &str) -> Result<Option<Self>, DataError> {
        let here = Self::at(folder)?;
        if let Some(here) = &here
            && (here.list(split).is_some() || split == ALL_ANNOTATIONS)
        {
            return Ok(Some(here.clone()));
        }
        // A folder for each part, with annotations and images in it.
        let folders = Listing::of(folder)?.folders;
        if let Some(part) = named_as(&folders, split)
            && let Some(mut layout) = Self::at(part)?
        {
            layout.is_part = true;
            for other in folders.iter().filter(|other| *other != part) {
                layout
                    .others
                    .extend(Self::at(other)?.map(|other| other.annotations));
            }
            return Ok(Some(layout));
        }
        let Some(mut here) = here else {
            return Ok(None);
        };
        // A folder for each part within those of the annotations and of the images.
        let folders = match here.annotations == folder {
            true => Vec::new(),
            false => Listing::of(&here.annotations)?.folders,
        };
        if let Some(part) = named_as(&folders, split).filter(|part| has_file(part, is_xml)) {
            let name = name_of(part);
            let of_part = here.images.iter().map(|images| images.join(&name));
            let of_part: Vec<_> = of_part.filter(|images| images.is_dir()).collect();
            here.images.splice(0..0, of_part);
            here.others = folders
                .iter()
                .filter(|other| *other != part)
                .cloned()
                .collect();
            here.annotations = part.clone();
            here.is_part = true;
            return Ok(Some(here));
        }
        // The folder of one part, handed in by itself.
        let is_flat = here.annotations == folder;
        here.is_part = is_flat && same_part(&name_of(folder), split);
        Ok(Some(here))
    }

    /// The set whose folders lie in `folder`, if there is one.
    fn at(folder: &Path) -> Result<Option<Self>, DataError> {
        let listing = Listing::of(folder)?;
        let named = |name: &&str| {
            let mut folders = listing.folders.iter();
            folders.find(|path| name_of(path).eq_ignore_ascii_case(name))
        };
        let own = folder.join(ANNOTATIONS);
        let annotations = if own.is_dir() {
            own
        } else if let Some(other) = OTHER_ANNOTATIONS
            .iter()
            .filter_map(named)
            .find(|other| has_xml(other))
        {
            other.clone()
        } else if listing.files.iter().any(|file| is_xml(file))
            && listing.files.iter().any(|file| is_image(file))
        {
            folder.to_path_buf()
        } else {
            return Ok(None);
        };
        let own = Some(folder.join(IMAGES)).filter(|own| own.is_dir());
        let mut images: Vec<PathBuf> = own.into_iter().collect();
        images.extend(OTHER_IMAGES.iter().filter_map(named).cloned());
        for beside in [&annotations, folder] {
            if has_file(beside, is_image) {
                images.push(beside.into());
            }
        }
        images.dedup();
        Ok(Some(Self {
            annotations,
            images,
            lists: [
                PARTS.map(|parts| folder.join(parts)).as_slice(),
                &[folder.into()],
            ]
            .concat(),
            root: folder.into(),
            others: Vec::new(),
            is_part: false,
        }))
    }

    fn complete(self) -> Result<Self, DataError> {
        if !self.images.is_empty() {
            return Ok(self);
        }
        let reason = format!("there is no folder {IMAGES} or images beside {ANNOTATIONS}");
        let root = self.annotations.parent().unwrap_or(&self.annotations);
        Err(no_set(root, reason))
    }

    /// The file of an image's annotation.
    pub(super) fn annotation(&self, id: &str) -> PathBuf {
        // Not `with_extension`, which would take the end of an id such as `frame.7` for one.
        self.annotations.join(format!("{id}.xml"))
    }

    /// Every annotation file of the set, by name, those of other parts included.
    ///
    /// # Errors
    /// [`DataError::Read`].
    pub(super) fn annotation_files(&self) -> Result<Vec<PathBuf>, DataError> {
        let mut files = xml_files(&self.annotations)?;
        for other in &self.others {
            files.extend(xml_files(other)?);
        }
        Ok(files)
    }

    pub(super) fn images(&self) -> Images {
        Images::new(self.images.clone())
    }

    /// Whether the part is every annotation file, and no list of ids.
    pub(super) fn takes_all(&self, split: &str) -> bool {
        self.is_part || self.list(split).is_none()
    }

    /// Whether the image `id` has an annotation, be it of another part.
    pub(super) fn is_annotated(&self, id: &str) -> bool {
        let stem = id.rsplit('/').next().unwrap_or(id);
        let of_other = |other: &PathBuf| other.join(format!("{stem}.xml")).is_file();
        self.annotation(id).is_file() || self.others.iter().any(of_other)
    }

    /// The file that lists the part.
    pub(super) fn list(&self, split: &str) -> Option<PathBuf> {
        let is_of_lists = |folder: &&PathBuf| **folder != self.root || is_part_name(split);
        let mut files = self
            .lists
            .iter()
            .filter(is_of_lists)
            .filter_map(|folder| within(folder, &format!("{split}.txt")));
        files.find(|file| file.is_file())
    }
}

/// The folder of a part: of its own name, or of another name of the same part where no folder has that.
fn named_as<'a>(folders: &'a [PathBuf], split: &str) -> Option<&'a PathBuf> {
    let exact = folders.iter().find(|folder| name_of(folder) == split);
    exact.or_else(|| {
        folders
            .iter()
            .find(|folder| same_part(&name_of(folder), split))
    })
}

/// Whether two names are of one part, as `val` and `valid` are.
pub(in crate::detection) fn same_part(name: &str, split: &str) -> bool {
    let is = |known: &&str, name: &str| known.eq_ignore_ascii_case(name);
    let both = |names: &&[&str]| {
        names.iter().any(|known| is(known, name)) && names.iter().any(|known| is(known, split))
    };
    name.eq_ignore_ascii_case(split) || SAME_PARTS.iter().any(both)
}

/// Whether a file of that name in the folder of a set lists a part.
pub(super) fn is_part_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("trainval")
        || SAME_PARTS.iter().any(|names| same_part(name, names[0]))
}

/// The annotation files of a folder by name; where there are none, those of the folders within.
pub(super) fn xml_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut listing = Listing::of(folder)?;
    listing.files.retain(|file| is_xml(file));
    if listing.files.is_empty() {
        for below in &listing.folders {
            let within = Listing::of(below)?.files;
            listing
                .files
                .extend(within.into_iter().filter(|file| is_xml(file)));
        }
    }
    Ok(listing.files)
}

fn has_xml(folder: &Path) -> bool {
    xml_files(folder).is_ok_and(|files| !files.is_empty())
}

fn has_file(folder: &Path, wanted: impl Fn(&Path) -> bool) -> bool {
    Listing::of(folder).is_ok_and(|listing| listing.files.iter().any(|file| wanted(file)))
}

fn is_xml(file: &Path) -> bool {
    has_extension(file, "xml")
}

pub(super) fn has_extension(file: &Path, wanted: &str) -> bool {
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
