//! The images that are meant, and what their pictures are called.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// The extensions of files in a folder that are taken for images.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff"];

/// The files of `given`: a file stands for itself, whatever its name, and a folder for the images in it, by name.
pub(super) fn images_at(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in given {
        let kind = fs::metadata(path).with_context(|| path.display().to_string())?;
        if kind.is_dir() {
            images.extend(images_in(path)?);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

/// The images of a folder by name; hidden files are left out.
fn images_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || folder.display().to_string();
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && is_image(&path) && !path.is_dir() {
            images.push(path);
        }
    }
    if images.is_empty() {
        bail!(
            "{} holds no images: files that end in {} are looked for",
            folder.display(),
            EXTENSIONS.join(", ")
        );
    }
    images.sort();
    Ok(images)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|seen| {
        EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(seen))
    })
}

/// The name of each image's picture: its own with the extension of a PNG, and a number where another one has it already. Names
/// that differ in case alone count as the same, as some file systems have it.
pub(super) fn picture_names(paths: &[PathBuf]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut name = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let number = numbers.entry(stem.to_lowercase()).or_insert(1);
        loop {
            let name = match *number {
                1 => format!("{stem}.png"),
                number => format!("{stem}-{number}.png"),
            };
            *number += 1;
            if taken.insert(name.to_lowercase()) {
                return name;
            }
        }
    };
    paths.iter().map(&mut name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_equal_names_get_numbers() {
        let paths = ["a/x.jpg", "b/x.png", "x-2.gif", "c/X.bmp", "y", "d/y.z.png"];
        let names = picture_names(&paths.map(PathBuf::from));
        assert_eq!(
            names,
            [
                "x.png",
                "x-2.png",
                "x-2-2.png",
                "X-3.png",
                "y.png",
                "y.z.png"
            ]
        );
    }

    #[test]
    fn a_folder_gives_its_own_images_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["b.JPG", "a.png", ".c.png", "notes.txt"] {
            fs::write(at(name), "").expect("writable");
        }
        fs::create_dir_all(at("d.png/e")).expect("writable");
        let given = [at("notes.txt"), folder.path().into()];
        let images = images_at(&given).expect("images");
        assert_eq!(images, [at("notes.txt"), at("a.png"), at("b.JPG")]);
        let message = images_at(&[at("d.png")]).expect_err("none").to_string();
        assert!(message.contains("d.png holds no images"), "{message}");
        let message = images_at(&[at("none.png")])
            .expect_err("missing")
            .to_string();
        assert!(message.contains("none.png"), "{message}");
    }
}
