//! Networks in checkpoints of several: which is taken, and what is said of it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use pyrograph::models::weights::{StateDict, TensorEntry};

use crate::common::{folder, pyrograph, refuses, succeeds, text};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-models/tests/fixtures/weights")
        .join(name)
}

/// A file of the fixture's generator under `netG.`, twice as large numbers in its last layer under `netG_ema.`, and other
/// things.
fn checkpoint(folder: &Path) -> PathBuf {
    let dict = StateDict::open(fixture("checkpoint.pth")).expect("the fixture");
    let generator = dict.part("nets.0.");
    let mut file = StateDict::new();
    for key in generator.keys() {
        let tensor = generator.get(key).expect(key);
        file.insert(format!("netG.main.{key}"), tensor.clone());
        let doubled = match key {
            "6.weight" => {
                let values = tensor.to_f32().into_iter().map(|v| 2.0 * v).collect();
                TensorEntry::from_f32(tensor.shape().to_vec(), values)
            }
            _ => tensor.clone(),
        };
        file.insert(format!("netG_ema.main.{key}"), doubled);
    }
    file.insert("betas", TensorEntry::from_f32(vec![2], vec![0.1, 0.2]));
    let path = folder.join("gan.safetensors");
    file.save(&path, HashMap::new()).expect("writable");
    path
}

/// The first image of `sample dcgan`, and what it said.
fn sampled(folder: &Path, arguments: &[&str]) -> (Vec<f32>, String) {
    let (out, save) = (folder.join("out.png"), folder.join("out.safetensors"));
    let more = [
        "--out",
        text(&out),
        "--save",
        text(&save),
        "-n",
        "3",
        "--device",
        "cpu",
    ];
    let output = pyrograph(&[&["sample", "dcgan"], arguments, &more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let dict = StateDict::open(&save).expect("written");
    (dict.get("samples").expect("samples").to_f32(), said)
}

#[test]
fn a_generator_is_sampled_from_a_checkpoint_and_a_part_takes_its_average() {
    let (_kept, folder) = folder();
    let path = checkpoint(&folder);
    let (trained, said) = sampled(&folder, &["--weights", text(&path)]);
    for words in [
        "the weights under `netG.main.`",
        "those under `netG_ema.main.` (EMA) are left",
        "not of this model: `betas`",
        "--part NAME takes another",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(trained.len(), 3 * 16 * 16);
    let (averaged, said) = sampled(&folder, &["--weights", text(&path), "--part", "netG_ema"]);
    assert!(
        said.contains("the weights under `netG_ema.main.`"),
        "{said}"
    );
    for (trained, averaged) in trained.iter().zip(&averaged) {
        let doubled = (2.0 * trained.atanh()).tanh();
        assert!((doubled - averaged).abs() < 1e-5, "{trained} {averaged}");
    }
    let (quiet, said) = sampled(&folder, &["--weights", text(&path), "-q"]);
    assert_eq!((quiet, said.as_str()), (trained, ""));

    let refused = ["sample", "dcgan", "--weights", text(&path), "--part"];
    refuses(
        &[&refused[..], &["netD"]].concat(),
        &["no part `netD`", "`netG.main`", "`netG_ema.main`"],
    );
    refuses(
        &["sample", "dcgan", "--model", text(&path), "--part", "netG"],
        &["--part names a part of --weights"],
    );
}

#[test]
fn forward_needs_a_config_for_what_weights_do_not_tell_alone() {
    let (_kept, folder) = folder();
    let (input, output) = (folder.join("in"), folder.join("out"));
    let mut dict = StateDict::new();
    let x = (0..256).map(|i| (i as f32 * 0.1).sin()).collect();
    dict.insert("x", TensorEntry::from_f32(vec![1, 1, 16, 16], x));
    dict.save(&input, HashMap::new()).expect("writable");
    let weights = folder.join("netD.safetensors");
    let norms = StateDict::open(fixture("norms_netD.safetensors")).expect("the fixture");
    let part = norms.part("spectral_new.netD.");
    part.part("main.")
        .renamed(|key| format!("main.{key}"))
        .save(&weights, HashMap::new())
        .expect("writable");
    let run = |more: &[&str]| {
        let arguments = [
            "forward",
            "dcgan-discriminator",
            "--weights",
            text(&weights),
            "--input",
            text(&input),
            "--output",
            text(&output),
            "--device",
            "cpu",
        ];
        let output_of = pyrograph(&[&arguments[..], more].concat());
        let said = String::from_utf8_lossy(&output_of.stderr).into_owned();
        assert!(output_of.status.success(), "{said}");
        let dict = StateDict::open(&output).expect("written");
        (dict.get("logit").expect("logit").to_f32(), said)
    };
    let (assumed, said) = run(&[]);
    for words in [
        "negative_slope 0.2",
        "--config says otherwise",
        "spectral norm of 3 weights",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let config = folder.join("c.json");
    fs::write(&config, r#"{"discriminator": {"negative_slope": 0.2}}"#).expect("writable");
    assert_eq!(run(&["--config", text(&config)]).0, assumed);
    fs::write(&config, r#"{"discriminator": {"negative_slope": 0.1}}"#).expect("writable");
    let (other, said) = run(&["--config", text(&config)]);
    assert_ne!(other, assumed);
    assert!(!said.contains("assumed"), "{said}");
    fs::write(&config, r#"{"widht": 2}"#).expect("writable");
    refuses(
        &[
            "forward",
            "dcgan-discriminator",
            "--weights",
            text(&weights),
            "--input",
            text(&input),
            "--output",
            text(&output),
            "--config",
            text(&config),
        ],
        &["c.json", "widht"],
    );
}

#[test]
fn files_that_hold_no_weights_say_what_they_are() {
    let (_kept, folder) = folder();
    let path = folder.join("weights.pth");
    let sample = [
        "sample",
        "sprites",
        "--weights",
        text(&path),
        "--device",
        "cpu",
    ];
    for (content, words) in [
        (
            &b"<!DOCTYPE html><title>Quota exceeded</title>"[..],
            "Quota exceeded",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "git lfs pull",
        ),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (
            b"Access to model is restricted",
            "it is text; it begins: Access to model is restricted",
        ),
    ] {
        fs::write(&path, content).expect("writable");
        refuses(&sample, &["weights.pth", words]);
    }
    fs::copy(fixture("module.pth"), &path).expect("there");
    refuses(&sample, &["whole module", "state_dict()"]);
}

#[test]
fn inspect_lists_the_networks_of_a_checkpoint_and_tensors_that_are_not_read() {
    let found = succeeds(&["inspect", text(&fixture("checkpoint.pth"))]);
    assert!(
        found.contains("note: `complex`: it is of type ComplexFloat"),
        "{found}"
    );
    let (_kept, folder) = folder();
    let path = folder.join("two.safetensors");
    let mut dict = StateDict::new();
    for key in [
        "a.generator_network.0.0.weight",
        "b.x.critic_network.weight",
    ] {
        dict.insert(key, TensorEntry::from_f32(vec![1], vec![0.0]));
    }
    dict.save(&path, HashMap::new()).expect("writable");
    let found = succeeds(&["inspect", text(&path)]);
    for words in [
        "part `a`: a generator of a DCGAN",
        "part `b.x`: a discriminator of a DCGAN",
    ] {
        assert!(found.contains(words), "{found}");
    }
}
