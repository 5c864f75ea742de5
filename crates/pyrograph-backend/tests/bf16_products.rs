//! Products of bf16 and int8 weights: rounded activations, sums in f32.

use burn::tensor::{DType, Distribution, Tensor, TensorData, bf16, ops::ConvOptions};
use burn_flex::Flex;
use pyrograph_backend::vision::{
    self, Activation, AttentionOptions, Products, exact_products, set_exact_products,
};

type T<const D: usize> = Tensor<Flex, D>;

fn random<const D: usize>(shape: [usize; D]) -> T<D> {
    T::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

/// The nearest numbers that bf16 holds.
fn rounded<const D: usize>(x: T<D>) -> T<D> {
    let (shape, device) = (x.dims(), x.device());
    let values: Vec<f32> = x.into_data().to_vec().expect("f32");
    let values = values.into_iter().map(|x| bf16::from_f32(x).to_f32());
    T::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), &device)
}

/// The largest difference, as a share of the largest value.
fn distance<const D: usize>(a: T<D>, b: T<D>) -> f32 {
    let scale = b.clone().abs().max().into_scalar();
    (a - b).abs().max().into_scalar() / scale
}

/// What the operation gives with bf16 weights by default, with exact products, and with exact products on rounded inputs.
fn each_way<const D: usize, const E: usize>(
    x: T<D>,
    operation: impl Fn(T<D>) -> T<E>,
) -> [T<E>; 3] {
    let fast = operation(x.clone());
    set_exact_products(true);
    let exact = operation(x.clone());
    let of_rounded = operation(rounded(x));
    set_exact_products(false);
    [fast, exact, of_rounded]
}

/// The fast way is the exact one on rounded activations, where the processor has it; else it is the exact one. Yields
/// whether the processor has it.
fn check<const E: usize>([fast, exact, of_rounded]: [T<E>; 3], what: &str) -> bool {
    let to_exact = distance(fast.clone(), exact.clone());
    let to_rounded = distance(fast, of_rounded.clone());
    let of_rounding = distance(of_rounded, exact);
    assert!(
        to_rounded < 5e-6 || to_exact < 5e-6,
        "{what}: {to_rounded} from rounded activations, {to_exact} from exact ones"
    );
    assert!(to_exact < 1e-2, "{what}: {to_exact}");
    assert!(of_rounding > 1e-4, "{what}: the test tells both ways apart");
    to_exact > 5e-6
}

// One test: the switch is the whole process's.
#[test]
fn bf16_weights_meet_rounded_activations() {
    assert!(!exact_products());
    let mut found = Vec::new();
    for [rows, inner, outputs] in [[5, 33, 7], [40, 50, 70], [700, 320, 200], [130, 1100, 300]] {
        let weight = random([outputs, inner]).cast(DType::BF16);
        let bias = random([outputs]);
        let ways = each_way(random([rows, inner]), |x| {
            vision::linear(x, weight.clone(), Some(bias.clone()))
        });
        found.push(check(
            ways,
            &format!("linear, {rows} × {inner} × {outputs}"),
        ));
    }
    let cases = [
        // In place; across images; by channels; with a stride; with a dilation; wide kernels; few and odd channels.
        ([2, 16, 16, 16], [24, 16, 1, 1], [1, 0, 1]),
        ([3, 17, 9, 9], [24, 17, 1, 1], [1, 0, 1]),
        ([1, 64, 8, 8], [300, 64, 5, 5], [1, 2, 1]),
        ([2, 16, 33, 33], [40, 16, 3, 3], [2, 1, 1]),
        ([2, 16, 20, 21], [40, 16, 5, 5], [1, 4, 2]),
        ([1, 3, 40, 40], [50, 3, 7, 7], [2, 3, 1]),
        ([1, 5, 70, 70], [6, 5, 5, 3], [1, 0, 1]),
        // Channels, height and width are one number.
        ([8, 8, 8, 8], [8, 8, 1, 1], [1, 0, 1]),
    ];
    for (x, kernel, [stride, padding, dilation]) in cases {
        let weight = random(kernel).cast(DType::BF16);
        let bias = random([kernel[0]]);
        let ways = each_way(random(x), |x| {
            let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], 1);
            vision::conv2d(
                x,
                weight.clone(),
                Some(bias.clone()),
                options,
                Activation::Identity,
            )
        });
        found.push(check(ways, &format!("convolution of {x:?} by {kernel:?}")));
    }
    let has_products = found[0];
    assert!(found.iter().all(|one| *one == has_products), "{found:?}");
    attention(has_products);
    int8(has_products);
}

/// A weight in int8, with a scale for each output.
fn quantised<const D: usize>(shape: [usize; D]) -> T<D> {
    let numbers: Vec<f32> = random(shape).into_data().to_vec().expect("f32");
    let numbers: Vec<i8> = numbers.into_iter().map(|v| (v * 40.0) as i8).collect();
    let scales = (0..shape[0])
        .map(|output| 0.01 + 1e-3 * output as f32)
        .collect();
    let numbers = TensorData::new(numbers, shape.to_vec());
    vision::quantised_weight(numbers, scales, Default::default(), &Default::default())
        .expect("a scheme")
}

