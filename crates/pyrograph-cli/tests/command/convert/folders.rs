//! Folders on this machine.

use std::{collections::BTreeMap, fs, path::Path};

use pyrograph::models::weights::TensorEntry;
use serde_json::{Value, json};

use super::{TEXT_ENCODER, UNET, VAE, manifest, open, pipeline, save};
use crate::common::{folder, pyrograph, refuses, succeeds, text};

/// The bytes of every file under `folder`.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(here) = left.pop() {
        for entry in fs::read_dir(here).expect("readable") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(folder).expect("inside");
                    let bytes = fs::read(&path).expect("readable");
                    found.insert(name.display().to_string(), bytes);
                }
            }
        }
    }
    found
}

#[test]
fn a_folder_becomes_one_of_another_type_the_same_each_time() {
    let (_guard, path) = folder();
    let (source, out, again) = (path.join("source"), path.join("out"), path.join("again"));
    pipeline(&source);
    for out in [&out, &again] {
        let text = succeeds(&[
            "convert",
            text(&source),
            "--out",
            text(out),
            "--dtype",
            "bf16",
            "--json",
        ]);
        let result: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(result["parts"]["unet"]["missing"], json!([]));
    }
    let written = files(&out);
    assert!(written == files(&again), "two conversions differ");
    for name in [
        "model_index.json",
        "pyrograph.json",
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "text_encoder/config.json",
        "unet/config.json",
        "vae/config.json",
        UNET,
        TEXT_ENCODER,
        VAE,
    ] {
        assert!(written.contains_key(name), "{name} is missing");
    }
    assert_eq!(
        written.len(),
        files(&source).len() + 1,
        "the manifest is the only new file"
    );
    let index: Value = serde_json::from_slice(&written["model_index.json"]).expect("JSON");
    assert_eq!(index["scheduler"], json!(["diffusers", "PNDMScheduler"]));
    assert_eq!(index["_class_name"], "StableDiffusionPipeline");

    let manifest = manifest(&out);
    assert_eq!(manifest["dtype"], "bf16");
    for (part, name) in [("unet", UNET), ("text_encoder", TEXT_ENCODER), ("vae", VAE)] {
        let (ours, theirs) = (open(out.join(name)), open(source.join(name)));
        assert!(ours.keys().eq(theirs.keys()), "{part}");
        for key in ours.keys() {
            let (ours, theirs) = (ours.get(key).expect(key), theirs.get(key).expect(key));
            assert_eq!((ours.type_name(), ours.shape()), ("bf16", theirs.shape()));
            for (a, b) in ours.to_f32().iter().zip(theirs.to_f32()) {
                assert!((a - b).abs() <= b.abs() / 256.0, "{key}: {a} is not {b}");
            }
            let record = &manifest["parts"][part]["tensors"][key];
            assert_eq!(record["shape"], json!(ours.shape()), "{key}");
            assert_eq!(record["sha256"].as_str().map(str::len), Some(64), "{key}");
        }
    }
    // A converted folder converts again.
    let wide = path.join("wide");
    succeeds(&[
        "convert",
        text(&out),
        "--out",
        text(&wide),
        "--dtype",
        "f32",
        "--quiet",
    ]);
    let (ours, theirs) = (open(wide.join(UNET)), open(out.join(UNET)));
    let key = "conv_in.weight";
    assert_eq!(
        ours.get(key).expect(key).to_f32(),
        theirs.get(key).expect(key).to_f32()
    );
    refuses(
        &["convert", text(&out), "--out", text(&wide)],
        &["--out", "exists already"],
    );
}

