//! Clients that break the rules: the server answers, or closes, and goes on.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;

use super::Server;

const GOOD: &str = "POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 62\r\n\r\n\
    {\"prompt\": \"a\", \"parameters\": {\"num_inference_steps\": 1, \"seed\": 1}}";

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time limit");
        stream
    }

    /// Sends bytes and reads until the server closes or is silent; the status of the first answer.
    fn raw(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        status_of(stream)
    }

    /// Like `raw`, with a socket that stays open until the server closes it.
    fn patient(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        status_of(stream)
    }

    #[track_caller]
    fn still_serves(&self) {
        let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
        let answer = self.answer(self.post("/invocations", &body));
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

/// The status of the first answer.
fn status_of(mut stream: TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let line = String::from_utf8_lossy(&answer);
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

#[test]
fn mutated_requests_never_get_an_answer_of_the_500s() {
    let server = Server::start(&["--header-timeout", "2", "--body-timeout", "2"]);
    let length = GOOD.split("\r\n\r\n").nth(1).unwrap().len();
    let good = GOOD.replace("62", &length.to_string());
    let mut random = Random(7);
    for round in 0..150 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[place] = random.below(256) as u8,
                1 => drop(bytes.drain(place..(place + random.below(20)).min(bytes.len()))),
                2 => bytes.insert(place, b"\"{}[]\\\r\n\0:,"[random.below(11)]),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let status = server.raw(&bytes);
        // A mutated number of steps may be too long a request: the client's half-closed socket ends it.
        assert!(
            status.is_none_or(|status| status < 500),
            "round {round}: {status:?} to {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    server.still_serves();
}

#[test]
fn mutated_bodies_never_get_an_answer_of_the_500s() {
    let server = Server::start(&["--max-steps", "2", "--steps", "2"]);
    let values = [
        json!(null),
        json!(-1),
        json!(1e308),
        json!("\u{0}\u{fffd}"),
        json!([[]]),
        json!({"a": {}}),
        json!(u64::MAX),
        json!(0.5),
        json!("((((("),
        json!("data:image/png;base64,AAAA"),
    ];
    let fields = [
        "prompt",
        "negative_prompt",
        "image",
        "mask",
        "strength",
        "parameters",
        "model",
        "n",
        "size",
        "stream",
    ];
    let parameters = [
        "num_inference_steps",
        "guidance_scale",
        "width",
        "height",
        "seed",
        "num_images",
        "scheduler",
        "guidance_rescale",
        "cache_interval",
        "cache_branch",
        "gate_step",
        "merge_ratio",
        "merge_levels",
        "guidance_from",
        "guidance_until",
    ];
    let mut random = Random(11);
    for _ in 0..150 {
        let mut body = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
        for _ in 0..=random.below(3) {
            let value = values[random.below(values.len())].clone();
            match random.below(2) {
                0 => body[fields[random.below(fields.len())]] = value,
                _ if body["parameters"].is_object() => {
                    body["parameters"][parameters[random.below(parameters.len())]] = value;
                }
                _ => {}
            }
        }
        for route in ["/invocations", "/v1/images/generations", "/v1/jobs"] {
            let answer = server.answer(server.post(route, &body));
            assert!(
                answer.status.as_u16() < 500,
                "{route} {} to {body}: {}",
                answer.status,
                answer.text()
            );
        }
    }
    server.still_serves();
}

#[test]
fn slow_and_half_closed_clients_are_closed_in_time() {
    let server = Server::start(&["--header-timeout", "1", "--body-timeout", "1"]);
    let begun = Instant::now();
    let mut slow_headers = server.connect();
    slow_headers
        .write_all(b"POST /invocations HTTP/1.1\r\nhost: a\r\nx-slow: ")
        .unwrap();
    let mut slow_body = server.connect();
    slow_body
        .write_all(b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        .unwrap();
    for stream in [&mut slow_headers, &mut slow_body] {
        let mut answer = Vec::new();
        // An answer (408) or none; the end in any case.
        stream.read_to_end(&mut answer).expect("the server closes");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 408"),
            "{text}"
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    server.still_serves();
}

#[test]
fn many_idle_connections_do_not_stop_the_server() {
    let server = Server::start(&["--connections", "50"]);
    // More than the limit, and fewer than that and its reserve.
    let idle: Vec<_> = (0..150).map(|_| server.connect()).collect();
    for _ in 0..20 {
        let ping = b"GET /ping HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        assert_eq!(server.patient(ping), Some(200), "{}", server.log());
    }
    let length = GOOD.split("\r\n\r\n").nth(1).map_or(0, str::len);
    let good = GOOD.replace("62", &length.to_string());
    assert_eq!(server.patient(good.as_bytes()), Some(503));
    drop(idle);
    let begun = Instant::now();
    let body = json!({"prompt": "a", "parameters": {"num_inference_steps": 1}});
    loop {
        let answer = server.answer(server.post("/invocations", &body));
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    server.still_serves();
}
