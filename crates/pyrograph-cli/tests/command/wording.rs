//! The words of helps, errors and lists.

use std::process::Command;

use crate::common::*;

/// Options whose absence is no value: paths that are needed, or that something else is taken for.
const WITHOUT_DEFAULT: [&str; 6] = [
    "--out <OUT>",
    "--config <CONFIG>",
    "--data <DATA>",
    "--teacher <TEACHER>",
    "--gamma <GAMMA>",
    "--more-devices <MORE_DEVICES>",
];

#[test]
fn the_options_of_a_training_show_their_defaults_in_the_help() {
    for kind in ["sprites", "dcgan", "ssd", "distill"] {
        let help = succeeds(&["train", kind, "--help"]);
        let mut head = String::new();
        let mut text = String::new();
        let check = |head: &str, text: &str| {
            let needs = head.contains('<') && !WITHOUT_DEFAULT.contains(&head);
            assert!(
                !needs || text.contains("[default"),
                "train {kind}: {head}\n{text}"
            );
        };
        for line in help.lines().map(str::trim) {
            if line.starts_with("--") || line.starts_with("-q") {
                check(&head, &text);
                (head, text) = (line.to_owned(), String::new());
            } else {
                text += &format!("{line} ");
            }
        }
        check(&head, &text);
        assert!(
            help.contains("130") && help.contains("second Ctrl-C"),
            "{help}"
        );
    }
}

#[test]
fn a_folder_given_as_a_file_is_called_one() {
    let (_guard, path) = folder();
    let (_other, elsewhere) = crate::common::folder();
    let (folder, out) = (text(&path), elsewhere.join("run"));
    let train = ["train", "sprites", "--out", text(&out), "--config", folder];
    refuses(&train, &[folder, "folder"]);
    let forward = [
        "forward",
        "context-unet",
        "--weights",
        folder,
        "--input",
        folder,
        "--output",
        text(&out),
    ];
    refuses(&forward, &[folder, "folder"]);
    let sample = ["sample", "sprites", "--model", folder];
    refuses(&sample, &[folder, "folder"]);
}

fn devices(variable: &str, value: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(["devices", "--device", "cpu"])
        .args(more)
        .env(variable, value)
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn devices_show_the_threads_and_the_vector_level_in_force() {
    let (code, printed, _) = devices("RAYON_NUM_THREADS", "3", &["--json"]);
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    let cpu = &value["devices"][0];
    assert_eq!(cpu["threads"], 3);
    let vectors = cpu["vectors"].as_str().expect("chosen");
    let description = cpu["description"].as_str().expect("words");
    assert!(
        description.contains("3 threads") && description.contains(vectors),
        "{description}"
    );

    if cfg!(target_arch = "x86_64") {
        let (_, printed, _) = devices("PYROGRAPH_SIMD", "baseline", &[]);
        assert!(printed.contains("SSE2"), "{printed}");
    }
    let (code, printed, errors) = devices("PYROGRAPH_SIMD", "avx9", &[]);
    assert_eq!(code, Some(2), "{errors}");
    for word in ["PYROGRAPH_SIMD is `avx9`", "baseline"] {
        assert!(
            errors.contains(word) && printed.contains(word),
            "{printed}{errors}"
        );
    }
    assert!(
        !errors.contains("bug") && !errors.contains("panicked"),
        "{errors}"
    );
}

#[test]
fn options_of_another_sampler_are_refused_alike() {
    for (flag, value, owner) in [
        ("--eta", "0.5", "ddim"),
        ("--variance", "beta-tilde", "ddpm"),
    ] {
        for command in ["sample", "eval"] {
            let start = [
                command,
                "sprites",
                "--run",
                "nowhere",
                "--sampler",
                "dpm++2m",
            ];
            let words = format!("{flag} belongs to --sampler {owner}, not to dpm++2m");
            refuses(&[&start[..], &[flag, value]].concat(), &[&words]);
        }
    }
    // Of several samplers it is for those that have it.
    let several = [
        "eval",
        "sprites",
        "--run",
        "nowhere",
        "--sampler",
        "ddim,ddpm",
    ];
    let options = ["--eta", "0.5", "--variance", "beta-tilde"];
    refuses(&[&several[..], &options].concat(), &["no run folder"]);
}

#[test]
fn how_boxes_are_counted_is_refused_without_data() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let start = ["train", "ssd", "--scenes", "2", "--steps", "1", "--out"];
    let arguments = [&start[..], &[text(&out), "--one-based"]].concat();
    refuses(&arguments, &["--one-based needs --data"]);
    assert!(!out.exists());
}
