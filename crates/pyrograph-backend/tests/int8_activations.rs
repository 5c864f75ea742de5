//! Layers whose weights and activations are int8, against f64 on the numbers that activations become, and against f32.
#![cfg(feature = "flex")]

use std::sync::{PoisonError, RwLock};

use burn::tensor::{Tensor, TensorData, TensorPrimitive, ops::ConvOptions};
use burn_flex::Flex;
use pyrograph_backend::{
    rng::{NoiseKey, Purpose, host_tensor},
    vision::{
        self, Activation, Int8Products, linear, linear_geglu, linear_of_pixels, linear_plus,
        linear_to_pixels, set_exact_products,
    },
};

type F = Flex;

/// Held for writing where products are exact, which is so for the whole process.
static EXACT: RwLock<()> = RwLock::new(());

fn normal(count: usize, stream: u64) -> Vec<f32> {
    NoiseKey::new(stream, Purpose::Other, 0).normal(0, count)
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<F, D> {
    host_tensor(values.to_vec(), shape, &Default::default())
}

fn values<const D: usize>(x: Tensor<F, D>) -> Vec<f32> {
    x.into_data().to_vec().expect("f32")
}

/// A weight with the numbers that it stands for.
struct Weight<const D: usize> {
    quantised: Tensor<F, D>,
    exact: Vec<f64>,
}

/// The nearest weight in int8 to normal numbers.
fn weight<const D: usize>(shape: [usize; D], stream: u64, products: Int8Products) -> Weight<D> {
    let row: usize = shape[1..].iter().product();
    let (mut numbers, mut scales, mut exact) = (Vec::new(), Vec::new(), Vec::new());
    for values in normal(shape[0] * row, stream).chunks(row) {
        let most = values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let scale = most / 127.0 / (row as f32).sqrt();
        for value in values {
            let number = (value / most * 127.0).round() as i8;
            numbers.push(number);
            exact.push(f64::from(number) * f64::from(scale));
        }
        scales.push(scale);
    }
    let data = TensorData::new(numbers, shape.to_vec());
    let quantised = vision::quantised_weight(data, scales, products, &Default::default());
    Weight {
        quantised: quantised.expect("a scheme"),
        exact,
    }
}

/// The values that some activations with one scale become.
fn quantised(x: &[f32]) -> Vec<f64> {
    let most = x.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    if most == 0.0 {
        return vec![0.0; x.len()];
    }
    let (scale, inverse) = (f64::from(most / 127.0), 127.0 / most);
    x.iter()
        .map(|v| f64::from((v * inverse).round_ties_even()) * scale)
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// `x·Wᵀ + b` in f64 for tokens of `inner` features.
fn product(x: &[f64], weight: &[f64], bias: &[f32], inner: usize) -> Vec<f64> {
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
    let of_token = |x: &[f64]| -> Vec<f64> {
        let outputs = weight.chunks(inner).zip(bias);
        outputs.map(|(w, b)| dot(x, w) + f64::from(*b)).collect()
    };
    x.chunks(inner).flat_map(of_token).collect()
}

/// Images [rows, columns] with rows and columns exchanged.
fn turned<T: Copy>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    let images = x.chunks(rows * columns);
    let turned = images.flat_map(|x| {
        (0..columns).flat_map(move |column| (0..rows).map(move |row| x[row * columns + column]))
    });
    turned.collect()
}

#[track_caller]
fn assert_near(ours: &[f32], exact: &[f64], what: &str) {
    assert_eq!(ours.len(), exact.len(), "{what}: sizes");
    let scale = exact.iter().fold(1.0_f64, |most, v| most.max(v.abs()));
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let off = (f64::from(*ours) - exact).abs();
        // Written so that NaN fails.
        assert!(off <= 1e-5 * scale, "{what}[{i}]: {ours} is not {exact}");
    }
}

/// The root of the mean square of the error, as a part of that of the values.
fn relative_error(ours: &[f32], exact: &[f64]) -> f64 {
    let pairs = ours.iter().zip(exact);
    let squares = pairs.map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>();
    (squares / exact.iter().map(|v| v * v).sum::<f64>()).sqrt()
}

