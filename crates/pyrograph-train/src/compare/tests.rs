use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

/// The parts of a config that matter here, of built-in scenes that the seed draws.
fn config(seed: u64, width: f64) -> Value {
    json!({
        "data": {"scenes": {"count": 100, "side": 300, "seed": seed}},
        "validation": {"scenes": {"count": 100, "side": 300, "seed": seed | (1 << 63)}},
        "fingerprint": {"images": 100, "side": 300, "channels": 3, "classes": 5, "checksum": 1000 + seed},
        "validation_fingerprint": {"images": 100, "side": 300, "channels": 3, "classes": 5, "checksum": 7 * seed},
        "held_out": 0.0, "classes": ["a", "b"],
        "training": {"model": {"width": width}, "steps": 200, "start": null, "seed": seed},
    })
}

fn run(path: &str, seed: u64, config: Value) -> ComparedRun {
    ComparedRun {
        path: path.into(),
        name: None,
        config,
        seed,
    }
}

fn plain(path: &str, seed: u64) -> ComparedRun {
    run(path, seed, config(seed, 0.125))
}

fn distilled(path: &str, seed: u64, teacher: &str) -> ComparedRun {
    let mut config = config(seed, 0.125);
    let checksum: u64 = teacher.bytes().map(u64::from).sum();
    config["training"]["distillation"] =
        json!({"teacher": teacher, "teacher_checksum": checksum, "methods": [{"weight": 1.0}]});
    run(path, seed, config)
}

fn names(runs: &[ComparedRun]) -> Vec<(String, Vec<u64>)> {
    let groups = group_runs(runs).expect("groups");
    groups
        .into_iter()
        .map(|group| (group.name, group.seeds))
        .collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, crate::TrainError>, words: &[&str]) {
    let message = result.expect_err("refused").to_string();
    for word in words {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }
}

#[test]
fn runs_that_differ_in_their_seed_alone_are_one_group() {
    let runs = [
        plain("r/plain/seed-2", 2),
        distilled("r/cwd-0", 0, "/r/teacher/seed-0/best.safetensors"),
        plain("r/plain/seed-0", 0),
        distilled("r/cwd-1", 1, "/r/teacher/seed-1/best.safetensors"),
        run("r/plain/7", 7, config(7, 0.125)),
    ];
    assert_eq!(
        names(&runs),
        [("plain".into(), vec![0, 2, 7]), ("cwd".into(), vec![0, 1])]
    );
}

#[test]
fn a_difference_that_is_not_the_seed_makes_groups() {
    let mut longer = plain("r/longer/seed-1", 1);
    longer.config["training"]["steps"] = 400.into();
    let mut other_scenes = plain("r/scenes/seed-2", 2);
    other_scenes.config["data"]["scenes"]["count"] = 50.into();
    let mut absent_here = plain("r/new/seed-3", 3);
    absent_here.config["images"] = json!(25);
    let runs = [plain("r/a/seed-0", 0), longer, other_scenes, absent_here];
    assert_eq!(names(&runs).len(), 4);
}

#[test]
fn one_teacher_for_all_seeds_and_one_for_each_are_groups_and_not_mixed() {
    let at = |seed: u64, teacher: u64| {
        let teacher = format!("/r/teacher/seed-{teacher}/best.safetensors");
        distilled(&format!("r/cwd/seed-{seed}"), seed, &teacher)
    };
    assert_eq!(names(&[at(0, 0), at(1, 0), at(2, 0)]).len(), 1);
    assert_eq!(names(&[at(0, 0), at(1, 1), at(2, 2)]).len(), 1);
    assert_eq!(names(&[at(1, 1), at(2, 0), at(3, 3)]).len(), 2);
    // Another teacher at the path of the first.
    let mut later = at(1, 0);
    later.config["training"]["distillation"]["teacher_checksum"] = 1.into();
    assert_eq!(names(&[at(0, 0), later]).len(), 2);
}

