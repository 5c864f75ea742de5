//! Conversion of bytes of one number type to numbers of another.

use burn::tensor::{DType, TensorData};
use burn_std::{bf16, f16};
use rayon::prelude::*;

use super::{shared_bytes::SharedBytes, stored_type::StoredType};

/// Bytes that are converted before their pages are given back (8 MiB): a multiple of every type's size.
const CHUNK: usize = 1 << 23;

/// The values of `bytes` as host data of the type `to`. The pages of a mapped file are given back
/// as they are read, so that source and result are never in memory as a whole at the same time.
pub(super) fn convert(
    bytes: &SharedBytes,
    shape: &[usize],
    from: StoredType,
    to: DType,
) -> TensorData {
    let count = bytes.len() / from.size();
    match to {
        DType::F32 => TensorData::new(collect(bytes, from, count, |v| v), shape.to_vec()),
        DType::F16 => TensorData::new(collect(bytes, from, count, f16::from_f32), shape.to_vec()),
        DType::BF16 => TensorData::new(collect(bytes, from, count, bf16::from_f32), shape.to_vec()),
        to => match from {
            StoredType::Number(from) => {
                TensorData::from_bytes_vec(bytes.to_vec(), shape.to_vec(), from).convert_dtype(to)
            }
            StoredType::Float8(_) => {
                TensorData::new(to_f32(bytes, from), shape.to_vec()).convert_dtype(to)
            }
        },
    }
}

/// The values widened or narrowed to f32.
pub(super) fn to_f32(bytes: &SharedBytes, from: StoredType) -> Vec<f32> {
    collect(bytes, from, bytes.len() / from.size(), |v| v)
}

fn collect<T>(
    bytes: &SharedBytes,
    from: StoredType,
    count: usize,
    to: impl Fn(f32) -> T,
) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    for start in (0..bytes.len()).step_by(CHUNK) {
        let end = bytes.len().min(start + CHUNK);
        extend(&mut values, &bytes[start..end], from, &to);
        if bytes.len() > CHUNK
            && let Some(read) = bytes.slice(start..end)
        {
            read.release();
        }
    }
    values
}

fn extend<T>(values: &mut Vec<T>, bytes: &[u8], from: StoredType, to: &impl Fn(f32) -> T) {
    let from = match from {
        StoredType::Number(from) => from,
        StoredType::Float8(kind) => {
            let table = kind.values();
            values.extend(bytes.iter().map(|&code| to(table[usize::from(code)])));
            return;
        }
    };
    macro_rules! each {
        ($type:ty, $value:expr) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            values.extend(
                chunks
                    .iter()
                    .map(|&chunk| to($value(<$type>::from_le_bytes(chunk)))),
            );
        }};
    }
    match from {
        DType::F64 => each!(f64, |v| v as f32),
        DType::F16 => each!(f16, f16::to_f32),
        DType::BF16 => each!(bf16, bf16::to_f32),
        DType::I64 => each!(i64, |v| v as f32),
        DType::I32 => each!(i32, |v| v as f32),
        DType::I16 => each!(i16, |v| v as f32),
        DType::I8 => each!(i8, |v| v as f32),
        DType::U64 => each!(u64, |v| v as f32),
        DType::U32 => each!(u32, |v| v as f32),
        DType::U16 => each!(u16, |v| v as f32),
        DType::U8 => each!(u8, |v| v as f32),
        DType::Bool(_) => each!(u8, |v| f32::from(v != 0)),
        _ => each!(f32, |v| v),
    }
}

/// The place and value of the first number that is NaN or infinite, each type as f32. The pages of
/// a mapped file stay in memory where they are to be `kept`.
pub(super) fn find_non_finite(
    source: &SharedBytes,
    stored: StoredType,
    kept: bool,
) -> Option<(usize, f32)> {
    let chunks = source.par_chunks(CHUNK).enumerate();
    chunks.find_map_first(|(chunk, bytes)| {
        let start = chunk * CHUNK;
        let found = any_non_finite(bytes, stored)
            .then(|| find(bytes, stored, |v| !v.is_finite()))
            .flatten()
            .map(|(at, value)| (start / stored.size() + at, value));
        if !kept && let Some(read) = source.slice(start..start + bytes.len()) {
            read.release();
        }
        found
    })
}

/// Whether the exponent of any number has all its bits set. There is no early exit, so that many
/// are tested at once. Numbers of f64 are tested as f32.
fn any_non_finite(bytes: &[u8], stored: StoredType) -> bool {
    let any_u16 = |mask: u16| {
        let (numbers, _) = bytes.as_chunks::<2>();
        let is_special = |bits: u16| bits & mask == mask;
        numbers.iter().fold(false, |any, &bits| {
            any | is_special(u16::from_le_bytes(bits))
        })
    };
    match stored {
        StoredType::Number(DType::F16) => any_u16(0x7c00),
        StoredType::Number(DType::BF16) => any_u16(0x7f80),
        StoredType::Number(DType::F32) => {
            let (numbers, _) = bytes.as_chunks::<4>();
            let is_special = |bits: u32| bits & 0x7f80_0000 == 0x7f80_0000;
            numbers.iter().fold(false, |any, &bits| {
                any | is_special(u32::from_le_bytes(bits))
            })
        }
        _ => find(bytes, stored, |v| !v.is_finite()).is_some(),
    }
}

/// Values that are widened together.
const BLOCK: usize = 4096;

/// The place and value of the first number of which `refused` holds; `refused` sees every type as f32.
pub(super) fn find(
    bytes: &[u8],
    stored: StoredType,
    refused: impl Fn(f32) -> bool,
) -> Option<(usize, f32)> {
    let mut values = Vec::with_capacity(BLOCK);
    for (block, bytes) in bytes.chunks(BLOCK * stored.size()).enumerate() {
        values.clear();
        extend(&mut values, bytes, stored, &|v| v);
        if let Some(at) = values.iter().position(|&v| refused(v)) {
            return Some((block * BLOCK + at, values[at]));
        }
    }
    None
}