fn gelu(x: f64) -> f64 {
    let x = Tensor::<F, 1>::from_floats([x as f32], &Default::default());
    f64::from(values(vision::activate(x, Activation::Gelu))[0])
}

/// What each form of a linear layer gives, and what it should by f64 on the values that the tokens become.
fn linear_layers() -> Vec<(String, Vec<f32>, Vec<f64>)> {
    let mut all = Vec::new();
    // Odd sizes, sizes of whole tiles, several blocks, and a sum in parts.
    let sizes = [
        [7, 33, 20],
        [33, 64, 32],
        [64, 64, 64],
        [70, 100, 50],
        [1100, 40, 130],
        [40, 2000, 70],
    ];
    for [tokens, inner, outputs] in sizes {
        let what = format!("{tokens} × {inner} × {outputs}");
        let (x, bias) = (normal(tokens * inner, 1), normal(2 * outputs, 2));
        let residual = normal(tokens * outputs, 3);
        let of_x: Vec<f64> = x.chunks(inner).flat_map(quantised).collect();
        let w = weight([outputs, inner], 4, Int8Products::Activations);
        let of_bias = tensor(&bias[..outputs], [outputs]);
        let of_y = product(&of_x, &w.exact, &bias, inner);
        let x = tensor(&x, [tokens, inner]);
        let y = linear(x.clone(), w.quantised.clone(), Some(of_bias.clone()));
        all.push((format!("{what}, rows"), values(y), of_y.clone()));
        let y = linear(x.clone(), w.quantised.clone(), None);
        let plain = product(&of_x, &w.exact, &vec![0.0; outputs], inner);
        all.push((format!("{what}, no bias"), values(y), plain));
        let added = tensor(&residual, [tokens, outputs]);
        let y = linear_plus(x.clone(), w.quantised, Some(of_bias), added);
        let of_y = of_y.iter().zip(&residual).map(|(y, r)| y + f64::from(*r));
        all.push((format!("{what}, residual"), values(y), of_y.collect()));

        let w = weight([2 * outputs, inner], 5, Int8Products::Activations);
        let of_y = product(&of_x, &w.exact, &bias, inner);
        let gated = of_y.chunks(2 * outputs).flat_map(|y| {
            let (values, gates) = y.split_at(outputs);
            let gated = values.iter().zip(gates).map(|(v, gate)| v * gelu(*gate));
            gated.collect::<Vec<_>>()
        });
        let gated = gated.collect();
        let y = linear_geglu(x, w.quantised, Some(tensor(&bias, [2 * outputs])));
        all.push((format!("{what}, gated"), values(y), gated));
    }
    for [height, width, inner, outputs] in [[3, 5, 24, 7], [20, 30, 70, 40], [8, 8, 64, 64]] {
        let (what, pixels) = (format!("{height} × {width} × {inner}"), height * width);
        let w = weight([outputs, inner], 6, Int8Products::Activations);
        let (x, bias) = (normal(2 * pixels * inner, 7), normal(outputs, 8));
        let of_x: Vec<f64> = x.chunks(inner).flat_map(quantised).collect();
        let of_y = product(&of_x, &w.exact, &bias, inner);
        let of_bias = tensor(&bias, [outputs]);
        let images = tensor(&turned(&x, pixels, inner), [2, inner, height, width]);
        let y = linear_of_pixels(images, w.quantised.clone(), Some(of_bias.clone()));
        all.push((format!("of pixels {what}"), values(y), of_y.clone()));
        let skip = normal(2 * pixels * outputs, 9);
        let of_y = turned(&of_y, pixels, outputs).into_iter().zip(&skip);
        let of_y = of_y.map(|(y, skip)| y + f64::from(*skip)).collect();
        let x = tensor(&x, [2, pixels, inner]);
        let skip = tensor(&skip, [2, outputs, height, width]);
        let y = linear_to_pixels(x, w.quantised, Some(of_bias), skip);
        all.push((format!("to pixels {what}"), values(y), of_y));
    }
    all
}

