//! Clients that vanish, deadlines, full queues, and the end of the server.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::Server;

/// A request that computes for a while.
fn long() -> serde_json::Value {
    json!({"prompt": "a cat", "parameters": {"num_inference_steps": 200}})
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    let server = Server::start(&[]);
    let request = server
        .post("/invocations", &long())
        .timeout(Duration::from_millis(300));
    let result = server.runtime.block_on(async { request.send().await });
    assert!(result.is_err_and(|error| error.is_timeout()));
    // 200 steps take seconds; a place that is free at the next step is free at once.
    server.until("the place is free", || server.is_idle());
    assert_eq!(
        server.metric("pyrograph_stage_seconds_count", "stage=\"vae\""),
        0.0
    );
}

#[test]
fn a_full_queue_answers_429_and_a_short_deadline_504_or_a_refusal() {
    let server = Server::start(&["--queue", "1", "--max-batch", "1"]);
    let answers = server.runtime.block_on(async {
        let requests = (0..6).map(|_| server.post("/invocations", &long()).send());
        futures_util::future::join_all(requests).await
    });
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap().status())
        .collect();
    let count = |status| statuses.iter().filter(|seen| **seen == status).count();
    assert!(count(StatusCode::OK) >= 1, "{statuses:?}");
    assert_eq!(
        count(StatusCode::OK) + count(StatusCode::TOO_MANY_REQUESTS),
        6,
        "{statuses:?}"
    );
    let full = answers
        .iter()
        .flatten()
        .find(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    let full = full.expect("four requests too many");
    let wait: u64 = full.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait >= 1);

    let hurried = server
        .post("/invocations", &long())
        .header("x-request-timeout", "0.05");
    let status = server.answer(hurried).status.as_u16();
    assert!([422, 429, 504].contains(&status), "{status}");
}

#[test]
fn sigterm_under_load_answers_every_request_and_exits_with_0() {
    let mut server = Server::start(&["--max-batch", "1", "--grace", "20"]);
    let body = json!({"prompt": "a cat", "parameters": {"num_inference_steps": 20}});
    let statuses = server.runtime.block_on(async {
        let requests: Vec<_> = (0..8)
            .map(|_| tokio::spawn(server.post("/invocations", &body).send()))
            .collect();
        // All of them are accepted.
        loop {
            let text = server.metrics_now().await;
            let value = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name));
                line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
                    .unwrap_or(0)
            };
            let served = value("pyrograph_stage_seconds_count");
            if value("pyrograph_requests_running{") + value("pyrograph_requests_waiting{") + served
                >= 8
                || served > 0
            {
                break;
            }
        }
        server.signal("TERM");
        let mut statuses = Vec::new();
        for request in requests {
            let response = request.await.unwrap().expect("an answer");
            let status = response.status();
            let body = response.bytes().await.expect("a whole body");
            assert!(status != StatusCode::OK || body.starts_with(b"\x89PNG"));
            statuses.push(status);
        }
        statuses
    });
    let good = statuses
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    let away = statuses
        .iter()
        .filter(|status| **status == StatusCode::SERVICE_UNAVAILABLE)
        .count();
    assert_eq!(good + away, 8, "{statuses:?}");
    assert!(good >= 1, "{statuses:?}");
    assert_eq!(server.ended().code(), Some(0), "{}", server.log());
}

#[test]
fn sigterm_ends_what_does_not_end_in_time() {
    let mut server = Server::start(&["--max-batch", "1", "--grace", "1"]);
    let status = server.runtime.block_on(async {
        let request = tokio::spawn(
            server
                .post(
                    "/invocations",
                    &json!({"prompt": "a", "parameters":
            {"num_inference_steps": 200, "width": 256, "height": 256}}),
                )
                .send(),
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.signal("TERM");
        request.await.unwrap().expect("an answer").status()
    });
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.ended().code(), Some(0), "{}", server.log());
}
