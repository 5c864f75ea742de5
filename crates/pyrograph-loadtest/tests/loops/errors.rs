//! Failures are counted by kind and kept out of the latencies of successes.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::StatusCode, routing::get};
use pyrograph_loadtest::{Ending, LoadPlan, LoadReport, Phase, latency_picture, run};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use crate::servers::*;

#[tokio::test]
async fn statuses_are_counted_and_their_latencies_kept_apart() {
    let count = Arc::new(AtomicU64::new(0));
    let answer = move || {
        let turn = count.fetch_add(1, Ordering::Relaxed) % 4;
        async move {
            match turn {
                0 => (
                    StatusCode::TOO_MANY_REQUESTS,
                    r#"{"error": {"message": "the queue is full"}}"#,
                ),
                1 => (StatusCode::FOUND, ""),
                _ => {
                    sleep(Duration::from_millis(20)).await;
                    (StatusCode::OK, "fine")
                }
            }
        }
    };
    let url = serve(Router::new().route("/", get(answer))).await;
    let report = measure(plan(&url, 40, 2)).await;
    assert_eq!(
        (report.requests, report.succeeded, report.failed),
        (40, 20, 20)
    );
    assert_eq!(report.errors["status 429"], 10);
    assert_eq!(report.errors["status 302"], 10);
    assert_eq!(report.error_messages["status 429"], "the queue is full");
    let (ok, failed) = (
        report.latency.clone().unwrap(),
        report.failed_latency.clone().unwrap(),
    );
    assert_eq!((ok.n, failed.n), (20, 20));
    assert!(ok.min_ms >= 19.0, "{ok:?}");
    assert!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("20 of 40"))
    );
    assert!(
        report
            .to_string()
            .contains("10 × status 429: the queue is full"),
        "{report}"
    );
    latency_picture(&report).expect("a picture");
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let slow = || sleep(Duration::from_secs(30));
    let url = serve(Router::new().route("/", get(slow))).await;
    let report = measure(LoadPlan {
        timeout: Duration::from_millis(100),
        ..plan(&url, 3, 3)
    })
    .await;
    assert_eq!(report.errors["timeout"], 3);
    assert!(report.latency.is_none() && report.article.is_none());
    assert!(report.error_messages["timeout"].contains("100ms"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_counted_and_ends_the_test_early() {
    let url = format!("http://{}", free_address().await);
    let report = measure(plan(&url, 200, 1)).await;
    assert_eq!(
        (report.ending, report.errors["connect"]),
        (Ending::NoConnection, 10)
    );
    assert!(
        report.remarks[0].contains("first 10 requests found no connection"),
        "{:?}",
        report.remarks
    );
    let all = measure(LoadPlan {
        give_up_after: 0,
        ..plan(&url, 50, 2)
    })
    .await;
    assert_eq!((all.ending, all.errors["connect"]), (Ending::Complete, 50));
    let warm = measure(LoadPlan {
        warm_up: 30,
        ..plan(&url, 200, 1)
    })
    .await;
    assert_eq!((warm.ending, warm.requests), (Ending::NoConnection, 10));
}

/// Reads a request of each connection, answers with `bytes`, and closes the connection.
async fn raw(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(bytes).await;
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn connections_that_close_are_errors_before_or_within_the_body() {
    let errors = |bytes| async move { measure(plan(&raw(bytes).await, 5, 1)).await.errors };
    assert_eq!(errors(b"").await["request"], 5);
    assert_eq!(errors(b"nonsense\r\n\r\n").await["request"], 5);
    let broken = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    assert_eq!(errors(broken).await["body"], 5);
    let broken = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 100\r\n\r\nhalf";
    assert_eq!(errors(broken).await["status 503"], 5);
}

#[tokio::test]
async fn an_interrupted_test_reports_the_requests_that_ended() {
    let url = serve(Router::new().route("/", get(|| async { Body::from("x") }))).await;
    let report: LoadReport = run(plan(&url, 1_000_000, 2), |progress| {
        match progress.phase == Phase::Measurement && progress.done >= 25 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })
    .await
    .expect("a report");
    assert_eq!((report.ending, report.requests), (Ending::Interrupted, 25));
    assert!(report.remarks[0].contains("interrupted"));
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_an_answer() {
    let url = serve(Router::new().route("/", get(|| sleep(Duration::from_secs(600))))).await;
    let mut asked = 0;
    let hanging = run(plan(&url, 10, 1), |_| {
        asked += 1;
        if asked > 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let report = tokio::time::timeout(Duration::from_secs(15), hanging).await;
    assert_eq!(report.expect("no wait").expect("a report").requests, 0);
}