#[test]
fn a_seed_of_the_data_may_stay_while_the_seed_of_the_run_changes() {
    let fixed = |seed: u64, scenes: u64| {
        let mut run = plain(&format!("r/plain/seed-{seed}"), seed);
        run.config["data"]["scenes"]["seed"] = scenes.into();
        run
    };
    assert_eq!(names(&[fixed(0, 0), fixed(1, 0), fixed(2, 0)]).len(), 1);
    assert_eq!(names(&[fixed(1, 1), fixed(2, 0), fixed(3, 3)]).len(), 2);
}

#[test]
fn files_that_changed_between_runs_make_groups() {
    let of_files = |seed: u64, checksum: u64| {
        let mut run = plain("r/plain", seed);
        run.config["data"] = json!({"files": {"path": "/data/voc-2007", "split": "train"}});
        run.config["validation"] = Value::Null;
        run.config["fingerprint"]["checksum"] = checksum.into();
        run.config["validation_fingerprint"] = Value::Null;
        run
    };
    assert_eq!(names(&[of_files(0, 5), of_files(1, 5)]).len(), 1);
    assert_eq!(names(&[of_files(0, 5), of_files(1, 6)]).len(), 2);
}

#[test]
fn groups_are_called_by_their_folders_and_a_taken_name_gets_a_number() {
    let mut wide = plain("s/plain/seed-0", 0);
    wide.config["training"]["model"]["width"] = json!(0.5);
    let mut long = plain("r/plain_long-seed-3", 3);
    long.config["training"]["steps"] = 1.into();
    let mut other = plain("r/w-25", 0);
    other.config["training"]["steps"] = 2.into();
    let runs = [plain("r/plain/seed-0", 0), wide, long, other];
    let names: Vec<_> = names(&runs).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["plain", "plain-2", "plain_long", "w-25"]);
}

#[test]
fn a_given_name_counts_for_the_group_and_cannot_stand_for_two() {
    let named = |run: ComparedRun, name: &str| ComparedRun {
        name: Some(name.into()),
        ..run
    };
    let runs = [
        plain("r/a/seed-0", 0),
        named(plain("r/a/seed-1", 1), "ours"),
    ];
    assert_eq!(names(&runs), [("ours".into(), vec![0, 1])]);
    let two = [
        named(plain("r/a/seed-0", 0), "ours"),
        named(plain("r/a/seed-1", 1), "theirs"),
    ];
    refused(group_runs(&two), &["`ours` and `theirs`", "one name"]);
    let both = [
        named(plain("r/a/seed-0", 0), "ours"),
        named(distilled("r/b/seed-0", 0, "/t"), "ours"),
    ];
    refused(group_runs(&both), &["`ours`", "/training/distillation"]);
    let twice = [plain("r/a", 3), plain("r/b", 3)];
    refused(group_runs(&twice), &["3 in r/a and r/b", "one run"]);
}

fn figures(ap: &[f64]) -> Vec<RunFigures> {
    ap.iter()
        .map(|&ap| RunFigures { ap50: 2.0 * ap, ap })
        .collect()
}

fn costs(groups: usize) -> Vec<GroupFigures> {
    let cost = |group| GroupFigures {
        params: 10 * group as u64,
        flops: 100,
        latency_ms: 1.5,
    };
    (0..groups).map(cost).collect()
}

