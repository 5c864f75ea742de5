//! A server that stops once: the open loop shows it, the closed loop hides it.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use pyrograph_loadtest::{Arrivals, Load, LoadPlan};
use tokio::{sync::Mutex, time::sleep};

use crate::servers::*;

const STALL: Duration = Duration::from_millis(1000);
const REQUESTS: u64 = 300;

/// Answers one request after the other, at once; request 50 takes a second, and all others wait for it.
async fn stalling() -> String {
    let count = Arc::new(Mutex::new(0));
    let answer = move || {
        let count = Arc::clone(&count);
        async move {
            let mut count = count.lock().await;
            *count += 1;
            if *count == 50 {
                sleep(STALL).await;
            }
        }
    };
    serve(Router::new().route("/", get(answer))).await
}

fn open(url: &str, arrivals: Arrivals, in_flight: usize) -> LoadPlan {
    LoadPlan {
        load: Load::Open {
            rate: 150.0,
            arrivals,
            in_flight,
        },
        ..plan(url, REQUESTS, 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_closed_loop_omits_the_requests_that_a_stall_delays() {
    let report = measure(plan(&stalling().await, REQUESTS, 1)).await;
    let figures = report.latency.expect("latencies");
    assert_eq!((figures.n, report.failed), (REQUESTS, 0));
    assert!(figures.max_ms > 900.0, "{figures:?}");
    assert!(
        figures.p99_ms < 500.0,
        "one request of 300 must not show: {}",
        figures.p99_ms
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_loop_counts_a_stall_for_every_request_that_arrives_meanwhile() {
    let report = measure(open(&stalling().await, Arrivals::Constant, 1000)).await;
    let figures = report.latency.as_ref().expect("latencies");
    assert_eq!((figures.n, report.failed), (REQUESTS, 0));
    assert!(figures.p99_ms > 700.0, "{figures:?}");
    // 150 of 300 requests arrive during the stall, and wait for half a second on average.
    assert!(figures.mean_ms > 150.0, "{figures:?}");
    let started_late = report
        .timeline
        .iter()
        .filter(|point| point.latency > 0.1)
        .count();
    assert!(started_late > 100, "{started_late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_for_a_free_place_counts_into_the_latency() {
    let report = measure(open(&stalling().await, Arrivals::Poisson, 1)).await;
    let [latency, service] =
        [&report.latency, &report.service].map(|figures| figures.as_ref().expect("figures"));
    assert_eq!(latency.n, REQUESTS);
    assert!(latency.p99_ms > 700.0, "{latency:?}");
    assert!(report.late_starts > 50, "{}", report.late_starts);
    assert!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("started late"))
    );
    // One request at a time, so that the server delays one alone.
    assert!(service.p99_ms < 500.0, "{service:?}");
}
