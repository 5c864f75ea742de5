//! Clients that break the rules.

use std::time::Duration;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{LONG, Setup, answer, until};

#[tokio::test]
async fn slow_headers_and_bodies_are_closed_in_time() {
    let mut setup = Setup::default();
    setup.server.header_timeout = Duration::from_millis(300);
    setup.server.body_timeout = Duration::from_millis(300);
    let server = setup.start().await;
    let start = |text: &'static str| {
        let address = server.address;
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let read = tokio::time::timeout(LONG, stream.read_to_string(&mut answer)).await;
            read.expect("the server closes").unwrap();
            answer
        }
    };
    assert_eq!(start("").await, "");
    assert_eq!(
        start("POST /invocations HTTP/1.1\r\nhost: a\r\nx-slow: ").await,
        ""
    );
    let body = start("POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{").await;
    assert!(
        body.starts_with("HTTP/1.1 408") && body.contains("\"timeout\""),
        "{body}"
    );
    assert_eq!(server.invoke(&json!({"prompt": "a"})).await.status, 200);
}

#[tokio::test]
async fn a_connection_waits_for_its_next_request_longer_than_for_a_slow_head() {
    let mut setup = Setup::default();
    setup.server.header_timeout = Duration::from_millis(300);
    let server = setup.start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answers = 0;
    for _ in 0..2 {
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        answers += usize::from(bytes[..count].starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(answers, 2);
    // The head of the third request does not end.
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
    closed.expect("the server closes").unwrap();
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn connections_beyond_the_limit_get_health_checks_and_a_refusal() {
    let mut setup = Setup::default();
    setup.server.connections = 4;
    let server = setup.start().await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    for path in ["/ping", "/livez", "/readyz"] {
        let health = answer(server.get(path)).await;
        assert_eq!(
            (health.status.as_u16(), health.header("connection")),
            (200, "close")
        );
    }
    let body = json!({"prompt": "a"});
    let refused = server.invoke(&body).await;
    refused.is_error(503, None, "too many connections");
    assert_eq!(refused.header("retry-after"), "1");
    let large = server.raw("/invocations", "image/png", vec![0; 1 << 20]);
    answer(large).await.is_error(503, None, "");
    drop(idle);
    until(|| async { server.invoke(&body).await.status == 200 }).await;
}

#[tokio::test]
async fn connections_above_the_reserve_are_closed_at_once() {
    let mut setup = Setup::default();
    setup.server.connections = 4;
    let server = setup.start().await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    // The last ones find no place, and the reserve closes the idle ones soon.
    let last = idle.last_mut().unwrap();
    let end = tokio::time::timeout(LONG, last.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the server closes");
    let health = || async {
        server
            .get("/ping")
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    };
    until(health).await;
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// An object with fields that the routes know.
fn body() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "prompt",
        "negative_prompt",
        "image",
        "mask",
        "strength",
        "model",
        "n",
        "size",
        "stream",
        "quality",
        "partial_images",
        "output_format",
        "output_compression",
        "background",
        "response_format",
        "user",
        "seed",
    ]);
    let parameters = prop::sample::select(vec![
        "width",
        "height",
        "seed",
        "num_images",
        "guidance_scale",
    ]);
    let fields = prop::collection::vec((names, value()), 0..4);
    let parameters = prop::collection::vec((parameters, value()), 0..3);
    (fields, parameters, any::<bool>()).prop_map(|(fields, parameters, is_whole)| {
        let mut body = Map::new();
        body.insert("prompt".into(), json!("a"));
        if is_whole {
            let parameters = parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            body.insert("parameters".into(), Value::Object(parameters.collect()));
        }
        body.extend(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        Value::Object(body)
    })
}

#[tokio::test]
async fn no_json_gets_an_answer_of_the_500s() {
    let server = Setup::default().start().await;
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let strategy = prop_oneof![3 => body().boxed(), 1 => value().boxed()];
    for _ in 0..150 {
        let body = strategy.new_tree(&mut runner).unwrap().current();
        for route in ["/invocations", "/v1/images/generations", "/v1/jobs"] {
            let answer = answer(server.post(route, &body)).await;
            let status = answer.status.as_u16();
            assert!(
                status < 500,
                "{route}: {status} to {body}: {}",
                answer.text()
            );
            if status >= 400 {
                assert!(answer.json()["error"]["code"].is_string());
            }
        }
    }
}

#[tokio::test]
async fn mutated_requests_leave_the_server_whole() {
    let server = Setup::default().start().await;
    let good = b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        content-length: 15\r\n\r\n{\"prompt\": \"a\"}";
    let mut state = 7_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for round in 0..100 {
        let mut bytes = good.to_vec();
        for _ in 0..=below(4) {
            let place = below(bytes.len());
            match below(3) {
                0 => bytes[place] = below(256) as u8,
                1 => drop(bytes.drain(place..(place + below(20)).min(bytes.len()))),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut text = Vec::new();
        let read = tokio::time::timeout(LONG, stream.read_to_end(&mut text)).await;
        assert!(read.is_ok(), "round {round}: the server does not close");
        assert!(
            !text.starts_with(b"HTTP/1.1 5"),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    assert_eq!(server.invoke(&json!({"prompt": "a"})).await.status, 200);
}
