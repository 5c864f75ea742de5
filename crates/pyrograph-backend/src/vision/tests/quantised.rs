//! Weights in int8 against f64, by the definition of each layer.

use burn::tensor::{DType, TensorData, TensorPrimitive, quantization::QuantLevel};
use burn_flex::FlexQTensor;

use super::*;
use crate::vision::{linear_geglu, linear_of_pixels, linear_plus, linear_to_pixels};

type F = Flex;

/// A weight with the numbers that it stands for.
struct Weight<const D: usize> {
    quantised: Tensor<F, D>,
    exact: Vec<f64>,
}

/// Numbers of every size, and a scale for each output, one of which is far larger than the others.
fn weight<const D: usize>(shape: [usize; D]) -> Weight<D> {
    weight_by(shape, Int8Products::WeightsAlone)
}

fn weight_by<const D: usize>(shape: [usize; D], products: Int8Products) -> Weight<D> {
    let noise: Vec<f32> = values(random(shape).inner());
    let numbers: Vec<i8> = noise.iter().map(|v| (v * 50.0) as i8).collect();
    let scales: Vec<f32> = (0..shape[0])
        .map(|output| {
            if output == 1 {
                0.05
            } else {
                0.001 + 1e-5 * output as f32
            }
        })
        .collect();
    let row = numbers.len() / shape[0];
    let exact = numbers
        .iter()
        .enumerate()
        .map(|(place, number)| f64::from(*number) * f64::from(scales[place / row]))
        .collect();
    let data = TensorData::new(numbers, shape.to_vec());
    let quantised =
        quantised_weight(data, scales, products, &Default::default()).expect("a scheme");
    Weight { quantised, exact }
}

fn values<const D: usize>(x: Tensor<F, D>) -> Vec<f32> {
    x.into_data().to_vec().expect("f32")
}

fn exact<const D: usize>(x: &Tensor<F, D>) -> Vec<f64> {
    values(x.clone()).into_iter().map(f64::from).collect()
}

fn plain_values<const D: usize>(shape: [usize; D]) -> Tensor<F, D> {
    random(shape).inner()
}

#[track_caller]
fn assert_near(ours: Vec<f32>, exact: &[f64], within: f64, what: &str) {
    assert_eq!(ours.len(), exact.len(), "{what}: sizes");
    let scale = exact.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    for (i, (ours, exact)) in ours.iter().zip(exact).enumerate() {
        let off = (f64::from(*ours) - exact).abs();
        assert!(off <= within * scale, "{what}[{i}]: {ours} is not {exact}");
    }
}

/// `x·Wᵀ + b` in f64 for tokens [count, inner].
fn product(x: &[f64], weight: &[f64], bias: Option<&[f64]>, inner: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for x in x.chunks(inner) {
        for (output, weight) in weight.chunks(inner).enumerate() {
            let sum: f64 = x.iter().zip(weight).map(|(x, w)| x * w).sum();
            y.push(sum + bias.map_or(0.0, |bias| bias[output]));
        }
    }
    y
}

/// [batch, rows, columns] with rows and columns exchanged.
fn turned(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let images = x.chunks(rows * columns);
    let turned = images.flat_map(|x| {
        (0..columns).flat_map(move |column| (0..rows).map(move |row| x[row * columns + column]))
    });
    turned.collect()
}

fn gelu(x: f64) -> f64 {
    // The kernel's own GELU in f32 is held to f64 elsewhere.
    let x = Tensor::<F, 1>::from_floats([x as f32], &Default::default());
    f64::from(values(activate(x, Activation::Gelu))[0])
}

