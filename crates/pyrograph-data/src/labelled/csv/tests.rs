mod as_found;

use proptest::prelude::*;

use super::*;
use crate::labelled::LabelColumn;

fn reading(
    bytes: &[u8],
    change: impl Fn(&mut LabelledReader),
) -> Result<LabelledReading, DataError> {
    let mut reader = LabelledReader::strict(Split::Train);
    change(&mut reader);
    let text = Text::of_bytes(Path::new("digits.csv"), bytes);
    read_text(&reader, &text, &mut |_, _| ())
}

fn read(text: &str) -> Result<LabelledImages, DataError> {
    Ok(reading(text.as_bytes(), |_| ())?.images)
}

/// Ten images of 4 by 4 pixels, each pixel of another value.
fn images() -> Vec<(usize, Vec<usize>)> {
    let pixels = |image: usize| (0..16).map(move |place| image * 16 + place).collect();
    (0..10).map(|image| (image % 5, pixels(image))).collect()
}

/// Lines of fields that `order` puts together from a label and pixels.
fn lines(order: impl Fn(usize, usize, &[usize]) -> Vec<usize>) -> String {
    let rows = images().into_iter().enumerate();
    let line = rows.map(|(row, (label, pixels))| {
        let fields = order(row, label, &pixels);
        let fields: Vec<String> = fields.iter().map(usize::to_string).collect();
        fields.join(",") + "\n"
    });
    line.collect()
}

fn header(names: &[&str], pixels: std::ops::Range<usize>) -> String {
    let pixels = pixels.map(|place| format!("pixel{place}"));
    let names = names.iter().map(|&name| match name {
        "*" => pixels.clone().collect::<Vec<_>>().join(","),
        name => name.to_owned(),
    });
    names.collect::<Vec<_>>().join(",") + "\n"
}

/// Label first, without a header.
fn plain() -> LabelledImages {
    let text = lines(|_, label, pixels| [&[label], pixels].concat());
    read(&text).unwrap()
}

#[test]
fn the_header_says_where_the_label_is_and_what_is_no_pixel() {
    let last = lines(|_, label, pixels| [pixels, &[label]].concat());
    let indexed = lines(|row, label, pixels| [&[row, label], pixels].concat());
    let cases = [
        (header(&["*", "class"], 0..16), last.clone()),
        (header(&["*", "y"], 1..17), last.clone()),
        (header(&["*", "what"], 0..16), last),
        (header(&["", "label", "*"], 0..16), indexed.clone()),
        (header(&["Unnamed: 0", "Label", "*"], 0..16), indexed),
    ];
    for (header, rows) in cases {
        let set = read(&(header.clone() + &rows)).unwrap();
        assert_eq!(set, plain(), "{header}");
    }
}

#[test]
fn pixels_are_read_in_the_order_of_their_numbers() {
    // As a sort by name puts them: pixel0, pixel1, pixel10, …
    let mut order: Vec<usize> = (0..16).collect();
    order.sort_by_key(|place| format!("pixel{place}"));
    let names: Vec<String> = order.iter().map(|place| format!("pixel{place}")).collect();
    let rows = lines(|_, label, pixels| {
        let sorted = order.iter().map(|&place| pixels[place]);
        std::iter::once(label).chain(sorted).collect()
    });
    let text = format!("label,{}\n{rows}", names.join(","));
    let read = reading(text.as_bytes(), |_| ()).unwrap();
    assert_eq!(read.images, plain());
    assert!(
        read.remarks[0].contains("another order"),
        "{:?}",
        read.remarks
    );
}

#[test]
fn a_label_that_stands_last_without_a_header_is_guessed_and_said() {
    let text = lines(|_, label, pixels| {
        let mut pixels = pixels.to_vec();
        pixels[0] = 0;
        [&pixels[..], &[label]].concat()
    });
    let guessed = reading(text.as_bytes(), |_| ()).unwrap();
    assert_eq!(guessed.images.labels(), plain().labels());
    assert!(guessed.remarks[0].contains("--label-column first"));
    let told = reading(text.as_bytes(), |reader| {
        reader.options.label_column = LabelColumn::First;
    });
    let told = told.unwrap();
    assert_eq!(told.images.labels(), [0; 10]);
    assert!(told.remarks.is_empty(), "{:?}", told.remarks);
}

#[test]
fn row_numbers_and_no_label_are_refused_or_read_without_labels() {
    let rows: String = (0..12)
        .map(|row| format!("{row}{}\n", ",7".repeat(16)))
        .collect();
    let named = header(&["", "*"], 0..16) + &rows;
    let bare: String = (0..12).map(|_| format!("9{}\n", ",7".repeat(15))).collect();
    for text in [&rows, &named, &bare] {
        let error = read(text).unwrap_err();
        assert!(
            matches!(error, DataError::Csv(CsvError::NoLabel { side: 4, .. })),
            "{error}"
        );
        let read = reading(text.as_bytes(), |reader| reader.unlabelled = true).unwrap();
        assert!(!read.has_labels);
        assert_eq!((read.images.len(), read.images.width()), (12, 4));
        assert_eq!(read.images.class_counts(), [12]);
        assert_eq!(read.images.pixels(3)[1], 7);
    }
}

