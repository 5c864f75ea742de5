//! Data, the forward process and schedules as pictures and tables.

use std::fs;

use serde_json::Value;

use crate::common::*;

#[track_caller]
fn preview(more: &[&str]) -> Value {
    let words = [&["data", "preview", "--json", "--device", "cpu"], more].concat();
    serde_json::from_str(&succeeds(&words)).expect("JSON")
}

#[test]
fn sprites_and_digits_are_shown_by_class() {
    let (_guard, path) = folder();
    let out = path.join("sheet.png");
    let sprites = preview(&["--kind", "sprites", "--out", text(&out), "--count", "3"]);
    assert_eq!(sprites["images"], 500);
    assert_eq!(sprites["shape"], serde_json::json!([16, 16, 3]));
    assert_eq!(sprites["images_of_class"]["hero"], 100);
    let (least, most) = (&sprites["bytes"][0], &sprites["bytes"][1]);
    assert!(least.as_u64() < most.as_u64() && most.as_u64() <= Some(255));
    assert!(fs::read(&out).expect("a sheet").starts_with(b"\x89PNG"));

    let digits = preview(&["--kind", "digits", "--out", text(&out), "--split", "test"]);
    assert_eq!(digits["images"], 500);
    assert_eq!(digits["shape"], serde_json::json!([28, 28, 1]));
    assert_eq!(digits["classes"].as_array().expect("a list").len(), 10);
    let text = succeeds(&["data", "preview", "--kind", "digits", "--out", text(&out)]);
    assert!(
        text.contains("500 images of 28×28×1") && text.contains("50 7"),
        "{text}"
    );
}

#[test]
fn a_table_is_read_by_the_flags_of_a_training() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("digits.csv"), path.join("sheet.png"));
    // Four pixels and a label of 3 or 8 in the middle.
    fs::write(&data, "10,0,3,200,9\n20,0,8,30,9\n40,0,3,50,9\n").expect("writable");
    let flags = ["--label-column", "3"];
    let words = [
        "--kind",
        "digits",
        "--data",
        text(&data),
        "--out",
        text(&out),
    ];
    let result = preview(&[&words[..], &flags].concat());
    assert_eq!(result["images_of_class"]["3"], 2);
    assert_eq!(result["images_of_class"]["8"], 1);
}

#[test]
fn the_forward_process_has_the_deviation_that_the_schedule_says() {
    let (_guard, path) = folder();
    let out = path.join("noise.png");
    let result = preview(&[
        "--kind",
        "sprites",
        "--noise",
        "0,100,500",
        "--count",
        "40",
        "--out",
        text(&out),
    ]);
    let steps = result["noise"].as_array().expect("a list");
    let number = |step: usize, pointer: &str| {
        steps[step]
            .pointer(pointer)
            .and_then(Value::as_f64)
            .expect("a number")
    };
    assert_eq!(number(0, "/signal"), 1.0);
    // The published slip: noise of 0.191 in place of 0.437 at t = 100.
    assert!((number(1, "/noise") - 0.437).abs() < 5e-4);
    assert!((number(1, "/course_noise") - 0.191).abs() < 5e-4);
    let (clean, signal) = (number(0, "/standard/deviation"), number(1, "/signal"));
    for (mixing, noise) in [("standard", "/noise"), ("course", "/course_noise")] {
        let expected = (clean * signal).hypot(number(1, noise));
        let seen = number(1, &format!("/{mixing}/deviation"));
        assert!(
            (seen - expected).abs() < 0.02,
            "{mixing}: {seen} {expected}"
        );
    }
    assert!(fs::read(&out).expect("a picture").starts_with(b"\x89PNG"));
    refuses(
        &[
            "data", "preview", "--kind", "sprites", "--noise", "501", "--device", "cpu",
        ],
        &["timestep 501", "0 to 500"],
    );
}

#[test]
fn a_schedule_is_printed_and_drawn() {
    let (_guard, path) = folder();
    let (out, table) = (path.join("curves.png"), path.join("table.csv"));
    let result = preview(&[
        "--kind",
        "schedule",
        "--out",
        text(&out),
        "--table",
        text(&table),
    ]);
    let at = |key: &str, t: usize| result[key][t].as_f64().expect("a number");
    // Published figures of the course.
    assert!((at("alpha_cumprod", 250) - 0.27855975689).abs() < 1e-10);
    assert!((at("beta", 1) - 0.0001398).abs() < 1e-12);
    // 1/√α, β/√(1−ᾱ) and √β by hand at t = 500: β = 0.02, ᾱ = 0.00628876018.
    assert!((at("of_x", 500) - 1.0 / 0.98_f64.sqrt()).abs() < 1e-12);
    assert!((at("of_epsilon", 500) - 0.02 / (1.0 - 0.00628876018_f64).sqrt()).abs() < 1e-10);
    assert!((at("of_z", 500) - 0.02_f64.sqrt()).abs() < 1e-12);
    assert!(
        result["of_epsilon"][0].is_null(),
        "the clean image has no noise"
    );
    let table = fs::read_to_string(table).expect("CSV");
    assert_eq!(table.lines().count(), 502);
    assert!(fs::read(&out).expect("curves").starts_with(b"\x89PNG"));

    let cosine = [
        "--schedule",
        "cosine",
        "--timesteps",
        "20",
        "--out",
        text(&out),
    ];
    let cosine = preview(&[&["--kind", "schedule"], &cosine[..]].concat());
    assert_eq!(cosine["beta"].as_array().expect("a list").len(), 20);
    assert_eq!(cosine["beta"][19], 0.999);
}

#[test]
fn flags_of_another_kind_are_refused() {
    for (kind, flags, words) in [
        ("ssd", &["--noise", "1"][..], &["--noise", "sprites"][..]),
        ("digits", &["--noise", "1"], &["--noise", "sprites"]),
        ("sprites", &["--augment", "none"], &["--augment", "ssd"]),
        (
            "sprites",
            &["--split", "test"],
            &["--split", "ssd or digits"],
        ),
        ("sprites", &["--schedule", "cosine"], &["--noise"]),
        ("schedule", &["--data", "x"], &["--data", "not to schedule"]),
        ("digits", &["--table", "x.csv"], &["--table", "schedule"]),
        ("digits", &["--side", "20"], &["--side", "--data"]),
        ("digits", &["--transpose", "on"], &["--transpose", "--data"]),
        ("ssd", &["--transpose", "on"], &["--transpose", "digits"]),
        (
            "sprites",
            &["--data", "x", "--format", "coco"],
            &["--format", "ssd"],
        ),
        (
            "digits",
            &["--data", "x", "--labels", "classes"],
            &["--labels", "sprites"],
        ),
    ] {
        refuses(
            &[&["data", "preview", "--kind", kind], flags].concat(),
            words,
        );
    }
}
