use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use pyrograph_backend::DeviceSpec;
use pyrograph_models::weights::Precision;

use super::*;
use crate::tasks::TaskKind;

/// The words of an environment.
fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut environment: BTreeMap<_, _> = pairs.iter().map(own).collect();
    environment
        .entry("PYROGRAPH_MODEL_ROOT".into())
        .or_insert("/nowhere/model".into());
    environment
}

/// A folder with a model in it, whose task is told, and `serving.properties`.
fn model(properties: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(PROPERTIES), properties).expect("writable");
    folder
}

fn at(path: &Path) -> ServeOptions {
    ServeOptions {
        models: vec![ModelChoice {
            name: Some("sd".into()),
            path: path.into(),
        }],
        overrides: ModelOverrides {
            task: Some(TaskKind::Txt2img),
            ..Default::default()
        },
        ..Default::default()
    }
}

#[track_caller]
fn planned(options: ServeOptions, variables: &[(&str, &str)]) -> ServePlan {
    ServePlan::new(options, &environment(variables)).expect("a plan")
}

#[track_caller]
fn refused(options: ServeOptions, variables: &[(&str, &str)], words: &[&str]) {
    let error = ServePlan::new(options, &environment(variables)).expect_err("refused");
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
}

#[test]
fn a_flag_goes_before_the_environment_and_the_environment_before_the_file() {
    let folder = model("job_queue_size=3\noption.dtype=fp32\nmax_batch_delay=7");
    let plan = planned(at(folder.path()), &[]);
    assert_eq!(plan.models[0].settings.queue, 3);
    assert_eq!(plan.models[0].options.precision, Precision::F32);
    let variables = [("SERVING_JOB_QUEUE_SIZE", "5"), ("OPTION_DTYPE", "fp16")];
    let plan = planned(at(folder.path()), &variables);
    assert_eq!(plan.models[0].settings.queue, 5);
    assert_eq!(plan.models[0].options.precision, Precision::F16);
    let mut options = at(folder.path());
    options.overrides.queue = Some(9);
    let settings = planned(options, &variables).models.remove(0).settings;
    assert_eq!(settings.queue, 9);
    assert_eq!(settings.max_batch_delay, Duration::from_millis(7));
    let empty = model("");
    let settings = planned(at(empty.path()), &[]).models.remove(0).settings;
    assert_eq!((settings.queue, settings.max_batch), (100, 16));
}

#[test]
fn each_model_has_its_own_file() {
    let (one, two) = (model("job_queue_size=1"), model("job_queue_size=2"));
    let mut options = at(one.path());
    options.models.push(ModelChoice {
        name: None,
        path: two.path().into(),
    });
    let plan = planned(options.clone(), &[]);
    let queues: Vec<_> = plan
        .models
        .iter()
        .map(|model| model.settings.queue)
        .collect();
    assert_eq!(queues, [1, 2]);
    assert!(
        is_model_name(&plan.models[1].name),
        "{}",
        plan.models[1].name
    );
    options.models[1].name = Some("sd".into());
    refused(options, &[], &["--model", "twice called `sd`", "NAME=DIR"]);
}

