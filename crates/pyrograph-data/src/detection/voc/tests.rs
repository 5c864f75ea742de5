use std::path::Path;

use proptest::prelude::*;
use pyrograph_vision::BoundingBox;

use super::annotation::Annotation;
use crate::DataError;
use crate::detection::VocCorners;

/// In the manner of VOC2012: a part with a name and a box of its own, and before them those of the object.
const PERSON: &str = r#"<?xml version="1.0"?>
<!-- by hand -->
<annotation>
	<folder>VOC2012</folder>
	<filename>2007_000027.jpg</filename>
	<size><width>486</width><height> 500 </height><depth>3</depth></size>
	<segmented>0</segmented>
	<object>
		<part>
			<name>head</name>
			<bndbox><xmin>209</xmin><ymin>1e2</ymin><xmax>255</xmax><ymax>153</ymax></bndbox>
		</part>
		<name>person</name>
		<actions><other>0</other></actions>
		<difficult>1</difficult>
		<truncated/>
		<bndbox><xmax>349</xmax><xmin>174.5</xmin><ymin>101</ymin><ymax>351</ymax></bndbox>
	</object>
	<object>
		<name>cats &amp; <![CDATA[dogs]]>&#33;</name>
		<truncated>1</truncated>
		<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>
	</object>
</annotation>
"#;

