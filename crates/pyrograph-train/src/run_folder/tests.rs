use super::*;

fn new_run() -> (tempfile::TempDir, RunFolder) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = RunFolder::create(folder.path().join("run"), &5).expect("new");
    (folder, run)
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let (_folder, run) = new_run();
    let error = RunFolder::create(run.path(), &5).expect_err("not empty");
    assert!(matches!(error, TrainError::Run { .. }), "{error:?}");
    assert!(error.to_string().contains("not empty, it holds"), "{error}");
    assert_eq!(
        RunFolder::open(run.path())
            .and_then(|run| run.config::<u32>())
            .expect("there"),
        5
    );
    assert!(RunFolder::open(run.samples()).is_err());
}

#[test]
fn a_checkpoint_that_fails_half_way_is_never_found() {
    let (_folder, run) = new_run();
    run.write_checkpoint(1, 2, |_| Ok(())).expect("whole");
    let failed = run.write_checkpoint(2, 2, |path| {
        fs::write(path.join("model"), "half").expect("writable");
        Err(TrainError::Diverged {
            step: 2,
            loss: f32::NAN,
            advice: "none",
            saved: Some(1),
        })
    });
    assert!(failed.is_err());
    assert_eq!(run.last_checkpoint().expect("the first").0, 1);
    run.write_checkpoint(2, 2, |_| Ok(())).expect("again");
    run.write_checkpoint(10, 2, |_| Ok(())).expect("whole");
    let steps: Vec<_> = run
        .checkpoints()
        .expect("readable")
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    assert_eq!(steps, [2, 10]);
}

#[test]
fn a_torn_last_line_of_the_log_is_passed_over() {
    let (_folder, run) = new_run();
    run.append_metrics(&[1, 2]).expect("writable");
    let text = fs::read_to_string(run.metrics_path()).expect("there");
    fs::write(run.metrics_path(), text + "{\"st").expect("writable");
    assert_eq!(run.metrics::<u32>().expect("readable"), [1, 2]);
    run.rewrite_metrics(&[1]).expect("writable");
    assert_eq!(run.metrics::<u32>().expect("readable"), [1]);
}

#[test]
fn what_a_kill_leaves_before_the_config_does_not_block_a_new_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [LOCK, ".pyrograph-aBcD12"] {
        fs::write(folder.path().join(name), "").expect("writable");
    }
    let run = RunFolder::create(folder.path(), &5).expect("as good as empty");
    assert_eq!(run.config::<u32>().expect("there"), 5);
}

#[test]
fn a_run_killed_after_its_config_can_be_resumed() {
    let (_folder, run) = new_run();
    for name in [CHECKPOINTS, SAMPLES] {
        fs::remove_dir(run.path().join(name)).expect("there");
    }
    assert!(run.checkpoints().expect("none yet").is_empty());
    run.write_checkpoint(1, 2, |_| Ok(())).expect("whole");
    assert_eq!(run.last_checkpoint().expect("one").0, 1);
}

#[test]
fn a_folder_is_locked_for_one_process_and_free_once_it_is_done() {
    let (_folder, run) = new_run();
    let path = run.path().to_owned();
    let copy = run.clone();
    drop(run);
    let error = RunFolder::open_locked(&path).expect_err("a copy holds it");
    assert!(matches!(error, TrainError::Locked { .. }), "{error:?}");
    RunFolder::open(&path).expect("reading needs no lock");
    assert!(copy.lock().is_ok(), "the holder may go on");
    drop(copy);
    RunFolder::open_locked(&path).expect("free again");
}

#[test]
fn a_line_of_the_log_that_does_not_read_is_named_unless_it_is_the_torn_last() {
    let (_folder, run) = new_run();
    assert!(run.metrics::<u32>().expect("no log").is_empty());
    for (text, lines) in [
        ("", 0),
        ("1", 0),
        ("1\n", 1),
        ("1\n2\n3", 2),
        ("1\n\0\0", 1),
    ] {
        fs::write(run.metrics_path(), text).expect("writable");
        assert_eq!(run.metrics::<u32>().expect(text).len(), lines, "{text:?}");
    }
    for (text, line) in [
        ("1\nx\n3\n", "line 2"),
        ("1\n2\nx\n", "line 3"),
        ("\n", "line 1"),
    ] {
        fs::write(run.metrics_path(), text).expect("writable");
        let error = run.metrics::<u32>().expect_err(text).to_string();
        assert!(
            error.contains(line) && error.contains("metrics.jsonl"),
            "{error}"
        );
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_no_part_and_a_file_is_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = RunFolder::create(folder.path().join("run"), &1).expect("new");
    let failed = run.write_checkpoint(3, 2, |part| {
        fs::write(part.join("model"), "a part").expect("writable");
        Err(TrainError::io(
            part,
            std::io::Error::other("the disk is full"),
        ))
    });
    assert!(failed.expect_err("refused").to_string().contains("full"));
    let checkpoints = run.path().join(CHECKPOINTS);
    assert_eq!(fs::read_dir(&checkpoints).expect("there").count(), 0);
    fs::write(checkpoints.join("step-9"), "a file").expect("writable");
    assert!(run.checkpoints().expect("readable").is_empty());
}
