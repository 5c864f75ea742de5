//! Half precision: f32 input beside half weights, and half input.

use burn::tensor::DType;

use super::*;

type F = Flex;

const HALVES: [DType; 2] = [DType::BF16, DType::F16];

fn values<const D: usize>(shape: [usize; D]) -> Tensor<F, D> {
    random(shape).inner()
}

/// A tensor in half precision, and the same numbers in f32.
fn half<const D: usize>(x: Tensor<F, D>, dtype: DType) -> [Tensor<F, D>; 2] {
    let half = x.cast(dtype);
    [half.clone(), half.cast(DType::F32)]
}

/// Holds this process to products of widened numbers; those in bf16 have tests of their own.
fn with_exact_products() {
    crate::vision::set_exact_products(true);
}

/// The half weights give what the same numbers give in f32, and the output is f32.
fn assert_same<const D: usize>(ours: Tensor<F, D>, exact: Tensor<F, D>, what: &str) {
    assert_eq!(ours.dtype(), DType::F32, "{what}");
    assert_close(ours, exact, what);
}

#[test]
fn weights_of_half_precision_meet_f32_input() {
    with_exact_products();
    for dtype in HALVES {
        let what = format!("{dtype:?}");
        let (x, [bias, wide_bias]) = (values([40, 50]), half(values([70]), dtype));
        let [weight, wide] = half(values([70, 50]), dtype);
        for rows in [2, 40] {
            let x = x.clone().narrow(0, 0, rows);
            let ours = linear(x.clone(), weight.clone(), Some(bias.clone()));
            let exact = linear(x, wide.clone(), Some(wide_bias.clone()));
            assert_same(ours, exact, &format!("linear, {what}"));
        }
        // Few rows of a large weight.
        let x_of_few = values([2, 1100]);
        let [weight, wide] = half(values([250, 1100]), dtype);
        let (ours, exact) = (
            linear(x_of_few.clone(), weight, None),
            linear(x_of_few, wide, None),
        );
        assert_same(ours, exact, &format!("a large linear layer, {what}"));
        let [weight, wide] = half(values([50]), dtype);
        let ours = layer_norm(x.clone(), weight.clone(), weight, 1e-5);
        assert_same(ours, layer_norm(x, wide.clone(), wide, 1e-5), "layer norm");

        let x = values([2, 8, 5, 6]);
        let [weight, wide] = half(values([8]), dtype);
        let silu = Activation::Silu;
        let ours = group_norm(x.clone(), weight.clone(), weight.clone(), 2, 1e-5, silu);
        let exact = group_norm(x.clone(), wide.clone(), wide.clone(), 2, 1e-5, silu);
        assert_same(ours, exact, "group norm");
        let ours = batch_norm_training(x.clone(), weight.clone(), weight.clone(), 1e-5, silu);
        let exact = batch_norm_training(x.clone(), wide.clone(), wide.clone(), 1e-5, silu);
        assert_same(ours.output, exact.output, "batch norm");
        let ours = l2_norm(x.clone(), weight);
        assert_same(ours, l2_norm(x, wide), "l2 norm");
    }
}

