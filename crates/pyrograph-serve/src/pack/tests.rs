use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Read,
    path::Path,
};

use flate2::read::GzDecoder;
use pyrograph_models::weights::{StateDict, TensorEntry};

use super::{MANIFEST, Manifest, Packed, archive::write_archive, source::Source};
use crate::tasks::TaskKind;

/// A folder that looks like one of diffusers.
fn pipeline() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "model_index.json", "{}");
    write(folder.path(), "unet/weights.safetensors", "0123456789");
    write(folder.path(), "vae/weights.safetensors", "abc");
    write(folder.path(), ".cache/left.out", "hidden");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

fn packed(model: &Path, out: &Path) -> Packed {
    let source = Source::find(model, None).expect("a model");
    write_archive(&source, out, &mut |_, _| {}).expect("an archive")
}

fn entries(archive: &Path) -> BTreeMap<String, String> {
    let file = fs::File::open(archive).expect("an archive");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        assert_eq!(entry.header().mtime().ok(), Some(0));
        assert_eq!(entry.header().mode().ok(), Some(0o644));
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (entry.path().expect("a path").display().to_string(), text)
    });
    entries.collect()
}

#[test]
fn an_archive_holds_the_files_at_its_root_and_its_manifest() {
    let folder = pipeline();
    let out_folder = tempfile::tempdir().expect("a temporary folder");
    let out = out_folder.path().join("model.tar.gz");
    let Packed { manifest, bytes } = packed(folder.path(), &out);
    assert_eq!(bytes, fs::metadata(&out).expect("an archive").len());
    let found = entries(&out);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "model_index.json",
        MANIFEST,
        "unet/weights.safetensors",
        "vae/weights.safetensors",
    ];
    assert_eq!(names, expected);
    assert_eq!(found["unet/weights.safetensors"], "0123456789");
    let read: Manifest = serde_json::from_str(&found[MANIFEST]).expect("a manifest");
    assert_eq!(read, manifest);
    assert_eq!((read.model.as_str(), read.task), (".", TaskKind::Txt2img));
    let file = &read.files[2];
    assert_eq!(
        (file.path.as_str(), file.size),
        ("vae/weights.safetensors", 3)
    );
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(file.sha256, sha256);
}

#[test]
fn equal_folders_make_equal_archives() {
    let [one, two] = [pipeline(), pipeline()];
    let out = tempfile::tempdir().expect("a temporary folder");
    let archives = [("a.tar.gz", &one), ("b.tar.gz", &two)].map(|(name, folder)| {
        let path = out.path().join(name);
        packed(folder.path(), &path);
        fs::read(path).expect("an archive")
    });
    assert!(archives[0] == archives[1], "the archives differ");
}

/// A file whose header says that it holds a model of sprites.
fn write_sprites(path: &Path) {
    let mut dict = StateDict::new();
    dict.insert("a", TensorEntry::from_f32(vec![1], vec![0.0]));
    let header = r#"{"model": "context-unet", "config": {}}"#.to_owned();
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    dict.save(path, HashMap::from([("pyrograph".to_owned(), header)]))
        .expect("writable");
}

