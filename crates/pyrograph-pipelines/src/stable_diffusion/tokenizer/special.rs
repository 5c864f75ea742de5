//! The tokens that stand outside the byte-pair encoding: start, end, padding, and added tokens.

use serde_json::{Map, Value};

/// CLIP's token for the start of a prompt.
pub(super) const START: &str = "<|startoftext|>";
/// CLIP's token for the end of a prompt.
pub(super) const END: &str = "<|endoftext|>";

/// How an added token is found in text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddedToken {
    pub(super) content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    /// Whether it is looked for in the lower-cased, cleaned text.
    pub(super) normalized: bool,
    pub(super) special: bool,
}

impl AddedToken {
    /// A special token that its name alone describes.
    pub(super) fn special(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }

    /// A token beside the vocabulary, found in cleaned text.
    pub(super) fn plain(content: &str) -> Self {
        Self {
            normalized: true,
            special: false,
            ..Self::special(content)
        }
    }

    /// Reads a name, or an object of `tokenizer_config.json`, `special_tokens_map.json` or `tokenizer.json`.
    pub(super) fn read(value: &Value, special: Option<bool>) -> Option<Self> {
        if let Some(content) = value.as_str() {
            return Some(Self::special(content));
        }
        let flag = |name| value.get(name).and_then(Value::as_bool);
        let special = special.or(flag("special")).unwrap_or(false);
        Some(Self {
            content: value.get("content")?.as_str()?.to_owned(),
            single_word: flag("single_word").unwrap_or(false),
            lstrip: flag("lstrip").unwrap_or(false),
            rstrip: flag("rstrip").unwrap_or(false),
            normalized: flag("normalized").unwrap_or(!special),
            special,
        })
    }

    /// The object that the `tokenizers` crate reads.
    pub(super) fn to_json(&self, id: u32) -> Value {
        serde_json::json!({
            "id": id,
            "content": self.content,
            "single_word": self.single_word,
            "lstrip": self.lstrip,
            "rstrip": self.rstrip,
            "normalized": self.normalized,
            "special": self.special,
        })
    }
}

/// The special tokens of a tokenizer and what else its files add to the vocabulary.
#[derive(Clone, Debug)]
pub(super) struct SpecialTokens {
    pub(super) start: AddedToken,
    pub(super) end: AddedToken,
    pub(super) padding: AddedToken,
    pub(super) unknown: AddedToken,
    /// Tokens with their ids, by id.
    pub(super) added: Vec<(u32, AddedToken)>,
}

impl Default for SpecialTokens {
    fn default() -> Self {
        Self {
            start: AddedToken::special(START),
            end: AddedToken::special(END),
            padding: AddedToken::special(END),
            unknown: AddedToken::special(END),
            added: Vec::new(),
        }
    }
}

impl SpecialTokens {
    /// As the published files of Stable Diffusion describe start and end: found in cleaned text.
    pub(super) fn published() -> Self {
        let found = |content| AddedToken {
            normalized: true,
            ..AddedToken::special(content)
        };
        Self {
            start: found(START),
            end: found(END),
            unknown: found(END),
            ..Self::default()
        }
    }

    /// Takes the tokens that `map` names.
    pub(super) fn merge(&mut self, map: &Value) {
        let fields = [
            ("bos_token", &mut self.start),
            ("eos_token", &mut self.end),
            ("pad_token", &mut self.padding),
            ("unk_token", &mut self.unknown),
        ];
        for (key, field) in fields {
            if let Some(token) = map
                .get(key)
                .and_then(|value| AddedToken::read(value, Some(true)))
            {
                *field = token;
            }
        }
    }

    /// Every token outside the byte-pair encoding, once. Of several descriptions of a special token the last counts, in
    /// the order start, end, unknown, padding; tokens that the files add come before them.
    pub(super) fn all(&self, ids: &Map<String, Value>) -> Vec<(Option<u32>, AddedToken)> {
        let mut all: Vec<(Option<u32>, AddedToken)> = Vec::new();
        for (id, token) in &self.added {
            all.push((Some(*id), token.clone()));
        }
        let described = all.len();
        for token in [&self.start, &self.end, &self.unknown, &self.padding] {
            let id = ids.get(&token.content).and_then(Value::as_u64);
            match all
                .iter()
                .position(|(_, other)| other.content == token.content)
            {
                Some(place) if place < described => {}
                Some(place) => all[place].1 = token.clone(),
                None => all.push((id.map(|id| id as u32), token.clone())),
            }
        }
        all
    }
}
