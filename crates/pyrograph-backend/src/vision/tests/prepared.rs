//! Layers with prepared weights put out what they put out without.

use burn::{
    module::{Module, Param},
    tensor::{DType, TensorData, backend::Backend},
};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::vision::{
    PreparedWeights, conv_transpose2d, conv2d_of_upsampled, flex::prepared_so_far, linear_geglu,
    linear_of_pixels, linear_plus, linear_to_pixels, prepared_bytes, set_prepared_bytes,
};

type F = Flex;

/// The limit of memory is that of the process.
static LIMIT: Mutex<()> = Mutex::new(());

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    matrix: Param<Tensor<B, 2>>,
    kernel: Param<Tensor<B, 4>>,
    bias: Param<Tensor<B, 1>>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    F32,
    F16,
    Bf16,
    Int8(Int8Products),
}

const KINDS: [Kind; 5] = [
    Kind::F32,
    Kind::F16,
    Kind::Bf16,
    Kind::Int8(Int8Products::WeightsAlone),
    Kind::Int8(Int8Products::Activations),
];

/// The same values for a stream at every call.
fn noise<const D: usize>(stream: u64, shape: [usize; D]) -> Tensor<F, D> {
    NoiseKey::new(11, Purpose::Other, stream).normal_tensor(0, shape, &Default::default())
}

fn weight<const D: usize>(shape: [usize; D], kind: Kind) -> Tensor<F, D> {
    let values = noise(D as u64, shape);
    match kind {
        Kind::F32 => values,
        Kind::F16 => values.cast(DType::F16),
        Kind::Bf16 => values.cast(DType::BF16),
        Kind::Int8(products) => {
            let numbers: Vec<f32> = values.into_data().to_vec().expect("f32");
            let numbers: Vec<i8> = numbers.iter().map(|v| (v * 50.0) as i8).collect();
            let scales = (0..shape[0]).map(|output| 0.01 + 1e-4 * output as f32);
            let data = TensorData::new(numbers, shape.to_vec());
            quantised_weight(data, scales.collect(), products, &Default::default())
                .expect("a scheme")
        }
    }
}

impl Layer<F> {
    fn new(matrix: [usize; 2], kernel: [usize; 4], kind: Kind) -> Self {
        Self {
            matrix: Param::from_tensor(weight(matrix, kind)),
            kernel: Param::from_tensor(weight(kernel, kind)),
            bias: Param::from_tensor(noise(11, [matrix[0]])),
        }
    }

    /// The outputs of every form of layer.
    fn outputs(&self, tokens: usize, batch: usize, side: usize, stride: usize) -> Vec<TensorData> {
        let (matrix, bias) = (self.matrix.val(), Some(self.bias.val()));
        let [outputs, inner] = matrix.dims();
        let x = noise(12, [tokens, inner]);
        let added = noise(13, [tokens, outputs]);
        let mut all = vec![
            linear(x.clone(), matrix.clone(), None).into_data(),
            linear_plus(x.clone(), matrix.clone(), bias.clone(), added).into_data(),
        ];
        if outputs.is_multiple_of(2) {
            all.push(linear_geglu(x, matrix.clone(), bias.clone()).into_data());
        }
        let images = noise(14, [batch, inner, side, side]);
        all.push(linear_of_pixels(images, matrix.clone(), bias.clone()).into_data());
        let of_pixels = noise(15, [batch, side * side, inner]);
        let skip = noise(16, [batch, outputs, side, side]);
        all.push(linear_to_pixels(of_pixels, matrix, bias, skip).into_data());
        let kernel = self.kernel.val();
        let [outputs, channels, height, _] = kernel.dims();
        let options = ConvOptions::new([stride; 2], [height / 2; 2], [1; 2], 1);
        let images = noise(17, [batch, channels, side, side]);
        let act = Activation::Relu;
        all.push(conv2d(images.clone(), kernel.clone(), None, options, act).into_data());
        if matches!(kernel.dtype(), DType::QFloat(_)) {
            return all;
        }
        if height == 3 {
            let options = ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
            all.push(conv2d_of_upsampled(images, 2, kernel.clone(), None, options).into_data());
        }
        // One weight in several forms.
        for padding in 0..height.min(3) {
            let options = ConvTransposeOptions::new([2; 2], [padding; 2], [0; 2], [1; 2], 1);
            let images = noise(18, [batch, outputs, side + 2, side + 2]);
            all.push(conv_transpose2d(images, kernel.clone(), None, options, act).into_data());
        }
        all
    }
}

/// Outputs without preparation, in a first pass, in the pass that makes the forms, and in one that has them.
fn assert_same(layer: &Layer<F>, [tokens, batch, side, stride]: [usize; 4], what: &str) {
    let run = || layer.outputs(tokens, batch, side, stride);
    let plain = run();
    let prepared = PreparedWeights::of(layer);
    for pass in ["first", "second", "third"] {
        assert_eq!(run(), plain, "{what}: {pass} pass");
    }
    drop(prepared);
    assert_eq!(run(), plain, "{what}: afterwards");
}

#[test]
fn large_layers_put_out_the_same_with_prepared_weights() {
    let _limit = LIMIT.lock();
    for kind in KINDS {
        for (sizes, kernel) in [
            ([40, 1, 16, 1], [96, 64, 3, 3]),
            ([1100, 2, 9, 1], [70, 130, 3, 3]),
            ([7, 2, 12, 2], [64, 48, 4, 4]),
            ([3, 1, 33, 1], [40, 32, 1, 1]),
        ] {
            let layer = Layer::new([320, 128], kernel, kind);
            assert_same(&layer, sizes, &format!("{kind:?} {kernel:?}"));
        }
    }
}

#[test]
fn forms_have_no_room_beyond_the_limit_and_go_with_their_holder() {
    let _limit = LIMIT.lock();
    let before = prepared_bytes();
    let layer = Layer::new([64, 64], [32, 32, 3, 3], Kind::F32);
    let run = || layer.outputs(64, 1, 16, 1);
    let plain = run();
    for limit in [0, 1_000, before] {
        set_prepared_bytes(limit);
        let prepared = [(); 2].map(|()| PreparedWeights::of(&layer));
        for _ in 0..2 {
            assert_eq!(run(), plain, "a limit of {limit}");
        }
        let taken = prepared_so_far();
        assert!(taken <= limit, "{taken} bytes at a limit of {limit}");
        assert_eq!(
            taken > 0,
            limit > 1_000,
            "{taken} bytes at a limit of {limit}"
        );
        let [first, second] = prepared;
        drop(first);
        assert_eq!(prepared_so_far(), taken);
        drop(second);
        assert_eq!(prepared_so_far(), 0);
    }
    set_prepared_bytes(before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn layers_of_all_sizes_put_out_the_same(
        kind in 0..KINDS.len(),
        matrix in [1..200_usize, 1..150_usize],
        kernel in [1..80_usize, 1..80_usize, 1..5_usize],
        sizes in [1..150_usize, 1..3, 1..20, 1..3],
    ) {
        let _limit = LIMIT.lock();
        let [outputs, channels, side] = kernel;
        let layer = Layer::new(matrix, [outputs, channels, side, side], KINDS[kind]);
        assert_same(&layer, sizes, "of a random size");
    }
}
