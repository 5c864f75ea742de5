//! `pack`, and how `serve` reads what it packed.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{common::*, pictures::pipeline};

fn unpack(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("writable");
    let done = Command::new("tar")
        .args(["-xzf", text(archive), "-C", text(folder)])
        .status();
    assert!(done.expect("tar runs").success());
}

#[test]
fn a_pipeline_is_packed_with_its_manifest_and_the_same_way_twice() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let properties = root.join("mine.properties");
    fs::write(&properties, "option.task=text-to-image\njob_queue_size=7\n").expect("writable");
    let archives = ["a.tar.gz", "b/b.tgz"].map(|name| {
        let out = root.join(name);
        let printed = succeeds(&[
            "pack",
            "--model",
            text(&model),
            "--out",
            text(&out),
            "--properties",
            text(&properties),
            "--json",
        ]);
        (out, serde_json::from_str::<Value>(&printed).expect("JSON"))
    });
    let [(one, printed), (two, _)] = &archives;
    let bytes = fs::read(one).expect("an archive");
    assert!(
        bytes == fs::read(two).expect("an archive"),
        "the archives differ"
    );
    assert_eq!(printed["bytes"], bytes.len());
    assert_eq!(printed["manifest"]["task"], "txt2img");

    let unpacked = root.join("unpacked");
    unpack(one, &unpacked);
    let manifest = File::open(unpacked.join("pyrograph-manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_reader(manifest).expect("JSON");
    assert_eq!(manifest, printed["manifest"]);
    let files = manifest["files"].as_array().expect("a list");
    for file in files {
        let path = unpacked.join(file["path"].as_str().expect("a path"));
        assert_eq!(
            file["size"],
            fs::metadata(&path).expect("unpacked").len(),
            "{file}"
        );
    }
    let has = |name: &str| files.iter().any(|file| file["path"] == name);
    assert!(
        has("model_index.json") && has("serving.properties"),
        "{files:?}"
    );
    let unet = "unet/diffusion_pytorch_model.safetensors";
    assert!(has(unet));
    assert_eq!(
        fs::read(unpacked.join(unet)).expect("weights"),
        fs::read(model.join(unet)).expect("weights")
    );

    // A file that was cut off, and one whose bytes changed.
    let serve = |more: &[&str], words: &[&str]| {
        let arguments = ["serve", "--port", "0", "--model", text(&unpacked)];
        refuses(&[&arguments[..], more].concat(), words);
    };
    let mut weights = fs::read(unpacked.join(unet)).expect("weights");
    *weights.last_mut().expect("bytes") ^= 1;
    fs::write(unpacked.join(unet), &weights).expect("writable");
    serve(&["--verify"], &[unet, "SHA-256"]);
    fs::write(unpacked.join(unet), &weights[..weights.len() - 1]).expect("writable");
    serve(&[], &[unet, "bytes", "pyrograph-manifest.json"]);
}

#[test]
fn a_run_of_sprites_packs_its_weights_alone() {
    let (_guard, root) = folder();
    let run_folder = root.join("run");
    run(&train(&run_folder, &["--steps", "1"]));
    let out = root.join("model.tar.gz");
    let pack = [
        "pack",
        "--model",
        text(&run_folder),
        "--out",
        text(&out),
        "--json",
    ];
    let printed: Value = serde_json::from_str(&succeeds(&pack)).expect("JSON");
    assert_eq!(printed["manifest"]["task"], "sprites");
    assert_eq!(printed["manifest"]["model"], "ema.safetensors");
    assert_eq!(
        printed["manifest"]["files"].as_array().map(Vec::len),
        Some(1)
    );
    refuses(
        &[&pack[..], &["--task", "detect"]].concat(),
        &["--task", "detect", "sprites"],
    );
}

#[test]
fn what_cannot_be_packed_is_refused_and_leaves_nothing() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let out = root.join("out/model.tar.gz");
    let refused = |more: &[&str], words: &[&str]| {
        let arguments = ["pack", "--model", text(&model)];
        refuses(&[&arguments[..], more].concat(), words);
        assert!(!out.exists(), "{more:?} left an archive");
    };
    let to = ["--out", text(&out)];
    refused(
        &["--out", text(&root.join("model.zip"))],
        &["model.zip", ".tar.gz"],
    );
    refused(
        &["--out", text(&model.join("model.tar.gz"))],
        &["would overwrite the input"],
    );
    refused(
        &[&to[..], &["--task", "draw"]].concat(),
        &["draw", "txt2img"],
    );
    let properties = root.join("serving.properties");
    let written = [&to[..], &["--properties", text(&properties)]].concat();
    for (lines, words) in [
        (
            "rolling_batch=auto",
            &["rolling_batch", "line 1", "batch_size"][..],
        ),
        (
            "option.model_id=.",
            &["option.model_id", "leave the line out"],
        ),
        (
            "option.load_in_8bit=yes",
            &["option.load_in_8bit", "true or false"],
        ),
    ] {
        fs::write(&properties, lines).expect("writable");
        refused(&written, words);
    }
    let weights = model.join("unet/diffusion_pytorch_model.safetensors");
    fs::write(&weights, "broken").expect("writable");
    refused(&to, &["diffusion_pytorch_model.safetensors"]);
    refuses(&["pack", "--model", text(&root.join("none"))], &["none"]);
    refuses(&["pack"], &["--model"]);
    #[cfg(unix)]
    {
        fs::remove_file(&weights).expect("it is there");
        std::os::unix::fs::symlink("/etc/hostname", &weights).expect("a link");
        refused(
            &to,
            &[
                "diffusion_pytorch_model.safetensors",
                "leads out of the folder",
            ],
        );
    }
}
