//! What bodies have in common.

use pyrograph_vision::Rgb;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    width: Option<Whole>,
    guidance: Option<f64>,
}

fn field(body: Value) -> Option<String> {
    let refusal = read::<Body>(body).expect_err("refused");
    assert_eq!(refusal.kind, RefusalKind::BadRequest, "{refusal}");
    refusal.field
}

#[test]
fn what_does_not_read_is_refused_with_its_path() {
    let named = |path: &str| Some(path.to_owned());
    let width = "parameters.width";
    for value in [json!("8"), json!(8.5), json!([]), json!(true)] {
        assert_eq!(field(json!({"parameters": {"width": value}})), named(width));
    }
    let unknown = json!({"parameters": {"hight": 8}});
    assert_eq!(field(unknown), named("parameters.hight"));
    assert_eq!(field(json!({"size": 8})), named("size"));
    assert_eq!(field(json!({"parameters": 8})), named("parameters"));
    assert_eq!(field(json!([1])), None);
    assert_eq!(field(json!("text")), None);
}

#[test]
fn what_does_not_read_is_told_in_the_words_of_json() {
    let message = |body| read::<Body>(body).expect_err("refused").message;
    let body: Body = read(json!({"parameters": {"guidance": 7}})).expect("a number");
    let guidance = body.parameters.and_then(|parameters| parameters.guidance);
    assert_eq!(guidance, Some(7.0));
    let guidance = message(json!({"parameters": {"guidance": "7"}}));
    assert!(guidance.ends_with("expected a number"), "{guidance}");
    let unknown = message(json!({"size": 8}));
    for name in [
        "`size`",
        "`parameters`",
        "`model`",
        "`stream`",
        "`partial_images`",
    ] {
        assert!(unknown.contains(name), "{unknown}");
    }
    let below = message(json!({"parameters": {"hight": 8}}));
    assert!(
        below.contains("`width`") && !below.contains("`model`"),
        "{below}"
    );
    let url = image_of("image", "https://example.org/cat.png", &Limits::default());
    let url = url.expect_err("a URL").message;
    assert!(url.contains("URLs are not fetched"), "{url}");
}

#[test]
fn openais_fields_have_no_effect_unless_they_cannot_be_served() {
    let body = json!({
        "quality": "high", "style": "vivid", "moderation": null, "user": "me",
        "background": "opaque", "response_format": "b64_json",
    });
    assert!(read::<Body>(body).expect("reads").parameters.is_none());
    for (name, value) in [
        ("background", json!("transparent")),
        ("background", json!("red")),
        ("response_format", json!("url")),
        ("user", json!(3)),
    ] {
        assert_eq!(field(json!({ name: value })), Some(name.to_owned()));
    }
}

#[test]
fn whole_numbers_are_read_in_any_form_and_refused_outside_their_range() {
    let width = |value: Value| {
        let body: Body = read(json!({"parameters": {"width": value}})).expect("a number");
        let width = body.parameters.and_then(|parameters| parameters.width);
        width.expect("given").count("parameters.width", 8, 64)
    };
    assert_eq!(width(json!(8)), Ok(8));
    assert_eq!(width(json!(64.0)), Ok(64));
    for value in [
        json!(-8),
        json!(7),
        json!(65),
        json!(1e300),
        json!(u64::MAX),
    ] {
        let refusal = width(value).expect_err("outside");
        assert_eq!(refusal.kind, RefusalKind::Invalid);
        assert!(refusal.message.contains("8 to 64"), "{refusal}");
    }
}

#[test]
fn a_seed_is_random_or_leaves_room_for_all_images() {
    assert!(seed_of(None, 1).expect("random") < 1 << 32);
    assert_ne!(seed_of(None, 1), seed_of(None, 1));
    let last = Some(Whole(u64::MAX.into()));
    assert_eq!(seed_of(last, 1), Ok(u64::MAX));
    let refusal = seed_of(last, 3).expect_err("no room");
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    for word in ["18446744073709551615", "18446744073709551613 with 3 images"] {
        assert!(refusal.message.contains(word), "{refusal}");
    }
}

#[test]
fn images_are_read_from_base64_in_all_its_forms() {
    let image = RgbImage::from_pixel(3, 2, Rgb([1, 2, 3]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    let png = pyrograph_vision::image::ImageFormat::Png;
    image.write_to(&mut bytes, png).expect("writes");
    let text = base64::prelude::BASE64_STANDARD.encode(bytes.get_ref());
    let limits = Limits::default();
    let (start, end) = text.split_at(20);
    for text in [
        text.clone(),
        text.trim_end_matches('=').to_owned(),
        format!("data:image/png;base64,{text}"),
        format!("{start}\r\n{end}\n"),
    ] {
        assert_eq!(image_of("image", &text, &limits).as_ref(), Ok(&image));
    }
    let few = Limits {
        input_pixels: 5,
        ..Limits::default()
    };
    let refused = |text: &str, limits| image_of("mask", text, limits).expect_err("refused");
    assert_eq!(refused(&text, &few).kind, RefusalKind::TooLarge);
    for bad in [
        "",
        "####",
        "aGVsbG8=",
        "data:image/png,abc",
        "data:",
        &text[..40],
    ] {
        let refusal = refused(bad, &limits);
        assert_eq!(refusal.kind, RefusalKind::BadRequest, "{bad}");
        assert_eq!(refusal.field.as_deref(), Some("mask"));
    }
}
