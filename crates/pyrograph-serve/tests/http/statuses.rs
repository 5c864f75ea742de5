//! Every status, health, tokens, metrics.

use std::time::Duration;

use pyrograph_serve::http::ServerSettings;
use serde_json::json;

use crate::common::{Setup, answer, until};

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_why() {
    let mut setup = Setup::default();
    setup.limits.body_bytes = 10_000;
    setup.limits.prompt_bytes = 100;
    let server = setup.start().await;
    let raw =
        |kind: &'static str, body: &'static str| answer(server.raw("/invocations", kind, body));
    raw("application/json", "{\"prompt\": ")
        .await
        .is_error(400, None, "JSON");
    raw("application/json", "[1]").await.is_error(400, None, "");
    raw("application/json", "")
        .await
        .is_error(400, None, "JSON");
    raw("text/csv", "a,b")
        .await
        .is_error(415, None, "application/json");
    server
        .invoke(&json!({"prompt": 3}))
        .await
        .is_error(400, None, "string");
    server
        .invoke(&json!({"prompt": "a", "model": 3}))
        .await
        .is_error(400, Some("model"), "3");
    server
        .invoke(&json!({"prompt": "a", "stream": 3}))
        .await
        .is_error(400, Some("stream"), "");
    let steps = json!({"prompt": "a", "parameters": {"num_inference_steps": 0}});
    server
        .invoke(&steps)
        .await
        .is_error(422, Some("parameters.num_inference_steps"), "1 to");
    server
        .invoke(&json!({"prompt": "a".repeat(200)}))
        .await
        .is_error(413, Some("prompt"), "");
    // Megabytes that are refused by their length are answered all the same.
    for bytes in [20_000, 3_000_000] {
        server
            .invoke(&json!({"prompt": "a".repeat(bytes)}))
            .await
            .is_error(413, None, "10000");
    }
    let chunks =
        futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000])));
    let chunked = server.raw(
        "/invocations",
        "application/json",
        reqwest::Body::wrap_stream(chunks),
    );
    answer(chunked).await.is_error(413, None, "10000");
    let gzip = server
        .post("/invocations", &json!({}))
        .header("content-encoding", "gzip");
    answer(gzip).await.is_error(415, None, "gzip");
    let html = server
        .post("/invocations", &json!({"prompt": "a"}))
        .header("accept", "text/html");
    answer(html).await.is_error(406, None, "Accept");
    let timeout = server
        .post("/invocations", &json!({"prompt": "a"}))
        .header("x-request-timeout", "soon");
    answer(timeout)
        .await
        .is_error(400, Some("x-request-timeout"), "soon");
    let wrong = answer(server.get("/invocations")).await;
    wrong.is_error(405, None, "GET");
    assert_eq!(wrong.header("allow"), "POST");
    answer(server.get("/nothing"))
        .await
        .is_error(404, None, "/nothing");
    answer(server.get("/v1/jobs/none"))
        .await
        .is_error(404, Some("id"), "none");
}

#[tokio::test]
async fn a_full_queue_and_a_deadline_are_told() {
    let setup = Setup {
        queue: 1,
        ..Setup::default()
    };
    let server = setup.start().await;
    let long = json!({"prompt": "a", "parameters": {"num_inference_steps": 5000}});
    // The first is estimated by warm-up: its deadline is that of the server.
    let running = tokio::spawn(server.post("/invocations", &long).send());
    until(|| async { server.steps.load(std::sync::atomic::Ordering::SeqCst) > 0 }).await;
    let waiting = tokio::spawn(server.post("/invocations", &long).send());
    until(|| async { server.metric("pyrograph_requests_waiting", "sd").await == 1.0 }).await;
    let full = server.invoke(&json!({"prompt": "a"})).await;
    full.is_error(429, None, "full");
    assert!(full.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(full.json()["error"]["type"], "rate_limit_error");
    // Health answers while the model is busy.
    assert_eq!(answer(server.get("/ping")).await.status, 200);
    running.abort();
    waiting.abort();
    until(|| async { server.is_idle() }).await;
}

#[tokio::test]
async fn a_deadline_that_passes_is_504_or_refused_by_the_estimate() {
    let server = Setup::default().start().await;
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 3}});
    let request = server
        .post("/invocations", &body)
        .header("x-request-timeout", "0.001");
    let short = answer(request).await;
    assert!(
        [422, 504].contains(&short.status.as_u16()),
        "{}",
        short.text()
    );
    assert!(short.text().contains("/v1/jobs"));
    until(|| async { server.is_idle() }).await;
}

