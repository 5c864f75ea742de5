use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
};

use anyhow::bail;
use serde_json::Value;
use toml::Table;

use super::{
    recipe::Recipe,
    trainer::{Outcome, Trainer},
    walk::{Finished, Sweep},
};
use crate::commands::train_ssd::StepTime;

/// A trainer that notes the options that it gets.
#[derive(Default)]
struct Fake {
    trained: RefCell<Vec<String>>,
    timed: RefCell<Vec<String>>,
    /// Trainings until Ctrl-C.
    stops_after: Cell<Option<usize>>,
}

impl Trainer for Fake {
    fn check(&self, table: &Table) -> anyhow::Result<()> {
        let known = [
            "seed", "steps", "width", "teacher", "start", "method", "data", "epochs",
        ];
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => bail!("unknown option `{key}`"),
            None => Ok(()),
        }
    }

    fn train(&self, table: Table, out: &Path) -> anyhow::Result<Outcome> {
        fs::create_dir_all(out)?;
        fs::write(out.join("config.json"), "{}")?;
        let interrupted = self.stops_after.get() == Some(self.trained.borrow().len());
        self.trained.borrow_mut().push(words(&table));
        let steps = table.get("steps").and_then(toml::Value::as_integer);
        Ok(Outcome {
            steps: steps.unwrap_or(7) as u64,
            seconds: 2.0,
            best: Some(0.25),
            interrupted,
            finished_before: false,
        })
    }

    fn step_time(&self, table: Table, _: u64) -> anyhow::Result<StepTime> {
        let mut timed = self.timed.borrow_mut();
        timed.push(words(&table));
        // A first measurement that is far off does not count.
        let off = if timed.len() < 3 { 10.0 } else { 1.0 };
        let seconds = if table.contains_key("teacher") {
            0.3
        } else {
            0.2
        };
        Ok(StepTime {
            seconds: off * seconds,
            filling: None,
        })
    }
}

/// The options in one line, and the last parts of the paths of other runs.
fn words(table: &Table) -> String {
    let word = |(key, value): (&String, &toml::Value)| match value.as_str() {
        Some(path) if key == "teacher" || key == "start" => {
            let mut parts: Vec<_> = path.rsplit('/').take(2).collect();
            parts.reverse();
            format!("{key}={}", parts.join("/"))
        }
        _ => format!("{key}={value}"),
    };
    table.iter().map(word).collect::<Vec<_>>().join(" ")
}

const RECIPE: &str = r#"
    [base]
    steps = 100
    width = 0.125
    seeds = [0, 1]

    [[run]]
    name = "teacher"
    seeds = [0]
    width = 0.5
    steps = 300

    [[run]]
    name = "plain"

    [[run]]
    name = "cwd"
    teacher = "teacher"
    method = "cwd"
    equal-time-with = "plain"

    [[run]]
    name = "self"
    teacher = "plain"
    epochs = 3
"#;

fn walk(text: &str, out: &Path, trainer: &Fake) -> anyhow::Result<(Vec<Finished>, bool)> {
    let recipe = Recipe::read(text, None)?;
    recipe.check(trainer)?;
    let sweep = Sweep {
        recipe: &recipe,
        out,
        trainer,
        stopped: &|| false,
        say: &|_| {},
    };
    sweep.walk()
}

fn refused(text: &str, wanted: &[&str]) {
    let read = Recipe::read(text, None).and_then(|recipe| recipe.check(&Fake::default()));
    let message = format!("{:#}", read.expect_err("refused"));
    for word in wanted {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }
}

