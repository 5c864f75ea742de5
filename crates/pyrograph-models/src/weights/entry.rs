//! One tensor of a state dict.

use std::{fmt, ops::Range, path::Path};

use burn::tensor::{DType, TensorData};

pub(crate) use super::stored_type::type_name;
use super::{Precision, convert, shared_bytes::SharedBytes, stored_type::StoredType};
use crate::ModelError;

/// A tensor on the host: its shape, its number type, and its bytes in a mapped file or in memory. Clones share the bytes.
#[derive(Clone)]
pub struct TensorEntry {
    shape: Vec<usize>,
    stored: StoredType,
    bytes: SharedBytes,
}

impl TensorEntry {
    /// A tensor over bytes that hold exactly its values, little-endian and row-major.
    pub(super) fn new(
        shape: Vec<usize>,
        stored: impl Into<StoredType>,
        bytes: SharedBytes,
    ) -> Result<Self, String> {
        let stored = stored.into();
        let size = size_of_values(&shape, stored);
        if size != Some(bytes.len()) {
            return Err(format!(
                "shape {shape:?} of {} does not fill {} bytes",
                stored.name(),
                bytes.len()
            ));
        }
        Ok(Self {
            shape,
            stored,
            bytes,
        })
    }

    /// A tensor of f32.
    ///
    /// # Panics
    /// When `shape` does not hold as many values.
    pub fn from_f32(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self::from_data(TensorData::new(values, shape))
    }

    /// A tensor of the values and the type of burn's host data, which is not copied.
    pub fn from_data(data: TensorData) -> Self {
        Self {
            shape: data.shape.to_vec(),
            stored: data.dtype.into(),
            bytes: SharedBytes::of_tensor(data.bytes),
        }
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number type as stored; f32 for 8-bit floats, which are widened when they are read.
    pub fn dtype(&self) -> DType {
        self.stored.widened()
    }

    /// Whether the numbers are stored as 8-bit floats, a type that no parameter has.
    pub fn is_float8(&self) -> bool {
        matches!(self.stored, StoredType::Float8(_))
    }

    /// The number type in the file.
    pub(super) fn in_file(&self) -> StoredType {
        self.stored
    }

    /// The name of the number type, such as `bf16` or `f8_e4m3`.
    pub fn type_name(&self) -> &'static str {
        self.stored.name()
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.stored.size()
    }

    /// The values as stored: little-endian, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the values are still in their file, and read when they are needed.
    pub fn is_mapped(&self) -> bool {
        self.bytes.is_mapped()
    }

    /// Gives the memory of values that were read from a mapped file back to the system; they stay available.
    pub fn release(&self) {
        self.bytes.release();
    }

    /// The values as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        convert::to_f32(&self.bytes, self.stored)
    }

    /// Host data of the type that `precision` asks for; integers stay what they are, 8-bit floats as stored are f32. Where the type is the stored one, the data
    /// shares the bytes of this entry, if they lie at an address that the type allows.
    pub fn to_data(&self, precision: Precision) -> TensorData {
        self.data_of(self.stored_type(precision))
    }

    /// The type of the tensor in a file of this precision: integers stay what they are.
    pub(super) fn stored_type(&self, precision: Precision) -> DType {
        match precision {
            Precision::AsStored => self.dtype(),
            _ if !is_float(self.dtype()) => self.dtype(),
            _ => precision.parameter_type(self.dtype()),
        }
    }

    /// Host data of the type `dtype`.
    pub(super) fn data_of(&self, dtype: DType) -> TensorData {
        if self.stored != dtype.into() {
            return convert::convert(&self.bytes, &self.shape, self.stored, dtype);
        }
        match self.bytes.to_tensor_bytes(dtype.size()) {
            Some(bytes) => TensorData::from_bytes(bytes, self.shape.clone(), dtype),
            None => {
                let copy = self.bytes.to_vec();
                self.bytes.release();
                TensorData::from_bytes_vec(copy, self.shape.clone(), dtype)
            }
        }
    }

    /// The rows `range` of the first axis, which share the bytes; rows beyond the last are left out.
    pub fn rows(&self, range: Range<usize>) -> Self {
        let Some((&rows, rest)) = self.shape.split_first() else {
            return self.clone();
        };
        let (start, end) = (range.start.min(rows), range.end.min(rows));
        let end = end.max(start);
        let row = rest.iter().product::<usize>() * self.stored.size();
        let bytes = self.bytes.slice(start * row..end * row);
        Self {
            shape: [&[end - start], rest].concat(),
            stored: self.stored,
            // Whole rows of a tensor lie within its bytes.
            bytes: bytes.unwrap_or_else(|| self.bytes.clone()),
        }
    }

    /// The same values in another shape; a shape of another number of values leaves the tensor as it is, so that the strict
    /// comparison on loading names it.
    pub fn reshaped(&self, shape: Vec<usize>) -> Self {
        let shape = match size_of_values(&shape, self.stored) {
            Some(size) if size == self.bytes.len() => shape,
            _ => self.shape.clone(),
        };
        Self {
            shape,
            ..self.clone()
        }
    }

    /// The same values as numbers of the type `dtype`.
    pub fn cast(&self, dtype: DType) -> Self {
        if self.stored == dtype.into() {
            return self.clone();
        }
        Self::from_data(self.data_of(dtype))
    }

    /// The place and value of the first number of which `refused` holds.
    pub(super) fn find(&self, refused: impl Fn(f32) -> bool) -> Option<(usize, f32)> {
        convert::find(&self.bytes, self.stored, refused)
    }

    /// Refuses NaN and infinite values; the error says that `key` of `path` holds them.
    ///
    /// The pages of a mapped file stay in memory where they are to be `kept`.
    pub(crate) fn check_finite(
        &self,
        path: &Path,
        key: &str,
        kept: bool,
    ) -> Result<(), ModelError> {
        if !is_float(self.dtype()) {
            return Ok(());
        }
        match convert::find_non_finite(&self.bytes, self.stored, kept) {
            // A number of f64 beyond f32 is infinite as a parameter too.
            Some((index, value)) => Err(ModelError::NonFinite {
                path: path.into(),
                key: key.into(),
                index,
                value,
            }),
            None => Ok(()),
        }
    }
}

impl PartialEq for TensorEntry {
    /// The same shape, type and bytes.
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.stored == other.stored && *self.bytes == *other.bytes
    }
}

impl fmt::Debug for TensorEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TensorEntry")
            .field("shape", &self.shape)
            .field("dtype", &self.type_name())
            .field("mapped", &self.is_mapped())
            .finish()
    }
}

/// Bytes of a tensor; none where they are more than addresses count.
pub(super) fn size_of_values(shape: &[usize], stored: impl Into<StoredType>) -> Option<usize> {
    shape
        .iter()
        .try_fold(stored.into().size(), |n, &size| n.checked_mul(size))
}

pub(super) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}