#[test]
fn rows_have_means_spreads_and_paired_gains() {
    let runs = [
        run("r/teacher/seed-0", 0, config(0, 0.5)),
        plain("r/plain/seed-0", 0),
        plain("r/plain/seed-1", 1),
        plain("r/plain/seed-2", 2),
        distilled("r/cwd/seed-1", 1, "/r/teacher/seed-0/b"),
        distilled("r/cwd/seed-2", 2, "/r/teacher/seed-0/b"),
    ];
    let comparison = Comparison::new(&runs, None).expect("groups");
    let measured = figures(&[0.5, 0.1, 0.2, 0.3, 0.25, 0.39]);
    let rows = comparison
        .rows(&runs, &measured, &costs(3))
        .expect("figures");
    let [teacher, plain, cwd] = &rows[..] else {
        panic!("{rows:?}")
    };
    let near = |seen: Option<f64>, wanted: f64| {
        let seen = seen.expect("a figure");
        assert!((seen - wanted).abs() < 1e-12, "{seen}, not {wanted}");
    };
    assert_eq!(
        teacher.name,
        PathBuf::from("r/teacher/seed-0").display().to_string()
    );
    assert_eq!((&teacher.group[..], teacher.ap_std), ("teacher", None));
    assert_eq!((teacher.gain, &teacher.baseline), (None, &None));
    assert_eq!(
        (&plain.name[..], &plain.seeds[..]),
        ("plain", &[0, 1, 2][..])
    );
    near(Some(plain.ap), 0.2);
    near(plain.ap_std, 0.1);
    near(Some(plain.ap50), 0.4);
    near(plain.ap50_std, 0.2);
    assert_eq!((plain.gain, plain.params), (None, 10));
    // 0.25 − 0.2 and 0.39 − 0.3.
    near(cwd.gain, 0.07);
    near(cwd.gain_std, 0.04 / f64::sqrt(2.0));
    assert_eq!(cwd.baseline.as_deref(), Some("plain"));
    refused(
        comparison.check_seeds(),
        &["{1, 2} in the group `cwd`", "{0, 1, 2}", "`plain`"],
    );
    refused(
        comparison.rows(&runs, &measured[1..], &costs(3)),
        &["5", "6"],
    );
}

#[test]
fn the_baseline_has_the_same_network_and_data_and_may_be_named() {
    let fewer = |mut run: ComparedRun, path: &str| {
        run.config["data"]["scenes"]["count"] = 25.into();
        run.path = path.into();
        run
    };
    let mut longer = plain("r/longer", 0);
    longer.config["training"]["steps"] = 400.into();
    let runs = [
        plain("r/plain", 0),
        fewer(plain("", 0), "r/plain-of-25"),
        fewer(distilled("", 0, "/t"), "r/cwd-of-25"),
        distilled("r/cwd", 0, "/t"),
        longer,
        run("r/wide", 0, config(0, 0.5)),
    ];
    let baselines = |named| {
        let comparison = Comparison::new(&runs, named).expect("groups");
        let of = |place| Some(comparison.baseline(place)?.name.clone());
        let names: Vec<Option<String>> = (0..6).map(of).collect();
        names
    };
    let name = |name: &str| Some(name.to_owned());
    let usual = [
        None,
        None,
        name("plain-of-25"),
        name("plain"),
        name("plain"),
        None,
    ];
    assert_eq!(baselines(None), usual);
    let longer = name("longer");
    let all = [
        longer.clone(),
        longer.clone(),
        longer.clone(),
        longer,
        None,
        None,
    ];
    assert_eq!(baselines(Some("longer")), all);
    refused(
        Comparison::new(&runs, Some("none")),
        &["`none`", "plain, plain-of-25"],
    );
    let comparison = Comparison::new(&runs, None).expect("groups");
    comparison.check_seeds().expect("one seed each");
    let without_plain = [
        distilled("r/cwd/seed-0", 0, "/r/teacher"),
        distilled("r/cwd/seed-1", 1, "/r/teacher"),
        distilled("r/pkd/seed-0", 0, "/r/other"),
    ];
    let comparison = Comparison::new(&without_plain, None).expect("groups");
    refused(
        comparison.check_seeds(),
        &["{0} in the group `pkd`", "{0, 1}", "`cwd`"],
    );
}

#[test]
fn few_numbers_have_few_figures() {
    assert_eq!((mean(&[]), median(&[])), (None, None));
    assert_eq!((mean(&[2.0]), sample_deviation(&[2.0])), (Some(2.0), None));
    // Squares 2.25, 0.25, 0.25, 2.25 over three.
    let deviation = sample_deviation(&[1.0, 2.0, 3.0, 4.0]).expect("four");
    assert!((deviation - f64::sqrt(5.0 / 3.0)).abs() < 1e-12);
    assert_eq!(median(&[5.0, 1.0, 9.0]), Some(5.0));
    assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
}