#[tokio::test]
async fn health_waits_for_the_models() {
    let setup = Setup {
        load: Duration::from_millis(600),
        ..Setup::default()
    };
    let server = setup.begin().await;
    for path in ["/ping", "/readyz"] {
        assert_eq!(answer(server.get(path)).await.status, 503, "{path}");
    }
    assert_eq!(answer(server.get("/livez")).await.status, 200);
    let early = server.invoke(&json!({"prompt": "a"})).await;
    early.is_error(503, None, "not loaded");
    assert!(!early.header("retry-after").is_empty());
    until(|| async { answer(server.get("/ping")).await.status == 200 }).await;
    let ping = answer(server.get("/ping")).await;
    assert!(ping.body.is_empty());
    assert_eq!(answer(server.get("/readyz")).await.status, 200);
}

#[tokio::test]
async fn tokens_guard_what_is_not_free() {
    let mut setup = Setup::default();
    setup.server.tokens = vec!["good".into()];
    let server = setup.start().await;
    for path in ["/ping", "/livez", "/readyz", "/", "/openapi.json"] {
        assert_eq!(answer(server.get(path)).await.status, 200, "{path}");
    }
    for path in ["/metrics", "/models", "/v1/models", "/v1/jobs"] {
        let refused = answer(server.get(path)).await;
        refused.is_error(401, None, "Bearer");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        let wrong = answer(server.get(path).bearer_auth("bad")).await;
        wrong.is_error(401, None, "not known");
        assert_eq!(
            answer(server.get(path).bearer_auth("good")).await.status,
            200
        );
    }
    let body = json!({"prompt": "a"});
    let ok = answer(server.post("/invocations", &body).bearer_auth("good")).await;
    assert_eq!(ok.status, 200);
}

#[tokio::test]
async fn ids_come_back_and_faults_hide_their_cause() {
    let server = Setup::default().start().await;
    let request = server.post("/invocations", &json!({"prompt": "a"}));
    let named = answer(request.header("x-request-id", "mine-1")).await;
    assert_eq!(named.header("x-request-id"), "mine-1");
    let failed = server.invoke(&json!({"prompt": "fail"})).await;
    failed.is_error(500, None, "log");
    assert!(!failed.text().contains("secret"));
    assert_eq!(failed.json()["error"]["type"], "server_error");
    server
        .invoke(&json!({"prompt": "panic in parse"}))
        .await
        .is_error(500, None, "log");
    server
        .invoke(&json!({"prompt": "panic"}))
        .await
        .is_error(500, None, "log");
    // The worker starts anew.
    until(|| async { server.invoke(&json!({"prompt": "a"})).await.status == 200 }).await;
    assert_eq!(answer(server.get("/ping")).await.status, 200);
}

#[tokio::test]
async fn metrics_sum_to_the_requests_sent() {
    let server = Setup::default().start().await;
    for _ in 0..3 {
        server.invoke(&json!({"prompt": "a"})).await;
        server.invoke(&json!({})).await;
        answer(server.get("/nowhere")).await;
    }
    let streamed = server.post("/invocations", &json!({"prompt": "a", "stream": true}));
    answer(streamed).await;
    let count = |part: &'static str| server.metric("pyrograph_requests_total", part);
    assert_eq!(count("route=\"/invocations\",status=\"200\"").await, 4.0);
    assert_eq!(count("route=\"/invocations\",status=\"400\"").await, 3.0);
    assert_eq!(count("route=\"other\",status=\"404\"").await, 3.0);
    // Each look at the metrics counts in the next.
    assert_eq!(count("route").await, 13.0);
    let encoded = server
        .metric("pyrograph_stage_seconds_count", "stage=\"encode\"")
        .await;
    assert_eq!(encoded, 4.0);
    assert_eq!(server.metric("pyrograph_requests_running", "sd").await, 0.0);
    let page = answer(server.get("/")).await;
    assert!(
        page.header("content-type").starts_with("text/html") && page.text().contains("pyrograph")
    );
    let document = answer(server.get("/openapi.json")).await.json();
    assert_eq!(
        document["components"]["schemas"]["txt2img"],
        json!({"type": "object"})
    );
}

#[tokio::test]
async fn two_models_of_one_name_are_refused() {
    let server = Setup::default().start().await;
    let twice = vec![server.models[0].clone(), server.models[0].clone()];
    let settings = ServerSettings {
        address: ([127, 0, 0, 1], 0).into(),
        ..ServerSettings::default()
    };
    let metrics = pyrograph_serve::Metrics::new();
    let bound = pyrograph_serve::http::Server::bind(settings, twice, metrics).await;
    assert!(bound.unwrap_err().to_string().contains("`sd` twice"));
}

#[tokio::test]
async fn a_refused_query_leaves_the_connection_whole() {
    let server = Setup::default().start().await;
    let body = vec![b' '; 4 << 20];
    for _ in 0..3 {
        let request = server.raw(
            "/invocations?partial_images=x",
            "application/json",
            body.clone(),
        );
        answer(request)
            .await
            .is_error(400, Some("partial_images"), "whole number");
    }
}
