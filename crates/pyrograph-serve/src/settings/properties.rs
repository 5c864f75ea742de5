//! Java's properties files, the syntax of `serving.properties`.

use std::{iter::Peekable, path::Path, str::Chars};

use crate::ServeError;

/// The most bytes of a properties file.
const MAX_BYTES: u64 = 1 << 20;

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The line of the key, from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// The value; empty where the line holds a key alone.
    pub value: String,
}

/// Reads a properties file. Of a key that stands there twice, both lines are returned.
///
/// # Errors
/// When the file does not read, is no UTF-8, is above 1 MiB, or an escape is broken.
pub fn read_properties(path: &Path) -> Result<Vec<Property>, ServeError> {
    let file = |source| ServeError::File {
        path: path.into(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(file)?.len();
    let refuse = |seen: String, allowed: &str| ServeError::Setting {
        name: path.display().to_string(),
        seen,
        allowed: allowed.into(),
    };
    if bytes > MAX_BYTES {
        return Err(refuse(
            format!("{bytes} bytes long"),
            "at most 1 MiB of text",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(file)?;
    parse_properties(&text).map_err(|line| {
        let seen = format!("broken in line {line}");
        refuse(
            seen,
            "Java properties, whose \\u stands before 4 hexadecimal digits",
        )
    })
}

/// Parses the text of a properties file: `key=value`, `key: value` or `key value`; `#` and `!` begin comments; a `\` at the
/// end of a line continues it; `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes, and a `\` before any other character stands
/// for that character.
///
/// # Errors
/// The number of the line whose `\u` is not followed by four hexadecimal digits.
pub fn parse_properties(text: &str) -> Result<Vec<Property>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut properties = Vec::new();
    for (line, logical) in logical_lines(text) {
        let mut characters = logical.chars().peekable();
        let key = unescape(&mut characters, |c| c == '=' || c == ':' || is_blank(c)).ok_or(line)?;
        skip_blanks(&mut characters);
        if characters.next_if(|c| *c == '=' || *c == ':').is_some() {
            skip_blanks(&mut characters);
        }
        let value = unescape(&mut characters, |_| false).ok_or(line)?;
        properties.push(Property { line, key, value });
    }
    Ok(properties)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

fn skip_blanks(characters: &mut Peekable<Chars<'_>>) {
    while characters.next_if(|c| is_blank(*c)).is_some() {}
}

/// Lines without comments and empty ones, continued lines joined, each with its number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n");
    let mut natural = text.split(['\n', '\r']).enumerate();
    let mut lines = Vec::new();
    while let Some((place, first)) = natural.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = first.to_owned();
        while is_continued(&joined) {
            joined.pop();
            match natural.next() {
                Some((_, next)) => joined.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        lines.push((place + 1, joined));
    }
    lines
}

/// Whether a line ends in an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Reads up to a character that `ends`, escapes resolved; nothing where an escape is broken.
fn unescape(characters: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Option<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut buffer = [0; 2];
    while let Some(character) = characters.next_if(|c| !ends(*c)) {
        let character = match character {
            '\\' => match characters.next() {
                Some('u') => {
                    // Characters beyond the basic plane are two escapes: a surrogate pair.
                    units.push(hexadecimal(characters)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(character.encode_utf16(&mut buffer));
    }
    Some(String::from_utf16_lossy(&units))
}

fn hexadecimal(characters: &mut Peekable<Chars<'_>>) -> Option<u16> {
    (0..4).try_fold(0, |value, _| {
        let digit = characters.next()?.to_digit(16)?;
        Some(value << 4 | digit as u16)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse_properties(text).expect("properties");
        properties.into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[track_caller]
    fn one(text: &str, key: &str, value: &str) {
        assert_eq!(
            pairs(text),
            [(key.to_owned(), value.to_owned())],
            "{text:?}"
        );
    }

    #[test]
    fn the_three_separators_are_read() {
        for text in [
            "a.b=c d",
            "a.b = c d",
            "a.b: c d",
            "a.b c d",
            "  a.b\t:\tc d",
            "\u{feff}a.b=c d",
        ] {
            one(text, "a.b", "c d");
        }
        one("a", "a", "");
        one("a==b", "a", "=b");
        one("a = :b", "a", ":b");
        one("=b", "", "b");
    }

    #[test]
    fn comments_and_empty_lines_are_left_out() {
        let text = "# one\n  ! two\n\n\t\r\n\x0c\na=1\r\nb=2 # kept\r#\\\nc=3";
        let expected = [("a", "1"), ("b", "2 # kept"), ("c", "3")];
        assert_eq!(
            pairs(text),
            expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn a_backslash_continues_a_line() {
        one("a=b\\\n   c\\\r\n# d", "a", "bc# d");
        one("a=b\\", "a", "b");
        let two = pairs("a=b\\\\\nc=d");
        assert_eq!(two, [("a".into(), "b\\".into()), ("c".into(), "d".into())]);
    }

    #[test]
    fn escapes_are_resolved() {
        one(r"a\ b\:\=c=\u00e9\t\n\r\f\q", "a b:=c", "é\t\n\r\x0cq");
        one(r"a=\ud83d\ude00", "a", "😀");
        one(r"a=\ud83d", "a", "\u{fffd}");
        for broken in [r"a=\u12", r"a=\u12g4", r"\u=a", r"b=\uüüüü"] {
            assert_eq!(
                parse_properties(&format!("x=1\n{broken}")),
                Err(2),
                "{broken}"
            );
        }
    }

    #[test]
    fn the_line_of_a_key_is_told() {
        let properties = parse_properties("\n# c\na=1\\\n2\nb=3").expect("properties");
        let lines: Vec<_> = properties.iter().map(|property| property.line).collect();
        assert_eq!(lines, [3, 5]);
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("serving.properties");
        std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).expect("writable");
        let message = read_properties(&path).expect_err("too long").to_string();
        assert!(message.contains("1048577 bytes long"), "{message}");
        std::fs::write(&path, b"a=\xff\xfe").expect("writable");
        assert!(read_properties(&path).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_properties(&text);
        }

        #[test]
        fn no_text_of_the_syntax_panics(text in "[a=: \\\\u0fd8\n\r#!\t]{0,60}") {
            let _ = parse_properties(&text);
        }

        #[test]
        fn a_written_property_reads_back(key in "[a-z.=: #!\\\\é😀]{1,12}", value in "[a-z=: #\\\\é\n\t]{0,12}") {
            let escape = |text: &str| {
                let units: Vec<u16> = text.encode_utf16().collect();
                units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
            };
            one(&format!("{}={}", escape(&key), escape(&value)), &key, &value);
        }
    }
}
