//! `train sweep`, at tiny size: a teacher and its student.

use std::fs;

use serde_json::Value;

use super::training::write_voc;
use crate::common::{folder, refuses, succeeds, text};

const RECIPE: &str = r#"
    [base]
    width = 0.03125
    batch-size = 2
    steps = 1

    [[run]]
    name = "teacher"
    width = 0.0625

    [[run]]
    name = "student"
    seeds = [0, 3]
    teacher = "teacher"
    method = "response"
    any-teacher = true
"#;

#[test]
fn a_teacher_and_its_students_are_trained_once_and_are_compared() {
    let (_guard, path) = folder();
    let (voc, out, recipe) = (path.join("voc"), path.join("out"), path.join("recipe.toml"));
    write_voc(&voc);
    let sweep = ["train", "sweep", text(&recipe), "--out", text(&out)];
    let data = ["--data", text(&voc), "--device", "cpu"];
    let sweep = [&sweep[..], &data].concat();

    // Nothing is trained before everything is checked.
    fs::write(&recipe, RECIPE.replace("method", "methods")).expect("writable");
    refuses(&sweep, &["recipe.toml", "run `student`", "methods"]);
    fs::write(&recipe, RECIPE.replace("\"response\"", "\"fgd\"")).expect("writable");
    refuses(&sweep, &["run `student`", "fgd", "response"]);
    assert!(!out.exists());

    fs::write(&recipe, RECIPE).expect("writable");
    let train = || -> Value {
        let printed = succeeds(&[&sweep[..], &["--json", "--quiet"]].concat());
        serde_json::from_str(&printed).expect("JSON")
    };
    let first = train();
    let runs = first["runs"].as_array().expect("runs");
    let of = |key: &str| runs.iter().map(|run| run[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("name"), ["teacher", "student", "student"]);
    assert_eq!(
        (of("seed"), of("steps")),
        (vec![0.into(), 0.into(), 3.into()], vec![1.into(); 3])
    );
    assert_eq!(first["interrupted"], false);
    let config = fs::read_to_string(out.join("student/seed-3/config.json")).expect("a run");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let teacher = &config["training"]["distillation"]["teacher"];
    let file = teacher.as_str().expect("a path");
    assert!(
        file.ends_with("out/teacher/seed-0/best.safetensors"),
        "{file}"
    );
    assert_eq!(config["training"]["seed"], 3);

    // Again: nothing is left to do, down to the seconds.
    assert_eq!(train()["runs"], first["runs"]);
    fs::write(&recipe, RECIPE.replace("0.0625", "0.125")).expect("writable");
    refuses(&sweep, &["teacher/seed-0", "`width` was 0.0625", "0.125"]);

    let run = |name: &str| out.join(name);
    let (students, teacher) = (
        [run("student/seed-0"), run("student/seed-3")],
        run("teacher/seed-0"),
    );
    let compare = [
        "eval", "compare", "--split", "val", "--repeat", "1", "--json", "--runs",
    ];
    let folders = [text(&teacher), text(&students[0]), text(&students[1])];
    let printed = succeeds(&[&compare[..], &folders, &["--device", "cpu"]].concat());
    let compared: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(compared["rows"][1]["group"], "student");
    assert_eq!(compared["rows"][1]["seeds"], Value::from(vec![0, 3]));
}