#[test]
fn columns_that_could_be_labels_are_told_by_name_or_number() {
    let rows = lines(|_, label, pixels| {
        let (first, rest) = pixels.split_at(1);
        [first, &[label], rest].concat()
    });
    let text = header(&["pixel0", "label", "*"], 1..16) + &rows;
    let error = read(&text).unwrap_err().to_string();
    assert!(
        error.contains("--label-column") && error.contains("column 2 of 17"),
        "{error}"
    );
    for name in ["label", "LABEL", "2"] {
        let told = reading(text.as_bytes(), |reader| {
            reader.options.label_column = name.parse().unwrap();
        });
        assert_eq!(told.unwrap().images, plain(), "{name}");
    }
    let wrong = reading(text.as_bytes(), |reader| {
        reader.options.label_column = "digit".parse().unwrap();
    });
    assert!(matches!(
        wrong,
        Err(DataError::Csv(CsvError::LabelColumn { .. }))
    ));
}

#[test]
fn separators_and_encodings_change_nothing() {
    let text = header(&["label", "*"], 0..16) + &lines(|_, l, p| [&[l], p].concat());
    for separator in [";", "\t", "|", " ", "  ", "; "] {
        let other = text.replace(',', separator);
        assert_eq!(read(&other).unwrap(), plain(), "{separator:?}");
    }
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [&b"\xFF\xFE"[..], &little].concat();
    let big_marked = [&b"\xFE\xFF"[..], &big].concat();
    for bytes in [&little, &big, &marked, &big_marked] {
        assert_eq!(reading(bytes, |_| ()).unwrap().images, plain());
    }
    let odd = reading(&marked[..marked.len() - 1], |_| ());
    assert!(matches!(odd, Err(DataError::Csv(CsvError::NotText { .. }))));
    let zip = reading(b"PK\x03\x04...", |_| ());
    assert!(matches!(zip, Err(DataError::Csv(CsvError::NotText { .. }))));
    let old_mac = reading(text.replace('\n', "\r").as_bytes(), |_| ());
    assert!(matches!(
        old_mac,
        Err(DataError::Csv(CsvError::NotText { .. }))
    ));
}

#[test]
fn pixels_of_0_and_1_are_black_and_white_and_other_scales_are_told() {
    let text = "3,0,1,1,0\n4,1,0,0,0\n";
    let guessed = reading(text.as_bytes(), |_| ()).unwrap();
    assert_eq!(guessed.images.pixels(0), [0, 255, 255, 0]);
    assert_eq!(guessed.white_level, Some(1));
    assert!(guessed.remarks[0].contains("--white-level 255"));
    let with = |text: &str, white| {
        reading(text.as_bytes(), move |reader| {
            reader.options.white_level = Some(white);
        })
    };
    assert_eq!(with(text, 255).unwrap().images.pixels(0), [0, 1, 1, 0]);
    assert_eq!(
        with("3,0,0.5,0.0039,1\n", 1).unwrap().images.pixels(0),
        [0, 128, 1, 255]
    );
    assert_eq!(
        with("3;0;0,5;0,0039;1\n", 1).unwrap().images.pixels(0),
        [0, 128, 1, 255]
    );
    assert_eq!(
        with("3,0,8,16,4\n", 16).unwrap().images.pixels(0),
        [0, 128, 255, 64]
    );
    assert!(matches!(
        with("3,0,8,17,4\n", 16),
        Err(DataError::Csv(CsvError::Field { column: 4, .. }))
    ));
    let error = read("3,0,0.5,0.25,1\n").unwrap_err().to_string();
    assert!(error.contains("--white-level 1"), "{error}");
    let dark = reading(b"3,0,8,15,4\n", |_| ()).unwrap();
    assert!(dark.remarks[0].contains("15 of 255"), "{:?}", dark.remarks);
}

#[test]
fn wrong_lines_are_listed_together_or_left_out() {
    let text = "3,0,1,2,255\n3,0,1,2\n5,9,x,7,6\n4,9,8,7,6\n";
    let with = |faults| {
        reading(text.as_bytes(), move |reader| {
            reader.options.faults = faults
        })
    };
    let error = with(crate::Faults::List).unwrap_err().to_string();
    for part in ["2 faults in 4", "line 2: 4 columns", "line 3, column 3"] {
        assert!(error.contains(part), "{error}");
    }
    let read = with(crate::Faults::Skip).unwrap();
    assert_eq!(read.images.labels(), [3, 4]);
    assert_eq!(read.images.item_name(1), Some("digits.csv:4"));
    assert!(read.remarks[0].starts_with("2 items"), "{:?}", read.remarks);
    let none = reading(b"3,0,1\n", |reader| {
        reader.options.faults = crate::Faults::Skip;
    });
    assert!(none.is_err());
}

