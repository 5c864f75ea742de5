//! Requests carry what the plan says, and answers are counted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, Method, header::CONTENT_TYPE},
    routing::{any, get, post},
};
use pyrograph_loadtest::{
    Arrivals, BodyOrder, Load, LoadPlan, LoadReport, PercentileMethod, latency_picture,
};
use tokio::time::sleep;

use crate::servers::*;

#[tokio::test]
async fn images_bytes_stages_and_times_are_those_of_the_server() {
    let answer = || async {
        sleep(Duration::from_millis(10)).await;
        let headers = [
            ("content-type", "application/json"),
            ("server-timing", "queue;dur=1.5, unet;dur=8"),
        ];
        (headers, r#"{"images": [{}, {}, {}]}"#)
    };
    let url = serve(Router::new().route("/", post(answer))).await;
    let report = measure(LoadPlan {
        bodies: vec![b"{}".to_vec()],
        warm_up: 3,
        keep_first: true,
        ..plan(&url, 20, 4)
    })
    .await;
    assert_eq!(
        (report.requests, report.images, report.bytes),
        (20, 60, 20 * 24)
    );
    assert!((report.images_per_second / report.requests_per_second - 3.0).abs() < 1e-9);
    assert_eq!(
        (report.stages_ms["queue"], report.stages_ms["unet"]),
        (1.5, 8.0)
    );
    assert_eq!(report.warm_up.expect("a warm-up").requests, 3);
    assert_eq!(
        report.first_answer.as_deref(),
        Some(&br#"{"images": [{}, {}, {}]}"#[..])
    );
    let figures = report.latency.as_ref().expect("latencies");
    assert!(
        figures.min_ms >= 9.0 && figures.percentiles == PercentileMethod::Linear,
        "{figures:?}"
    );
    assert!(report.first_byte.as_ref().expect("first bytes").p50_ms <= figures.p50_ms);
    assert!(
        report.service.is_none(),
        "the closed loop has no wait before the sending"
    );
    assert!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("P99 of 20 requests"))
    );
}

#[tokio::test]
async fn a_report_reads_back_from_json_and_keeps_secrets_out() {
    let url = serve(Router::new().route("/", any(|| async { "x" }))).await;
    let report = measure(LoadPlan {
        token: Some("s3cret-token".into()),
        headers: vec![("x-key".into(), "s3cret-key".into())],
        url: url.replace("http://", "http://me:s3cret@"),
        load: Load::Open {
            rate: 500.0,
            arrivals: Arrivals::Poisson,
            in_flight: 8,
        },
        ..plan(&url, 30, 1)
    })
    .await;
    assert_eq!(report.succeeded, 30);
    let text = serde_json::to_string(&report).expect("JSON");
    assert!(!text.contains("s3cret") && text.contains("x-key"), "{text}");
    let mut read: LoadReport = serde_json::from_str(&text).expect("the report");
    assert_eq!(read.timeline, []);
    read.timeline.clone_from(&report.timeline);
    assert_eq!(
        read.latency.as_ref().map(|l| &l.histogram),
        report.latency.as_ref().map(|l| &l.histogram)
    );
    assert_eq!(read.settings, report.settings);
    latency_picture(&report).expect("a picture");
}

#[tokio::test]
async fn requests_carry_headers_token_and_bodies_in_turn_or_drawn() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let answer = move |method: Method, headers: HeaderMap, body: String| {
        let value = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().expect("text").to_owned())
        };
        let names = ["authorization", "accept", "x-key", CONTENT_TYPE.as_str()];
        log.lock()
            .expect("the log")
            .push((method, names.map(value), body));
        async {}
    };
    let url = serve(Router::new().route("/", any(answer))).await;
    let bodies: Vec<Vec<u8>> = ["a", "b", "c"].map(|body| body.as_bytes().to_vec()).into();
    let full = LoadPlan {
        bodies,
        content_type: "text/plain".into(),
        accept: Some("image/png".into()),
        headers: vec![("X-Key".into(), "1".into())],
        token: Some("t".into()),
        ..plan(&url, 6, 1)
    };
    measure(full.clone()).await;
    let requests = std::mem::take(&mut *seen.lock().expect("the log"));
    let expected = ["Bearer t", "image/png", "1", "text/plain"].map(|value| Some(value.to_owned()));
    assert!(
        requests
            .iter()
            .all(|(method, headers, _)| method == Method::POST && *headers == expected)
    );
    let bodies: String = requests.into_iter().map(|(_, _, body)| body).collect();
    assert_eq!(bodies, "abcabc");

    let drawn = |seed| LoadPlan {
        order: BodyOrder::Drawn,
        requests: Some(40),
        seed,
        ..full.clone()
    };
    let mut orders = Vec::new();
    for seed in [1, 1, 2] {
        measure(drawn(seed)).await;
        let requests = std::mem::take(&mut *seen.lock().expect("the log"));
        orders.push(
            requests
                .into_iter()
                .map(|(_, _, body)| body)
                .collect::<String>(),
        );
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);

    measure(plan(&url, 1, 1)).await;
    let (method, headers, body) = seen.lock().expect("the log").remove(0);
    assert_eq!(
        (method, body.as_str(), &headers[0]),
        (Method::GET, "", &None)
    );
}

#[tokio::test]
async fn the_duration_ends_a_test_in_both_loops() {
    let url = serve(Router::new().route("/", get(|| sleep(Duration::from_millis(5))))).await;
    let loads = [
        Load::Closed { clients: 2 },
        Load::Open {
            rate: 100.0,
            arrivals: Arrivals::Constant,
            in_flight: 100,
        },
    ];
    for load in loads {
        let report = measure(LoadPlan {
            load,
            requests: None,
            duration: Some(Duration::from_millis(300)),
            ..plan(&url, 1, 1)
        })
        .await;
        assert!(
            (1..=120).contains(&report.requests),
            "{load:?}: {}",
            report.requests
        );
        assert_eq!(report.failed, 0);
    }
}

#[tokio::test]
async fn the_articles_loop_is_ten_calls_with_its_figures_beside_the_published_ones() {
    let answer = |body: String| async move {
        assert_eq!(body, r#"{"prompt":"a lovely cat"}"#);
        ([("content-type", "image/png")], "picture")
    };
    let url = serve(Router::new().route("/", post(answer))).await;
    let report = measure(LoadPlan::article(&url)).await;
    assert_eq!((report.requests, report.images, report.failed), (10, 10, 0));
    let (article, figures) = (
        report.article.clone().expect("figures"),
        report.latency.clone().expect("figures"),
    );
    assert_eq!(
        (article.p95_ms, article.p90_ms, article.average_ms),
        (figures.p95_ms, figures.p90_ms, figures.mean_ms)
    );
    assert_eq!(
        (
            article.published_p95_ms,
            article.published_p90_ms,
            article.published_average_ms
        ),
        (2276.0, 2250.0, 2217.0)
    );
    let text = report.to_string();
    assert!(
        text.contains("2276 ms") && text.contains("another machine"),
        "{text}"
    );
}
