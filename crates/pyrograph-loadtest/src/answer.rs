//! Facts of an answer: images, and the time of the server's stages.

use serde::{Deserialize, de::IgnoredAny};

/// The images of a body: 1 of type image/*, in JSON the length of the array `images` or `data`, otherwise 0.
pub(crate) fn count_images(content_type: &str, body: &[u8]) -> u64 {
    if content_type.starts_with("image/") {
        return 1;
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

/// Whether the body is to be kept for [`count_images`].
pub(crate) fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
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