fn parse(text: &str) -> Result<Annotation, DataError> {
    Annotation::parse(text, Path::new("a.xml"), VocCorners::ZeroBased)
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The refusal when one passage takes the place of another.
fn refusal_with(old: &str, new: &str) -> String {
    assert!(PERSON.contains(old), "{old}");
    refusal(&PERSON.replacen(old, new, 1))
}

#[test]
fn an_objects_own_name_and_box_are_read_and_not_those_of_its_parts() {
    let read = parse(PERSON).unwrap();
    assert_eq!(read.filename.as_deref(), Some("2007_000027.jpg"));
    assert_eq!(read.size, Some((486, 500)));
    let [(person, first), (animals, second)] = &read.objects[..] else {
        panic!("{read:?}");
    };
    assert_eq!(
        (person.as_str(), animals.as_str()),
        ("person", "cats & dogs!")
    );
    assert_eq!(first.bbox, BoundingBox::new(174.5, 101.0, 349.0, 351.0));
    assert!(first.difficult && !first.truncated && !first.crowd);
    assert!(!second.difficult && second.truncated);
}

#[test]
fn one_is_taken_from_every_corner_of_the_challenges_data() {
    let read = Annotation::parse(PERSON, Path::new("a.xml"), VocCorners::OneBased).unwrap();
    let boxes: Vec<_> = read.objects.iter().map(|(_, object)| object.bbox).collect();
    let first = BoundingBox::new(173.5, 100.0, 348.0, 350.0);
    assert_eq!(boxes, [first, BoundingBox::new(0.0, 1.0, 2.0, 3.0)]);
}

#[test]
fn an_annotation_may_have_no_objects_and_no_file_name() {
    let size = "<size><width>3</width><height>2</height></size>";
    let read = parse(&format!("\u{feff}<annotation>{size}</annotation>")).unwrap();
    assert_eq!((read.filename, read.size), (None, Some((3, 2))));
    assert!(read.objects.is_empty());
}

#[test]
fn a_size_that_is_missing_or_0_is_left_to_the_image() {
    for (old, new) in [
        ("<width>486</width>", ""),
        ("486", "0"),
        ("486", ""),
        ("486", "0.0"),
        (" 500 ", "0"),
    ] {
        let text = PERSON.replacen(old, new, 1);
        assert_eq!(parse(&text).unwrap().size, None, "{new}");
    }
    let text = PERSON.replacen("486", "486.0", 1);
    assert_eq!(parse(&text).unwrap().size, Some((486, 500)));
}

#[test]
fn what_is_missing_is_named() {
    for (old, missing) in [
        ("<name>person</name>", "object 1 has no name"),
        ("person", "object 1 has no name"),
        ("<xmin>174.5</xmin>", "object 1 has no bndbox/xmin"),
        ("<ymax>4</ymax>", "object 2 has no bndbox/ymax"),
    ] {
        let text = refusal_with(old, "");
        assert_eq!(text, format!("a.xml: {missing}"));
    }
}

#[test]
fn values_that_are_none_are_named_with_what_is_allowed() {
    for (old, new, said) in [
        (
            "486",
            "48.6",
            r#"size/width is "48.6": allowed is a whole number of pixels, or 0 for that of the image file"#,
        ),
        ("486", "-3", r#"size/width is "-3""#),
        ("486", "wide", r#"size/width is "wide""#),
        (
            "174.5",
            "left",
            r#"bndbox/xmin of object 1 is "left": allowed is a number of pixels"#,
        ),
        ("174.5", "", r#"bndbox/xmin of object 1 is """#),
        (
            "<difficult>1",
            "<difficult>maybe",
            r#"difficult of object 1 is "maybe": allowed is 0 or 1"#,
        ),
    ] {
        let text = refusal_with(old, new);
        assert!(text.contains(said), "{text}");
    }
    // Nothing depends on `truncated`.
    let text = PERSON.replacen("<truncated>1", "<truncated>Unspecified", 1);
    assert!(!parse(&text).unwrap().objects[1].1.truncated);
    // A value as long as a file is not repeated in full.
    let text = refusal_with("174.5", &"9x".repeat(10_000));
    assert!(text.len() < 200, "{text}");
}

#[test]
fn text_that_is_no_annotation_is_refused_with_its_line() {
    for (old, new, said) in [
        (
            "</size>",
            "</sizes>",
            "a.xml, line 6: no XML that can be read: there is </sizes> where </size> is needed",
        ),
        ("<?xml version=\"1.0\"?>", "surplus", "line 1"),
        (
            "&amp;",
            "&unheard;",
            "line 20: no XML that can be read: &unheard; is not known, in object 2",
        ),
        (
            "<name>person</name>",
            "<name>a</name><name>b</name>",
            "a second name",
        ),
        (
            "</annotation>\n",
            "</annotation><annotation/>",
            "where one <annotation> is needed",
        ),
        (
            "</annotation>\n",
            "",
            "line 24: no XML that can be read: it ends within <annotation>",
        ),
    ] {
        let text = refusal_with(old, new);
        assert!(text.contains(said), "{text}");
    }
    assert!(refusal("").contains("the file is empty"));
    assert!(refusal("<!-- none -->").contains("there is no <annotation>"));
    let text = refusal_with("2007_000027", "R&D");
    assert!(text.contains("write &amp; for it"), "{text}");
    assert!(refusal("{}").contains("text outside"));
    assert!(refusal("<html></html>").contains("there is <html>"));
}

#[test]
fn elements_deep_in_each_other_are_no_trouble() {
    const DEPTH: usize = 100_000;
    let text = format!("<annotation>{}", "<a>".repeat(DEPTH));
    assert!(refusal(&text).contains("ends within <a>"));
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let whole = PERSON.trim_end();
    for end in (0..whole.len()).filter(|&end| whole.is_char_boundary(end)) {
        assert!(parse(&whole[..end]).is_err(), "{}", &whole[..end]);
    }
}

proptest! {
    #[test]
    fn a_file_with_any_bytes_changed_is_read_or_refused(
        changes in prop::collection::vec((0..PERSON.len(), 0_u8..128), 1..6),
    ) {
        let mut bytes = PERSON.as_bytes().to_vec();
        for (place, byte) in changes {
            bytes[place] = byte;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(read) = parse(&text) {
            prop_assert!(read.size.is_none_or(|(width, height)| width > 0 && height > 0));
            prop_assert!(read.objects.iter().all(|(name, _)| !name.is_empty()));
        }
    }

    #[test]
    fn passages_left_out_or_repeated_are_read_or_refused(
        from in 0..PERSON.len(),
        to in 0..PERSON.len(),
    ) {
        // With from < to a passage is left out, otherwise one comes twice.
        let text = format!("{}{}", &PERSON[..from], &PERSON[to..]);
        if let Ok(read) = parse(&text) {
            prop_assert!(read.size.is_none_or(|(width, height)| width > 0 && height > 0));
        }
    }
}
