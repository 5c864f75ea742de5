//! From a prompt to token ids.

use std::{collections::HashMap, fmt, path::Path};

use pyrograph_models::stable_diffusion::checkpoint::TokenizerFiles;
use serde_json::{Value, json};

use super::{
    files::{Description, refused},
    special::{AddedToken, SpecialTokens},
    weighting::{PromptSyntax, WeightedText, parse_weights},
};
use crate::PipelineError;

/// How CLIP cuts text into words, before the byte-pair encoding.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// CLIP's tokenizer, equal to transformers' `CLIPTokenizer`.
///
/// Text is put into NFC, its white space cleaned, and lower-cased; then cut into words and encoded by byte pairs. A value
/// has no state between calls and can be shared.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    start: u32,
    end: u32,
    padding: u32,
    length: usize,
    /// The ids that an added token of several vectors stands for, by the first of them.
    vectors: HashMap<u32, Vec<u32>>,
}

/// A prompt as the text encoder takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedPrompt {
    /// Token ids: start, the prompt, end, padding; as many as [`Tokenizer::length`].
    pub ids: Vec<u32>,
    /// A weight for each id; 1 where the prompt gives none.
    pub weights: Vec<f32>,
    /// The words of the prompt that were cut off because they did not fit, or did not fit whole.
    pub lost: Option<String>,
}

impl EncodedPrompt {
    /// Whether any weight differs from 1.
    pub fn is_weighted(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 1.0)
    }
}

