//! The vocabulary and merges of CLIP's byte-pair encoding.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::special::{END, START};

/// The merges of CLIP, one a line after a header.
const MERGES: &[u8] = include_bytes!("../../../assets/clip/merges.txt.gz");
/// What marks a token as the end of a word.
const WORD_END: &str = "</w>";

/// Token ids by token, and the merges in their order as pairs.
pub(super) struct Vocabulary {
    pub(super) ids: Map<String, Value>,
    pub(super) merges: Vec<Value>,
}

impl Vocabulary {
    /// The built-in vocabulary of CLIP: bytes, bytes at a word's end, one token a merge, start and end.
    pub(super) fn built_in() -> std::io::Result<Self> {
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text)?;
        let merges = parse_merges(&text).map_err(std::io::Error::other)?;
        let bytes = byte_characters();
        let word_ends = bytes.iter().map(|byte| format!("{byte}{WORD_END}"));
        let merged = merges
            .iter()
            .filter_map(|pair| Some(format!("{}{}", pair[0].as_str()?, pair[1].as_str()?)));
        let tokens = bytes
            .iter()
            .map(char::to_string)
            .chain(word_ends)
            .chain(merged);
        let ids = tokens
            .chain([START.to_owned(), END.to_owned()])
            .enumerate()
            .map(|(id, token)| (token, id.into()))
            .collect();
        Ok(Self { ids, merges })
    }
}

/// The pairs of a `merges.txt`.
pub(super) fn parse_merges(text: &str) -> Result<Vec<Value>, String> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.starts_with("#version") && !line.is_empty())
        .map(
            |(number, line)| match line.split(' ').collect::<Vec<_>>()[..] {
                [first, second] => Ok(Value::from(vec![first, second])),
                _ => Err(format!("line {} is `{line}`, not two tokens", number + 1)),
            },
        )
        .collect()
}

/// The characters that stand for the bytes 0 to 255, in the order of CLIP's vocabulary: printable bytes stand for
/// themselves and come first; the others stand for the characters from U+0100 on.
fn byte_characters() -> Vec<char> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let own = (0..=u8::MAX)
        .filter(|byte| printable(*byte))
        .map(char::from);
    let others = (0..=u8::MAX).filter(|byte| !printable(*byte)).count() as u32;
    let moved = (0..others).filter_map(|n| char::from_u32(0x100 + n));
    own.chain(moved).collect()
}
