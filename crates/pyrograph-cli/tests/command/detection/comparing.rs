//! `eval compare`, of runs at tiny size.

use std::{collections::BTreeSet, path::Path};

use pyrograph::vision::image_size;
use serde_json::{Value, json};

use super::training::write_voc;
use crate::common::{folder, refuses, succeeds, text};

/// One step on `data`, with more options.
fn train(data: &[&str], out: &Path, more: &[&str]) {
    let start = [
        "train",
        "ssd",
        "--batch-size",
        "2",
        "--quiet",
        "--device",
        "cpu",
    ];
    let out = ["--out", text(out)];
    let steps = ["--steps", "1"];
    let width = ["--width", "0.03125"];
    let usual = |flag: &'static str, pair| match more.contains(&flag) {
        true => [].as_slice(),
        false => pair,
    };
    let (steps, width) = (usual("--steps", &steps[..]), usual("--width", &width[..]));
    succeeds(&[&start[..], data, &out, steps, width, more].concat());
}

#[test]
fn runs_are_compared_over_their_seeds_in_a_table_and_a_picture() {
    let (_guard, path) = folder();
    let (voc, out) = (path.join("voc"), path.join("out"));
    write_voc(&voc);
    let data = ["--data", text(&voc)];
    let run = |name: &str| path.join("runs").join(name);
    let runs = [
        ("teacher/seed-0", &["--width", "0.0625"][..]),
        ("plain/seed-0", &[]),
        ("plain/seed-1", &["--seed", "1"]),
        ("longer/seed-1", &["--seed", "1", "--steps", "2"]),
    ];
    for (name, more) in runs {
        train(&data, &run(name), more);
    }
    let folders: Vec<_> = runs.iter().map(|(name, _)| run(name)).collect();
    let compare = [
        "eval", "compare", "--device", "cpu", "--split", "val", "--repeat", "2",
    ];
    let of_runs = [
        vec!["--runs"],
        folders.iter().map(|run| text(run)).collect(),
    ]
    .concat();
    let compare = [&compare[..], &of_runs].concat();

    let printed = succeeds(&[&compare[..], &["--json", "--out", text(&out)]].concat());
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    let rows = value["rows"].as_array().expect("rows");
    let of_rows = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(of_rows("group"), ["teacher", "plain", "longer"]);
    assert_eq!(of_rows("seeds"), [json!([0]), json!([0, 1]), json!([1])]);
    assert_eq!(of_rows("name")[..2], [text(&folders[0]), "plain"]);
    assert_eq!(
        of_rows("baseline"),
        [json!(null), json!(null), json!("plain")]
    );
    let keys: BTreeSet<_> = rows[2]
        .as_object()
        .expect("a row")
        .keys()
        .cloned()
        .collect();
    for key in [
        "name",
        "group",
        "seeds",
        "params",
        "flops",
        "latency_ms",
        "ap50",
        "ap",
        "ap_std",
        "gain",
        "gain_std",
    ] {
        assert!(keys.contains(key), "{key}");
    }
    let number = |row: usize, key: &str| rows[row][key].as_f64().expect("a number");
    assert!(number(0, "params") > 2.0 * number(1, "params"));
    assert!(number(0, "flops") > 1.5 * number(1, "flops"));
    assert!(number(1, "latency_ms") > 0.0);
    // The gain of a single seed is that over the run of the same seed, which is not the group's
    // mean.
    let of_run = |place: usize| value["runs"][place]["ap"].as_f64().expect("a number");
    assert_eq!(number(2, "gain"), of_run(3) - of_run(2));
    assert!((number(1, "ap") - 0.5 * (of_run(1) + of_run(2))).abs() < 1e-12);
    assert!(rows[2]["gain_std"].is_null() && rows[1]["gain"].is_null());
    assert_eq!(value["images"], 2);

    let file = std::fs::read(out.join("compare.json")).expect("there");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!(file["rows"], value["rows"]);
    assert_eq!(
        image_size(out.join("compare.png")).expect("a picture"),
        (960, 540)
    );

    // A run is scored as `eval ssd` scores it.
    let alone = [
        "eval", "ssd", "--device", "cpu", "--json", "--split", "val", "--run",
    ];
    let alone = succeeds(&[&alone[..], &[text(&folders[0])]].concat());
    let alone: Value = serde_json::from_str(&alone).expect("JSON");
    assert_eq!(rows[0]["ap50"], alone["report"]["map"]);
    assert_eq!(rows[0]["ap"], alone["report"]["coco"]["ap"]);

    let named = format!("our=own={}", text(&folders[3]));
    let table = succeeds(&[&compare[..], &["--baseline", "longer"]].concat());
    assert!(
        table.contains("AP@.5:.95") && table.contains("on 2 images"),
        "{table}"
    );
    refuses(
        &[&compare[..], &["--runs", &named]].concat(),
        &["own=", "no run folder"],
    );
    refuses(
        &[&compare[..], &["--seeds"]].concat(),
        &["{1}", "`longer`", "{0, 1}"],
    );
    refuses(
        &[&compare[..], &["--baseline", "best"]].concat(),
        &["`best`", "longer"],
    );
    refuses(&[&compare[..], &["--repeat", "0"]].concat(), &["--repeat"]);
    let inside = folders[0].join("checkpoints");
    refuses(
        &[&compare[..], &["--out", text(&inside)]].concat(),
        &["overwrite"],
    );
}

#[test]
fn runs_on_scenes_of_their_seeds_are_scored_on_one_set_and_other_data_are_refused() {
    let (_guard, path) = folder();
    let voc = path.join("voc");
    write_voc(&voc);
    let run = |name: &str| path.join(name);
    for seed in ["0", "1"] {
        let name = format!("scenes-{seed}");
        let held_out = ["--held-out", "0.5", "--seed", seed];
        train(&["--scenes", "4"], &run(&name), &held_out);
    }
    train(&["--data", text(&voc)], &run("voc-0"), &[]);
    let (scenes, other, files) = (run("scenes-0"), run("scenes-1"), run("voc-0"));
    let compare = [
        "eval", "compare", "--device", "cpu", "--json", "--repeat", "1",
    ];
    let few = ["--scenes", "3", "--seeds"];
    let runs = ["--runs", text(&scenes), text(&other)];
    let printed = succeeds(&[&compare[..], &few, &runs].concat());
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(
        (&value["images"], &value["rows"][0]["group"]),
        (&3.into(), &"scenes".into())
    );
    assert_eq!(value["rows"][0]["seeds"], json!([0, 1]));
    let words = ["voc-0", "scenes-0", "classes"];
    refuses(&[&compare[..], &runs, &[text(&files)]].concat(), &words);
    let twice = ["--runs", text(&scenes), text(&scenes)];
    refuses(
        &[&compare[..], &twice].concat(),
        &["0 in", "scenes-0", "leave one out"],
    );
}
