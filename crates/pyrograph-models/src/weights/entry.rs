//! One tensor of a state dict.

use std::{fmt, ops::Range, path::Path, sync::Arc};

use burn::tensor::{DType, TensorData};
use burn_std::quantization::QuantizedBytes;
use pyrograph_backend::vision::Int8Products;

pub(crate) use super::stored_type::type_name;
use super::{Precision, convert, int8, shared_bytes::SharedBytes, stored_type::StoredType};
use crate::ModelError;

/// A tensor on the host: its shape, its number type, and its bytes in a mapped file or in memory.
/// Clones share the bytes.
///
/// An int8 weight has a scale for each output, by which its numbers are multiplied.
#[derive(Clone)]
pub struct TensorEntry {
    shape: Vec<usize>,
    stored: StoredType,
    bytes: SharedBytes,
    /// The scales of the rows of a weight in int8.
    scales: Option<Arc<[f32]>>,
    /// The products that a weight in int8 is for, or would be for once it is one.
    products: Int8Products,
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
            scales: None,
            products: Int8Products::default(),
        })
    }

    /// A tensor of f32.
    ///
    /// # Panics
    /// When the number of values does not fit `shape`.
    pub fn from_f32(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self::from_data(TensorData::new(values, shape))
    }

    /// A tensor with the values and the type of burn's host data, without a copy.
    pub fn from_data(data: TensorData) -> Self {
        if let DType::QFloat(scheme) = data.dtype {
            let quantised = QuantizedBytes {
                num_elements: data.num_elements(),
                bytes: data.bytes,
                scheme,
            };
            let (numbers, parameters) = quantised.into_vec_i8();
            let numbers = Self::from_data(TensorData::new(numbers, data.shape));
            let products = Int8Products::of_scheme(&scheme);
            return numbers
                .with_scales(parameters.scales)
                .with_products(products);
        }
        Self {
            shape: data.shape.to_vec(),
            stored: data.dtype.into(),
            bytes: SharedBytes::of_tensor(data.bytes),
            scales: None,
            products: Int8Products::default(),
        }
    }

    /// Numbers of int8 with a scale for each row.
    pub(super) fn with_scales(&self, scales: Vec<f32>) -> Self {
        Self {
            scales: Some(scales.into()),
            ..self.clone()
        }
    }

    /// The same tensor, for these products as a weight in int8.
    pub fn with_products(&self, products: Int8Products) -> Self {
        Self {
            products,
            ..self.clone()
        }
    }

    /// The products that a weight in int8 is for; none for other tensors.
    pub fn int8_products(&self) -> Option<Int8Products> {
        self.is_quantised().then_some(self.products)
    }

    /// Whether the tensor is an int8 weight with a scale for each output.
    pub fn is_quantised(&self) -> bool {
        self.scales.is_some()
    }

    /// The scales of an int8 weight, one for each output.
    pub fn scales(&self) -> Option<&[f32]> {
        self.scales.as_deref()
    }

    /// Quantises the weight to int8 with a scale for each output: the largest absolute value of the
    /// output divided by 127, or 1 for an output of zeros. `None` for whole numbers, and for shapes
    /// that burn has no scheme for. An int8 weight is returned unchanged;
    /// another one is for products with the weights alone in int8, unless
    /// [`with_products`](Self::with_products) said otherwise.
    pub fn to_int8(&self) -> Option<Self> {
        if self.is_quantised() {
            return Some(self.clone());
        }
        let scales = self.int8_scales()?;
        let numbers = int8::numbers_of(&self.to_f32(), &scales);
        let data = TensorData::new(numbers, self.shape.clone());
        let numbers = Self::from_data(data).with_scales(scales);
        Some(numbers.with_products(self.products))
    }

    /// The scales that [`to_int8`](Self::to_int8) has.
    pub(super) fn int8_scales(&self) -> Option<Vec<f32>> {
        if let Some(scales) = self.scales() {
            return Some(scales.to_vec());
        }
        let is_weight = is_float(self.dtype()) && int8::is_quantisable(&self.shape);
        is_weight.then(|| int8::scales_of(&self.to_f32(), self.shape[0]))
    }

    /// Whether a network of this precision holds the tensor in int8; `of_int8_layer` is whether the
    /// network names its layer as an int8 layer.
    pub fn takes_int8(&self, precision: Precision, of_int8_layer: bool) -> bool {
        match precision {
            Precision::AsStored => self.is_quantised(),
            Precision::Int8 | Precision::Int8Activations => {
                let is_weight = is_float(self.dtype()) && int8::is_quantisable(&self.shape);
                self.is_quantised() || of_int8_layer && is_weight
            }
            Precision::F32 | Precision::Bf16 | Precision::F16 => false,
        }
    }

    /// The same numbers in the type or the form of `other`.
    pub(crate) fn in_form_of(&self, other: &Self) -> Self {
        match other.is_quantised() {
            true => {
                let weight = self.with_products(other.products);
                weight.to_int8().unwrap_or(weight)
            }
            false => self.cast(other.dtype()),
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

    /// Whether the numbers are stored as 8-bit floats, which parameters cannot have.
    pub fn is_float8(&self) -> bool {
        matches!(self.stored, StoredType::Float8(_))
    }

    /// The number type in the file.
    pub(super) fn in_file(&self) -> StoredType {
        self.stored
    }

    /// The name of the number type, such as `bf16` or `f8_e4m3`; `int8` or `int8-activations`
    /// for an int8 weight with scales, by its products, `i8` for whole numbers.
    pub fn type_name(&self) -> &'static str {
        match self.int8_products() {
            Some(Int8Products::WeightsAlone) => "int8",
            Some(Int8Products::Activations) => "int8-activations",
            None => self.stored.name(),
        }
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.stored.size()
    }

    /// The values as stored: little-endian, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The size of the values and the scales in bytes.
    pub fn stored_size(&self) -> usize {
        self.bytes.len() + self.scales().map_or(0, size_of_val)
    }

    /// The size in bytes that the tensor has in memory in a network of this precision;
    /// `of_int8_layer` as for [`takes_int8`](Self::takes_int8).
    pub fn size_in_memory(&self, precision: Precision, of_int8_layer: bool) -> usize {
        match self.takes_int8(precision, of_int8_layer) {
            true => self.count() + self.shape[0] * size_of::<f32>(),
            false => self.count() * precision.parameter_type(self.dtype()).size(),
        }
    }

    /// Whether the values are in the mapped file, and are read when they are needed.
    pub fn is_mapped(&self) -> bool {
        self.bytes.is_mapped()
    }

    /// Releases the memory of values that were read from a mapped file; the values stay available.
    pub fn release(&self) {
        self.bytes.release();
    }

    /// The values as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        if let Some(scales) = self.scales() {
            return int8::widened(&self.bytes, scales);
        }
        convert::to_f32(&self.bytes, self.stored)
    }

    /// Host data in the type of `precision`. Integers keep their type; 8-bit floats become f32 if
    /// `precision` is the stored type. If the type is the stored one and the bytes are aligned for
    /// it, the data shares the bytes of this entry.
    pub fn to_data(&self, precision: Precision) -> TensorData {
        self.data_of(self.stored_type(precision))
    }

    /// The type of the tensor in a file of this precision: integers stay what they are.
    pub(crate) fn stored_type(&self, precision: Precision) -> DType {
        match precision {
            Precision::AsStored => self.dtype(),
            _ if self.is_quantised() && self.takes_int8(precision, false) => self.dtype(),
            _ if self.is_quantised() => precision.parameter_type(self.dtype()),
            _ if !is_float(self.dtype()) => self.dtype(),
            _ => precision.parameter_type(self.dtype()),
        }
    }

    /// Host data of the type `dtype`: the values, or for `DType::I8` the numbers of a weight in int8.
    pub(super) fn data_of(&self, dtype: DType) -> TensorData {
        if self.is_quantised() && dtype != self.dtype() {
            let wide = Self::from_f32(self.shape.clone(), self.to_f32());
            self.release();
            return wide.data_of(dtype);
        }
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

    /// The rows `range` of the first axis, without a copy; rows beyond the last are ignored.
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
            scales: self.scales().map(|scales| scales[start..end].into()),
            products: self.products,
        }
    }

    /// The same values in another shape. If the number of values does not fit, the tensor is
    /// returned unchanged, and the strict comparison on loading names it.
    pub fn reshaped(&self, shape: Vec<usize>) -> Self {
        let shape = match size_of_values(&shape, self.stored) {
            Some(size) if size == self.bytes.len() => shape,
            _ => self.shape.clone(),
        };
        if self.is_quantised() && shape.first() != self.shape.first() {
            return Self::from_f32(shape, self.to_f32());
        }
        Self {
            shape,
            ..self.clone()
        }
    }

    /// The values converted to the type `dtype`.
    pub fn cast(&self, dtype: DType) -> Self {
        if self.stored == dtype.into() {
            return self.clone();
        }
        // A float becomes whole numbers by its scales alone.
        if dtype == DType::I8
            && let Some(quantised) = self.to_int8()
        {
            return quantised;
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
    /// Equal if shape, type, bytes and products are equal.
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self.stored == other.stored
            && self.scales == other.scales
            && self.int8_products() == other.int8_products()
            && *self.bytes == *other.bytes
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
