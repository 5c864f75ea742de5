//! One tensor of a state dict.

use std::{fmt, ops::Range, path::Path};

use burn::tensor::{DType, TensorData};

use super::{Precision, convert, shared_bytes::SharedBytes};
use crate::ModelError;

/// A tensor on the host: its shape, its number type, and its bytes in a mapped file or in memory. Clones share the bytes.
#[derive(Clone)]
pub struct TensorEntry {
    shape: Vec<usize>,
    dtype: DType,
    bytes: SharedBytes,
}

impl TensorEntry {
    /// A tensor over bytes that hold exactly its values, little-endian and row-major.
    pub(super) fn new(shape: Vec<usize>, dtype: DType, bytes: SharedBytes) -> Result<Self, String> {
        let size = size_of_values(&shape, dtype);
        if size != Some(bytes.len()) {
            return Err(format!(
                "shape {shape:?} of {} does not fill {} bytes",
                type_name(dtype),
                bytes.len()
            ));
        }
        Ok(Self {
            shape,
            dtype,
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
            dtype: data.dtype,
            bytes: SharedBytes::of_tensor(data.bytes),
        }
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number type as stored.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The name of the number type, such as `bf16`.
    pub fn type_name(&self) -> &'static str {
        type_name(self.dtype)
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.dtype.size()
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
        convert::to_f32(&self.bytes, self.dtype)
    }

    /// Host data of the type that `precision` asks for; integers stay what they are. Where the type is the stored one, the data
    /// shares the bytes of this entry, if they lie at an address that the type allows.
    pub fn to_data(&self, precision: Precision) -> TensorData {
        self.data_of(self.stored_type(precision))
    }

    /// The type of the tensor in a file of this precision: integers stay what they are.
    pub(super) fn stored_type(&self, precision: Precision) -> DType {
        match precision {
            Precision::AsStored => self.dtype,
            _ if !is_float(self.dtype) => self.dtype,
            _ => precision.parameter_type(self.dtype),
        }
    }

    /// Host data of the type `dtype`.
    pub(super) fn data_of(&self, dtype: DType) -> TensorData {
        if dtype != self.dtype {
            return convert::convert(&self.bytes, &self.shape, self.dtype, dtype);
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
        let row = rest.iter().product::<usize>() * self.dtype.size();
        let bytes = self.bytes.slice(start * row..end * row);
        Self {
            shape: [&[end - start], rest].concat(),
            dtype: self.dtype,
            // Whole rows of a tensor lie within its bytes.
            bytes: bytes.unwrap_or_else(|| self.bytes.clone()),
        }
    }

    /// The same values in another shape; a shape of another number of values leaves the tensor as it is, so that the strict
    /// comparison on loading names it.
    pub fn reshaped(&self, shape: Vec<usize>) -> Self {
        let shape = match size_of_values(&shape, self.dtype) {
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
        if dtype == self.dtype {
            return self.clone();
        }
        Self::from_data(self.data_of(dtype))
    }

    /// The place and value of the first number of which `refused` holds.
    pub(super) fn find(&self, refused: impl Fn(f32) -> bool) -> Option<(usize, f32)> {
        convert::find(&self.bytes, self.dtype, true, refused)
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
        if !is_float(self.dtype) {
            return Ok(());
        }
        match convert::find(&self.bytes, self.dtype, kept, |v| !v.is_finite()) {
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
        self.shape == other.shape && self.dtype == other.dtype && *self.bytes == *other.bytes
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
pub(super) fn size_of_values(shape: &[usize], dtype: DType) -> Option<usize> {
    shape
        .iter()
        .try_fold(dtype.size(), |n, &size| n.checked_mul(size))
}

pub(super) fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
}

/// The name of a number type, as messages and options spell it.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "f64",
        DType::F32 => "f32",
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        DType::I64 => "i64",
        DType::I32 => "i32",
        DType::I16 => "i16",
        DType::I8 => "i8",
        DType::U64 => "u64",
        DType::U32 => "u32",
        DType::U16 => "u16",
        DType::U8 => "u8",
        DType::Bool(_) => "bool",
        _ => "an unknown type",
    }
}