#[test]
fn convolutions_with_weights_of_half_precision_meet_f32_input() {
    with_exact_products();
    // By tiles and by channels, each by Winograd's method and unfolded; 1×1; one for each channel; one that sees the whole image.
    let cases = [
        ([1, 16, 40, 40], [16, 16, 3, 3], [1, 1, 1, 1]),
        ([1, 16, 4, 4], [40, 16, 3, 3], [1, 1, 1, 1]),
        ([1, 16, 9, 9], [16, 16, 3, 3], [2, 1, 1, 1]),
        ([1, 4, 6, 6], [70, 4, 3, 3], [1, 1, 1, 1]),
        ([2, 16, 6, 6], [24, 16, 1, 1], [1, 0, 1, 1]),
        ([1, 16, 3, 3], [90, 16, 1, 1], [1, 0, 1, 1]),
        ([1, 6, 9, 9], [6, 1, 3, 3], [1, 1, 1, 6]),
        ([1, 6, 9, 9], [6, 3, 3, 3], [1, 1, 1, 2]),
        ([2, 3, 4, 4], [5, 3, 4, 4], [1, 0, 1, 1]),
    ];
    for (x, weight, [stride, padding, dilation, groups]) in cases {
        for dtype in HALVES {
            let what = format!("{x:?} {weight:?} {dtype:?}");
            let options = || ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], groups);
            let x = values(x);
            let [bias, wide_bias] = half(values([weight[0]]), dtype);
            let [weight, wide] = half(values(weight) * 0.1, dtype);
            let gelu = Activation::Gelu;
            let ours = conv2d(
                x.clone(),
                weight.clone(),
                Some(bias.clone()),
                options(),
                gelu,
            );
            let exact = conv2d(
                x.clone(),
                wide.clone(),
                Some(wide_bias.clone()),
                options(),
                gelu,
            );
            assert_same(ours, exact, &what);
            let (scale, wide_scale) = (bias.clone(), wide_bias.clone());
            let ours = conv2d_scaled(x.clone(), weight, scale, bias, options(), gelu);
            let exact = conv2d_scaled(x, wide, wide_scale, wide_bias, options(), gelu);
            assert_same(ours, exact, &what);
        }
    }
    let x = values([2, 3, 4, 5]);
    let [weight, wide] = half(values([3, 4, 4, 4]) * 0.1, DType::BF16);
    let [bias, wide_bias] = half(values([4]), DType::BF16);
    let options = || ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
    let relu = Activation::Relu;
    let ours = conv_transpose2d(x.clone(), weight, Some(bias), options(), relu);
    let exact = conv_transpose2d(x, wide, Some(wide_bias), options(), relu);
    assert_same(ours, exact, "transposed");
}

#[test]
fn gradients_pass_weights_of_half_precision() {
    with_exact_products();
    let x = random([2, 8, 6, 6]);
    let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let [kernel, wide_kernel] = half(values([8, 8, 3, 3]) * 0.1, DType::BF16);
    // A vector for each place: the sum of several rounded gradients would be off by more than one rounding.
    let [vectors, wide_vectors] = half(values([24]), DType::BF16);
    let [dense, wide_dense] = half(values([5, 6]), DType::BF16);
    let run =
        |kernel: Tensor<F, 4>, vectors: Tensor<F, 1>, dense: Tensor<F, 2>, is_trained: bool| {
            let kernel = Tensor::<A, 4>::from_inner(kernel).set_require_grad(is_trained);
            let vectors = [0, 8, 16].map(|first| {
                let vector = vectors.clone().narrow(0, first, 8);
                Tensor::<A, 1>::from_inner(vector).set_require_grad(is_trained)
            });
            let dense = Tensor::<A, 2>::from_inner(dense).set_require_grad(is_trained);
            let [bias, scale, shift] = vectors.clone();
            let (seen, of_kernel) = (x.clone(), kernel.clone());
            let y = conv2d(seen, of_kernel, Some(bias), options(), Activation::Silu);
            let y = group_norm(y, scale, shift, 2, 1e-5, Activation::Identity);
            let y = linear(y, dense.clone(), None);
            let gradients = probe(y).backward();
            let wide = |gradient: Option<Tensor<F, 1>>| gradient.map(|g| g.cast(DType::F32));
            let flat = |gradient: Option<Tensor<F, 4>>| gradient.map(|g| g.reshape([576]));
            let [bias, scale, shift] = vectors.map(|vector| wide(vector.grad(&gradients)));
            let parameters = [
                wide(flat(kernel.grad(&gradients))),
                bias,
                scale,
                shift,
                wide(dense.grad(&gradients).map(|g| g.reshape([30]))),
            ];
            (x.grad(&gradients).expect("x"), parameters)
        };
    for is_trained in [false, true] {
        let ours = run(kernel.clone(), vectors.clone(), dense.clone(), is_trained);
        let exact = run(
            wide_kernel.clone(),
            wide_vectors.clone(),
            wide_dense.clone(),
            is_trained,
        );
        assert_close(ours.0, exact.0, "x");
        for (place, (ours, exact)) in ours.1.into_iter().zip(exact.1).enumerate() {
            assert_eq!(ours.is_some(), is_trained, "{place}");
            // A gradient is rounded to its weight's type.
            if let (Some(ours), Some(exact)) = (ours, exact) {
                let off = (ours - exact.clone()).abs().max().into_scalar();
                assert!(
                    off <= 0.005 * exact.abs().max().into_scalar(),
                    "{place}: {off}"
                );
            }
        }
    }
}

