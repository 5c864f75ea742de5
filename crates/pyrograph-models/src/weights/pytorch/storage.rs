//! Storages, and tensors as strided views of them.

use std::{collections::HashMap, rc::Rc};

use burn::tensor::{BoolStore, DType};

use super::super::{TensorEntry, shared_bytes::SharedBytes};

/// What a pickle says of a storage: the bytes of one element, where its class is known.
#[derive(Clone, Debug)]
pub(super) struct StorageInfo {
    pub(super) class: Rc<str>,
    pub(super) size: Option<usize>,
}

/// Weights have five axes at most, those of a 3-d convolution.
pub(super) const MAX_RANK: usize = 8;

/// A tensor as pickled: a view of a storage, counted in values.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub(super) storage: Rc<str>,
    pub(super) dtype: DType,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The bytes of every storage.
#[derive(Default)]
pub(super) struct Storages {
    bytes: HashMap<String, SharedBytes>,
}

impl Storages {
    pub(super) fn insert(
        &mut self,
        key: &str,
        info: &StorageInfo,
        bytes: SharedBytes,
    ) -> Result<(), String> {
        let size = info.size.unwrap_or(1);
        if !bytes.len().is_multiple_of(size) {
            return Err(format!(
                "storage {key} holds {} bytes, no multiple of {size}",
                bytes.len()
            ));
        }
        self.bytes.insert(key.to_owned(), bytes);
        Ok(())
    }

    /// The tensor in row-major order: a part of its storage where it stands so there, else a copy,
    /// whose bytes are taken from `left`.
    pub(super) fn read(
        &self,
        tensor: &TensorInfo,
        left: &mut usize,
    ) -> Result<TensorEntry, String> {
        let TensorInfo {
            storage,
            dtype,
            offset,
            shape,
            strides,
        } = tensor;
        let bytes = self
            .bytes
            .get(&**storage)
            .ok_or_else(|| format!("storage {storage} is missing"))?;
        if shape.len() != strides.len() {
            return Err(format!(
                "shape {shape:?} and strides {strides:?} differ in rank"
            ));
        }
        let absurd = || format!("shape {shape:?} with strides {strides:?} at {offset} is absurd");
        let size = dtype.size();
        let count = shape
            .iter()
            .try_fold(1_usize, |n, &size| n.checked_mul(size))
            .filter(|count| count.checked_mul(size).is_some())
            .ok_or_else(absurd)?;
        if count == 0 {
            return TensorEntry::new(shape.clone(), *dtype, SharedBytes::owned(Vec::new()));
        }
        let last = shape
            .iter()
            .zip(strides)
            .try_fold(*offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            })
            .ok_or_else(absurd)?;
        let held = bytes.len() / size;
        if last >= held {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} at {offset} reaches beyond its storage of {held} values"
            ));
        }
        let contiguous = is_row_major(shape, strides)
            .then(|| bytes.slice(offset * size..(offset + count) * size))
            .flatten();
        if let Some(bytes) = contiguous {
            return TensorEntry::new(shape.clone(), *dtype, bytes);
        }
        // A stride of 0 repeats values (`expand`), so that a few bytes may describe any number of them.
        *left = left.checked_sub(count * size).ok_or_else(|| {
            format!(
                "shape {shape:?} with strides {strides:?} at {offset} repeats its storage of {held} values more often than \
                 a file of this size may: its views would fill more than {MAX_COPIES} times the file's bytes"
            )
        })?;
        let copy = gathered(bytes, tensor, count, size);
        TensorEntry::new(shape.clone(), *dtype, SharedBytes::owned(copy))
    }
}

/// How many times the file's size its strided and expanded views may fill as copies.
pub(super) const MAX_COPIES: usize = 8;

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size; // Within the number of values, which was checked.
        fits
    })
}

