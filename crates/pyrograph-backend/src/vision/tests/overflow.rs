//! Scores of attention beyond the range and the digits of half precision: the example of
//! `docs/precision.md`.

use burn::tensor::{DType, activation};

use super::*;

type F = Flex;

/// Width of a head of Stable Diffusion 2.
const WIDTH: usize = 64;
/// A query and its equal key have this value in every channel: q·k is 64 · 40² = 102,400.
const VALUE: f32 = 40.0;
/// The other key has this value in one channel: q·k is 102,390.
const OTHER: f32 = 39.75;

/// A query, two keys, and values of 1 and 0: the output is the weight of the first key.
fn inputs(dtype: DType) -> [Tensor<F, 4>; 3] {
    let device = Default::default();
    let query = Tensor::<F, 1>::full([WIDTH], VALUE, &device);
    let mut other = vec![VALUE; WIDTH];
    other[0] = OTHER;
    let other = Tensor::<F, 1>::from_floats(other.as_slice(), &device);
    let key = Tensor::cat(vec![query.clone(), other], 0);
    let value = Tensor::<F, 1>::from_floats([1.0, 0.0], &device);
    [
        query.reshape([1, 1, 1, WIDTH]).cast(dtype),
        key.reshape([1, 1, 2, WIDTH]).cast(dtype),
        value.reshape([1, 1, 2, 1]).cast(dtype),
    ]
}

/// 1/√64.
fn scale() -> f64 {
    1.0 / (WIDTH as f64).sqrt()
}

/// Scores and output where every operation has the type `dtype`.
fn by_the_type(dtype: DType) -> ([f32; 2], f32) {
    let [query, key, value] = inputs(dtype);
    let scores = query.matmul(key.swap_dims(2, 3));
    let output = activation::softmax(scores.clone() * scale(), 3).matmul(value);
    let scores: Vec<f32> = scores.cast(DType::F32).into_data().to_vec().expect("f32");
    (
        [scores[0], scores[1]],
        output.cast(DType::F32).into_scalar(),
    )
}

/// The weight of the first key by pyrograph's attention.
fn by_pyrograph(dtype: DType) -> f32 {
    let [query, key, value] = inputs(dtype);
    let output = attention(query, key, value, None, scale());
    assert_eq!(output.dtype(), dtype);
    output.cast(DType::F32).into_scalar()
}

#[test]
fn scores_beyond_65504_are_infinite_in_f16_and_the_output_is_nan() {
    let (scores, output) = by_the_type(DType::F16);
    assert_eq!(scores, [f32::INFINITY; 2]);
    assert!(output.is_nan(), "{output}");
}

#[test]
fn scores_that_differ_by_less_than_512_are_equal_in_bf16() {
    let (scores, output) = by_the_type(DType::BF16);
    assert_eq!((scores, output), ([102_400.0; 2], 0.5));
}

#[test]
fn attention_with_scores_in_f32_gives_the_weight_in_every_type() {
    let (scores, exact) = by_the_type(DType::F32);
    assert_eq!(scores, [102_400.0, 102_390.0]);
    // 1/(1 + e^−1.25).
    assert!((exact - 0.777_30).abs() < 1e-5, "{exact}");
    assert!((by_pyrograph(DType::F32) - exact).abs() < 1e-5);
    // Rounded to the type of the output: half of its spacing between ½ and 1.
    for (dtype, half_spacing) in [(DType::F16, 0.000_25), (DType::BF16, 0.002)] {
        let seen = by_pyrograph(dtype);
        assert!((seen - exact).abs() <= half_spacing, "{dtype:?}: {seen}");
    }
}
