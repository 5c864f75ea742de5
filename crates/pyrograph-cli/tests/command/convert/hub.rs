//! A repository of the Hub, on a server of the test.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{UNET, manifest, open, pipeline};
use crate::common::{folder, text};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const ID: &str = "somebody/tiny-stable-diffusion";

/// Serves a folder as the Hub serves a repository, and counts the files that it hands out.
struct Server {
    address: String,
    files: Arc<AtomicUsize>,
}

impl Server {
    fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let files = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&files);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, counted) = (root.clone(), Arc::clone(&counted));
                thread::spawn(move || answer(stream, &root, &counted));
            }
        });
        Self { address, files }
    }
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, root: &Path, files: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut request = String::new();
    reader.read_line(&mut request).expect("a request");
    let mut probe = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        let line = line.to_ascii_lowercase();
        probe |= line.starts_with("range: bytes=0-0");
    }
    let place = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let resolve = format!("/{ID}/resolve/{COMMIT}/");
    let (status, headers, body) = if place == format!("/api/models/{ID}/revision/main") {
        ("200 OK", String::new(), listing(root).into_bytes())
    } else if let Some(bytes) = place
        .strip_prefix(&resolve)
        .and_then(|name| fs::read(root.join(name.replace("%2F", "/"))).ok())
    {
        let size = bytes.len();
        let headers = format!(
            "etag: \"{}-{size}\"\r\nx-repo-commit: {COMMIT}\r\ncontent-range: bytes 0-0/{size}\r\n",
            place.replace(['/', '%'], "_")
        );
        match probe {
            true => ("206 Partial Content", headers, bytes[..1].to_vec()),
            false => {
                files.fetch_add(1, Ordering::SeqCst);
                ("200 OK", headers, bytes)
            }
        }
    } else {
        ("404 Not Found", String::new(), b"no such thing".to_vec())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}

/// The files of a repository as the Hub lists them, with some that no pipeline needs.
fn listing(root: &Path) -> String {
    let mut names = vec![
        serde_json::json!({"rfilename": "README.md"}),
        serde_json::json!({"rfilename": "unet/diffusion_pytorch_model.bin"}),
    ];
    for part in ["", "scheduler", "text_encoder", "unet", "vae", "tokenizer"] {
        for entry in fs::read_dir(root.join(part)).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_file() {
                let name = path
                    .strip_prefix(root)
                    .expect("inside")
                    .display()
                    .to_string();
                names.push(serde_json::json!({ "rfilename": name }));
            }
        }
    }
    serde_json::json!({ "sha": COMMIT, "siblings": names }).to_string()
}

fn convert(id: &str, out: &Path, home: &Path, endpoint: &str) -> Output {
    let binary = env!("CARGO_BIN_EXE_pyrograph");
    Command::new(binary)
        .args(["convert", id, "--out", text(out)])
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env("RUST_BACKTRACE", "0")
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .expect("the binary runs")
}

/// Nobody listens here: a port that was free a moment ago.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

#[track_caller]
fn assert_success(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn a_repository_is_fetched_once_and_converts_from_the_cache_without_a_network() {
    let (_guard, path) = folder();
    let (source, home) = (path.join("source"), path.join("home"));
    pipeline(&source);
    let server = Server::start(source.clone());
    let first = path.join("first");
    assert_success(&convert(ID, &first, &home, &server.address));
    let fetched = server.files.load(Ordering::SeqCst);
    // Three networks with their configs, the index, the scheduler, four files of the tokenizer.
    assert_eq!(
        fetched, 12,
        "README.md and the .bin beside the safetensors stay where they are"
    );
    assert_eq!(manifest(&first)["revision"], COMMIT);
    let (ours, theirs) = (open(first.join(UNET)), open(source.join(UNET)));
    assert!(ours.keys().all(|key| ours.get(key) == theirs.get(key)));

    let second = path.join("second");
    assert_success(&convert(ID, &second, &home, &server.address));
    assert_eq!(
        server.files.load(Ordering::SeqCst),
        fetched,
        "the cache is used"
    );

    let third = path.join("third");
    let output = convert(ID, &third, &home, &nobody());
    assert_success(&output);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the cached copy is used"), "{errors}");
    assert_eq!(manifest(&third), manifest(&first));
}

#[test]
fn without_a_network_and_a_cache_the_message_says_how_to_use_a_folder() {
    let (_guard, path) = folder();
    let (home, out) = (path.join("home"), path.join("out"));
    let output = convert(ID, &out, &home, &nobody());
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    for words in [
        ID,
        "the Hub cannot be reached",
        "`pyrograph convert DIR` needs none",
    ] {
        assert!(errors.contains(words), "{errors}");
    }
    assert!(!out.exists());

    let server = Server::start(path.clone());
    let output = convert("somebody/else", &out, &home, &server.address);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    let words = "the Hub has no model `somebody/else` at revision `main`";
    assert!(errors.contains(words), "{errors}");
}