fn check_linear_layers(within: f64) {
    // A large weight for few tokens, one block, several blocks, and an odd number of features.
    let sizes = [
        [2, 1100, 250],
        [3, 19, 7],
        [70, 33, 20],
        [1100, 40, 130],
        [130, 320, 90],
    ];
    for [tokens, inner, outputs] in sizes {
        let what = format!("{tokens} × {inner} × {outputs}");
        let x = plain_values([tokens, inner]);
        let (of_x, w) = (exact(&x), weight([outputs, inner]));
        let (bias, residual) = (plain_values([outputs]), plain_values([tokens, outputs]));
        let (of_bias, of_residual) = (exact(&bias), exact(&residual));
        let y = linear(x.clone(), w.quantised.clone(), None);
        assert_near(
            values(y),
            &product(&of_x, &w.exact, None, inner),
            within,
            &what,
        );
        let y = linear(x.clone(), w.quantised.clone(), Some(bias.clone()));
        let of_y = product(&of_x, &w.exact, Some(&of_bias), inner);
        assert_near(values(y), &of_y, within, &format!("{what}, bias"));
        let y = linear_plus(x.clone(), w.quantised, Some(bias), residual);
        let of_y: Vec<f64> = of_y.iter().zip(&of_residual).map(|(a, b)| a + b).collect();
        assert_near(values(y), &of_y, within, &format!("{what}, residual"));

        let (w, bias) = (weight([2 * outputs, inner]), plain_values([2 * outputs]));
        let of_y = product(&of_x, &w.exact, Some(&exact(&bias)), inner);
        let gated = of_y.chunks(2 * outputs).flat_map(|y| {
            let (value, gate) = y.split_at(outputs);
            value
                .iter()
                .zip(gate)
                .map(|(value, gate)| value * gelu(*gate))
                .collect::<Vec<_>>()
        });
        let gated: Vec<f64> = gated.collect();
        let y = linear_geglu(x, w.quantised, Some(bias));
        assert_near(values(y), &gated, within, &format!("{what}, gated"));
    }
    for [height, width, inner, outputs] in [[3, 5, 19, 7], [20, 30, 48, 70]] {
        let (what, pixels) = (format!("{height} × {width} pixels"), height * width);
        let (w, bias) = (weight([outputs, inner]), plain_values([outputs]));
        let x = plain_values([2, inner, height, width]);
        let tokens = turned(&exact(&x), inner, pixels);
        let of_y = product(&tokens, &w.exact, Some(&exact(&bias)), inner);
        let y = linear_of_pixels(x, w.quantised.clone(), Some(bias.clone()));
        assert_near(values(y), &of_y, within, &format!("of {what}"));

        let (x, skip) = (
            plain_values([2, pixels, inner]),
            plain_values([2, outputs, height, width]),
        );
        let of_y = product(&exact(&x), &w.exact, Some(&exact(&bias)), inner);
        let of_y = turned(&of_y, pixels, outputs);
        let of_y: Vec<f64> = of_y.iter().zip(exact(&skip)).map(|(a, b)| a + b).collect();
        let y = linear_to_pixels(x, w.quantised, Some(bias), skip);
        assert_near(values(y), &of_y, within, &format!("to {what}"));
    }
}

