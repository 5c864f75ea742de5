//! How requests end without a result, and how a model ends.

use std::time::{Duration, Instant};

use pyrograph_serve::{Batching, Metrics, ModelState, RefusalKind, Submission};
use serde_json::json;

use crate::common::{Control, Setup, begun, end, submission, submit, until};

/// A sample of the metrics' text.
fn value(metrics: &Metrics, name: &str) -> String {
    let (text, _) = metrics.text();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}{{")));
    line.and_then(|line| line.rsplit(' ').next())
        .unwrap_or("absent")
        .into()
}

#[test]
fn no_step_is_computed_for_a_client_that_went_away() {
    let control = Control::closed();
    let model = Setup::new(&control).start();
    let mut gone = submit(&model, json!({"name": "gone", "steps": 100}));
    assert!(begun(&mut gone));
    control.allow(1);
    until(|| control.steps().len() == 1);
    let stays = submit(&model, json!({"name": "stays", "steps": 3}));
    drop(gone);
    control.open();
    end(stays).unwrap();
    let with_gone = control
        .steps()
        .iter()
        .filter(|names| names.contains(&"gone".into()))
        .count();
    // The step that ran when it went away may still count it.
    assert!(with_gone <= 2, "{:?}", control.steps());
    until(|| model.is_idle());
    model.stop();
}

#[test]
fn a_deadline_that_passes_ends_a_request_that_waits_and_one_that_runs() {
    let control = Control::closed();
    let setup = Setup {
        max_batch: 1,
        ..Setup::new(&control)
    };
    let model = setup.start();
    let soon = |name: &str| Submission {
        deadline: Instant::now() + Duration::from_millis(300),
        ..submission("client", json!({"name": name, "steps": 10}))
    };
    let mut runs = model.submit(soon("runs")).unwrap();
    assert!(begun(&mut runs));
    let waits = model.submit(soon("waits")).unwrap();
    std::thread::sleep(Duration::from_millis(350));
    control.allow(1);
    assert_eq!(end(runs).unwrap_err().kind, RefusalKind::Deadline);
    assert_eq!(end(waits).unwrap_err().kind, RefusalKind::Deadline);
    assert_eq!(control.begun(), ["runs"]);
    model.stop();
}

#[test]
fn a_request_that_cannot_be_done_in_time_is_refused_on_arrival() {
    let control = Control::default();
    let setup = Setup {
        row: Duration::from_millis(5),
        ..Setup::new(&control)
    };
    let model = setup.start();
    let request = Submission {
        deadline: Instant::now() + Duration::from_secs(1),
        ..submission("client", json!({"name": "long", "steps": 10_000}))
    };
    let refusal = model.submit(request).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    assert!(refusal.message.contains("/v1/jobs"), "{refusal}");
    assert!(control.begun().is_empty());
    model.stop();
}

#[test]
fn a_panic_fails_its_requests_and_the_worker_starts_anew() {
    let control = Control::default();
    let metrics = Metrics::new();
    let setup = Setup {
        metrics: metrics.clone(),
        ..Setup::new(&control)
    };
    let model = setup.start();
    let refusal = end(submit(&model, json!({"name": "bad", "act": "panic"}))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Internal);
    assert!(!refusal.message.contains("as the test asked"), "{refusal}");
    until(|| value(&metrics, "pyrograph_worker_restarts_total") == "1");
    until(|| model.state() == ModelState::Ready);
    end(submit(&model, json!({"name": "good"}))).unwrap();
    model.stop();
}

#[test]
fn a_fault_of_the_engine_is_hidden_from_the_client() {
    let control = Control::default();
    let model = Setup::new(&control).start();
    let refusal = end(submit(&model, json!({"name": "bad", "act": "fail"}))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Internal);
    assert!(!refusal.message.contains("secret"), "{refusal}");
    end(submit(&model, json!({"name": "good"}))).unwrap();
    model.stop();
}

#[test]
fn a_model_that_drains_ends_what_it_has_and_refuses_more() {
    let control = Control::closed();
    let model = Setup::new(&control).start();
    let mut runs = submit(&model, json!({"name": "runs", "steps": 3}));
    assert!(begun(&mut runs));
    let waits = submit(&model, json!({"name": "waits", "key": "other", "steps": 3}));
    model.drain();
    assert_eq!(model.state(), ModelState::Draining);
    let refusal = model.submit(submission("client", json!({}))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
    control.open();
    end(runs).unwrap();
    end(waits).unwrap();
    until(|| model.is_idle());
    model.stop();
}

#[test]
fn a_model_that_stops_refuses_what_is_left() {
    let control = Control::closed();
    let setup = Setup {
        max_batch: 1,
        ..Setup::new(&control)
    };
    let metrics = setup.metrics.clone();
    let model = setup.start();
    let mut runs = submit(&model, json!({"name": "runs", "steps": 1000}));
    assert!(begun(&mut runs));
    let waits = submit(&model, json!({"name": "waits", "steps": 3}));
    assert_eq!(value(&metrics, "pyrograph_requests_running"), "1");
    assert_eq!(value(&metrics, "pyrograph_requests_waiting"), "1");
    let stopping = std::thread::spawn({
        let model = model.clone();
        move || model.stop()
    });
    control.allow(2);
    assert_eq!(end(runs).unwrap_err().kind, RefusalKind::Unavailable);
    assert_eq!(end(waits).unwrap_err().kind, RefusalKind::Unavailable);
    stopping.join().unwrap();
    assert_eq!(value(&metrics, "pyrograph_requests_running"), "0");
    assert_eq!(value(&metrics, "pyrograph_requests_waiting"), "0");
}

#[test]
fn a_long_step_hears_that_the_server_stops() {
    let control = Control::default();
    let setup = Setup {
        batching: Batching::Gathered,
        ..Setup::new(&control)
    };
    let model = setup.start();
    let mut long = submit(&model, json!({"name": "long", "steps": 10, "act": "wait"}));
    assert!(begun(&mut long));
    model.stop();
    assert_eq!(end(long).unwrap_err().kind, RefusalKind::Unavailable);
}

#[test]
fn a_model_that_nobody_holds_ends_its_workers() {
    let control = Control::default();
    let model = Setup::new(&control).start();
    let mut long = submit(&model, json!({"name": "long", "steps": 5_000}));
    assert!(begun(&mut long));
    drop(model);
    assert_eq!(end(long).unwrap_err().kind, RefusalKind::Unavailable);
}
