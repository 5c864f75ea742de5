//! The file of bearer tokens.

use std::{fs, path::Path};

use crate::ServeError;

/// The fewest characters of a token: 16 random letters and digits are 95 bits.
const LEAST_CHARACTERS: usize = 16;
/// The most characters of a token: headers are bounded.
const MOST_CHARACTERS: usize = 1024;

/// Reads bearer tokens, one a line; empty lines and those that begin with `#` are left out. A token has 16 to 1,024 letters,
/// digits or `-._~+/=`, the characters that RFC 6750 allows.
///
/// # Errors
/// When the file does not read, holds no token, or a token is not allowed. The message does not hold the token.
pub fn read_tokens(path: &Path) -> Result<Vec<String>, ServeError> {
    let text = fs::read_to_string(path).map_err(|source| ServeError::File {
        path: path.into(),
        source,
    })?;
    let refuse = |reason: String| ServeError::Tokens {
        path: path.into(),
        reason,
    };
    let mut tokens = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let token = line.trim();
        if token.is_empty() || token.starts_with('#') {
            continue;
        }
        let (line, length) = (place + 1, token.chars().count());
        if !(LEAST_CHARACTERS..=MOST_CHARACTERS).contains(&length) {
            return Err(refuse(format!(
                "the token in line {line} has {length} characters, but must have {LEAST_CHARACTERS} to {MOST_CHARACTERS}; \
                 `openssl rand -hex 32` makes one"
            )));
        }
        if let Some(other) = token.chars().find(|c| !is_token_character(*c)) {
            return Err(refuse(format!(
                "the token in line {line} holds {other:?}, but only letters, digits and -._~+/= can stand in the header"
            )));
        }
        tokens.push(token.to_owned());
    }
    if tokens.is_empty() {
        return Err(refuse(
            "the file holds no token; write one a line, or leave --tokens out".into(),
        ));
    }
    Ok(tokens)
}

fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~+/=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tokens");
        fs::write(&path, text).expect("writable");
        read_tokens(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn tokens_stand_one_a_line() {
        let tokens =
            read("# of the team\n0123456789abcdef\r\n\n  a-._~+/=ABCDEFGHI  \n").expect("tokens");
        assert_eq!(tokens, ["0123456789abcdef", "a-._~+/=ABCDEFGHI"]);
    }

    #[test]
    fn weak_files_are_refused_without_the_token() {
        assert!(read("# none\n\n").expect_err("empty").contains("no token"));
        let message = read("0123456789abcdef\nhunter2").expect_err("short");
        assert!(
            message.contains("line 2") && message.contains("7 characters"),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
        assert!(
            read("0123456789 abcdef")
                .expect_err("a blank")
                .contains("' '")
        );
        assert!(read(&"a".repeat(1025)).expect_err("long").contains("1025"));
    }
}
