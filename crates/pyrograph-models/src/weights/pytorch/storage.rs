//! Storages, and tensors as strided views of them.

use std::{collections::HashMap, rc::Rc};

use burn::tensor::{BoolStore, DType};

use super::super::{TensorEntry, shared_bytes::SharedBytes};

/// What a pickle says of a storage.
#[derive(Clone, Debug)]
pub(super) struct StorageInfo {
    pub(super) dtype: DType,
}

/// Weights have five axes at most, those of a 3-d convolution.
pub(super) const MAX_RANK: usize = 8;

/// A tensor as pickled: a view of a storage, counted in values.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub(super) storage: Rc<str>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The bytes of every storage.
#[derive(Default)]
pub(super) struct Storages {
    bytes: HashMap<String, (DType, SharedBytes)>,
}

impl Storages {
    pub(super) fn insert(
        &mut self,
        key: &str,
        info: &StorageInfo,
        bytes: SharedBytes,
    ) -> Result<(), String> {
        let size = info.dtype.size();
        if !bytes.len().is_multiple_of(size) {
            return Err(format!(
                "storage {key} holds {} bytes, no multiple of {size}",
                bytes.len()
            ));
        }
        self.bytes.insert(key.to_owned(), (info.dtype, bytes));
        Ok(())
    }

    /// Values of all storages.
    pub(super) fn count(&self) -> usize {
        let storages = self.bytes.values();
        storages
            .map(|(dtype, bytes)| bytes.len() / dtype.size())
            .sum()
    }

    /// The tensor in row-major order: a part of its storage where it stands so there, else a copy.
    pub(super) fn read(&self, tensor: &TensorInfo) -> Result<TensorEntry, String> {
        let TensorInfo {
            storage,
            offset,
            shape,
            strides,
        } = tensor;
        let (dtype, bytes) = self
            .bytes
            .get(&**storage)
            .ok_or_else(|| format!("storage {storage} is missing"))?;
        if shape.len() != strides.len() {
            return Err(format!(
                "shape {shape:?} and strides {strides:?} differ in rank"
            ));
        }
        let absurd = || format!("shape {shape:?} with strides {strides:?} at {offset} is absurd");
        let count = shape
            .iter()
            .try_fold(1_usize, |n, &size| n.checked_mul(size))
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
        let (size, held) = (dtype.size(), bytes.len() / dtype.size());
        // `count` may exceed the storage only by broadcasting strides, which no state dict needs.
        if last >= held || count > held {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} at {offset} reaches beyond its storage of {held} values"
            ));
        }
        let contiguous = is_row_major(shape, strides)
            .then(|| bytes.slice(offset * size..(offset + count) * size))
            .flatten();
        let bytes =
            contiguous.unwrap_or_else(|| SharedBytes::owned(gathered(bytes, tensor, count, size)));
        TensorEntry::new(shape.clone(), *dtype, bytes)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn storages() -> Storages {
        let bytes: Vec<u8> = (0..6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let mut storages = Storages::default();
        storages
            .insert(
                "0",
                &StorageInfo { dtype: DType::F32 },
                SharedBytes::owned(bytes),
            )
            .expect("whole");
        storages
    }

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> TensorInfo {
        TensorInfo {
            storage: "0".into(),
            offset,
            shape: shape.into(),
            strides: strides.into(),
        }
    }

    #[test]
    fn a_transposed_view_comes_back_in_row_major_order() {
        let read = storages().read(&view(0, &[3, 2], &[1, 3])).expect("inside");
        assert_eq!(read.to_f32(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let read = storages().read(&view(1, &[2, 2], &[3, 1])).expect("inside");
        assert_eq!(read.to_f32(), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(
            storages()
                .read(&view(4, &[], &[]))
                .expect("scalar")
                .to_f32(),
            [4.0]
        );
        assert!(
            storages()
                .read(&view(9, &[0, 2], &[2, 1]))
                .expect("empty")
                .to_f32()
                .is_empty()
        );
    }

    #[test]
    fn a_view_beyond_its_storage_is_refused() {
        for (offset, shape, strides) in [
            (1, &[3, 2][..], &[1, 3][..]),
            (0, &[7], &[1]),
            (0, &[1_000_000_000_000], &[0]),
            (0, &[usize::MAX, 2], &[1, 1]),
            (0, &[2], &[usize::MAX]),
            (0, &[2, 2], &[1]),
        ] {
            assert!(
                storages().read(&view(offset, shape, strides)).is_err(),
                "{shape:?} {strides:?}"
            );
        }
    }
}