#[test]
fn a_label_and_four_pixels_are_an_image_of_two_by_two() {
    let set = read("3,0,1,2,255\n12,9,8,7,6").unwrap();
    assert_eq!((set.len(), set.height(), set.width()), (2, 2, 2));
    assert_eq!(
        (set.pixels(0), set.labels()),
        (&[0, 1, 2, 255][..], &[3, 12][..])
    );
    // Up to the largest label, as 9 is less.
    assert_eq!(set.class_names().len(), 13);
}

#[test]
fn headers_line_ends_quotes_spaces_and_empty_lines_change_nothing() {
    let plain = read("3,0,1,2,255\n4,9,8,7,6\n").unwrap();
    for text in [
        "label,a,b,c,d\n3,0,1,2,255\n4,9,8,7,6\n",
        "\u{feff}label,a,b,c,d\r\n3,0,1,2,255\r\n4,9,8,7,6\r\n\r\n",
        "\"label\",\"1x1\",\"1x2\",\"2x1\",\"2x2\"\n\n\"3\",0, 1 ,2,255\n4,9,8,7,6\n",
        "3.0,0.0,1.0,2.0,255.0\n4,9,8,7,6",
    ] {
        assert_eq!(read(text).unwrap(), plain, "{text:?}");
    }
}

#[test]
fn a_header_of_plain_column_numbers_is_no_image() {
    for (columns, side) in [(257, 16), (17, 4)] {
        let header: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
        let row = vec!["7"; columns].join(",");
        let set = read(&format!("{}\n{row}\n", header.join(","))).unwrap();
        assert_eq!((set.len(), set.height(), set.label(0)), (1, side, 7));
    }
    // Where pixels could have these values it is an image.
    assert_eq!(read("0,1,2,3,4").unwrap().len(), 1);
}

#[test]
fn a_wrong_field_is_named_with_its_line_and_column() {
    for (field, column) in [
        ("300", 3),
        ("-1", 3),
        ("word", 3),
        ("", 3),
        ("0.5", 3),
        ("NaN", 3),
    ] {
        let error = read(&format!(
            "label,a,b,c,d\r\n1,2,3,4,5\r\n1,2,{field},4,5\r\n"
        ));
        let error = error.unwrap_err();
        let DataError::Csv(CsvError::Field {
            line: 3,
            column: seen_column,
            seen,
            ..
        }) = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*seen_column, seen.as_str()), (column, field));
        let text = error.to_string();
        assert!(text.contains("digits.csv, line 3, column 3"), "{text}");
    }
    let error = read("1,2,3,4,5\n-7,2,3,4,5").unwrap_err().to_string();
    assert!(
        error.contains("line 2, column 1") && error.contains("a label"),
        "{error}"
    );
}

#[test]
fn short_and_long_rows_are_named() {
    for (row, columns) in [
        ("1,2,3,4", 4),
        ("1,2,3,4,5,6", 6),
        ("1", 1),
        ("1,2,3,4,5,", 6),
    ] {
        let error = read(&format!("1,2,3,4,5\n{row}\n")).unwrap_err();
        assert!(
            matches!(error, DataError::Csv(CsvError::Row { line: 2, seen, expected: 5, .. }) if seen == columns),
            "{error}"
        );
    }
}

#[test]
fn columns_that_are_no_square_and_files_without_images_are_refused() {
    for text in ["1,2,3,4", "7", "label;a;b\n1;2;3"] {
        assert!(
            matches!(read(text), Err(DataError::Csv(CsvError::Columns { .. }))),
            "{text}"
        );
    }
    for text in ["", "\n\n", "label,pixel\n"] {
        assert!(
            matches!(read(text), Err(DataError::Empty { .. })),
            "{text:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in proptest::collection::vec((0_u8..12, any::<[u8; 9]>()), 1..20)) {
        let mut text = String::new();
        for (label, pixels) in &rows {
            let pixels = pixels.map(|pixel| pixel.to_string()).join(",");
            text += &format!("{label},{pixels}\n");
        }
        let set = read(&text).unwrap();
        prop_assert_eq!(set.len(), rows.len());
        for (index, (label, pixels)) in rows.iter().enumerate() {
            prop_assert_eq!((set.label(index), set.pixels(index)), (usize::from(*label), &pixels[..]));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9a,.\\-\"\r\n ]{0,80}") {
        let _ = read(&text);
    }
}
