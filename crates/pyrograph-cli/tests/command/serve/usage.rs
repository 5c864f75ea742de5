//! `serve` with settings that are not allowed, from every source.

use std::{fs, process::Command};

use crate::common::*;

/// Exit code 2 and a message that holds every one of `words`, with variables of the environment.
#[track_caller]
fn refuses_with(variables: &[(&str, &str)], arguments: &[&str], words: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .arg("serve")
        .args(arguments)
        .env("PYROGRAPH_MODEL_ROOT", "/nowhere/model")
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}\n{errors}");
    for word in words {
        assert!(
            errors.contains(word),
            "{arguments:?} does not say {word:?}:\n{errors}"
        );
    }
}

#[test]
fn flags_outside_their_range_are_refused() {
    let refused = |flag: &str, value: &str, words: &[&str]| {
        refuses_with(
            &[],
            &["--model", ".", &format!("{flag}={value}")],
            &[&[flag], words].concat(),
        );
    };
    refused("--queue", "0", &["from 1 to 1000000"]);
    refused("--max-batch", "-1", &["from 1"]);
    refused("--max-batch-delay", "soon", &["milliseconds"]);
    refused("--devices", "tpu", &["tpu", "cuda:N"]);
    refused("--dtype", "int4", &["bf16", "int8"]);
    refused("--lora", "style:inf", &["finite"]);
    refused("--size", "512", &["WIDTHxHEIGHT"]);
    refused("--steps", "many", &["whole number"]);
    refused("--timeout", "0", &["seconds"]);
    refused("--job-timeout", "nan", &["seconds"]);
    refused("--max-body", "6 parsecs", &["6MiB"]);
    refused("--max-pixels", "0", &["pixels"]);
    refused("--connections", "0", &["from 1"]);
    refused("--grace", "-1", &["from 0"]);
    refused("--host", "example.org", &["127.0.0.1"]);
    refused("--port", "65536", &["65535"]);
    refused("--log", "xml", &["text or json"]);
    refused("--task", "draw", &["txt2img", "detect"]);
}

#[test]
fn the_environment_is_read_and_a_flag_goes_before_it() {
    let wrong = [("PYROGRAPH_SERVE_QUEUE", "none")];
    refuses_with(&wrong, &["--model", "."], &["--queue", "none"]);
    let (_guard, root) = folder();
    let tokens = root.join("tokens");
    fs::write(&tokens, "short").expect("writable");
    let variables = [
        ("PYROGRAPH_SERVE_QUEUE", "none"),
        ("PYROGRAPH_SERVE_TOKENS", text(&tokens)),
    ];
    refuses_with(
        &variables,
        &["--model", text(&root), "--queue", "1"],
        &["--tokens", "line 1", "5 characters", "16"],
    );
    refuses_with(
        &[("OPTION_DTYPE", "fp8")],
        &["--model", text(&root)],
        &["OPTION_DTYPE", "fp8"],
    );
}

#[test]
fn a_variable_holds_several_values_between_commas_and_none_where_it_is_empty() {
    let (_guard, root) = folder();
    let missing = root.join("second");
    let models = format!("a={}, b={}", root.display(), missing.display());
    refuses_with(
        &[
            ("PYROGRAPH_SERVE_MODEL", models.as_str()),
            ("PYROGRAPH_SERVE_TASK", "txt2img"),
            ("PYROGRAPH_SERVE_QUEUE", ""),
        ],
        &[],
        &[&format!("`--model` is {}, but", missing.display())],
    );
    let commas = format!("--model=a={}, b=x", root.display());
    refuses_with(&[], &[&commas], &[", b=x, but"]);
    refuses_with(
        &[
            ("PYROGRAPH_SERVE_EMBEDDING", "one,two"),
            ("PYROGRAPH_SERVE_TASK", "txt2img"),
        ],
        &["--model", text(&root)],
        &["--embedding", "is one, but"],
    );
}

#[test]
fn a_container_says_what_is_wrong() {
    refuses_with(&[], &[], &["no model", "/nowhere/model", "--model DIR"]);
    let (_guard, root) = folder();
    let container = [("PYROGRAPH_MODEL_ROOT", text(&root))];
    fs::write(root.join("tokens"), "0123456789abcdef").expect("writable");
    let file = root.join("tokens");
    let tokens = ["--tokens", text(&file)];
    refuses_with(
        &container,
        &tokens,
        &["--tokens", "Authorization", "SageMaker"],
    );
    for (line, words) in [
        (
            "option.tensor_parallel_degree=2",
            &["option.tensor_parallel_degree", "--devices"][..],
        ),
        (
            "option.rolling_batch: auto",
            &["option.rolling_batch", "line 1", "option.dtype"],
        ),
        (
            "option.s3url = s3://bucket/model/",
            &["option.s3url", "s3://bucket/model/", "does not download"],
        ),
        (
            "option.load_in_8bit yes",
            &["option.load_in_8bit", "true or false"],
        ),
        ("minWorkers=2\nmaxWorkers=1", &["minWorkers", "maxWorkers"]),
    ] {
        fs::write(root.join("serving.properties"), line).expect("writable");
        refuses_with(&container, &[], words);
    }
}