#[test]
fn the_layers_of_the_unet_become_int8_and_everything_else_bf16() {
    let (_guard, path) = folder();
    let (source, out, again) = (path.join("source"), path.join("out"), path.join("again"));
    pipeline(&source);
    for (from, to, dtype) in [(&source, &out, "int8"), (&out, &again, "stored")] {
        let (from, to) = (text(from), text(to));
        succeeds(&["convert", from, "--out", to, "--dtype", dtype, "--quiet"]);
    }
    let manifest = manifest(&out);
    assert_eq!(manifest["dtype"], "int8");
    for name in [UNET, TEXT_ENCODER, VAE] {
        let (ours, theirs) = (open(out.join(name)), open(source.join(name)));
        assert!(ours.keys().eq(theirs.keys()), "{name}");
        let same =
            fs::read(out.join(name)).expect("there") == fs::read(again.join(name)).expect("there");
        assert!(same, "{name} changes as it is stored again");
        let mut count = 0;
        for key in ours.keys() {
            let (ours, theirs) = (ours.get(key).expect(key), theirs.get(key).expect(key));
            let in_blocks = ["down_blocks.", "mid_block.", "up_blocks."];
            let is_int8 = name == UNET
                && in_blocks.iter().any(|block| key.starts_with(block))
                && theirs.shape().len() > 1;
            assert_eq!(
                ours.type_name(),
                if is_int8 { "int8" } else { "bf16" },
                "{key}"
            );
            count += usize::from(is_int8);
            let most = theirs
                .to_f32()
                .iter()
                .fold(0.0_f32, |most, v| most.max(v.abs()));
            for (a, b) in ours.to_f32().iter().zip(theirs.to_f32()) {
                assert!((a - b).abs() <= most / 250.0, "{key}: {a} is not {b}");
            }
        }
        assert_eq!(count > 0, name == UNET);
    }
    let unet = &manifest["parts"]["unet"]["tensors"];
    let key = "mid_block.resnets.0.conv1.weight";
    assert_eq!(unet[key]["dtype"], "int8");
    assert_eq!(unet[format!("{key}_scale")]["dtype"], "f32");
    let said = succeeds(&["inspect", text(&out), "--json"]);
    assert!(said.contains("\"int8\""), "{said}");
    // The same numbers for products with activations in int8, which a folder keeps as it is stored again.
    let (both, again) = (path.join("both"), path.join("both-again"));
    for (from, to, dtype) in [(&out, &both, "int8-activations"), (&both, &again, "stored")] {
        let (from, to) = (text(from), text(to));
        succeeds(&["convert", from, "--out", to, "--dtype", dtype, "--quiet"]);
    }
    for folder in [&both, &again] {
        let ours = open(folder.join(UNET));
        let (ours, alone) = (ours.get(key).expect(key), open(out.join(UNET)));
        assert_eq!(ours.type_name(), "int8-activations");
        assert_eq!(ours.to_f32(), alone.get(key).expect(key).to_f32());
    }
}

#[test]
fn a_scheduler_file_with_an_infinity_of_python_is_converted_and_stays_as_it_is() {
    let (_guard, path) = folder();
    let (source, out) = (path.join("source"), path.join("out"));
    pipeline(&source);
    let scheduler = "scheduler/scheduler_config.json";
    // As diffusers saves a DPMSolverMultistepScheduler.
    let file = "{\n  \"_class_name\": \"DPMSolverMultistepScheduler\",\n  \"lambda_min_clipped\": -Infinity\n}\n";
    fs::write(source.join(scheduler), file).expect("writable");
    succeeds(&["convert", text(&source), "--out", text(&out)]);
    let written = fs::read_to_string(out.join(scheduler)).expect("written");
    assert_eq!(written, file);
    fs::remove_dir_all(&out).expect("there");
    let convert = ["convert", text(&source), "--out", text(&out)];
    succeeds(&[&convert[..], &["--prediction", "v"]].concat());
    let written = fs::read_to_string(out.join(scheduler)).expect("written");
    assert!(
        written.contains("\"lambda_min_clipped\": -Infinity"),
        "{written}"
    );
    assert!(
        written.contains("\"prediction_type\": \"v_prediction\""),
        "{written}"
    );
}