#[test]
fn a_container_has_the_settings_of_sagemaker() {
    let root = model("option.task=text-to-image\nbatch_size=4");
    let path = root.path().to_str().expect("text");
    let variables = [("PYROGRAPH_MODEL_ROOT", path)];
    let plan = planned(ServeOptions::default(), &variables);
    assert_eq!(plan.server.address.to_string(), "0.0.0.0:8080");
    assert!(
        plan.server.tokens.is_empty() && plan.notes.is_empty(),
        "{:?}",
        plan.notes
    );
    assert_eq!(
        (plan.log, plan.server.grace),
        (LogFormat::Json, Duration::from_secs(25))
    );
    let model = &plan.models[0];
    assert_eq!(
        (model.name.as_str(), model.task),
        ("model", TaskKind::Txt2img)
    );
    assert_eq!(model.path, root.path());
    assert_eq!(model.settings.limits.deadline, Duration::from_secs(60));
    assert_eq!(model.settings.limits.body_bytes, 6_291_456);
    // Four requests with guidance.
    assert_eq!(model.settings.max_batch, 8);

    let bound = [
        ("PYROGRAPH_MODEL_ROOT", path),
        ("SAGEMAKER_BIND_TO_PORT", "9001"),
    ];
    let plan = planned(ServeOptions::default(), &bound);
    assert_eq!(plan.server.address.port(), 9001);
    let options = ServeOptions {
        overrides: ModelOverrides {
            deadline: Some(Duration::from_secs(5)),
            ..Default::default()
        },
        server: ServerOverrides {
            port: Some(9002),
            log: Some(LogFormat::Text),
            ..Default::default()
        },
        ..Default::default()
    };
    let plan = planned(options, &bound);
    assert_eq!(
        (plan.server.address.port(), plan.log),
        (9002, LogFormat::Text)
    );
    assert_eq!(
        plan.models[0].settings.limits.deadline,
        Duration::from_secs(5)
    );
    let wrong = [
        ("PYROGRAPH_MODEL_ROOT", path),
        ("SAGEMAKER_BIND_TO_PORT", "high"),
    ];
    refused(
        ServeOptions::default(),
        &wrong,
        &["SAGEMAKER_BIND_TO_PORT", "high"],
    );
}

#[test]
fn a_container_asks_for_no_tokens() {
    let root = model("option.task=text-to-image");
    let tokens = root.path().join("tokens");
    fs::write(&tokens, "0123456789abcdef").expect("writable");
    let options = ServeOptions {
        server: ServerOverrides {
            tokens: Some(tokens),
            ..Default::default()
        },
        ..Default::default()
    };
    let path = root.path().to_str().expect("text");
    refused(
        options.clone(),
        &[("PYROGRAPH_MODEL_ROOT", path)],
        &["--tokens", "strips the `Authorization` header"],
    );
    let elsewhere = ServeOptions {
        server: options.server,
        ..at(root.path())
    };
    assert_eq!(planned(elsewhere, &[]).server.tokens, ["0123456789abcdef"]);
}