/// The values of a strided view, which lies within `bytes`, in row-major order.
fn gathered(bytes: &[u8], tensor: &TensorInfo, count: usize, size: usize) -> Vec<u8> {
    let TensorInfo { shape, strides, .. } = tensor;
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    let mut at = tensor.offset;
    for _ in 0..count {
        out.extend_from_slice(&bytes[at * size..][..size]);
        // Count up in row-major order, moving `at` along.
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

/// The element type of a storage class of torch.
pub(super) fn dtype_of(class: &str) -> Option<DType> {
    Some(match class {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}

/// The bytes of one element of a storage class of torch.
pub(super) fn size_of_element(class: &str) -> Option<usize> {
    Some(match class {
        "ComplexDoubleStorage" => 16,
        "ComplexFloatStorage" => 8,
        "QInt32Storage" => 4,
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage"
        | "UntypedStorage" => 1,
        _ => return dtype_of(class).map(|dtype| dtype.size()),
    })
}

/// The element type that a tensor over an untyped storage names, as `torch.uint16`.
pub(super) fn dtype_by_name(name: &str) -> Option<DType> {
    Some(match name {
        "float32" => DType::F32,
        "float64" => DType::F64,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "int64" => DType::I64,
        "int32" => DType::I32,
        "int16" => DType::I16,
        "int8" => DType::I8,
        "uint64" => DType::U64,
        "uint32" => DType::U32,
        "uint16" => DType::U16,
        "uint8" => DType::U8,
        "bool" => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storages() -> Storages {
        let bytes: Vec<u8> = (0..6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let mut storages = Storages::default();
        storages
            .insert(
                "0",
                &StorageInfo {
                    class: "FloatStorage".into(),
                    size: Some(4),
                },
                SharedBytes::owned(bytes),
            )
            .expect("whole");
        storages
    }

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> TensorInfo {
        TensorInfo {
            storage: "0".into(),
            dtype: DType::F32,
            offset,
            shape: shape.into(),
            strides: strides.into(),
        }
    }

    /// The values of a view, for a file that may fill 192 bytes with copies.
    fn read(offset: usize, shape: &[usize], strides: &[usize]) -> Result<Vec<f32>, String> {
        let entry = storages().read(&view(offset, shape, strides), &mut 192)?;
        assert_eq!(entry.shape(), shape);
        Ok(entry.to_f32())
    }

    #[test]
    fn a_transposed_view_comes_back_in_row_major_order() {
        let transposed = read(0, &[3, 2], &[1, 3]).expect("inside");
        assert_eq!(transposed, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(
            read(1, &[2, 2], &[3, 1]).expect("inside"),
            [1.0, 2.0, 4.0, 5.0]
        );
        assert_eq!(read(4, &[], &[]).expect("scalar"), [4.0]);
        assert!(read(9, &[0, 2], &[2, 1]).expect("empty").is_empty());
    }

    #[test]
    fn an_expanded_view_repeats_its_values_within_the_bound() {
        assert_eq!(
            read(1, &[2, 3], &[0, 1]).expect("twice"),
            [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
        );
        assert_eq!(read(5, &[48], &[0]).expect("192 bytes"), [5.0; 48]);
        let message = read(5, &[49], &[0]).expect_err("196 bytes");
        assert!(
            message.contains("more than 8 times the file's bytes"),
            "{message}"
        );
    }

    #[test]
    fn a_view_beyond_its_storage_is_refused() {
        for (offset, shape, strides) in [
            (1, &[3, 2][..], &[1, 3][..]),
            (0, &[7], &[1]),
            (0, &[1_000_000_000_000], &[0]),
            (0, &[usize::MAX, 2], &[1, 1]),
            (0, &[usize::MAX / 2], &[0]),
            (0, &[2], &[usize::MAX]),
            (0, &[2, 2], &[1]),
        ] {
            assert!(
                read(offset, shape, strides).is_err(),
                "{shape:?} {strides:?}"
            );
        }
    }
}
