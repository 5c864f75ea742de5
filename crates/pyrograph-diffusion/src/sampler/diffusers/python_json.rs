//! JSON as Python writes it.

/// The words for numbers that JSON does not have.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The text with Python's `-Infinity`, `Infinity` and `NaN` outside strings put in quotes: diffusers saves
/// the default of `lambda_min_clipped` that way.
pub(super) fn without_infinities(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len());
    let (mut rest, mut in_string) = (json, false);
    while let Some(next) = rest.chars().next() {
        let word = WORDS.iter().find(|word| rest.starts_with(**word));
        let taken = match (in_string, word, next) {
            (false, Some(word), _) => {
                quoted.push('"');
                quoted.push_str(word);
                quoted.push('"');
                rest = &rest[word.len()..];
                continue;
            }
            // A backslash and the character after it, if there is one.
            (true, _, '\\') => rest.chars().take(2).map(char::len_utf8).sum(),
            (_, _, '"') => {
                in_string = !in_string;
                1
            }
            _ => next.len_utf8(),
        };
        quoted.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_are_quoted_outside_strings_only() {
        for (text, expected) in [
            (
                r#"{"a": -Infinity, "b": [NaN,Infinity]}"#,
                r#"{"a": "-Infinity", "b": ["NaN","Infinity"]}"#,
            ),
            (
                r#"{"NaN": "-Infinity \" NaN"}"#,
                r#"{"NaN": "-Infinity \" NaN"}"#,
            ),
            (r#"{"é": 1"#, r#"{"é": 1"#),
            (r#""\"#, r#""\"#),
        ] {
            assert_eq!(without_infinities(text), expected);
        }
    }
}
