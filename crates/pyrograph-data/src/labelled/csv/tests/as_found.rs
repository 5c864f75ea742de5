//! Tables as other programs write them.

use super::*;

/// Label last, without a header.
fn label_last() -> String {
    lines(|_, label, pixels| [pixels, &[label]].concat())
}

fn label_first() -> String {
    lines(|_, label, pixels| [&[label], pixels].concat())
}

/// Each field in single quotes.
fn quoted(rows: &str) -> String {
    let line = |line: &str| format!("'{}'\n", line.replace(',', "','"));
    rows.lines().map(line).collect()
}

fn counted(columns: usize) -> String {
    let names: Vec<String> = (0..columns).map(|column| column.to_string()).collect();
    names.join(",") + "\n"
}

#[test]
fn a_header_of_numbers_says_nothing_of_the_label_but_its_column_does() {
    let indexed = |rows: &str| -> String {
        let rows = rows.lines().enumerate();
        rows.map(|(row, line)| format!("{row},{line}\n")).collect()
    };
    for text in [
        counted(17) + &label_last(),
        counted(17) + &label_first(),
        format!(",{}{}", counted(17), indexed(&label_last())),
        format!(",{}{}", counted(17), indexed(&label_first())),
    ] {
        let reading = reading(text.as_bytes(), |_| ()).unwrap();
        assert_eq!(reading.images, plain(), "{text}");
        let said = reading.remarks.join("\n");
        assert!(said.contains("--label-column"), "{said}");
    }
}

#[test]
fn a_first_column_of_one_value_is_said_where_the_last_could_be_labels() {
    // 3 and 7 leave gaps, so that they are not taken for labels without being asked.
    let label = |row: usize| [3, 7][row % 2];
    let text = lines(|row, _, pixels| {
        let (_, rest) = pixels.split_at(1);
        [&[0], rest, &[label(row)]].concat()
    });
    let guessed = reading(text.as_bytes(), |_| ()).unwrap();
    assert_eq!(guessed.images.labels(), [0; 10]);
    let said = guessed.remarks.join("\n");
    assert!(said.contains("--label-column last"), "{said}");
    let told = reading(text.as_bytes(), |reader| {
        reader.options.label_column = LabelColumn::Last;
    });
    let told = told.unwrap();
    assert_eq!(told.images.labels(), [3, 7, 3, 7, 3, 7, 3, 7, 3, 7]);
    assert!(told.remarks.is_empty(), "{:?}", told.remarks);
}

#[test]
fn marks_of_other_programs_change_nothing() {
    let rows = label_first();
    let head = header(&["label", "*"], 0..16);
    let semicolons = (head.clone() + &rows).replace(',', ";");
    let spaces = rows.replace(',', " ");
    let numbered = rows.lines().enumerate();
    let numbered: String = numbered
        .map(|(row, line)| format!("\"{}\",{line}\n", row + 1))
        .collect();
    for text in [
        // Excel's name of what fields end in.
        format!("sep=;\r\n{semicolons}"),
        format!("\u{feff}\"sep=;\"\r\n{semicolons}"),
        // R's row names, for which the header has no name.
        head.clone() + &numbered,
        // numpy's header.
        format!("# {}{spaces}", head.replace(',', " ")),
        // Lines that end in a separator, with and without a header.
        rows.replace('\n', ",\n"),
        (head.clone() + &rows).replace('\n', ",\n"),
        head.clone() + &rows.replace('\n', ",\n"),
        // Quotes of ARFF files.
        quoted(&rows),
    ] {
        let read = reading(text.as_bytes(), |_| ());
        let read = read.unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read.images, plain(), "{text}");
    }
}

#[test]
fn words_name_classes_and_a_word_among_numbers_is_a_fault() {
    let text = "label,a,b,c,d\nka,1,2,3,4\nga,5,6,7,8\nka,9,9,9,9\n7,1,1,1,1\n";
    let words = reading(text.as_bytes(), |_| ()).unwrap();
    assert_eq!(words.images.class_names(), ["7", "ga", "ka"]);
    assert_eq!(words.images.labels(), [2, 1, 2, 0]);
    assert_eq!(words.images.pixels(1), [5, 6, 7, 8]);
    let said = words.remarks.join("\n");
    assert!(said.contains("3 in all: 7, ga, ka"), "{said}");
    // Without a header, and last.
    let last = "1,2,3,4,ka\n5,6,7,8,ga\n9,9,9,9,ka\n1,1,1,1,7\n";
    assert!(read(last).is_err(), "a number is among the words");
    let last = reading(last.replace(",7\n", ",ga\n").as_bytes(), |_| ()).unwrap();
    assert_eq!(last.images.labels(), [1, 0, 1, 0]);
    let fault = read("ka,9,2,3,4\n5,5,6,7,8\n6,9,9,9,9\n").unwrap_err();
    assert!(fault.to_string().contains("line 1, column 1"), "{fault}");
    let empty = read("label,a,b,c,d\nka,1,2,3,4\n,5,6,7,8\n").unwrap_err();
    assert!(empty.to_string().contains("the name of a class"), "{empty}");
    let rows: String = (0..1002)
        .map(|row| format!("img_{row}.png,1,2,3,4\n"))
        .collect();
    let files = read(&rows).unwrap_err().to_string();
    assert!(files.contains("more than 1000 different names"), "{files}");
}

#[test]
fn true_and_false_are_white_and_black() {
    let reading = reading(b"3,True,False,FALSE,true\n", |_| ()).unwrap();
    assert_eq!(reading.images.pixels(0), [255, 0, 0, 255]);
    assert_eq!(reading.images.labels(), [3]);
    // A first row that begins with one of the two is no header.
    let told = "True,False,True,False,3\nFalse,False,True,False,4\n";
    let told = self::reading(told.as_bytes(), |reader| {
        reader.options.label_column = LabelColumn::Last;
    });
    assert_eq!(told.unwrap().images.labels(), [3, 4]);
}

#[test]
fn what_is_no_table_is_named() {
    for (text, word) in [
        ("\n<!DOCTYPE html>\n<html></html>", "a web page"),
        ("<?xml version=\"1.0\"?>\n<Error/>", "XML"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:1",
            "git lfs pull",
        ),
        ("PK\u{3}\u{4}", "save a workbook as CSV"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
