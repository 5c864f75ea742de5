//! Files in other encodings than UTF-8.

use std::fs;

use pyrograph_data::DataError;
use pyrograph_data::detection::AnnotationError;

use crate::voc::{folder, read};
use crate::{coco, write};

/// Python: `'细胞'.encode('gbk')`.
const CELL_IN_GBK: &[u8] = b"\xcf\xb8\xb0\xfb";

fn annotation(head: &str, name: &[u8]) -> Vec<u8> {
    let start = format!("{head}<annotation><size><width>20</width><height>10</height></size>");
    let end = "</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>";
    [start.as_bytes(), b"<object><name>", name, end.as_bytes()].concat()
}

#[test]
fn classes_are_read_in_the_encoding_that_is_declared() {
    let root = folder();
    let path = root.path().join("Annotations/b.xml");
    write(
        &path,
        annotation("<?xml version='1.0' encoding='GBK'?>", CELL_IN_GBK),
    );
    let set = read(&root, "train").unwrap();
    assert_eq!(set.class_names(), ["dog", "细胞"]);
    let wide: Vec<u8> = String::from_utf8(annotation("", "细胞".as_bytes()))
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write(&path, [&b"\xff\xfe"[..], &wide].concat());
    assert_eq!(read(&root, "train").unwrap(), set);
    write(&path, annotation("", CELL_IN_GBK));
    let error = read(&root, "train").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Annotation(AnnotationError::Encoding { .. })
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("b.xml: line 1 is no UTF-8"),
        "{error}"
    );
}

#[test]
fn a_list_of_powershell_is_read_by_its_mark() {
    let root = folder();
    let wide: Vec<u8> = "b\r\na\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let path = root.path().join("ImageSets/Main/train.txt");
    let set = read(&root, "train").unwrap();
    write(&path, [&b"\xff\xfe"[..], &wide].concat());
    assert_eq!(read(&root, "train").unwrap(), set);
}

#[test]
fn json_may_have_a_mark_but_is_in_utf_8() {
    let with_mark = format!("\u{feff}{}", coco::INSTANCES);
    assert_eq!(
        coco::open(&coco::folder(&with_mark), "train")
            .unwrap()
            .len(),
        2
    );
    let root = coco::folder("");
    let wide: Vec<u8> = with_mark
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(
        root.path().join("annotations/instances_train2017.json"),
        wide,
    )
    .unwrap();
    let text = coco::open(&root, "train").unwrap_err().to_string();
    assert!(
        text.contains("instances_train2017.json: it is in the encoding UTF-16"),
        "{text}"
    );
}
