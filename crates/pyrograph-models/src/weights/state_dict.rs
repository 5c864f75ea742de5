//! Named tensors on the host, read from and written to files.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, TensorData};
use pyrograph_vision::atomic_write;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::pytorch;
use crate::ModelError;

/// A tensor on the host, widened to f32.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// Named tensors, as `torch.save(model.state_dict())` or safetensors keep them.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    path: PathBuf,
    tensors: BTreeMap<String, HostTensor>,
    metadata: HashMap<String, String>,
}

/// Where a safetensors file's header begins, after its length.
const JSON_AT: usize = 8;

impl StateDict {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a PyTorch file (zip or legacy) or a safetensors file; the content decides, not the file's name.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is of no known format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let io = |source| ModelError::Io {
            path: path.into(),
            source,
        };
        let bytes = fs::read(path).map_err(io)?;
        // A safetensors header length may begin with a pickle's first byte, but its ninth byte opens the JSON header.
        if pytorch::is_pytorch(&bytes) && bytes.get(JSON_AT) != Some(&b'{') {
            return read_pytorch(path, &bytes);
        }
        read_safetensors(path, &bytes)
    }

    /// Writes a safetensors file, whole or not at all. `metadata` goes into its header.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(
        &self,
        path: impl AsRef<Path>,
        metadata: HashMap<String, String>,
    ) -> Result<(), ModelError> {
        let path = path.as_ref();
        let io = |source| ModelError::Io {
            path: path.into(),
            source,
        };
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .values()
            .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = self
            .tensors
            .iter()
            .zip(&bytes)
            .map(|((name, tensor), bytes)| {
                // The bytes were made from the values, so only a shape that does not hold them can fail here.
                TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (name, view))
            });
        let mut serialized = views
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|error| io(std::io::Error::other(error)))?;
        sort_header(&mut serialized).map_err(|error| io(error.into()))?;
        atomic_write(path, &serialized).map_err(|error| io(std::io::Error::other(error)))
    }

    /// The file it was read from; empty for one made in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header's metadata; empty for PyTorch files.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The number of values of all tensors together.
    pub(super) fn values(&self) -> usize {
        self.tensors
            .values()
            .map(|tensor| tensor.values.len())
            .sum()
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// One tensor.
    pub fn get(&self, key: &str) -> Option<&HostTensor> {
        self.tensors.get(key)
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, key: impl Into<String>, tensor: HostTensor) {
        self.tensors.insert(key.into(), tensor);
    }

    /// The tensors whose keys begin with `prefix`, which is taken off: one of several state dicts in a file.
    pub fn part(&self, prefix: &str) -> Self {
        let tensors = self.tensors.range(prefix.to_owned()..);
        Self {
            path: self.path.clone(),
            tensors: tensors
                .map_while(|(key, tensor)| Some((key.strip_prefix(prefix)?, tensor)))
                .map(|(key, tensor)| (key.to_owned(), tensor.clone()))
                .collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// The same tensors under the names that `rename` gives them.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let tensors = self.tensors.iter();
        Self {
            path: self.path.clone(),
            tensors: tensors
                .map(|(key, tensor)| (rename(key), tensor.clone()))
                .collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// Refuses NaN and infinite values.
    ///
    /// # Errors
    /// Names the first one.
    pub fn check_finite(&self) -> Result<(), ModelError> {
        for (key, tensor) in &self.tensors {
            tensor.check_finite(&self.path, key)?;
        }
        Ok(())
    }
}

impl HostTensor {
    fn from_data(data: TensorData) -> Result<Self, String> {
        let shape = data.shape.to_vec();
        let values = data
            .convert_dtype(DType::F32)
            .into_vec::<f32>()
            .map_err(|e| format!("{e:?}"))?;
        Ok(Self { shape, values })
    }

    /// Refuses NaN and infinite values; the error says that `key` of `path` holds them.
    pub(crate) fn check_finite(&self, path: &Path, key: &str) -> Result<(), ModelError> {
        match self.values.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(ModelError::NonFinite {
                path: path.into(),
                key: key.into(),
                index,
                value: self.values[index],
            }),
            None => Ok(()),
        }
    }

    /// The same as burn's host data.
    pub fn to_data(&self) -> TensorData {
        TensorData::new(self.values.clone(), self.shape.clone())
    }
}

fn format_error(path: &Path, reason: impl Into<String>) -> ModelError {
    ModelError::Format {
        path: path.into(),
        reason: reason.into(),
    }
}

fn read_pytorch(path: &Path, bytes: &[u8]) -> Result<StateDict, ModelError> {
    let tensors = pytorch::read(bytes).map_err(|reason| format_error(path, reason))?;
    if tensors.is_empty() {
        return Err(format_error(path, "it holds no tensors"));
    }
    Ok(StateDict {
        path: path.into(),
        tensors,
        metadata: HashMap::new(),
    })
}

fn read_safetensors(path: &Path, bytes: &[u8]) -> Result<StateDict, ModelError> {
    let failed = |error: safetensors::SafeTensorError| format_error(path, error.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(failed)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(failed)?;
    let mut tensors = BTreeMap::new();
    for (key, view) in file.iter() {
        let dtype = dtype_of(view.dtype()).ok_or_else(|| {
            format_error(path, format!("`{key}` has the type {:?}", view.dtype()))
        })?;
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        let tensor = HostTensor::from_data(data).map_err(|reason| format_error(path, reason))?;
        tensors.insert(key.to_owned(), tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(StateDict {
        path: path.into(),
        tensors,
        metadata,
    })
}

fn dtype_of(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

/// Sorts the header's JSON in its place. `safetensors` writes the metadata in the order of a hash map, so that the same
/// weights would make another file each time.
fn sort_header(file: &mut [u8]) -> Result<(), serde_json::Error> {
    let (length, rest) = file.split_at_mut(8);
    let length: usize = length
        .iter()
        .rev()
        .fold(0, |n, b| (n << 8) | usize::from(*b));
    let header = &mut rest[..length];
    let entries: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(header)?;
    let sorted = serde_json::to_vec(&entries)?;
    // The format pads the header with spaces.
    header.fill(b' ');
    header[..sorted.len()].copy_from_slice(&sorted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tensors_and_metadata_make_the_same_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut dict = StateDict::new();
        for name in ["b", "a"] {
            let tensor = HostTensor {
                shape: vec![2],
                values: vec![1.0, 2.0],
            };
            dict.insert(name, tensor);
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
        assert_eq!(read.get("b").expect("b").values, [1.0, 2.0]);
    }
}