impl Tokenizer {
    /// Reads a checkpoint's `tokenizer` folder: `vocab.json` and `merges.txt`, or `tokenizer.json`, with
    /// `tokenizer_config.json` and `special_tokens_map.json` where they exist.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of another kind of tokenizer.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PipelineError> {
        Self::new(Description::read(folder.as_ref())?)
    }

    /// CLIP's vocabulary, padded to 77 with the token `padding`: `!` for Stable Diffusion 2, `<|endoftext|>` for 1.
    ///
    /// # Errors
    /// When the vocabulary does not hold `padding`.
    pub fn built_in(padding: &str) -> Result<Self, PipelineError> {
        Self::new(Description::built_in(padding)?)
    }

    /// The tokenizer of a checkpoint.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_checkpoint(files: &TokenizerFiles) -> Result<Self, PipelineError> {
        match files {
            TokenizerFiles::Folder(folder) => Self::open(folder),
            TokenizerFiles::BuiltIn { padding } => Self::built_in(padding),
        }
    }

    fn new(description: Description) -> Result<Self, PipelineError> {
        let Description {
            vocabulary,
            tokens,
            length,
            path,
        } = description;
        let all = tokens.all(&vocabulary.ids);
        let added: Vec<_> = all
            .iter()
            .map(|(id, token)| token.to_json(id.unwrap_or_default()))
            .collect();
        let recipe = recipe(vocabulary.ids, vocabulary.merges, &tokens, added);
        let bytes =
            serde_json::to_vec(&recipe).map_err(|error| refused(&path, error.to_string()))?;
        let inner = tokenizers::Tokenizer::from_bytes(bytes);
        let inner = inner.map_err(|error| refused(&path, error.to_string()))?;
        for (id, token) in &all {
            let seen = inner.token_to_id(&token.content);
            if id.is_some() && *id != seen {
                let reason = format!(
                    "`{}` has the id {id:?} in one file and {seen:?} in another",
                    token.content
                );
                return Err(refused(&path, reason));
            }
        }
        let id_of = |token: &AddedToken| {
            let id = inner.token_to_id(&token.content);
            id.ok_or_else(|| refused(&path, format!("the vocabulary lacks `{}`", token.content)))
        };
        let (start, end, padding) = (
            id_of(&tokens.start)?,
            id_of(&tokens.end)?,
            id_of(&tokens.padding)?,
        );
        Ok(Self {
            inner,
            start,
            end,
            padding,
            length,
            vectors: HashMap::new(),
        })
    }

    /// The number of ids of every prompt: 77 for CLIP.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The number of tokens, added ones included: the rows that the text encoder's table of embeddings needs.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The id of a token of the vocabulary, `</w>` included where it ends a word.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Adds a token that stands for `vectors` rows of the table of embeddings, such as one of textual inversion, and gives
    /// their ids. A prompt that holds `token` gets all of them.
    ///
    /// # Errors
    /// When the vocabulary holds the token, when its name is empty, or when `vectors` is 0.
    pub fn add_token(&mut self, token: &str, vectors: usize) -> Result<Vec<u32>, PipelineError> {
        let refused = |reason: String| PipelineError::Token {
            token: token.to_owned(),
            reason,
        };
        if token.trim().is_empty() || vectors == 0 {
            return Err(refused(format!(
                "it has {vectors} vectors and needs a name and at least one"
            )));
        }
        // As diffusers names them: `token`, `token_1`, `token_2`, …
        let names = (0..vectors).map(|n| {
            if n == 0 {
                token.to_owned()
            } else {
                format!("{token}_{n}")
            }
        });
        let names: Vec<_> = names.collect();
        if let Some(name) = names
            .iter()
            .find(|name| self.inner.token_to_id(name).is_some())
        {
            return Err(refused(format!(
                "the vocabulary already holds `{name}`; give the token another name"
            )));
        }
        let added: Vec<_> = names
            .iter()
            .map(|name| tokenizers::AddedToken::from(name.clone(), false))
            .collect();
        self.inner.add_tokens(&added);
        let ids: Option<Vec<_>> = names
            .iter()
            .map(|name| self.inner.token_to_id(name))
            .collect();
        let ids = ids.ok_or_else(|| refused("it cannot be added".into()))?;
        self.vectors.insert(ids[0], ids.clone());
        Ok(ids)
    }

    /// Encodes a prompt: start, as many of its tokens as fit, end, padding.
    ///
    /// # Errors
    /// When the `tokenizers` crate refuses the text.
    pub fn encode(
        &self,
        prompt: &str,
        syntax: PromptSyntax,
    ) -> Result<EncodedPrompt, PipelineError> {
        let segments = match syntax {
            PromptSyntax::Plain => vec![WeightedText {
                text: prompt.to_owned(),
                weight: 1.0,
            }],
            PromptSyntax::Weighted => parse_weights(prompt),
        };
        let pieces = self.pieces(&segments)?;
        let room = self.length - 2;
        let lost = (pieces.len() > room).then(|| lost_words(&segments, &pieces, room));
        let kept = &pieces[..pieces.len().min(room)];
        let mut ids = vec![self.start];
        ids.extend(kept.iter().map(|piece| piece.id));
        ids.push(self.end);
        ids.resize(self.length, self.padding);
        let mut weights = vec![1.0];
        weights.extend(kept.iter().map(|piece| segments[piece.segment].weight));
        weights.resize(self.length, 1.0);
        Ok(EncodedPrompt { ids, weights, lost })
    }

    fn pieces(&self, segments: &[WeightedText]) -> Result<Vec<Piece>, PipelineError> {
        let mut pieces = Vec::new();
        for (segment, WeightedText { text, .. }) in segments.iter().enumerate() {
            let encoding = self.inner.encode(text.as_str(), false);
            let encoding = encoding.map_err(|error| PipelineError::Prompt {
                reason: error.to_string(),
            })?;
            let words = encoding.get_word_ids().iter().zip(encoding.get_offsets());
            for (id, (word, (start, _))) in encoding.get_ids().iter().zip(words) {
                let piece = Piece {
                    id: *id,
                    segment,
                    word: *word,
                    start: *start,
                };
                match self.vectors.get(id) {
                    Some(ids) => pieces.extend(ids.iter().map(|id| Piece { id: *id, ..piece })),
                    None => pieces.push(piece),
                }
            }
        }
        Ok(pieces)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary_size", &self.vocabulary_size())
            .field("length", &self.length)
            .field("padding", &self.padding)
            .finish_non_exhaustive()
    }
}

/// A token with its place in the prompt.
#[derive(Clone, Copy)]
struct Piece {
    id: u32,
    /// The segment of equal weight that it stands in.
    segment: usize,
    /// The word of the segment.
    word: Option<u32>,
    /// Where in the segment it starts, in bytes.
    start: usize,
}

/// The text from the first word on that is not kept whole.
fn lost_words(segments: &[WeightedText], pieces: &[Piece], room: usize) -> String {
    let cut = pieces[room];
    let same_word = |piece: &&Piece| (piece.segment, piece.word) == (cut.segment, cut.word);
    let first = match cut.word {
        Some(_) => pieces[..room]
            .iter()
            .rev()
            .take_while(same_word)
            .last()
            .unwrap_or(&cut),
        None => &cut,
    };
    let tail = segments[first.segment]
        .text
        .get(first.start..)
        .unwrap_or_default();
    let later = segments[first.segment + 1..]
        .iter()
        .map(|segment| segment.text.as_str());
    std::iter::once(tail)
        .chain(later)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A tokenizer in the form of a `tokenizer.json`.
fn recipe(
    vocabulary: serde_json::Map<String, Value>,
    merges: Vec<Value>,
    tokens: &SpecialTokens,
    added: Vec<Value>,
) -> Value {
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "model": {
            "type": "BPE",
            "unk_token": tokens.unknown.content,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    })
}