/// A convolution of stride 1 by its definition.
fn convolved(
    (x, [batch, inputs, height, width]): (&[f64], [usize; 4]),
    (w, [outputs, _, kh, kw]): (&[f64], [usize; 4]),
    bias: &[f32],
) -> Vec<f64> {
    let (plane, pad) = (height * width, [kh / 2, kw / 2]);
    let mut y = Vec::new();
    for (item, output) in (0..batch).flat_map(|item| (0..outputs).map(move |o| (item, o))) {
        for (row, column) in (0..plane).map(|place| (place / width, place % width)) {
            let mut sum = f64::from(bias[output]);
            for (i, j) in (0..kh * kw).map(|tap| (tap / kw, tap % kw)) {
                let at = [
                    (row + i).wrapping_sub(pad[0]),
                    (column + j).wrapping_sub(pad[1]),
                ];
                if at[0] < height && at[1] < width {
                    for input in 0..inputs {
                        let x = x[(item * inputs + input) * plane + at[0] * width + at[1]];
                        sum += x * w[((output * inputs + input) * kh + i) * kw + j];
                    }
                }
            }
            y.push(sum);
        }
    }
    y
}

fn convolution(
    of_x: [usize; 4],
    of_w: [usize; 4],
    products: Int8Products,
) -> (Vec<f32>, Vec<f32>, Weight<4>, Vec<f32>) {
    let (x, bias) = (normal(of_x.iter().product(), 1), normal(of_w[0], 2));
    let w = weight(of_w, 3, products);
    let options = ConvOptions::new([1, 1], [of_w[2] / 2, of_w[3] / 2], [1, 1], 1);
    let y = vision::conv2d(
        tensor(&x, of_x),
        w.quantised.clone(),
        Some(tensor(&bias, [of_w[0]])),
        options,
        Activation::Identity,
    );
    (values(y), x, w, bias)
}

const CONVOLUTIONS: [([usize; 4], [usize; 4]); 5] = [
    ([2, 32, 9, 7], [40, 32, 3, 3]),
    ([1, 64, 16, 16], [32, 64, 3, 3]),
    ([1, 24, 24, 24], [24, 24, 3, 3]),
    ([2, 70, 6, 5], [33, 70, 1, 1]),
    ([1, 33, 10, 30], [20, 33, 5, 3]),
];

#[test]
fn linear_layers_are_those_of_the_numbers_that_tokens_become() {
    let _lock = EXACT.read().unwrap_or_else(PoisonError::into_inner);
    for (what, ours, exact) in linear_layers() {
        assert_near(&ours, &exact, &what);
    }
}

#[test]
fn convolutions_are_those_of_the_numbers_that_pixels_become() {
    let _lock = EXACT.read().unwrap_or_else(PoisonError::into_inner);
    for (of_x, of_w) in CONVOLUTIONS {
        let (y, x, w, bias) = convolution(of_x, of_w, Int8Products::Activations);
        let [_, channels, height, width] = of_x;
        let image = channels * height * width;
        let numbers: Vec<f64> = match of_w[2] {
            // A scale for each pixel.
            1 => {
                let tokens = turned(&x, channels, height * width);
                let tokens: Vec<f64> = tokens.chunks(channels).flat_map(quantised).collect();
                turned(&tokens, height * width, channels)
            }
            _ => x.chunks(image).flat_map(quantised).collect(),
        };
        let exact = convolved((&numbers, of_x), (&w.exact, of_w), &bias);
        assert_near(&y, &exact, &format!("{of_x:?} {of_w:?}"));
        let exact = convolved((&wide(&x), of_x), (&w.exact, of_w), &bias);
        let error = relative_error(&y, &exact);
        assert!(error > 1e-4 && error < 0.02, "{of_x:?}: {error}");
    }
}