fn names(source: &Source) -> Vec<&str> {
    source.files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_run_packs_its_model_file_alone() {
    let run = tempfile::tempdir().expect("a temporary folder");
    write(run.path(), "config.json", "{}");
    write_sprites(&run.path().join("checkpoints/step-10/ema.safetensors"));
    write_sprites(&run.path().join("checkpoints/step-10/model.safetensors"));
    let source = Source::find(run.path(), None).expect("a model");
    assert_eq!(names(&source), ["ema.safetensors"]);
    assert_eq!(source.model, "ema.safetensors");
    write_sprites(&run.path().join("best.safetensors"));
    let source = Source::find(run.path(), None).expect("a model");
    assert_eq!(names(&source), ["best.safetensors"]);
}

#[test]
fn a_folder_of_one_model_file_keeps_what_lies_beside_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_sprites(&folder.path().join("mine.safetensors"));
    write(folder.path(), "serving.properties", "batch_size=2");
    let source = Source::find(folder.path(), None).expect("a model");
    assert_eq!(names(&source), ["mine.safetensors", "serving.properties"]);
    assert_eq!(source.model, "mine.safetensors");
    assert_eq!(source.task, TaskKind::Sprites);
    let file = folder.path().join("mine.safetensors");
    let source = Source::find(&file, Some(TaskKind::Sprites)).expect("a model");
    assert_eq!(names(&source), ["mine.safetensors"]);
    let message = Source::find(&file, Some(TaskKind::Detect))
        .expect_err("another task")
        .to_string();
    assert!(
        message.contains("--task") && message.contains("sprites"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_of_the_folder_are_refused() {
    use std::os::unix::fs::symlink;
    let (folder, outside) = (pipeline(), tempfile::tempdir().expect("a temporary folder"));
    write(outside.path(), "secret", "words");
    symlink(
        "weights.safetensors",
        folder.path().join("unet/twin.safetensors"),
    )
    .expect("a link");
    let source = Source::find(folder.path(), None).expect("a link inside is followed");
    assert_eq!(source.files.len(), 4);
    let link = folder.path().join("tokenizer.json");
    symlink(outside.path().join("secret"), &link).expect("a link");
    let message = Source::find(folder.path(), None)
        .expect_err("a link outside")
        .to_string();
    assert!(
        message.contains("tokenizer.json") && message.contains("leads out"),
        "{message}"
    );
    fs::remove_file(&link).expect("a link");
    symlink(folder.path(), &link).expect("a link");
    let message = Source::find(folder.path(), None)
        .expect_err("a loop")
        .to_string();
    assert!(message.contains("link to a folder"), "{message}");
    fs::remove_file(&link).expect("a link");
    symlink("nowhere", &link).expect("a link");
    assert!(Source::find(folder.path(), None).is_err());
}

#[test]
fn a_file_that_is_not_as_it_was_packed_is_refused() {
    let (folder, out) = (pipeline(), tempfile::tempdir().expect("a temporary folder"));
    let path = out.path().join("model.tar.gz");
    packed(folder.path(), &path);
    let unpacked = out.path().join("model");
    let file = fs::File::open(&path).expect("an archive");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    archive.unpack(&unpacked).expect("writable");
    let manifest = Manifest::read(&unpacked)
        .expect("it reads")
        .expect("it is there");
    manifest.check(&unpacked, true).expect("as it was packed");
    write(&unpacked, "vae/weights.safetensors", "xyz");
    manifest
        .check(&unpacked, false)
        .expect("the sizes are the same");
    let message = manifest
        .check(&unpacked, true)
        .expect_err("other bytes")
        .to_string();
    assert!(
        message.contains("SHA-256") && message.contains("vae/weights"),
        "{message}"
    );
    write(&unpacked, "vae/weights.safetensors", "ab");
    let message = manifest
        .check(&unpacked, false)
        .expect_err("a shorter file")
        .to_string();
    assert!(
        message.contains("2 bytes") && message.contains("says 3"),
        "{message}"
    );
    fs::remove_file(unpacked.join("vae/weights.safetensors")).expect("it is there");
    assert!(manifest.check(&unpacked, false).is_err());
}

#[test]
fn a_manifest_that_names_other_folders_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(Manifest::read(folder.path()).expect("none").is_none());
    let read = |model: &str, format: u32| {
        let text = format!(
            r#"{{"format": {format}, "pyrograph": "0", "task": "detect", "model": {model:?}, "files": []}}"#
        );
        write(folder.path(), MANIFEST, &text);
        Manifest::read(folder.path()).map_err(|error| error.to_string())
    };
    let manifest = read("best.safetensors", 1)
        .expect("it reads")
        .expect("it is there");
    assert_eq!(manifest.task, TaskKind::Detect);
    for outside in ["../x", "/etc/passwd", "a/../../x", ""] {
        assert!(
            read(outside, 1)
                .expect_err(outside)
                .contains("outside the folder")
        );
    }
    assert!(
        read(".", 2)
            .expect_err("a later format")
            .contains("format is 2")
    );
    write(folder.path(), MANIFEST, "{}");
    assert!(Manifest::read(folder.path()).is_err());
}

#[test]
fn nothing_is_left_where_an_archive_cannot_be_made() {
    let (folder, out) = (pipeline(), tempfile::tempdir().expect("a temporary folder"));
    let source = Source::find(folder.path(), None).expect("a model");
    let weights = folder.path().join("vae/weights.safetensors");
    let path = out.path().join("model.tar.gz");
    let mut seen = false;
    // The file grows while it is read.
    let grow = &mut |done: u64, _: u64| {
        if done == 15 && !seen {
            seen = true;
            fs::write(&weights, "longer than it was").expect("writable");
        }
    };
    let error = write_archive(&source, &path, grow).expect_err("it changed");
    assert!(error.to_string().contains("changed while"), "{error}");
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 0);
    fs::remove_file(&weights).expect("it is there");
    let error = write_archive(&source, &path, &mut |_, _| {});
    let message = error.expect_err("a file is missing").to_string();
    assert!(message.contains("vae/weights.safetensors"), "{message}");
    assert_eq!(fs::read_dir(out.path()).expect("a folder").count(), 0);
}
