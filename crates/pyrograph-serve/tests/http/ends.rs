//! Clients that go away, and the end of the server.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{LONG, Running, Setup, until};

const LONG_BODY: &str = "{\"prompt\": \"a\", \"parameters\": {\"num_inference_steps\": 5000}}";

/// A socket on which a long request has been sent and has begun.
async fn begun(server: &Running, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}\
        content-length: {}\r\n\r\n{LONG_BODY}",
        LONG_BODY.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let before = server.steps.load(Ordering::SeqCst);
    until(|| async { server.steps.load(Ordering::SeqCst) > before }).await;
    stream
}

/// Waits until no request runs, and holds that no further step is taken.
async fn is_freed(server: &Running) {
    until(|| async { server.is_idle() }).await;
    let steps = server.steps.load(Ordering::SeqCst);
    assert!(steps < 4000, "{steps} steps: the request was not cancelled");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.steps.load(Ordering::SeqCst), steps);
}

#[tokio::test]
async fn a_closed_socket_cancels_its_request() {
    let server = Setup::default().start().await;
    drop(begun(&server, "").await);
    is_freed(&server).await;
    let left = server
        .metric("pyrograph_requests_total", "status=\"499\"")
        .await;
    assert_eq!(left, 1.0);
}

#[tokio::test]
async fn a_half_closed_socket_cancels_its_request() {
    let server = Setup::default().start().await;
    let mut stream = begun(&server, "").await;
    stream.shutdown().await.unwrap();
    is_freed(&server).await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the server closes its side");
}

#[tokio::test]
async fn a_closed_stream_of_events_cancels_its_request() {
    let server = Setup::default().start().await;
    drop(begun(&server, "accept: text/event-stream\r\n").await);
    is_freed(&server).await;
    let left = server
        .metric("pyrograph_requests_total", "status=\"499\"")
        .await;
    assert_eq!(left, 1.0);
}

#[tokio::test]
async fn a_shutdown_lets_running_requests_end() {
    let mut server = Setup::default().start().await;
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 60}});
    let requests: Vec<_> = (0..3)
        .map(|_| tokio::spawn(server.post("/invocations", &body).send()))
        .collect();
    until(|| async {
        server.steps.load(Ordering::SeqCst) > 0
            && server.metric("pyrograph_requests_waiting", "sd").await == 2.0
    })
    .await;
    server.shut_down();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    tokio::time::timeout(LONG, &mut server.task)
        .await
        .expect("an end")
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_shutdown_refuses_what_does_not_end_in_time() {
    let mut setup = Setup::default();
    setup.server.grace = Duration::from_millis(300);
    let mut server = setup.start().await;
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 5000}});
    let running = tokio::spawn(server.post("/invocations", &body).send());
    until(|| async { server.steps.load(Ordering::SeqCst) > 0 }).await;
    server.shut_down();
    let response = running.await.unwrap().expect("an answer");
    assert_eq!(response.status(), 503);
    tokio::time::timeout(LONG, &mut server.task)
        .await
        .expect("an end")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_server_that_shuts_down_refuses_new_requests_of_old_connections() {
    let mut server = Setup::default().start().await;
    let running = tokio::spawn(
        server
            .post(
                "/invocations",
                &json!({"prompt": "a", "parameters": {"num_inference_steps": 100}}),
            )
            .send(),
    );
    until(|| async { server.steps.load(Ordering::SeqCst) > 0 }).await;
    // A request whose body is still on its way.
    let mut late = TcpStream::connect(server.address).await.unwrap();
    late.write_all(
        b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-length: 15\r\n\r\n{\"prompt\"",
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    server.shut_down();
    until(|| async { server.models[0].admit().is_err() }).await;
    late.write_all(b": \"a\"}").await.unwrap();
    let mut text = String::new();
    late.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
}
