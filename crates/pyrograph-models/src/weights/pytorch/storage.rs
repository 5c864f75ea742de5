//! Storages, and tensors as strided views of them.

use std::{collections::HashMap, rc::Rc};

use burn::tensor::{DType, TensorData};

use super::super::HostTensor;

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

/// The values of every storage, widened to f32.
#[derive(Debug, Default)]
pub(super) struct Storages {
    values: HashMap<String, Vec<f32>>,
}

impl Storages {
    pub(super) fn insert(
        &mut self,
        key: &str,
        info: &StorageInfo,
        bytes: &[u8],
    ) -> Result<(), String> {
        let size = info.dtype.size();
        if !bytes.len().is_multiple_of(size) {
            return Err(format!(
                "storage {key} holds {} bytes, no multiple of {size}",
                bytes.len()
            ));
        }
        let count = bytes.len() / size;
        let data = TensorData::from_bytes_vec(bytes.to_vec(), [count], info.dtype);
        self.values
            .insert(key.to_owned(), data.iter::<f32>().collect());
        Ok(())
    }

    /// Values of all storages.
    pub(super) fn count(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    /// The tensor in row-major order.
    pub(super) fn read(&self, tensor: &TensorInfo) -> Result<HostTensor, String> {
        let TensorInfo {
            storage,
            offset,
            shape,
            strides,
        } = tensor;
        let values = self
            .values
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
            return Ok(HostTensor {
                shape: shape.clone(),
                values: Vec::new(),
            });
        }
        let last = shape
            .iter()
            .zip(strides)
            .try_fold(*offset, |at, (&size, &stride)| {
                at.checked_add((size - 1).checked_mul(stride)?)
            })
            .ok_or_else(absurd)?;
        // `count` may exceed the storage only by broadcasting strides, which no state dict needs.
        if last >= values.len() || count > values.len() {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} at {offset} reaches beyond its storage of {} values",
                values.len()
            ));
        }
        let mut out = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        let mut at = *offset;
        for _ in 0..count {
            out.push(values[at]);
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
        Ok(HostTensor {
            shape: shape.clone(),
            values: out,
        })
    }
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
        "ByteStorage" | "BoolStorage" => DType::U8,
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
            .insert("0", &StorageInfo { dtype: DType::F32 }, &bytes)
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
        assert_eq!(read.values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let read = storages().read(&view(1, &[2, 2], &[3, 1])).expect("inside");
        assert_eq!(read.values, [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(
            storages().read(&view(4, &[], &[])).expect("scalar").values,
            [4.0]
        );
        assert!(
            storages()
                .read(&view(9, &[0, 2], &[2, 1]))
                .expect("empty")
                .values
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
