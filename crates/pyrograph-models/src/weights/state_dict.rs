//! Named tensors on the host, read from and written to files.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufWriter, Error, Write},
    path::{Path, PathBuf},
};

use pyrograph_base::atomic_write_with;

use burn::tensor::DType;
use pyrograph_backend::vision::Int8Products;

use super::{Precision, TensorEntry, int8, open, safetensors_file};
use crate::ModelError;

/// Named tensors, as in a file of `torch.save(model.state_dict())` or safetensors. The tensors of a
/// file are read when they are used.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    path: PathBuf,
    tensors: BTreeMap<String, TensorEntry>,
    unread: BTreeMap<String, String>,
    metadata: HashMap<String, String>,
    /// The names in the file of tensors that have other keys here.
    origins: BTreeMap<String, String>,
}

impl StateDict {
    /// An empty state dict.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a PyTorch file (zip or legacy), a safetensors file, or the index of several files
    /// (`*.index.json`). The content determines the format, not the file's name. The file is
    /// mapped, and its header is checked against its length.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is of no known format; when a shard or a tensor
    /// of a shard is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        open::open(path.as_ref())
    }

    pub(super) fn of_file(
        path: &Path,
        tensors: BTreeMap<String, TensorEntry>,
        metadata: HashMap<String, String>,
    ) -> Self {
        Self {
            path: path.into(),
            tensors,
            metadata,
            ..Self::default()
        }
    }

    /// The same with each weight in int8 and its scales as one tensor.
    pub(super) fn with_joined_scales(mut self) -> Result<Self, ModelError> {
        int8::join(&self.path, &mut self.tensors)?;
        Ok(self)
    }

    /// The same beside tensors that are not read: their keys, and why.
    pub(super) fn with_unread(self, unread: BTreeMap<String, String>) -> Self {
        Self { unread, ..self }
    }

    /// The same with the names in the file of tensors that have other keys here.
    pub(crate) fn with_origins(self, origins: BTreeMap<String, String>) -> Self {
        Self { origins, ..self }
    }

    /// The name of the tensor `key` in its file, for messages.
    pub(crate) fn origin<'a>(&'a self, key: &'a str) -> &'a str {
        self.origins.get(key).map_or(key, String::as_str)
    }

    /// Refuses to write 8-bit floats as stored.
    pub(crate) fn check_float8(&self, precision: Precision) -> Result<(), ModelError> {
        let float8 = self.tensors.iter().find(|(_, tensor)| tensor.is_float8());
        match (precision, float8) {
            (Precision::AsStored, Some((key, tensor))) => Err(self.float8_as_stored(key, tensor)),
            _ => Ok(()),
        }
    }

    /// The refusal of 8-bit floats as stored.
    pub(super) fn float8_as_stored(&self, key: &str, tensor: &TensorEntry) -> ModelError {
        ModelError::Float8 {
            path: self.path.clone(),
            key: self.origin(key).to_owned(),
            stored: tensor.type_name(),
        }
    }

    /// Writes a safetensors file atomically, tensor by tensor, each in its own type. `metadata`
    /// goes into the header.
    ///
    /// # Errors
    /// When the file cannot be written, or when a tensor has 8-bit floats.
    pub fn save(
        &self,
        path: impl AsRef<Path>,
        metadata: HashMap<String, String>,
    ) -> Result<(), ModelError> {
        self.save_as(path, &metadata, Precision::AsStored, |_, _| Ok(()))
    }

    /// Like [`save`](Self::save), with floating-point tensors converted to the type of `precision`,
    /// one at a time. `seen` is called with every tensor as it is written, and may refuse it.
    ///
    /// # Errors
    /// When the file cannot be written, when `precision` keeps a tensor of 8-bit floats, and the
    /// errors of `seen`.
    pub fn save_as(
        &self,
        path: impl AsRef<Path>,
        metadata: &HashMap<String, String>,
        precision: Precision,
        seen: impl FnMut(&str, &TensorEntry) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        self.check_float8(precision)?;
        let form_of = |_: &str, tensor: &TensorEntry| tensor.stored_type(precision);
        let products = precision.int8_products();
        self.save_by(path.as_ref(), metadata, products, form_of, seen)
    }

    /// The same with each tensor in the type that `form_of` says: for `DType::I8` weights become
    /// int8 with scales, which are a tensor of their own, for `products`, if that is given, else for
    /// those that they are for now.
    pub(crate) fn save_by(
        &self,
        path: &Path,
        metadata: &HashMap<String, String>,
        products: Option<Int8Products>,
        form_of: impl Fn(&str, &TensorEntry) -> DType,
        mut seen: impl FnMut(&str, &TensorEntry) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        let (mut scales, mut tensors) = (BTreeMap::new(), self.tensors.clone());
        for (key, tensor) in &mut tensors {
            if form_of(key, tensor) == DType::I8
                && let Some(values) = tensor.int8_scales()
            {
                let products = products.or(tensor.int8_products()).unwrap_or_default();
                *tensor = tensor.with_products(products);
                let entry = TensorEntry::from_f32(vec![values.len()], values);
                scales.insert(format!("{key}{}", int8::scale_suffix(products)), entry);
            }
        }
        tensors.extend(scales.clone());
        let mut refused = None;
        let written = atomic_write_with(path, |file| {
            let mut out = BufWriter::new(file);
            let seen = |key: &str, tensor: &TensorEntry| {
                seen(key, tensor).map_err(|error| {
                    let text = error.to_string();
                    refused = Some(error);
                    Error::other(text)
                })
            };
            let dtype_of = |key: &str, tensor: &TensorEntry| match scales.contains_key(key) {
                true => DType::F32,
                false => form_of(key, tensor),
            };
            safetensors_file::write(&tensors, metadata, dtype_of, &mut out, seen)?;
            out.flush()
        });
        written.map_err(|error| {
            refused.unwrap_or_else(|| ModelError::Io {
                path: path.into(),
                source: Error::other(error),
            })
        })
    }

    /// The file that the state dict was read from; empty if it was made in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's metadata; empty for PyTorch files.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// One tensor.
    pub fn get(&self, key: &str) -> Option<&TensorEntry> {
        self.tensors.get(key)
    }

    /// The reason why the tensor `key` is not read, such as complex numbers; `None` if it is read
    /// or does not exist.
    pub fn unread(&self, key: &str) -> Option<&str> {
        self.unread.get(key).map(String::as_str)
    }

    /// The keys of tensors that are not read, sorted.
    pub fn unread_keys(&self) -> impl Iterator<Item = &str> {
        self.unread.keys().map(String::as_str)
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, key: impl Into<String>, tensor: TensorEntry) {
        self.tensors.insert(key.into(), tensor);
    }

    /// Removes a tensor and returns it.
    pub fn remove(&mut self, key: &str) -> Option<TensorEntry> {
        self.tensors.remove(key)
    }

    /// The tensors whose keys begin with `prefix`, without the prefix: one of several state dicts
    /// in a file.
    pub fn part(&self, prefix: &str) -> Self {
        Self {
            path: self.path.clone(),
            tensors: under(&self.tensors, prefix),
            unread: under(&self.unread, prefix),
            metadata: self.metadata.clone(),
            origins: under(&self.origins, prefix),
        }
    }

    /// Renames all tensors by `rename`.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let (tensors, unread) = (self.tensors.iter(), self.unread.iter());
        Self {
            path: self.path.clone(),
            tensors: tensors
                .map(|(key, tensor)| (rename(key), tensor.clone()))
                .collect(),
            unread: unread
                .map(|(key, reason)| (rename(key), reason.clone()))
                .collect(),
            metadata: self.metadata.clone(),
            origins: BTreeMap::new(),
        }
    }

    /// Refuses NaN and infinite values.
    ///
    /// # Errors
    /// Names the first one.
    pub fn check_finite(&self) -> Result<(), ModelError> {
        for (key, tensor) in &self.tensors {
            tensor.check_finite(&self.path, key, false)?;
        }
        Ok(())
    }
}

/// The entries whose keys begin with `prefix`, which is taken off.
fn under<T: Clone>(entries: &BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    entries
        .range(prefix.to_owned()..)
        .map_while(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_same_tensors_and_metadata_make_the_same_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut dict = StateDict::new();
        for name in ["b", "a"] {
            dict.insert(name, TensorEntry::from_f32(vec![2], vec![1.0, 2.0]));
        }
        let notes = || (0..8).map(|i| (format!("key {i}"), format!("{{\"value\":{i}}}")));
        let write = |name| {
            let path = folder.path().join(name);
            dict.save(&path, notes().collect()).expect("writable");
            path
        };
        let first = write("first");
        for name in ["second", "third", "fourth"] {
            assert_eq!(
                fs::read(&first).expect("written"),
                fs::read(write(name)).expect("written")
            );
        }
        let read = StateDict::open(&first).expect("reads back");
        assert_eq!(read.metadata(), &notes().collect());
        assert_eq!(read.get("b").expect("b").to_f32(), [1.0, 2.0]);
    }
}