#[test]
fn runs_go_in_their_order_with_their_teachers_and_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = Fake::default();
    let (finished, interrupted) = walk(RECIPE, folder.path(), &trainer).expect("trained");
    assert!(!interrupted);
    // 100 · 0.2 / 0.3 = 66.7 steps.
    let expected = [
        "seed=0 steps=300 width=0.5",
        "seed=0 steps=100 width=0.125",
        "seed=1 steps=100 width=0.125",
        "method=\"cwd\" seed=0 steps=67 teacher=teacher/seed-0 width=0.125",
        "method=\"cwd\" seed=1 steps=67 teacher=teacher/seed-0 width=0.125",
        "epochs=3 seed=0 teacher=plain/seed-0 width=0.125",
        "epochs=3 seed=1 teacher=plain/seed-1 width=0.125",
    ];
    assert_eq!(*trainer.trained.borrow(), expected);
    let names: Vec<_> = finished
        .iter()
        .map(|run| (&run.name[..], run.seed))
        .collect();
    let of = ["teacher", "plain", "plain", "cwd", "cwd", "self", "self"];
    let seeds = [0, 0, 1, 0, 1, 0, 1];
    assert_eq!(names, of.into_iter().zip(seeds).collect::<Vec<_>>());
    assert_eq!(finished[3].folder, folder.path().join("cwd/seed-0"));
    assert_eq!(
        finished[3].in_words(),
        "cwd seed 0: 67 steps in 2 s, best mAP@.5 0.2500"
    );
    // By turns, three times each, both with the first seed.
    let timed = trainer.timed.borrow();
    assert_eq!(timed.len(), 6);
    assert_eq!(
        timed[0],
        "method=\"cwd\" seed=0 teacher=teacher/seed-0 width=0.125"
    );
    assert_eq!(timed[1], "seed=0 steps=100 width=0.125");
    assert_eq!(timed[2..4], timed[..2]);
}

#[test]
fn a_run_begins_from_another_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = Fake::default();
    let recipe = r#"
        [[run]]
        name = "scenes"
        seeds = [3]
        steps = 9

        [[run]]
        name = "cells"
        seeds = [0, 3]
        start = "scenes"
        steps = 5
    "#;
    walk(recipe, folder.path(), &trainer).expect("trained");
    let expected = [
        "seed=3 steps=9",
        "seed=0 start=scenes/seed-3 steps=5",
        "seed=3 start=scenes/seed-3 steps=5",
    ];
    assert_eq!(*trainer.trained.borrow(), expected);
    let turned = recipe.replace("start = \"scenes\"", "start = \"cells\"");
    refused(&turned, &["cells", "start", "does not come before it"]);
    let gone = recipe.replace("start = \"scenes\"", "start = \"no-such.pth\"");
    refused(&gone, &["cells", "start", "no-such.pth"]);
}

#[test]
fn a_stopped_sweep_goes_on_and_neither_trains_nor_measures_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Fake::default();
    first.stops_after.set(Some(4));
    let (finished, interrupted) = walk(RECIPE, folder.path(), &first).expect("trained");
    assert!(interrupted);
    assert_eq!((finished.len(), first.trained.borrow().len()), (4, 5));

    let second = Fake::default();
    let (finished, interrupted) = walk(RECIPE, folder.path(), &second).expect("trained");
    assert!(!interrupted);
    assert_eq!(finished.len(), 7);
    // The stopped one first, with the steps that were measured before.
    assert_eq!(second.trained.borrow()[0], first.trained.borrow()[4]);
    assert_eq!(
        (second.trained.borrow().len(), second.timed.borrow().len()),
        (3, 0)
    );

    let third = Fake::default();
    walk(RECIPE, folder.path(), &third).expect("finished");
    assert!(third.trained.borrow().is_empty());
    let record = fs::read_to_string(folder.path().join("sweep.json")).expect("there");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["trainings"]["cwd/seed-1"]["finished"]["steps"], 67);
    assert_eq!(record["calibrations"][0]["steps"], 67);
}

