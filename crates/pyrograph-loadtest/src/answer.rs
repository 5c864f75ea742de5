//! Facts of an answer: images, and the time of the server's stages.

use serde::{Deserialize, de::IgnoredAny};

/// The images of a body: 1 of type image/*, in JSON the length of the array `images` or `data`, in a stream of events those
/// named `….completed`, otherwise 0.
pub(crate) fn count_images(content_type: &str, body: &[u8]) -> u64 {
    if content_type.starts_with("image/") {
        return 1;
    }
    if is_event_stream(content_type) {
        let text = String::from_utf8_lossy(body);
        let completed = text
            .lines()
            .filter_map(event_of)
            .filter(|event| event.ends_with(".completed"));
        return completed.count() as u64;
    }
    if !is_json(content_type) {
        return 0;
    }
    #[derive(Deserialize)]
    struct Images {
        images: Vec<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Data {
        data: Vec<IgnoredAny>,
    }
    let images = serde_json::from_slice(body).map(|Images { images }| images.len());
    let data = || serde_json::from_slice(body).map(|Data { data }| data.len());
    images.or_else(|_| data()).unwrap_or(0) as u64
}

/// Whether [`count_images`] or [`late_error`] reads the body.
pub(crate) fn is_read(content_type: &str) -> bool {
    is_json(content_type) || is_event_stream(content_type)
}

/// The data of the event `error` in a stream of events, which ends an answer that began with success.
pub(crate) fn late_error(content_type: &str, body: &[u8]) -> Option<String> {
    if !is_event_stream(content_type) {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let mut lines = text
        .lines()
        .skip_while(|line| event_of(line) != Some("error"));
    lines.next()?;
    let data = lines.find_map(|line| line.strip_prefix("data:"));
    Some(words_of_error(data.unwrap_or_default().as_bytes()))
}

fn event_of(line: &str) -> Option<&str> {
    line.strip_prefix("event:").map(str::trim)
}

fn is_event_stream(content_type: &str) -> bool {
    kind(content_type) == "text/event-stream"
}

fn is_json(content_type: &str) -> bool {
    let kind = kind(content_type);
    kind == "application/json" || kind.ends_with("+json")
}

/// A content type without its parameters.
fn kind(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The stages of a `server-timing` header and their milliseconds, as in `queue;dur=1.2, unet;dur=30`.
pub(crate) fn stages(header: &str) -> Vec<(String, f64)> {
    let stage = |entry: &str| {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let duration = parts.find_map(|part| part.strip_prefix("dur="))?;
        let milliseconds: f64 = duration.trim_matches('"').parse().ok()?;
        milliseconds
            .is_finite()
            .then(|| (name.to_owned(), milliseconds))
    };
    header.split(',').filter_map(stage).collect()
}

/// The words of an error's body: `error.message`, or the text itself, cut.
pub(crate) fn words_of_error(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json
        .as_ref()
        .and_then(|json| json["error"]["message"].as_str());
    let text = String::from_utf8_lossy(body);
    let words = message.unwrap_or(text.trim());
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_by_type_and_by_array() {
        assert_eq!(count_images("image/png", b""), 1);
        assert_eq!(
            count_images(
                "application/json",
                br#"{"images": [{}, {}], "seconds": {}}"#
            ),
            2
        );
        assert_eq!(
            count_images(
                "application/json; charset=utf-8",
                br#"{"created": 1, "data": [{}]}"#
            ),
            1
        );
        assert_eq!(count_images("application/json", br#"{"data": "text"}"#), 0);
        assert_eq!(count_images("application/json", b"[["), 0);
        assert_eq!(count_images("text/plain", br#"{"data": [{}]}"#), 0);
    }

    #[test]
    fn events_are_images_when_they_complete_one_and_errors_when_they_say_so() {
        let kind = "text/event-stream; charset=utf-8";
        let good = b"event: image_generation.partial_image\ndata: {}\n\n: keepalive\n\n\
            event: image_generation.completed\ndata: {}\n\n";
        assert_eq!(
            (count_images(kind, good), late_error(kind, good)),
            (1, None)
        );
        let bad = b"event: error\ndata: {\"error\": {\"message\": \"too late\"}}\n\n";
        assert_eq!(count_images(kind, bad), 0);
        assert_eq!(late_error(kind, bad).as_deref(), Some("too late"));
        assert_eq!(late_error("text/plain", bad), None);
    }

    #[test]
    fn stages_are_read_and_malformed_ones_left_out() {
        let read = stages(r#"queue;dur=1.5, unet;desc="a b";dur=30, cache, x;dur=NaN, ;dur=2"#);
        assert_eq!(read, [("queue".to_owned(), 1.5), ("unet".to_owned(), 30.0)]);
        assert!(stages("").is_empty());
    }

    #[test]
    fn the_words_of_an_error_are_its_message_or_the_start_of_its_text() {
        let json = br#"{"error": {"code": "queue_full", "message": "the queue is full"}}"#;
        assert_eq!(words_of_error(json), "the queue is full");
        assert_eq!(words_of_error(b" Bad\nGateway "), "BadGateway");
        assert_eq!(words_of_error(&[b'x'; 5000]).len(), 200);
    }
}
