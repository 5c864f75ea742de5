//! Which requests share a step.

use std::time::Duration;

use pyrograph_serve::{Batching, RefusalKind};
use serde_json::json;

use crate::common::{Control, Setup, begun, end, submission, submit, until};

#[test]
fn requests_join_and_leave_between_steps() {
    let control = Control::closed();
    let model = Setup::new(&control).start();
    let long = submit(&model, json!({"name": "long", "steps": 5}));
    until(|| control.begun() == ["long"]);
    control.allow(1);
    until(|| control.steps().len() == 1);
    let short = submit(&model, json!({"name": "short", "steps": 2}));
    control.open();
    assert_eq!(end(short).unwrap()["name"], "short");
    assert_eq!(end(long).unwrap()["name"], "long");
    let steps = control.steps();
    assert_eq!(
        steps
            .iter()
            .filter(|names| names.contains(&"long".into()))
            .count(),
        5
    );
    assert_eq!(
        steps.iter().filter(|names| names.len() == 2).count(),
        2,
        "{steps:?}"
    );
    assert_eq!(steps.last().unwrap(), &["long"]);
    model.stop();
}

#[test]
fn a_batch_has_no_more_rows_than_pay() {
    // A row costs so much more than a step that a second one does not pay.
    let control = Control::default();
    let setup = Setup {
        row: Duration::from_millis(60),
        ..Setup::new(&control)
    };
    let model = setup.start();
    let tickets: Vec<_> = (0..3)
        .map(|n| submit(&model, json!({"name": format!("{n}"), "steps": 2})))
        .collect();
    tickets.into_iter().for_each(|ticket| {
        end(ticket).unwrap();
    });
    assert!(
        control.steps().iter().all(|names| names.len() == 1),
        "{:?}",
        control.steps()
    );
    model.stop();
}

#[test]
fn a_full_batch_takes_no_further_request() {
    let control = Control::closed();
    let model = Setup::new(&control).start();
    let tickets: Vec<_> = (0..6)
        .map(|n| submit(&model, json!({"name": format!("{n}"), "steps": 3})))
        .collect();
    until(|| !control.begun().is_empty());
    control.open();
    for ticket in tickets {
        end(ticket).unwrap();
    }
    let largest = control.steps().iter().map(Vec::len).max();
    assert_eq!(largest, Some(4), "{:?}", control.steps());
    model.stop();
}

#[test]
fn a_request_of_more_rows_than_a_batch_runs_alone() {
    let control = Control::default();
    let model = Setup::new(&control).start();
    let ticket = submit(&model, json!({"name": "wide", "rows": 9, "steps": 2}));
    assert_eq!(end(ticket).unwrap()["name"], "wide");
    model.stop();
}

#[test]
fn sizes_do_not_share_a_step_and_take_turns() {
    let control = Control::closed();
    let model = Setup::new(&control).start();
    let a = submit(&model, json!({"name": "a", "key": "a", "steps": 4}));
    let b = submit(&model, json!({"name": "b", "key": "b", "steps": 4}));
    until(|| control.begun().len() == 1);
    control.open();
    end(a).unwrap();
    end(b).unwrap();
    let steps = control.steps();
    assert!(steps.iter().all(|names| names.len() == 1), "{steps:?}");
    assert_eq!(steps.len(), 8);
    let first_b = steps.iter().position(|names| names[0] == "b").unwrap();
    assert!(first_b <= 2, "b waits for the whole of a: {steps:?}");
    model.stop();
}

#[test]
fn a_client_with_many_requests_does_not_hold_up_another() {
    let control = Control::closed();
    let setup = Setup {
        max_batch: 1,
        ..Setup::new(&control)
    };
    let model = setup.start();
    let many: Vec<_> = (0..10)
        .map(|n| {
            let body = json!({"name": format!("many {n}"), "steps": 1});
            model.submit(submission("many", body)).unwrap()
        })
        .collect();
    let few = model
        .submit(submission("few", json!({"name": "few", "steps": 1})))
        .unwrap();
    control.open();
    end(few).unwrap();
    many.into_iter().for_each(|ticket| {
        end(ticket).unwrap();
    });
    let place = control.begun().iter().position(|name| name == "few");
    assert!(place.unwrap() <= 3, "{:?}", control.begun());
    model.stop();
}

#[test]
fn gathered_requests_wait_for_others_and_run_as_one() {
    let control = Control::default();
    let setup = Setup {
        batching: Batching::Gathered,
        delay: Duration::from_millis(400),
        ..Setup::new(&control)
    };
    let model = setup.start();
    let first = submit(&model, json!({"name": "first", "steps": 7}));
    let second = submit(&model, json!({"name": "second", "steps": 7}));
    end(first).unwrap();
    end(second).unwrap();
    assert_eq!(control.steps(), [vec!["first".to_owned(), "second".into()]]);
    model.stop();
}

#[test]
fn a_full_queue_refuses_and_tells_when_to_come_back() {
    let control = Control::closed();
    let setup = Setup {
        queue: 2,
        max_batch: 1,
        ..Setup::new(&control)
    };
    let model = setup.start();
    let mut running = submit(&model, json!({"name": "runs"}));
    assert!(begun(&mut running));
    let waiting: Vec<_> = (0..2)
        .map(|_| submit(&model, json!({"name": "waits"})))
        .collect();
    let refusal = model.submit(submission("client", json!({}))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::QueueFull);
    assert!(
        refusal.retry_after.is_some() && refusal.message.contains('2'),
        "{refusal:?}"
    );
    // A place is free as soon as a client goes away.
    drop(waiting);
    let after = submit(&model, json!({"name": "after"}));
    control.open();
    end(after).unwrap();
    assert_eq!(control.begun(), ["runs", "after"]);
    end(running).unwrap();
    model.stop();
}

#[test]
fn a_client_that_fills_the_queue_does_not_shut_out_another() {
    let control = Control::closed();
    let setup = Setup {
        queue: 4,
        max_batch: 1,
        ..Setup::new(&control)
    };
    let model = setup.start();
    let mut runs = submit(&model, json!({"name": "runs"}));
    assert!(begun(&mut runs));
    let from = |client: &str| model.submit(submission(client, json!({"name": client})));
    let many: Vec<_> = (0..4).map(|_| from("many").expect("room")).collect();
    assert_eq!(from("many").unwrap_err().kind, RefusalKind::QueueFull);
    let few = from("few").expect("the quarter that is kept for others");
    assert_eq!(from("third").unwrap_err().kind, RefusalKind::QueueFull);
    control.open();
    for ticket in many.into_iter().chain([few, runs]) {
        end(ticket).unwrap();
    }
    let place = control.begun().iter().position(|name| name == "few");
    assert!(place.unwrap() <= 3, "{:?}", control.begun());
    model.stop();
}
