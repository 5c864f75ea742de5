//! The life of jobs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Running, Setup, answer, until};

async fn start(server: &Running, body: &Value) -> String {
    let accepted = answer(server.post("/v1/jobs", body)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), format!("/v1/jobs/{id}"));
    assert_eq!(accepted.json()["status"], "queued");
    id
}

async fn status(server: &Running, id: &str) -> String {
    let value = answer(server.get(&format!("/v1/jobs/{id}"))).await.json();
    value["status"].as_str().unwrap_or("gone").to_owned()
}

#[tokio::test]
async fn a_job_runs_and_keeps_its_result() {
    let server = Setup::default().start().await;
    let id = start(
        &server,
        &json!({"prompt": "a", "parameters": {"num_inference_steps": 4}}),
    )
    .await;
    until(|| async { status(&server, &id).await == "done" }).await;
    let job = answer(server.get(&format!("/v1/jobs/{id}"))).await.json();
    assert_eq!((&job["step"], &job["steps"]), (&json!(4), &json!(4)));
    assert_eq!(job["result"]["images"][0]["seed"], 7);
    let listed = answer(server.get("/v1/jobs")).await.json();
    assert_eq!(listed["jobs"][0]["id"], json!(id));
    assert!(listed["jobs"][0]["result"].is_null());
    let url = format!("{}/v1/jobs/{id}", server.url);
    assert_eq!(answer(server.client.delete(&url)).await.status, 200);
    answer(server.get(&format!("/v1/jobs/{id}")))
        .await
        .is_error(404, Some("id"), &id);
}

#[tokio::test]
async fn a_cancelled_job_frees_its_place() {
    let server = Setup::default().start().await;
    let id = start(
        &server,
        &json!({"prompt": "a", "parameters": {"num_inference_steps": 5000}}),
    )
    .await;
    until(|| async { status(&server, &id).await == "running" }).await;
    let url = format!("{}/v1/jobs/{id}", server.url);
    assert_eq!(
        answer(server.client.delete(url)).await.json()["status"],
        "cancelled"
    );
    assert_eq!(status(&server, &id).await, "cancelled");
    until(|| async { server.is_idle() }).await;
    assert_eq!(status(&server, &id).await, "cancelled");
}

#[tokio::test]
async fn ended_jobs_are_forgotten_by_their_bytes() {
    let mut setup = Setup::default();
    setup.server.job_bytes = 900;
    let server = setup.start().await;
    let run = async |side: u64, images: u64| {
        let parameters =
            json!({"num_inference_steps": 1, "width": side, "height": side, "num_images": images});
        let id = start(&server, &json!({"prompt": "a", "parameters": parameters})).await;
        until(|| async { status(&server, &id).await == "done" }).await;
        let job = answer(server.get(&format!("/v1/jobs/{id}"))).await;
        assert_eq!(job.header("content-type"), "application/json");
        assert_eq!(job.header("content-length"), job.body.len().to_string());
        let bytes = job.json()["result"].to_string().len();
        (id, bytes)
    };
    let (first, small) = run(8, 1).await;
    let (second, _) = run(8, 1).await;
    assert!(
        (301..=450).contains(&small),
        "{small} bytes: two fit, and not three"
    );
    assert_eq!(status(&server, &first).await, "done");
    let (third, _) = run(8, 1).await;
    assert_eq!(
        status(&server, &first).await,
        "gone",
        "the oldest goes first"
    );
    assert_eq!(status(&server, &second).await, "done");
    let (large, bytes) = run(64, 8).await;
    assert!(bytes > 900, "{bytes} bytes");
    assert_eq!(status(&server, &third).await, "gone");
    assert_eq!(
        status(&server, &large).await,
        "done",
        "a single large one is kept"
    );
}

#[tokio::test]
async fn a_failed_job_tells_why_and_hides_the_cause() {
    let server = Setup::default().start().await;
    let id = start(&server, &json!({"prompt": "fail"})).await;
    until(|| async { status(&server, &id).await == "failed" }).await;
    let job = answer(server.get(&format!("/v1/jobs/{id}"))).await;
    assert_eq!(job.json()["error"]["code"], "internal");
    assert!(!job.text().contains("secret"));
    let refused = answer(server.post("/v1/jobs", &json!({}))).await;
    refused.is_error(400, None, "prompt");
}

#[tokio::test]
async fn ended_jobs_are_forgotten_by_number_and_by_time() {
    let mut setup = Setup::default();
    setup.server.jobs = 2;
    setup.server.job_time = Duration::from_secs(3);
    let server = setup.start().await;
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = start(&server, &body).await;
        until(|| async { status(&server, &id).await != "running" && server.is_idle() }).await;
        ids.push(id);
    }
    until(|| async { status(&server, &ids[0]).await == "gone" }).await;
    until(|| async { status(&server, &ids[2]).await == "gone" }).await;
}

#[tokio::test]
async fn a_job_belongs_to_its_token() {
    let mut setup = Setup::default();
    setup.server.tokens = vec!["first".into(), "second".into()];
    let server = setup.start().await;
    let request = server
        .post("/v1/jobs", &json!({"prompt": "a"}))
        .bearer_auth("first");
    let id = answer(request).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask =
        |token: &'static str| answer(server.get(&format!("/v1/jobs/{id}")).bearer_auth(token));
    assert_eq!(ask("first").await.status, 200);
    ask("second").await.is_error(404, Some("id"), "no job");
    let listed = answer(server.get("/v1/jobs").bearer_auth("second"))
        .await
        .json();
    assert_eq!(listed["jobs"], json!([]));
}