/// A convolution by its definition.
fn convolved(
    x: (&[f64], [usize; 4]),
    w: (&[f64], [usize; 4]),
    [stride, padding, groups]: [usize; 3],
    bias: &[f64],
) -> Vec<f64> {
    let (x, [batch, c_in, height, width]) = x;
    let (w, [c_out, per_group, kh, kw]) = w;
    let size = |size: usize, kernel: usize| (size + 2 * padding - kernel) / stride + 1;
    let mut y = Vec::new();
    for item in 0..batch {
        for output in 0..c_out {
            let first = output / (c_out / groups) * per_group;
            for (row, column) in (0..size(height, kh))
                .flat_map(|row| (0..size(width, kw)).map(move |column| (row, column)))
            {
                let mut sum = bias[output];
                for input in 0..per_group {
                    for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
                        let at = |place: usize, tap: usize, size: usize| {
                            (place * stride + tap)
                                .checked_sub(padding)
                                .filter(|at| *at < size)
                        };
                        if let (Some(i_x), Some(j_x)) = (at(row, i, height), at(column, j, width)) {
                            let x = x[((item * c_in + first + input) * height + i_x) * width + j_x];
                            sum += x * w[((output * per_group + input) * kh + i) * kw + j];
                        }
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

fn check_convolutions(within: f64) {
    // By tiles and by channels, each by Winograd's method and unfolded; 1×1 in place and not; one that sees the whole image;
    // one for each channel, and groups, which other paths take.
    let cases = [
        ([1, 16, 40, 40], [16, 16, 3, 3], [1, 1, 1]),
        ([1, 16, 4, 4], [40, 16, 3, 3], [1, 1, 1]),
        ([1, 17, 11, 9], [19, 17, 3, 3], [2, 1, 1]),
        ([2, 64, 9, 9], [130, 64, 3, 3], [2, 1, 1]),
        ([1, 4, 6, 7], [70, 4, 3, 3], [1, 1, 1]),
        ([1, 4, 21, 33], [110, 4, 3, 3], [1, 1, 1]),
        ([2, 16, 6, 6], [24, 16, 1, 1], [1, 0, 1]),
        ([1, 33, 12, 12], [100, 33, 1, 1], [1, 0, 1]),
        ([1, 16, 3, 3], [90, 16, 1, 1], [1, 0, 1]),
        ([2, 3, 4, 4], [5, 3, 4, 4], [1, 0, 1]),
        ([1, 6, 9, 9], [6, 1, 3, 3], [1, 1, 6]),
        ([1, 6, 9, 9], [6, 3, 3, 3], [1, 1, 2]),
    ];
    for (of_x, of_w, [stride, padding, groups]) in cases {
        let what = format!("{of_x:?} {of_w:?} stride {stride} groups {groups}");
        let (x, w, bias) = (plain_values(of_x), weight(of_w), plain_values([of_w[0]]));
        let of_y = convolved(
            (&exact(&x), of_x),
            (&w.exact, of_w),
            [stride, padding, groups],
            &exact(&bias),
        );
        let options = || ConvOptions::new([stride; 2], [padding; 2], [1, 1], groups);
        let relu: Vec<f64> = of_y.iter().map(|y| y.max(0.0)).collect();
        let (weight, act) = (w.quantised, Activation::Relu);
        let y = conv2d(x.clone(), weight.clone(), Some(bias), options(), act);
        assert_near(values(y), &relu, within, &what);
        // On a backend that differentiates, where the input is tracked and where it is not.
        let zero = vec![0.0; of_w[0]];
        let of_y = convolved(
            (&exact(&x), of_x),
            (&w.exact, of_w),
            [stride, padding, groups],
            &zero,
        );
        for is_tracked in [false, true] {
            let x = Tensor::<A, 4>::from_inner(x.clone()).set_require_grad(is_tracked);
            let TensorPrimitive::QFloat(weight) = weight.clone().into_primitive() else {
                panic!("a quantised weight");
            };
            let weight = Tensor::<A, 4>::from_primitive(TensorPrimitive::QFloat(weight));
            let y = conv2d(x, weight, None, options(), Activation::Identity).inner();
            assert_near(values(y), &of_y, within, &format!("{what}, {is_tracked}"));
        }
    }
}

#[test]
fn layers_with_int8_weights_are_those_of_f64_where_products_are_exact() {
    crate::vision::set_exact_products(true);
    check_linear_layers(1e-5);
    // Winograd's method is held to twice that.
    check_convolutions(2e-5);
}

#[test]
fn a_kernel_of_one_pixel_becomes_a_matrix_of_the_same_numbers() {
    crate::vision::set_exact_products(true);
    let (w, x) = (weight([70, 33, 1, 1]), plain_values([40, 33]));
    let y = linear(x.clone(), matrix_of(w.quantised), None);
    assert_near(
        values(y),
        &product(&exact(&x), &w.exact, None, 33),
        1e-5,
        "a matrix",
    );
    let kernel = plain_values([3, 4, 1, 1]);
    assert_eq!(values(matrix_of(kernel.clone())), values(kernel));
}

#[test]
fn burn_dequantises_a_weight_to_the_numbers_that_it_stands_for() {
    let w = weight([7, 5, 3, 3]);
    assert_near(
        values(w.quantised.dequantize()),
        &w.exact,
        1e-7,
        "dequantised",
    );
}

#[test]
fn weights_of_other_schemes_and_inputs_of_other_types_take_burns_way() {
    crate::vision::set_exact_products(true);
    let (w, x) = (weight([6, 8]), plain_values([5, 8]));
    let of_y = product(&exact(&x), &w.exact, None, 8);
    let y = linear(x.clone().cast(DType::BF16), w.quantised.clone(), None);
    assert_eq!(y.dtype(), DType::BF16);
    assert_near(values(y.cast(DType::F32)), &of_y, 2e-2, "bf16 input");
    // One scale for the whole tensor.
    let TensorPrimitive::QFloat(quantised) = w.quantised.into_primitive() else {
        panic!("a quantised weight");
    };
    let scheme = quantised_scheme(8)
        .expect("a scheme")
        .with_level(QuantLevel::Tensor);
    let of_tensor = FlexQTensor::new(quantised.tensor().clone(), scheme, vec![0.001]);
    let weight = Tensor::<F, 2>::from_primitive(TensorPrimitive::QFloat(of_tensor));
    let exact_weight = exact(&weight.clone().dequantize());
    let y = linear(x.clone(), weight, None);
    assert_near(
        values(y),
        &product(&exact(&x), &exact_weight, None, 8),
        1e-5,
        "one scale",
    );
}