#[test]
fn missing_and_unused_keys_are_in_the_manifest_and_the_exit_code() {
    let (_guard, path) = folder();
    let (source, out) = (path.join("source"), path.join("out"));
    pipeline(&source);
    let mut dict = open(source.join(UNET));
    let tensor = dict.remove("conv_in.bias").expect("there");
    dict.insert("conv_in.offset", tensor);
    save(&dict, &source.join("unet/more.safetensors"));
    fs::rename(source.join("unet/more.safetensors"), source.join(UNET)).expect("there");
    let output = pyrograph(&["convert", text(&source), "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("unet: 1 missing: conv_in.bias"), "{said}");
    let unet = &manifest(&out)["parts"]["unet"];
    assert_eq!(unet["missing"], json!(["conv_in.bias"]));
    assert_eq!(unet["unused"], json!(["conv_in.offset"]));
}

#[test]
fn what_cannot_be_converted_is_refused_and_leaves_nothing() {
    let (_guard, path) = folder();
    let (source, out) = (path.join("source"), path.join("out"));
    pipeline(&source);
    let convert = |words: &[&str], dtype: &str| {
        refuses(
            &[
                "convert",
                text(&source),
                "--out",
                text(&out),
                "--dtype",
                dtype,
            ],
            words,
        );
        let left: Vec<_> = fs::read_dir(&path).expect("readable").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    };
    let whole = open(source.join(UNET));
    let with = |tensor: TensorEntry| {
        let mut dict = whole.clone();
        dict.insert("conv_out.bias", tensor);
        save(&dict, &source.join(UNET));
    };
    with(TensorEntry::from_f32(vec![7], vec![0.0; 7]));
    convert(
        &["`unet`", "conv_out.bias is [7], the model's is [4]"],
        "f32",
    );
    // Beyond the numbers of f16.
    with(TensorEntry::from_f32(vec![4], vec![0.0, 1e6, 0.0, 0.0]));
    convert(&["`conv_out.bias` holds inf at place 1"], "f16");
    with(TensorEntry::from_f32(
        vec![4],
        vec![0.0, f32::NAN, 0.0, 0.0],
    ));
    convert(&["`conv_out.bias` holds NaN at place 1"], "stored");
    convert(&["f64", "stored, f32, bf16, f16"], "f64");
    fs::remove_dir_all(source.join("vae")).expect("there");
    convert(&["the part `vae` is missing"], "f32");
}

#[test]
fn a_lora_is_merged_with_its_scale() {
    let (_guard, path) = folder();
    let (source, out, lora) = (
        path.join("source"),
        path.join("out"),
        path.join("l.safetensors"),
    );
    pipeline(&source);
    let before = open(source.join(UNET));
    let key = before
        .keys()
        .find(|key| key.ends_with("attn1.to_q.weight"))
        .expect("an attention")
        .to_owned();
    let weight = before.get(&key).expect("there");
    let &[d_out, d_in] = weight.shape() else {
        panic!("a linear layer");
    };
    let layer = key.trim_end_matches(".weight");
    let mut dict = pyrograph::models::weights::StateDict::new();
    let (down, up) = (
        vec![0.25; d_in],
        (0..d_out).map(|i| i as f32 / 8.0).collect::<Vec<_>>(),
    );
    dict.insert(
        format!("unet.{layer}.lora_A.weight"),
        TensorEntry::from_f32(vec![1, d_in], down),
    );
    dict.insert(
        format!("unet.{layer}.lora_B.weight"),
        TensorEntry::from_f32(vec![d_out, 1], up.clone()),
    );
    save(&dict, &lora);
    let scaled = format!("{}:0.5", text(&lora));
    succeeds(&[
        "convert",
        text(&source),
        "--out",
        text(&out),
        "--lora",
        &scaled,
    ]);
    let after = open(out.join(UNET));
    let (before, after) = (weight.to_f32(), after.get(&key).expect("there").to_f32());
    for (at, (before, after)) in before.iter().zip(after).enumerate() {
        let expected = before + 0.5 * 0.25 * up[at / d_in];
        assert!(
            (after - expected).abs() < 1e-6,
            "{at}: {after} is not {expected}"
        );
    }
    assert_eq!(manifest(&out)["loras"][0][1], 0.5);
    let refused = |lora: &str, words: &[&str]| {
        let out = text(&path).to_owned() + "/new";
        refuses(
            &["convert", text(&source), "--out", &out, "--lora", lora],
            words,
        );
    };
    refused(&format!("{}:inf", text(&lora)), &["finite"]);
    refused("nowhere.safetensors", &["nowhere.safetensors"]);
}

#[test]
fn inspect_says_what_a_folder_and_a_file_hold() {
    let (_guard, path) = folder();
    let source = path.join("source");
    pipeline(&source);
    let json = |path: &Path| -> Value {
        serde_json::from_str(&succeeds(&["inspect", text(path), "--json"])).expect("JSON")
    };
    let found = json(&source);
    assert_eq!(found["kind"], "a diffusers folder of Stable Diffusion");
    let parts = found["parts"].as_array().expect("a list");
    let names: Vec<_> = parts.iter().map(|part| part["name"].as_str()).collect();
    assert_eq!(names, [Some("text_encoder"), Some("unet"), Some("vae")]);
    let unet = open(source.join(UNET));
    let counts = unet.keys().map(|key| unet.get(key).expect(key).count());
    assert_eq!(parts[1]["parameters"], json!(counts.sum::<usize>()));
    let layers = parts[1]["layers"].as_array().expect("a list");
    let conv = layers
        .iter()
        .find(|layer| layer["name"] == "conv_in")
        .expect("a layer");
    let weight = unet.get("conv_in.weight").expect("there");
    assert_eq!(conv["flops_per_place"], json!(2 * weight.count()));
    assert_eq!(
        conv["output"],
        json!(format!("[n, {}, h, w]", weight.shape()[0]))
    );

    for (path, kind) in [
        (source.join(UNET), "a UNet of Stable Diffusion"),
        (source.join("unet"), "a UNet of Stable Diffusion"),
        (source.join("vae"), "a VAE of Stable Diffusion"),
        (source.join(TEXT_ENCODER), "a CLIP text encoder"),
    ] {
        assert_eq!(json(&path)["kind"], kind, "{}", path.display());
    }
    let table = succeeds(&["inspect", text(&source.join("unet")), "--tensors"]);
    assert!(
        table.contains("conv_in.weight") && table.contains("f32"),
        "{table}"
    );
    refuses(
        &["inspect", text(&source.join("scheduler"))],
        &["holds no weights"],
    );
    refuses(&["inspect", "nowhere"], &["nowhere"]);
    let (_guard, empty) = folder();
    refuses(&["inspect", text(&empty)], &["an empty folder"]);
}
