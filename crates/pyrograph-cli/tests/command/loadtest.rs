//! `loadtest` against small servers.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::common::*;

const PNG: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 3\r\nconnection: close\r\n\r\npng";
const BUSY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";

/// Answers connection i with `answers[i % len]` after `delay`; returns the address of `/`.
fn serve(answers: &'static [&'static [u8]], delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for (stream, answer) in listener.incoming().zip(answers.iter().cycle()) {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut request = [0; 8192];
                let _ = stream.read(&mut request);
                thread::sleep(delay);
                let _ = stream.write_all(answer);
            });
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_load_test_writes_its_report_its_picture_and_the_first_answer() {
    let url = serve(&[PNG, PNG, PNG, BUSY], Duration::ZERO);
    let (_guard, path) = folder();
    let files = ["report.json", "plot.png", "first.png"].map(|name| path.join(name));
    let arguments = [
        "loadtest",
        "--url",
        &url,
        "-n",
        "40",
        "-c",
        "2",
        "--prompt",
        "a cat",
        "--json",
        "--out",
        text(&files[0]),
        "--plot",
        text(&files[1]),
        "--save-first",
        text(&files[2]),
    ];
    let printed: Value = serde_json::from_str(&succeeds(&arguments)).expect("JSON");
    assert_eq!(
        (printed["succeeded"].as_u64(), printed["images"].as_u64()),
        (Some(30), Some(30))
    );
    assert_eq!(printed["errors"], serde_json::json!({"status 429": 10}));
    assert_eq!(printed["error_messages"]["status 429"], "busy");
    assert_eq!(
        (
            &printed["settings"]["loop"],
            &printed["settings"]["clients"]
        ),
        (&"closed".into(), &2.into())
    );
    assert_eq!(printed["latency"]["spread"]["resamples"], 2000);
    let written = fs::read_to_string(&files[0]).expect("the report");
    assert_eq!(
        serde_json::from_str::<Value>(&written).expect("JSON"),
        printed
    );
    assert!(
        fs::read(&files[1])
            .expect("the picture")
            .starts_with(b"\x89PNG")
    );
    assert_eq!(fs::read(&files[2]).expect("the answer"), b"png");
    let strict = pyrograph(&["loadtest", "--url", &url, "-n", "8", "--fail-on-error"]);
    assert_eq!(strict.status.code(), Some(1));
}

#[test]
fn the_articles_preset_prints_its_figures_beside_the_published_ones() {
    let url = serve(&[PNG], Duration::ZERO);
    let text = succeeds(&["loadtest", "--url", &url, "--preset", "article"]);
    for words in [
        "10 requests",
        "P95",
        "2276 ms",
        "2250 ms",
        "2217 ms",
        "another machine",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let open = succeeds(&[
        "loadtest",
        "--url",
        &url,
        "-n",
        "30",
        "--rate",
        "300",
        "--arrivals",
        "poisson",
        "--warmup",
        "2",
    ]);
    assert!(
        open.contains("open loop, 300 requests/s (poisson)") && open.contains("from sending"),
        "{open}"
    );
}

#[test]
fn a_server_that_is_not_there_fails_the_load_test_early() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    let output = pyrograph(&["loadtest", "--url", &url, "-n", "500"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("10 × connect") && text.contains("found no connection"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_prints_the_requests_that_ended() {
    let url = serve(&[PNG], Duration::from_millis(20));
    let child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(["loadtest", "--url", &url, "-n", "1000000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    thread::sleep(Duration::from_millis(1500));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
    let output = child.wait_with_output().expect("the end");
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ending"], "interrupted");
    assert!(
        report["requests"].as_u64().expect("a number") > 0,
        "{report}"
    );
}

#[test]
fn wrong_load_tests_are_refused_before_a_request_is_sent() {
    let (_guard, path) = folder();
    let (missing, empty, lines) = (
        path.join("missing.json"),
        path.join("empty"),
        path.join("bodies.jsonl"),
    );
    fs::write(&empty, "\n").expect("a file");
    fs::write(&lines, "{}\n\n{\n").expect("a file");
    let refused = |more: &[&str], words: &[&str]| {
        refuses(
            &[&["loadtest", "--url", "http://127.0.0.1:1/"], more].concat(),
            words,
        );
    };
    refuses(&["loadtest"], &["--url"]);
    refuses(&["loadtest", "--url", "nonsense"], &["nonsense", "http://"]);
    refuses(
        &["loadtest", "--url", "ftp://host/"],
        &["`ftp`", "http or https"],
    );
    refused(&["-n", "0"], &["number of requests is 0"]);
    refused(&["-c", "0"], &["number of clients is 0"]);
    for rate in ["0", "-1", "NaN", "inf"] {
        refused(&["--rate", rate], &[rate, "above 0"]);
    }
    refused(&["--rate", "1", "-c", "2"], &["--rate", "--clients"]);
    refused(
        &["--rate", "1", "--max-in-flight", "0"],
        &["in flight is 0"],
    );
    refused(&["--arrivals", "poisson"], &["--rate"]);
    refused(
        &["--body", text(&empty), "--data", "{}"],
        &["--body", "--data"],
    );
    refused(&["--prompt", "a", "--data", "{}"], &["--prompt", "--data"]);
    refused(&["--data", "{"], &["--data is no JSON"]);
    refused(&["--body", text(&missing)], &["--body", "missing.json"]);
    refused(&["--bodies", text(&empty)], &["--bodies", "no line"]);
    refused(&["--bodies", text(&lines)], &["line 3"]);
    refused(&["--token-file", text(&empty)], &["--token-file", "empty"]);
    refused(&["--header", "nonsense"], &["nonsense", "X-Key: value"]);
    refused(&["--header", "a b: c"], &["`a b`"]);
    refused(&["--duration", "-1"], &["--duration is -1"]);
    refused(&["--timeout", "0"], &["--timeout is 0"]);
    refused(
        &["--preset", "article", "-c", "2"],
        &["--preset", "--clients"],
    );
    refused(&["--out", text(&path)], &[text(&path)]);
    refused(
        &["--body", text(&lines), "--out", text(&lines)],
        &["overwrite the input"],
    );
}
