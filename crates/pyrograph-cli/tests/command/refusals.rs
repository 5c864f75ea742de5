//! What the command refuses.

use std::fs;

use crate::common::*;

#[test]
fn wrong_requests_are_refused_with_what_is_allowed() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "1"]));
    let sample = |more: &[&str], words: &[&str]| {
        refuses(
            &[
                &["sample", "sprites", "--run", text(&out), "--device", "cpu"],
                more,
            ]
            .concat(),
            words,
        );
    };
    sample(
        &["--context", "dragon=1"],
        &["`dragon`", "hero, non-hero, food, spell, side-facing"],
    );
    sample(&["--context", "hero=x"], &["hero=x", "NAME=WEIGHT"]);
    sample(&["--steps", "0"], &["0", "1", "500"]);
    sample(&["--steps", "501"], &["501", "500"]);
    sample(&["--sampler", "ddim", "--eta", "2"], &["2", "1"]);
    sample(
        &["--sampler", "dpm++", "--eta", "0.5"],
        &["--eta belongs to --sampler ddim"],
    );
    sample(&["--sampler", "plms"], &["plms", "dpm++2m", "euler-a"]);
    sample(
        &["--sampler", "ddim", "--karras"],
        &["karras", "dpm++2m", "unipc"],
    );
    sample(&["--sigmas", "beta", "--karras"], &["--sigmas", "--karras"]);
    sample(
        &["--sampler", "lcm", "--steps", "51"],
        &["51", "allowed are 1 to 50"],
    );
    sample(&["-n", "0"], &["0", "1 or more"]);
    sample(&["--interpolate", "3"], &["one --context"]);
    sample(&["--noise", text(&path.join("none"))], &["none"]);
    let unwritable = path.join("file");
    fs::write(&unwritable, "").expect("writable");
    sample(
        &[
            "--sampler",
            "ddim",
            "--steps",
            "1",
            "--out",
            text(&unwritable.join("grid.png")),
        ],
        &[text(&unwritable)],
    );
    for count in ["65537", "1000000000", "18446744073709551615"] {
        sample(&["-n", count], &[count, "at most 65536"]);
        refuses(
            &["eval", "sprites", "--run", text(&out), "-n", count],
            &[count, "at most 65536"],
        );
    }
    sample(&["--context", "hero=1,hero=0"], &["hero=1,hero=0", "twice"]);
    for flags in [
        &["--n-feat", "16"][..],
        &["--height", "20"],
        &["--n-cfeat", "3"],
    ] {
        sample(flags, &[flags[0], "--run"]);
        let model = out.join("checkpoints/step-1/ema.safetensors");
        let of_model = ["sample", "sprites", "--model", text(&model)];
        refuses(&[&of_model[..], flags].concat(), &[flags[0], "--model"]);
        refuses(
            &[&of_model[..], &["--no-ema"]].concat(),
            &["--no-ema", "--model"],
        );
    }
    refuses(
        &["eval", "sprites", "--run", text(&out), "--held-out", "0.5"],
        &["--data"],
    );
    refuses(
        &["sample", "sprites", "--run", text(&path.join("nowhere"))],
        &["nowhere", "no run folder"],
    );
    refuses(&["sample", "sprites"], &["--run"]);
    refuses(
        &[
            "eval",
            "sprites",
            "--run",
            text(&out),
            "--sampler",
            "ddim,ddpm",
            "--steps",
            "3",
        ],
        &["2 samplers but 1 step"],
    );
}

#[test]
fn wrong_training_is_refused_and_leaves_nothing() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let refused = |more: &[&str], words: &[&str]| {
        let arguments = train(&out, more);
        refuses(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            words,
        );
        assert!(!out.exists(), "{more:?} left a folder");
    };
    refused(&["--steps", "0"], &["--steps is 0", "1 or more"]);
    refused(&["--context-drop", "2"], &["--context-drop is 2", "0 to 1"]);
    refused(&["--held-out", "1"], &["--held-out is 1"]);
    refused(
        &["--held-out", "0.999"],
        &["--held-out is 0.999", "none is left to train on"],
    );
    refused(&["--max-minutes=-1"], &["--max-minutes is -1", "above 0"]);
    refused(
        &["--max-minutes", "-1"],
        &["--max-minutes is -1", "above 0"],
    );
    refused(&["--max-minutes", "nan"], &["--max-minutes is NaN"]);
    refused(
        &["--learning-rate", "1e300", "--ema", "1e300"],
        &["--ema is 1e300"],
    );
    refused(&["--timesteps", "0"], &["--timesteps is 0", "1 to 100000"]);
    refused(
        &["--timesteps", "1000000000"],
        &["1000000000", "1 to 100000"],
    );
    refused(&["--min-snr", "0"], &["is 0", "above 0"]);
    refused(&["--min-snr", "-1"], &["is -1", "above 0"]);
    refused(&["--min-snr", "nan"], &["NaN", "above 0"]);
    refused(&["--side", "16"], &["--side belongs to --data"]);
    let twice = [
        "train",
        "sprites",
        "--out",
        text(&out),
        "--n-feat",
        "12",
        "--procedural",
        "60",
    ];
    refuses(&twice, &["--n-feat is 12", "multiple of 8"]);
    refuses(
        &[
            "train",
            "sprites",
            "--out",
            text(&out),
            "--data",
            text(&path.join("none")),
        ],
        &["none"],
    );
    refuses(
        &["train", "sprites", "--out", text(&out), "--device", "gpu"],
        &["gpu", "wgpu:N"],
    );
    if !cfg!(feature = "cuda") {
        refuses(
            &["train", "sprites", "--out", text(&out), "--device", "cuda"],
            &["--features cuda"],
        );
    }
    assert!(!out.exists());

    fs::create_dir(&out).expect("writable");
    fs::write(out.join("thesis.txt"), "years of work").expect("writable");
    refuses(
        &[
            "train",
            "sprites",
            "--out",
            text(&out),
            "--procedural",
            "60",
        ],
        &["not empty"],
    );
    assert_eq!(
        fs::read_to_string(out.join("thesis.txt")).expect("still there"),
        "years of work"
    );
}

#[test]
fn damaged_sprite_files_are_refused_by_name() {
    let (_guard, path) = folder();
    let data = path.join("data");
    fs::create_dir(&data).expect("writable");
    let npy = |dtype: &str, shape: &str, body: &[u8]| {
        let mut header =
            format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
        header += &" ".repeat(63 - (10 + header.len()) % 64);
        header.push('\n');
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(body);
        file
    };
    let write = |images: &[u8], labels: &[u8]| {
        fs::write(data.join("sprites_16x16.npy"), images).expect("writable");
        fs::write(data.join("sprite_labels_16x16.npy"), labels).expect("writable");
    };
    let out = path.join("run");
    let train = [
        "train",
        "sprites",
        "--data",
        text(&data),
        "--out",
        text(&out),
    ];
    let (images, labels) = (
        vec![9; 2 * 768],
        [1.0_f64, 0.0, 0.0, 1.0].map(f64::to_le_bytes).concat(),
    );
    write(
        &npy("|u1", "(2, 16, 16, 3)", &images[..700]),
        &npy("<f8", "(2, 2)", &labels),
    );
    refuses(&train, &["sprites_16x16.npy"]);
    write(
        &npy("|u1", "(2, 16, 16, 3)", &images),
        &npy("<f8", "(1, 2)", &labels[..16]),
    );
    refuses(&train, &["2", "1"]);
    write(b"no array at all", &npy("<f8", "(2, 2)", &labels));
    refuses(&train, &["sprites_16x16.npy"]);
    assert!(!out.exists());
}
