//! `serve` as its clients meet it: the binary, over sockets.

mod answers;
mod ends;
mod hostile;
mod usage;

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{common::text, pictures::pipeline};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);

/// A server of the tiny pipeline, which is ready.
struct Server {
    child: Child,
    url: String,
    port: u16,
    runtime: Runtime,
    client: Client,
    folder: TempDir,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = pipeline("base", folder.path());
        let server = Self::of(folder, &["--model", text(&model)], more);
        server.until("the server is ready", || async {
            server.status("/ping").await == Some(200)
        });
        server
    }

    /// A server that may still load.
    fn of(folder: TempDir, model: &[&str], more: &[&str]) -> Self {
        // A port that was free a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let log = File::create(folder.path().join("log")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
            .args(["serve", "--port", &port.to_string()])
            .args(model)
            .args(more)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            port,
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime"),
            client: Client::builder().timeout(LONG).build().expect("a client"),
            folder,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    /// The status of a GET; nothing where nobody listens.
    async fn status(&self, path: &str) -> Option<u16> {
        let response = self.client.get(format!("{}{path}", self.url)).send().await;
        response.ok().map(|response| response.status().as_u16())
    }

    #[track_caller]
    fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let begun = Instant::now();
        while !self.runtime.block_on(holds()) {
            assert!(
                begun.elapsed() < LONG,
                "{what}: waited for too long\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).json(body)
    }

    /// The answer to a request: status, headers and body.
    #[track_caller]
    fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime
            .block_on(async { Answer::of(request.send().await.expect("an answer")).await })
    }

    /// The text of `/metrics`.
    async fn metrics_now(&self) -> String {
        let response = self
            .client
            .get(format!("{}/metrics", self.url))
            .send()
            .await;
        response.expect("an answer").text().await.expect("text")
    }

    fn metrics(&self) -> String {
        self.runtime.block_on(self.metrics_now())
    }

    /// Whether nothing waits or runs.
    async fn is_idle(&self) -> bool {
        let text = self.metrics_now().await;
        ["pyrograph_requests_running{", "pyrograph_requests_waiting{"]
            .iter()
            .all(|name| {
                text.lines()
                    .any(|line| line.starts_with(name) && line.ends_with(" 0"))
            })
    }

    /// The sum of the samples of a metric whose line holds `part`.
    fn metric(&self, name: &str, part: &str) -> f64 {
        let text = self.metrics();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(part));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    #[track_caller]
    fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                begun.elapsed() < LONG,
                "the server does not end\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await.expect("a body").to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]).into_owned()
    }

    /// Holds the answer to be an error of `status` whose message has every one of `words`.
    #[track_caller]
    fn is_error(&self, status: u16, words: &[&str]) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let error = &self.json()["error"];
        let said = error.to_string();
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
        assert_eq!(
            error["request_id"].as_str(),
            Some(self.header("x-request-id")),
            "{said}"
        );
    }
}

/// The picture of a PNG.
fn picture(bytes: &[u8], folder: &Path) -> pyrograph::vision::RgbImage {
    let path = folder.join("answer.png");
    fs::write(&path, bytes).expect("writable");
    pyrograph::vision::read_image(&path).expect("a picture")
}