#[test]
fn the_environment_names_a_model_where_no_flag_does() {
    let (root, other) = (model(""), model("job_queue_size=4"));
    let [root_path, other_path] =
        [&root, &other].map(|folder| folder.path().to_str().expect("text"));
    let variables = [
        ("PYROGRAPH_MODEL_ROOT", root_path),
        ("OPTION_MODEL_ID", other_path),
        ("OPTION_TASK", "text-to-image"),
    ];
    let plan = planned(ServeOptions::default(), &variables);
    assert_eq!(plan.models[0].path, other.path());
    assert_eq!(plan.models[0].settings.queue, 4);
    let plan = planned(ServeOptions::default(), &variables[1..]);
    assert!(plan.server.address.ip().is_loopback());
    let plan = planned(at(root.path()), &variables);
    assert_eq!(plan.models[0].path, root.path());
    assert!(
        plan.notes[0].contains("OPTION_MODEL_ID"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn the_file_may_name_a_model_elsewhere() {
    let folder = model("option.s3url=inner");
    fs::create_dir(folder.path().join("inner")).expect("writable");
    let plan = planned(at(folder.path()), &[]);
    assert_eq!(plan.models[0].path, folder.path().join("inner"));
}

#[test]
fn without_a_model_there_is_no_server() {
    refused(
        ServeOptions::default(),
        &[],
        &["no model", "/nowhere/model", "--model DIR"],
    );
    refused(
        at(Path::new("/nowhere/sd")),
        &[],
        &["--model", "/nowhere/sd", "pyrograph convert"],
    );
}

#[test]
fn workers_are_one_a_device() {
    let folder = model("minWorkers=1\nmaxWorkers=2");
    let mut options = at(folder.path());
    let plan = planned(options.clone(), &[]);
    assert_eq!(plan.models[0].settings.devices.len(), 1);
    assert!(
        plan.notes[0].contains("2 workers are asked for and 1 started"),
        "{:?}",
        plan.notes
    );
    let cuda = |index| DeviceSpec::Cuda { index };
    options.overrides.devices = Some(vec![cuda(0), cuda(1), cuda(2)]);
    let plan = planned(options, &[]);
    assert_eq!(plan.models[0].settings.devices, [cuda(0), cuda(1)]);
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
}

#[test]
fn a_log_level_that_would_silence_the_log_is_refused() {
    for level in ["warning", "info,debgu"] {
        let error = init_logging(LogFormat::Text, level).expect_err("no level");
        let text = error.to_string();
        assert!(
            text.contains(level) && text.contains("warn, info"),
            "{text}"
        );
    }
}

#[test]
fn a_default_that_no_request_may_ask_for_is_refused() {
    let folder = model("");
    let mut options = at(folder.path());
    options.overrides.max_steps = Some(10);
    assert_eq!(planned(options.clone(), &[]).models[0].options.steps, 10);
    options.overrides.steps = Some(20);
    refused(
        options.clone(),
        &[],
        &["--steps", "20", "--max-steps, which is 10"],
    );
    options.overrides.steps = Some(10);
    options.overrides.sizes = Some(vec![[64, 64], [2048, 1024]]);
    refused(
        options,
        &[],
        &["--size", "2048x1024", "--max-pixels", "1048576"],
    );
    let mut options = at(folder.path());
    options.server.inputs = Some("/nowhere/inputs".into());
    refused(options, &[], &["--inputs", "/nowhere/inputs"]);
}

#[test]
fn a_file_that_is_not_there_is_refused_by_its_flag() {
    let folder = model("");
    let with = |set: &dyn Fn(&mut ModelOverrides)| {
        let mut options = at(folder.path());
        set(&mut options.overrides);
        options
    };
    let taesd = with(&|given| given.tiny_vae = Some("/nowhere/taesd".into()));
    refused(taesd, &[], &["--taesd", "/nowhere/taesd"]);
    let lora = with(&|given| given.loras = Some(vec![parse_lora("/nowhere/a:2").expect("a LoRA")]));
    refused(lora, &[], &["--lora", "/nowhere/a", "FILE:SCALE"]);
    let embedding = with(&|given| given.embeddings = Some(vec!["foo".into()]));
    refused(embedding, &[], &["--embedding", "foo"]);
    let mut tokens = at(folder.path());
    tokens.server.tokens = Some("/nowhere/tokens".into());
    refused(tokens, &[], &["--tokens", "/nowhere/tokens"]);
}

#[test]
fn the_names_of_models_are_told_where_one_is_not_allowed() {
    for text in ["bad name=.", "a/b=."] {
        let options = ServeOptions {
            models: vec![parse_model(text).expect("a path")],
            ..Default::default()
        };
        refused(
            options,
            &[],
            &["--model", text, "NAME=DIR", "at most 64 letters"],
        );
    }
}

#[test]
fn flags_without_effect_are_remarked_upon() {
    let folder = model("");
    let mut options = at(folder.path());
    options.overrides.sizes = Some(vec![[64, 64]]);
    options.overrides.precision = Some(Precision::F16);
    assert!(planned(options.clone(), &[]).notes.is_empty());
    options.overrides.task = Some(TaskKind::Detect);
    let notes = planned(options, &[]).notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("--size is without effect"), "{notes:?}");
    assert!(notes[1].contains("--dtype is without effect"), "{notes:?}");
}

#[test]
fn a_server_that_all_may_use_is_remarked_upon() {
    let folder = model("");
    let mut options = at(folder.path());
    assert!(planned(options.clone(), &[]).notes.is_empty());
    options.server.host = Some([0, 0, 0, 0].into());
    let notes = planned(options, &[]).notes;
    assert!(notes[0].contains("no --tokens"), "{notes:?}");
}