/// Numbers of int8 are exact in bf16, so that activations alone are rounded.
fn int8(has_products: bool) {
    let mut found = Vec::new();
    for [rows, inner, outputs] in [[5, 33, 7], [40, 50, 70], [700, 320, 200], [1100, 640, 300]] {
        let (weight, bias) = (quantised([outputs, inner]), random([outputs]));
        let gates = (quantised([2 * outputs, inner]), random([2 * outputs]));
        let residual = random([rows, outputs]);
        let what = format!("int8, {rows} × {inner} × {outputs}");
        found.push(check(
            each_way(random([rows, inner]), |x| {
                vision::linear_plus(x, weight.clone(), Some(bias.clone()), residual.clone())
            }),
            &format!("{what}, residual"),
        ));
        found.push(check(
            each_way(random([rows, inner]), |x| {
                vision::linear(x, weight.clone(), None)
            }),
            &what,
        ));
        found.push(check(
            each_way(random([rows, inner]), |x| {
                vision::linear_geglu(x, gates.0.clone(), Some(gates.1.clone()))
            }),
            &format!("{what}, gated"),
        ));
    }
    for [height, width, inner, outputs] in [[3, 5, 19, 7], [20, 30, 48, 70]] {
        let (weight, bias) = (quantised([outputs, inner]), random([outputs]));
        let ways = each_way(random([2, inner, height, width]), |x| {
            vision::linear_of_pixels(x, weight.clone(), Some(bias.clone()))
        });
        found.push(check(ways, &format!("int8, of {height} × {width} pixels")));
        let skip = random([2, outputs, height, width]);
        let ways = each_way(random([2, height * width, inner]), |x| {
            vision::linear_to_pixels(x, weight.clone(), Some(bias.clone()), skip.clone())
        });
        found.push(check(ways, &format!("int8, to {height} × {width} pixels")));
    }
    let cases = [
        ([2, 16, 16, 16], [24, 16, 1, 1], [1, 0]),
        ([1, 64, 8, 8], [300, 64, 1, 1], [1, 0]),
        ([3, 17, 9, 9], [24, 17, 1, 1], [1, 0]),
        ([1, 64, 8, 8], [300, 64, 5, 5], [1, 2]),
        ([2, 16, 33, 33], [40, 16, 3, 3], [2, 1]),
        ([1, 33, 9, 11], [130, 33, 3, 3], [2, 1]),
        ([1, 3, 40, 40], [150, 3, 7, 7], [2, 3]),
    ];
    for (x, kernel, [stride, padding]) in cases {
        let (weight, bias) = (quantised(kernel), random([kernel[0]]));
        let ways = each_way(random(x), |x| {
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            let act = Activation::Silu;
            vision::conv2d(x, weight.clone(), Some(bias.clone()), options, act)
        });
        found.push(check(ways, &format!("int8, {x:?} by {kernel:?}")));
    }
    assert!(found.iter().all(|one| *one == has_products), "{found:?}");
    // Unit stride, where Winograd's method, which is exact, may pay.
    let (weight, bias) = (quantised([64, 32, 3, 3]), random([64]));
    let [fast, exact, _] = each_way(random([1, 32, 24, 24]), |x| {
        let options = ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
        vision::conv2d(
            x,
            weight.clone(),
            Some(bias.clone()),
            options,
            Activation::Silu,
        )
    });
    assert!(distance(fast, exact) < 1e-2, "int8, 3×3");
}

/// Scores and weights are rounded on the way as well, so that only the exact way is there to compare with.
fn attention(has_products: bool) {
    let cases = [
        ([2, 3, 7, 5], [4, 6]),
        ([1, 2, 300, 77], [64, 64]),
        ([1, 1, 130, 1100], [40, 24]),
        ([2, 2, 1, 1], [1, 3]),
    ];
    for ([batch, heads, n, m], [d, e]) in cases {
        // [batch, n, heads, d] in memory, as the layers make them.
        let by_head = |rows, width| random([batch, rows, heads, width]).swap_dims(1, 2);
        let (query, key, value) = (by_head(n, d), by_head(m, d), by_head(m, e));
        let bias = random([batch, 1, 1, m]);
        for bias in [None, Some(bias)] {
            let options = |products| AttentionOptions {
                scale: (d as f64).sqrt().recip(),
                products,
            };
            let [full, rounded] = [Products::Full, Products::Bf16].map(|products| {
                let (q, k, v) = (query.clone(), key.clone(), value.clone());
                vision::attention(q, k, v, bias.clone(), options(products))
            });
            let off = distance(rounded, full);
            assert!(off < 1e-2, "{n} × {m}, {d} and {e}: {off}");
            assert_eq!(off > 1e-5, has_products, "{n} × {m}, {d} and {e}: {off}");
        }
    }
}
