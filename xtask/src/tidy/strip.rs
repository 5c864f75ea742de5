//! Blanks comments and literals out of Rust source, so that the rules see code only.

/// The same text with every comment, string and character literal turned into spaces; line breaks stay.
pub(super) fn code_only(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = literal_or_comment(&text, at);
        if end == at {
            out.push(text[at]);
            at += 1;
        } else {
            out.extend(
                text[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends, or `at` if none starts there.
fn literal_or_comment(text: &[char], at: usize) -> usize {
    let starts = |word: &str| text[at..].starts_with(&word.chars().collect::<Vec<_>>());
    let inside_a_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    if starts("//") {
        return text[at..]
            .iter()
            .position(|c| *c == '\n')
            .map_or(text.len(), |n| at + n);
    }
    if starts("/*") {
        return block_comment(text, at);
    }
    match text[at] {
        '"' => quoted(text, at),
        'r' if !inside_a_word => raw_string(text, at, at + 1),
        'b' if !inside_a_word && text.get(at + 1) == Some(&'r') => raw_string(text, at, at + 2),
        '\'' => character(text, at),
        _ => at,
    }
}

fn block_comment(text: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i + 1 < text.len() {
        match (text[i], text[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    text.len()
}

/// A string that opens at `at` and ends at the next quote without a backslash.
fn quoted(text: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(text.len())
}

/// `r"…"` or `r#"…"#`, whose hashes start at `hashes`; a raw identifier (`r#type`) is none.
fn raw_string(text: &[char], at: usize, hashes: usize) -> usize {
    let count = text[hashes..].iter().take_while(|c| **c == '#').count();
    if text.get(hashes + count) != Some(&'"') {
        return at;
    }
    let closes = |i: usize| {
        text[i] == '"'
            && text[i + 1..]
                .iter()
                .take(count)
                .filter(|c| **c == '#')
                .count()
                == count
    };
    let body = hashes + count + 1;
    (body..text.len())
        .find(|i| closes(*i))
        .map_or(text.len(), |i| i + 1 + count)
}

/// `'x'` or `'\n'`; a lifetime has no closing quote there.
fn character(text: &[char], at: usize) -> usize {
    if text.get(at + 1) == Some(&'\\') {
        let close = text[at + 3..].iter().position(|c| *c == '\'');
        return close.map_or(at, |n| at + 4 + n);
    }
    if text.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        code_only(source)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(
            words(r##"a "b \" c" d r"e\" f r#"g " h"# i br"j" k b"l" m"##),
            ["a", "d", "f", "i", "k", "b", "m"]
        );
        assert_eq!(words(r"a 'b' '\'' '\u{1F600}' '\\' c"), ["a", "c"]);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_eq!(
            words("fn f<'a>(x: &'a str, r#type: u8)").join(" "),
            "fn f<'a>(x: &'a str, r#type: u8)"
        );
        assert_eq!(words("for \"x\""), ["for"]);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = "a\n/* b\nc */ \"d\ne\"\nf";
        assert_eq!(code_only(source).lines().count(), source.lines().count());
        assert_eq!(code_only(source).lines().last(), Some("f"));
    }

    #[test]
    fn an_unclosed_literal_ends_with_the_text() {
        assert_eq!(words("a \"b"), ["a"]);
        assert_eq!(words("a /* b"), ["a"]);
        assert_eq!(words("a r#\"b\""), ["a"]);
    }
}