#[test]
fn a_run_that_the_recipe_does_not_ask_for_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().expect("a folder");
    walk(RECIPE, folder.path(), &Fake::default()).expect("trained");
    let trainer = Fake::default();
    let refused = |text: &str, wanted: &[&str]| {
        let message = walk(text, folder.path(), &trainer)
            .expect_err("refused")
            .to_string();
        for word in wanted {
            assert!(message.contains(word), "no `{word}` in: {message}");
        }
        assert!(trainer.trained.borrow().is_empty());
    };
    let changed = RECIPE.replace("steps = 300", "steps = 400");
    refused(
        &changed,
        &["teacher/seed-0", "`steps` was 300, and is 400 now"],
    );
    let changed = RECIPE.replace("epochs = 3", "epochs = 3\nmethod = \"lad\"");
    refused(
        &changed,
        &["self/seed-0", "`method` was not given, and is \"lad\" now"],
    );
    let changed = RECIPE.replace("method = \"cwd\"", "method = \"pkd\"");
    refused(&changed, &["cwd/seed-0", "measured anew"]);
    // A seed more is trained; the others stay.
    let more = RECIPE.replace("seeds = [0, 1]", "seeds = [0, 1, 2]");
    walk(&more, folder.path(), &trainer).expect("trained");
    assert_eq!(trainer.trained.borrow().len(), 3);
    // A removed folder is trained again, and one from elsewhere is refused.
    fs::remove_dir_all(folder.path().join("plain/seed-1")).expect("there");
    walk(&more, folder.path(), &trainer).expect("trained");
    assert_eq!(trainer.trained.borrow().len(), 4);
    fs::remove_file(folder.path().join("sweep.json")).expect("there");
    let message = walk(RECIPE, folder.path(), &trainer)
        .expect_err("foreign")
        .to_string();
    assert!(message.contains("not begun by the sweep"), "{message}");
}

#[test]
fn a_run_that_says_a_limit_or_its_images_has_none_of_the_base() {
    let recipe = |data| {
        let text = "[base]\nsteps = 5\nscenes = 9\n[[run]]\nname = \"a\"\n[[run]]\nname = \"b\"\nepochs = 2\ndata = \"c\"";
        let recipe = Recipe::read(text, data).expect("reads");
        [0, 1].map(|place| words(&recipe.asked(place, 3, None)))
    };
    let own = "data=\"c\" epochs=2 seed=3";
    assert_eq!(recipe(None), ["scenes=9 seed=3 steps=5", own]);
    let elsewhere = recipe(Some(Path::new("/d")));
    assert_eq!(elsewhere, ["data=\"/d\" seed=3 steps=5", own]);
}

#[test]
fn recipes_that_make_no_sense_are_refused_by_the_name_of_the_run() {
    let run =
        |lines: &str| format!("[[run]]\nname = \"a\"\nsteps = 5\n[[run]]\nname = \"b\"\n{lines}");
    refused("", &["no [[run]]"]);
    refused("[bass]\n", &["bass"]);
    refused("[[run]]\nsteps = 1", &["number 1", "`name`"]);
    refused(
        "[base]\nteacher = \"a\"\n[[run]]\nname = \"a\"",
        &["[base]", "`teacher`"],
    );
    refused(&run("stepz = 3"), &["run `b`", "`stepz`"]);
    refused(&run("seed = 3"), &["run `b`", "`seeds`"]);
    for seeds in ["[]", "[1, 1]", "[-1]", "3", "[0.5]"] {
        refused(
            &run(&format!("seeds = {seeds}")),
            &["run `b`", "`seeds` is", "0 or more"],
        );
    }
    refused(
        &run("teacher = \"c\""),
        &["run `b`", "`c`", "neither a run"],
    );
    refused(&run("teacher = 3"), &["run `b`", "`teacher` is 3"]);
    refused(
        &run("teacher = \"b\""),
        &["run `b`", "does not come before"],
    );
    let later = run("teacher = \"c\"\n[[run]]\nname = \"c\"");
    refused(&later, &["run `b`", "move `c` up"]);
    refused(
        &run("equal-time-with = \"c\""),
        &["run `b`", "\"c\"", "no run"],
    );
    refused(
        &run("equal-time-with = \"a\"\nsteps = 3"),
        &["run `b`", "`steps`"],
    );
    refused(
        &run("epochs = 1\n[[run]]\nname = \"c\"\nequal-time-with = \"b\""),
        &["run `c`", "`b` has none"],
    );
    for name in ["a", "A"] {
        refused(
            &run(&format!("[[run]]\nname = \"{name}\"")),
            &["taken by the run `a`"],
        );
    }
    for name in ["", "..", "a/b", "a b", "é", "-x", "a\\\\b"] {
        refused(
            &run(&format!("[[run]]\nname = \"{name}\"")),
            &["that of a folder"],
        );
    }
}