#[test]
fn a_layer_is_near_the_one_of_unrounded_tokens() {
    let _lock = EXACT.read().unwrap_or_else(PoisonError::into_inner);
    let [tokens, inner, outputs] = [64, 640, 320];
    let x = normal(tokens * inner, 1);
    let w = weight([outputs, inner], 2, Int8Products::Activations);
    let y = linear(tensor(&x, [tokens, inner]), w.quantised, None);
    let exact = product(&wide(&x), &w.exact, &vec![0.0; outputs], inner);
    let error = relative_error(&values(y), &exact);
    assert!(error > 1e-3 && error < 0.015, "{error}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let _lock = EXACT.read().unwrap_or_else(PoisonError::into_inner);
    let of_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("threads").install(|| {
            let linear = linear_layers().into_iter().map(|(_, ours, _)| ours);
            let of_conv = |(x, w)| convolution(x, w, Int8Products::Activations).0;
            linear
                .chain(CONVOLUTIONS.into_iter().map(of_conv))
                .collect::<Vec<_>>()
        })
    };
    let alone = of_threads(1);
    for threads in [2, 5] {
        assert!(of_threads(threads) == alone, "{threads} threads");
    }
}

#[test]
fn zeros_give_the_bias_and_what_is_not_finite_gives_nan_in_its_own_token() {
    let _lock = EXACT.read().unwrap_or_else(PoisonError::into_inner);
    let [tokens, inner, outputs] = [40, 64, 33];
    let (mut x, bias) = (normal(tokens * inner, 1), normal(outputs, 2));
    x[3 * inner..4 * inner].fill(0.0);
    x[5 * inner + 7] = f32::NAN;
    x[39 * inner] = f32::NEG_INFINITY;
    let w = weight([outputs, inner], 3, Int8Products::Activations);
    let of_bias = Some(tensor(&bias, [outputs]));
    let y = values(linear(tensor(&x, [tokens, inner]), w.quantised, of_bias));
    for (token, y) in y.chunks(outputs).enumerate() {
        match token {
            3 => assert_eq!(y, bias),
            5 | 39 => assert!(y.iter().all(|y| y.is_nan()), "token {token}: {y:?}"),
            _ => assert!(y.iter().all(|y| y.is_finite()), "token {token}: {y:?}"),
        }
    }
    let zeros = Tensor::<F, 4>::zeros([1, 32, 6, 6], &Default::default());
    let w = weight([8, 32, 3, 3], 4, Int8Products::Activations);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let y = vision::conv2d(zeros, w.quantised, None, options, Activation::Identity);
    assert!(values(y).iter().all(|y| *y == 0.0));
}

#[test]
fn the_weights_alone_are_int8_for_few_tokens_and_where_products_are_exact() {
    let _lock = EXACT.write().unwrap_or_else(PoisonError::into_inner);
    for (tokens, is_exact) in [(4, false), (40, true)] {
        set_exact_products(is_exact);
        let x = tensor(&normal(tokens * 64, 1), [tokens, 64]);
        let forms = [Int8Products::WeightsAlone, Int8Products::Activations];
        let [alone, both] =
            forms.map(|form| values(linear(x.clone(), weight([20, 64], 2, form).quantised, None)));
        assert_eq!(alone, both, "{tokens} tokens");
        let forms = forms.map(|form| convolution([1, 32, 6, 6], [8, 32, 3, 3], form).0);
        assert_eq!(forms[0] == forms[1], is_exact, "convolutions");
    }
    set_exact_products(false);
}

#[test]
fn the_form_stays_with_the_weight() {
    for products in [Int8Products::WeightsAlone, Int8Products::Activations] {
        let w = weight([8, 32, 1, 1], 1, products);
        let matrix = vision::matrix_of(w.quantised.clone());
        for scheme in [scheme_of(w.quantised), scheme_of(matrix)] {
            assert_eq!(Int8Products::of_scheme(&scheme), products);
        }
    }
}

fn scheme_of<const D: usize>(weight: Tensor<F, D>) -> burn::tensor::quantization::QuantScheme {
    match weight.into_primitive() {
        TensorPrimitive::QFloat(weight) => {
            *burn::tensor::quantization::QTensorPrimitive::scheme(&weight)
        }
        TensorPrimitive::Float(_) => panic!("a quantised weight"),
    }
}
