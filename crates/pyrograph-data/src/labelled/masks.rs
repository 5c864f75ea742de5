//! Telling masks of defects from images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Folders that hold masks and no images of a class.
const FOLDERS: [&str; 9] = [
    "ground_truth",
    "ground-truth",
    "groundtruth",
    "ground truth",
    "gt",
    "mask",
    "masks",
    "segmentation",
    "segmentations",
];
/// Classes of sets that tell faces with a mask from those without.
const WITHOUT: [&str; 6] = [
    "no_mask",
    "nomask",
    "no mask",
    "no-mask",
    "without_mask",
    "unmasked",
];
/// What the name of a mask has after that of its image.
const SUFFIXES: [&str; 10] = [
    "mask",
    "masks",
    "msk",
    "gt",
    "label",
    "labels",
    "seg",
    "segmentation",
    "ground_truth",
    "groundtruth",
];

/// Whether a folder holds masks, by its name and those of the folders beside it.
pub(super) fn is_mask_folder(name: &str, beside: &[String]) -> bool {
    let lower = name.to_lowercase();
    if FOLDERS.contains(&lower.as_str()) {
        let is_class = |other: &String| WITHOUT.contains(&other.to_lowercase().as_str());
        return !(lower.starts_with("mask") && beside.iter().any(is_class));
    }
    let other = |image: &str| beside.iter().any(|other| other.to_lowercase() == image);
    image_of(&lower).is_some_and(other)
}

/// Takes the masks of images in `files` out of it, and gives them.
pub(super) fn split_off(files: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let stems: HashSet<String> = files.iter().map(|file| stem_of(file)).collect();
    let is_mask =
        |file: &PathBuf| image_of(&stem_of(file)).is_some_and(|image| stems.contains(image));
    let (masks, images) = std::mem::take(files).into_iter().partition(is_mask);
    *files = images;
    masks
}

fn stem_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().to_lowercase()
}

/// The name of the image whose mask has this name, in small letters.
fn image_of(name: &str) -> Option<&str> {
    let stripped = SUFFIXES.iter().find_map(|suffix| {
        let image = name.strip_suffix(suffix)?;
        image.strip_suffix(['_', '-', '.', ' '])
    });
    stripped.filter(|image| !image.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn folders_of_masks_are_known_by_name_unless_faces_wear_them() {
        let beside = names(&["good", "broken", "broken_mask"]);
        for name in ["ground_truth", "Masks", "gt", "broken_mask"] {
            assert!(is_mask_folder(name, &beside), "{name}");
        }
        for name in ["good", "broken", "torn_mask", "unmask"] {
            assert!(!is_mask_folder(name, &beside), "{name}");
        }
        assert!(!is_mask_folder("mask", &names(&["mask", "no_mask"])));
    }

    #[test]
    fn a_mask_has_the_name_of_an_image_beside_it() {
        let mut files: Vec<PathBuf> = [
            "000.png",
            "000_mask.png",
            "10301_GT.png",
            "10301.jpg",
            "Part0.jpg",
            "Part0_label.bmp",
            "lonely_mask.png",
        ]
        .map(Into::into)
        .into();
        let masks = split_off(&mut files);
        let names = |files: &[PathBuf]| -> Vec<String> {
            files
                .iter()
                .map(|file| file.display().to_string())
                .collect()
        };
        assert_eq!(
            names(&masks),
            ["000_mask.png", "10301_GT.png", "Part0_label.bmp"]
        );
        assert_eq!(
            names(&files),
            ["000.png", "10301.jpg", "Part0.jpg", "lonely_mask.png"]
        );
    }
}
