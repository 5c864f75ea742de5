//! Weights in int8 with a scale in f32 for each output, as files and memory hold them.
//!
//! A file holds two tensors for such a weight: `NAME`, I8 [out, ..], and `NAME_scale`, F32 `[out]`; for products with
//! activations in int8 the scales are called `NAME_scale_w8a8`. They are one [`TensorEntry`] once the file is open.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::DType;
use pyrograph_backend::vision::{Int8Products, QUANTISED_MAX, quantised_scheme};
use rayon::prelude::*;

use super::TensorEntry;
use crate::ModelError;

/// What the name of a weight's scales adds to that of the weight.
pub(super) fn scale_suffix(products: Int8Products) -> &'static str {
    match products {
        Int8Products::WeightsAlone => "_scale",
        Int8Products::Activations => "_scale_w8a8",
    }
}

/// Whether a weight of this shape can have numbers in int8 with a scale for each output.
pub(super) fn is_quantisable(shape: &[usize]) -> bool {
    shape.len() >= 2
        && !shape.contains(&0)
        && quantised_scheme(shape[1..].iter().product()).is_some()
}

/// The scale of each of `outputs` channels: the largest absolute value divided by 127; 1 where all values are 0.
pub(super) fn scales_of(values: &[f32], outputs: usize) -> Vec<f32> {
    let channel = (values.len() / outputs.max(1)).max(1);
    let channels = values.par_chunks(channel);
    let scale = |values: &[f32]| {
        let most = values
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = most / f32::from(QUANTISED_MAX);
        if scale > 0.0 { scale } else { 1.0 }
    };
    channels.map(scale).collect()
}

/// The nearest numbers of int8 to the values divided by their channel's scale; halves go to the even number.
pub(super) fn numbers_of(values: &[f32], scales: &[f32]) -> Vec<i8> {
    let channel = (values.len() / scales.len().max(1)).max(1);
    let most = f32::from(QUANTISED_MAX);
    let mut numbers = vec![0_i8; values.len()];
    numbers
        .par_chunks_mut(channel)
        .zip(values.par_chunks(channel))
        .zip(scales)
        .for_each(|((numbers, values), scale)| {
            for (number, value) in numbers.iter_mut().zip(values) {
                *number = (value / scale).round_ties_even().clamp(-most, most) as i8;
            }
        });
    numbers
}

/// The values that numbers and scales stand for.
pub(super) fn widened(numbers: &[u8], scales: &[f32]) -> Vec<f32> {
    let channel = (numbers.len() / scales.len().max(1)).max(1);
    let mut values = vec![0.0; numbers.len()];
    values
        .par_chunks_mut(channel)
        .zip(numbers.par_chunks(channel))
        .zip(scales)
        .for_each(|((values, numbers), scale)| {
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = scale * f32::from(number.cast_signed());
            }
        });
    values
}

/// Joins each tensor of int8 with the scales beside it.
pub(super) fn join(
    path: &Path,
    tensors: &mut BTreeMap<String, TensorEntry>,
) -> Result<(), ModelError> {
    let is_int8 = |tensor: &TensorEntry| tensor.dtype() == DType::I8 && !tensor.is_quantised();
    let keys: Vec<String> = tensors
        .iter()
        .filter(|(_, tensor)| is_int8(tensor))
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        let refused = |reason| ModelError::Quantised {
            path: path.into(),
            key: key.clone(),
            reason,
        };
        let forms = [Int8Products::WeightsAlone, Int8Products::Activations];
        let forms = forms.map(|form| (form, format!("{key}{}", scale_suffix(form))));
        let mut found = forms.iter().filter(|(_, name)| tensors.contains_key(name));
        let (found, other) = (found.next(), found.next());
        let Some((products, name)) = found else {
            continue;
        };
        if let Some((_, other)) = other {
            let reason = format!("it has scales under `{name}` and under `{other}`");
            return Err(refused(reason));
        }
        let (Some(numbers), Some(scales)) = (tensors.get(&key), tensors.get(name)) else {
            continue;
        };
        let joined = joined(numbers, scales, *products).map_err(refused)?;
        tensors.remove(name);
        tensors.insert(key, joined);
    }
    Ok(())
}

fn joined(
    numbers: &TensorEntry,
    scales: &TensorEntry,
    products: Int8Products,
) -> Result<TensorEntry, String> {
    let outputs = numbers.shape().first().copied().unwrap_or_default();
    if scales.dtype() != DType::F32 || scales.shape() != [outputs] {
        return Err(format!(
            "its scales are {} of shape {:?}, but must be f32 of shape [{outputs}]",
            scales.type_name(),
            scales.shape()
        ));
    }
    if numbers.shape().len() < 2 {
        return Err(format!(
            "it has shape {:?}, but must have an axis of outputs and others",
            numbers.shape()
        ));
    }
    let values = scales.to_f32();
    match values.iter().position(|scale| !scale.is_finite()) {
        Some(place) => Err(format!(
            "its scale {place} is {}; every scale must be finite",
            values[place]
        )),
        None => Ok(numbers.with_scales(values).with_products(products)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_divided_by_its_scale_and_halves_go_to_even() {
        let values = [
            127.0, 2.5, -3.5, 0.5, 0.0, 0.0, 0.0, 0.0, -0.5, 0.25, 0.1, 0.0,
        ];
        let scales = scales_of(&values, 3);
        assert_eq!(scales, [1.0, 1.0, 0.5 / 127.0]);
        let numbers = numbers_of(&values, &scales);
        assert_eq!(numbers, [127, 2, -4, 0, 0, 0, 0, 0, -127, 64, 25, 0]);
        let bytes: Vec<u8> = numbers
            .iter()
            .map(|number| number.cast_unsigned())
            .collect();
        let back = widened(&bytes, &scales);
        for (place, (value, back)) in values.iter().zip(&back).enumerate() {
            assert!(
                (value - back).abs() <= 0.5 * scales[place / 4],
                "{value} {back}"
            );
        }
        let entry = TensorEntry::from_f32(vec![3, 4], values.to_vec());
        let quantised = entry.to_int8().expect("a weight");
        assert_eq!(quantised.to_f32(), back);
        assert_eq!((quantised.type_name(), quantised.count()), ("int8", 12));
        assert_eq!(quantised.rows(2..3).to_f32(), back[8..]);
        assert_eq!(quantised.reshaped(vec![12, 1]).to_f32(), back);
        assert_eq!(quantised.to_int8(), Some(quantised));
    }

    #[test]
    fn vectors_and_shapes_without_a_scheme_stay_floats() {
        assert!(is_quantisable(&[4, 320, 3, 3]));
        for shape in [&[320][..], &[4, 257], &[], &[0, 4], &[4, 0]] {
            assert!(!is_quantisable(shape), "{shape:?}");
        }
    }
}