/// Numbers of half precision are right to `within` of the output's scale, and stay in their type.
fn assert_half<const D: usize>(ours: Tensor<F, D>, exact: Tensor<F, D>, dtype: DType, what: &str) {
    assert_eq!((ours.dtype(), ours.dims()), (dtype, exact.dims()), "{what}");
    let ours: Vec<f32> = ours.cast(DType::F32).into_data().to_vec().expect("f32");
    let exact: Vec<f32> = exact.into_data().to_vec().expect("f32");
    let scale = exact.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
    for (ours, exact) in ours.iter().zip(&exact) {
        let allowed = 0.02 * scale;
        assert!(
            (ours - exact).abs() <= allowed,
            "{what}: {ours} is not {exact}"
        );
    }
}

#[test]
fn input_of_half_precision_goes_through_every_operation() {
    for dtype in HALVES {
        let same = |x: Tensor<F, 4>| half(x, dtype);
        let [x, wide] = same(values([2, 8, 6, 6]));
        let [w, wide_w] = half(values([8]), dtype);
        let act = Activation::Silu;
        let window = Window::tiles(2);
        let check = |what: &str, run: &dyn Fn(Tensor<F, 4>, Tensor<F, 1>) -> Tensor<F, 4>| {
            let what = format!("{what}, {dtype:?}");
            assert_half(
                run(x.clone(), w.clone()),
                run(wide.clone(), wide_w.clone()),
                dtype,
                &what,
            );
            // Parameters in f32 beside half input.
            assert_half(
                run(x.clone(), wide_w.clone()),
                run(wide.clone(), wide_w.clone()),
                dtype,
                &what,
            );
        };
        for act in Activation::ALL {
            check("activate", &|x, _| activate(x, act));
        }
        let kernel = values([8, 8, 3, 3]) * 0.1;
        let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        check("conv2d", &|x, w| {
            conv2d(x, kernel.clone(), Some(w), options(), act)
        });
        check("conv2d_scaled", &|x, w| {
            conv2d_scaled(x, kernel.clone(), w.clone(), w, options(), act)
        });
        let transposed = || ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
        check("conv_transpose2d", &|x, w| {
            conv_transpose2d(x, kernel.clone(), Some(w), transposed(), act)
        });
        check("modulate", &|x, w| {
            let w = w.reshape([1, 8, 1, 1]);
            modulate(x, w.clone(), w)
        });
        check("group_norm", &|x, w| {
            group_norm(x, w.clone(), w, 2, 1e-5, act)
        });
        check("batch_norm", &|x, w| {
            batch_norm(x, w.clone(), w.clone(), w.clone(), w.abs() + 0.5, 1e-5, act)
        });
        check("batch_norm_training", &|x, w| {
            batch_norm_training(x, w.clone(), w, 1e-5, act).output
        });
        check("l2_norm", &|x, w| l2_norm(x, w));
        check("concat_channels", &|x, _| concat_channels(x.clone(), x));
        check("max_pool2d", &|x, _| max_pool2d(x, window));
        check("avg_pool2d", &|x, _| avg_pool2d(x, window));
        check("softmax", &|x, _| softmax(x));
        let dense = values([5, 6]);
        check("linear", &|x, _| linear(x, dense.clone(), None));
        let norm = values([6]);
        check("layer_norm", &|x, _| {
            layer_norm(x, norm.clone(), norm.clone(), 1e-5)
        });
        check("geglu", &|x, _| geglu(x));
        check("upsample_nearest", &|x, _| upsample_nearest(x, 2));
        check("attention", &|x, _| {
            attention(x.clone(), x.clone(), x, None, 0.4)
        });
    }
}
