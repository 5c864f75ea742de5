//! Learned tokens: rows for the text encoder's table of embeddings.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use serde_json::Value;

use super::checkpoint::Part;
use crate::{
    ModelError,
    error::first,
    weights::{StateDict, TensorEntry},
};

/// Keys that AUTOMATIC1111's files keep the rows under, which do not tell the token.
const NAMELESS: [&str; 2] = ["emb_params", "string_to_param.*"];
/// What those files hold beside them.
const BESIDE: &str = "string_to_token.";
/// The table of embeddings; `text_model.` may be left out.
const TABLES: [&str; 2] = [
    "text_model.embeddings.token_embedding.weight",
    "embeddings.token_embedding.weight",
];

/// The rows that a token stands for.
#[derive(Clone, Debug)]
pub struct TextualInversion {
    path: PathBuf,
    token: String,
    vectors: TensorEntry,
}

impl TextualInversion {
    /// Opens a file of diffusers (`{token: rows}`) or of AUTOMATIC1111 (`emb_params`, or
    /// `string_to_param` in a PyTorch file).
    ///
    /// # Errors
    /// When the file cannot be read, or holds no rows or several tokens.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let dict = StateDict::open(path)?;
        let nameless = NAMELESS.iter().find_map(|key| dict.get(key));
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let (token, tensor) = match nameless {
            Some(tensor) => (stem.unwrap_or_default(), tensor),
            None => {
                let keys: Vec<_> = dict.keys().filter(|key| !key.starts_with(BESIDE)).collect();
                match (&keys[..], keys.first().and_then(|key| dict.get(key))) {
                    ([token], Some(tensor)) => ((*token).to_owned(), tensor),
                    _ => {
                        let keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
                        let held = match keys.is_empty() {
                            true => "no tensor outside Python objects".into(),
                            false => first(&keys),
                        };
                        let reason = format!(
                            "an embedding holds one token's rows, `emb_params` or a dict `string_to_param`; this file holds {held}"
                        );
                        return Err(refused(path, reason));
                    }
                }
            }
        };
        let vectors = match *tensor.shape() {
            [width] if width > 0 => tensor.reshaped(vec![1, width]),
            [count, width] if count > 0 && width > 0 => tensor.clone(),
            ref other => {
                return Err(refused(
                    path,
                    format!("its tensor has the shape {other:?}, not [vectors, width]"),
                ));
            }
        };
        vectors.check_finite(path, &token, false)?;
        Ok(Self {
            path: path.into(),
            token,
            vectors,
        })
    }

    /// The token: the one stored in the file, or else the file's name without its extension.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The number of rows that the token stands for.
    pub fn count(&self) -> usize {
        self.vectors.shape()[0]
    }

    /// Writes the rows into the embedding table of a text encoder at `ids`, the ids that the
    /// tokenizer assigned to the token, and updates `vocab_size` in the config. Rows beyond the end
    /// of the table must follow it without a gap.
    ///
    /// # Errors
    /// When the rows have another width than the table, or when `ids` do not fit.
    pub fn add_to(&self, text_encoder: &mut Part, ids: &[u32]) -> Result<(), ModelError> {
        let table = TABLES
            .iter()
            .find_map(|key| Some((*key, text_encoder.weights.get(key)?)));
        let Some((key, table)) = table else {
            return Err(refused(
                &self.path,
                format!("the text encoder lacks `{}`", TABLES[0]),
            ));
        };
        let (&[rows, width], &[_, ours]) = (table.shape(), self.vectors.shape()) else {
            return Err(refused(
                &self.path,
                format!("the table of embeddings has the shape {:?}", table.shape()),
            ));
        };
        if ours != width {
            let reason = format!(
                "its rows have {ours} values, but the text encoder's have {width}: it is of another model"
            );
            return Err(refused(&self.path, reason));
        }
        if ids.len() != self.count() {
            return Err(refused(
                &self.path,
                format!(
                    "it holds {} rows, but {} ids are given",
                    self.count(),
                    ids.len()
                ),
            ));
        }
        // In its own type; 8-bit floats are widened, and so is int8: a table of words is looked up, not multiplied.
        let table = match table.is_quantised() {
            true => table.cast(DType::F32),
            false => table.cast(table.dtype()),
        };
        let vectors = self.vectors.cast(table.dtype());
        let row_bytes = width * table.dtype().size();
        let mut bytes = table.bytes().to_vec();
        for (id, row) in ids.iter().zip(vectors.bytes().chunks(row_bytes)) {
            let start = *id as usize * row_bytes;
            match start {
                _ if start == bytes.len() => bytes.extend_from_slice(row),
                _ if start < bytes.len() => bytes[start..start + row_bytes].copy_from_slice(row),
                _ => {
                    return Err(refused(
                        &self.path,
                        format!("the id {id} lies behind the table's {rows} rows"),
                    ));
                }
            }
        }
        let rows = bytes.len() / row_bytes;
        let extended = TensorData::from_bytes_vec(bytes, vec![rows, width], table.dtype());
        text_encoder
            .weights
            .insert(key, TensorEntry::from_data(extended));
        self.count_rows(&mut text_encoder.config, rows)
    }

    /// Writes the number of rows into a text encoder's config.
    fn count_rows(&self, config: &mut String, rows: usize) -> Result<(), ModelError> {
        let mut value: Value = serde_json::from_str(config).map_err(|error| {
            refused(
                &self.path,
                format!("the text encoder's config is no JSON: {error}"),
            )
        })?;
        let nested = value.get("text_config").is_some_and(Value::is_object);
        let fields = if nested {
            &mut value["text_config"]
        } else {
            &mut value
        };
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("vocab_size".into(), rows.into());
        }
        *config = value.to_string();
        Ok(())
    }
}

fn refused(path: &Path, reason: impl Into<String>) -> ModelError {
    ModelError::Adapter {
        path: path.into(),
        reason: reason.into(),
    }
}
