//! What the files of a `tokenizer` folder say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pyrograph_models::ModelError;
use serde_json::Value;

use super::{
    special::{AddedToken, SpecialTokens},
    vocabulary::{Vocabulary, parse_merges},
};
use crate::PipelineError;

/// Positions of CLIP's text encoder.
pub(super) const CLIP_LENGTH: usize = 77;
/// Lengths above this are "no limit" to transformers.
const LONGEST: f64 = 1e6;

/// What a tokenizer is made from.
pub(super) struct Description {
    pub(super) vocabulary: Vocabulary,
    pub(super) tokens: SpecialTokens,
    /// The length of a prompt's ids, start and end included.
    pub(super) length: usize,
    /// The folder, for messages.
    pub(super) path: PathBuf,
}

impl Description {
    /// Reads `vocab.json` and `merges.txt`, or `tokenizer.json`, and the files that describe special tokens.
    pub(super) fn read(folder: &Path) -> Result<Self, PipelineError> {
        let config = optional_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let whole = folder.join("tokenizer.json");
        let serialized = optional_json(&whole)?;
        let vocabulary = match &serialized {
            Some(tokenizer) => {
                vocabulary_of(tokenizer).map_err(|reason| refused(&whole, reason))?
            }
            None => separate_vocabulary(folder)?,
        };
        let tokens = special_tokens(folder, &config, serialized.as_ref())?;
        Ok(Self {
            vocabulary,
            tokens,
            length: length(folder, &config)?,
            path: folder.to_owned(),
        })
    }

    /// The built-in vocabulary of CLIP with a token to pad with.
    pub(super) fn built_in(padding: &str) -> Result<Self, PipelineError> {
        let path = PathBuf::from("the built-in tokenizer");
        let vocabulary = Vocabulary::built_in().map_err(|e| refused(&path, e.to_string()))?;
        let tokens = SpecialTokens {
            padding: AddedToken::special(padding),
            ..SpecialTokens::published()
        };
        Ok(Self {
            vocabulary,
            tokens,
            length: CLIP_LENGTH,
            path,
        })
    }
}

pub(super) fn refused(path: &Path, reason: impl Into<String>) -> PipelineError {
    PipelineError::Tokenizer {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn text(path: &Path) -> Result<String, PipelineError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    Ok(fs::read_to_string(path).map_err(io)?)
}

fn json(path: &Path) -> Result<Value, PipelineError> {
    let value = serde_json::from_str(&text(path)?);
    value.map_err(|error| refused(path, error.to_string()))
}

fn optional_json(path: &Path) -> Result<Option<Value>, PipelineError> {
    if path.is_file() {
        json(path).map(Some)
    } else {
        Ok(None)
    }
}

fn separate_vocabulary(folder: &Path) -> Result<Vocabulary, PipelineError> {
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    for path in [&vocab, &merges] {
        if !path.is_file() {
            return Err(refused(path, "the file does not exist"));
        }
    }
    let Value::Object(ids) = json(&vocab)? else {
        return Err(refused(&vocab, "it is no object of ids by token"));
    };
    let merges = parse_merges(&text(&merges)?).map_err(|reason| refused(&merges, reason))?;
    Ok(Vocabulary { ids, merges })
}

/// The vocabulary of a `tokenizer.json`. Its pipeline is CLIP's in any case, so that only the model is read.
fn vocabulary_of(tokenizer: &Value) -> Result<Vocabulary, String> {
    let model = &tokenizer["model"];
    match model.get("type").and_then(Value::as_str) {
        None | Some("BPE") => {}
        Some(other) => return Err(format!("its model is {other}; CLIP's is BPE")),
    }
    let ids = model["vocab"]
        .as_object()
        .ok_or("it holds no `model.vocab`")?;
    let merges = model["merges"]
        .as_array()
        .ok_or("it holds no `model.merges`")?;
    Ok(Vocabulary {
        ids: ids.clone(),
        merges: merges.clone(),
    })
}

/// Reads special tokens in transformers' order: `tokenizer_config.json`; `special_tokens_map.json` over it, unless the
/// config lists the added tokens itself; the added tokens of `added_tokens.json` and `tokenizer.json`.
fn special_tokens(
    folder: &Path,
    config: &Value,
    serialized: Option<&Value>,
) -> Result<SpecialTokens, PipelineError> {
    let mut tokens = SpecialTokens::default();
    tokens.merge(config);
    let mut added = std::collections::BTreeMap::new();
    if let Some(listed) = config
        .get("added_tokens_decoder")
        .and_then(Value::as_object)
    {
        let token = |(id, token): (&String, &Value)| {
            Some((id.parse::<u32>().ok()?, AddedToken::read(token, None)?))
        };
        added.extend(listed.iter().filter_map(token));
    } else {
        if let Some(map) = optional_json(&folder.join("special_tokens_map.json"))? {
            tokens.merge(&map);
        }
        if let Some(Value::Object(map)) = optional_json(&folder.join("added_tokens.json"))? {
            for (content, id) in &map {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let named = [&tokens.start, &tokens.end, &tokens.padding, &tokens.unknown];
                let token = match named.iter().any(|token| token.content == *content) {
                    true => AddedToken::special(content),
                    false => AddedToken::plain(content),
                };
                added.extend(id.map(|id| (id, token)));
            }
        }
        let listed = serialized.and_then(|tokenizer| tokenizer["added_tokens"].as_array());
        for token in listed.into_iter().flatten() {
            let id = token["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            added.extend(id.zip(AddedToken::read(token, None)));
        }
    }
    tokens.added = added.into_iter().collect();
    Ok(tokens)
}

fn length(folder: &Path, config: &Value) -> Result<usize, PipelineError> {
    match config.get("model_max_length") {
        None | Some(Value::Null) => Ok(CLIP_LENGTH),
        Some(value) => match value.as_f64() {
            Some(length) if length >= LONGEST => Ok(CLIP_LENGTH),
            Some(length) if length >= 3.0 && length.fract() == 0.0 => Ok(length as usize),
            _ => Err(refused(
                &folder.join("tokenizer_config.json"),
                format!(
                    "`model_max_length` is {value}; a prompt needs a whole number of at least 3"
                ),
            )),
        },
    }
}
