//! The operations of transformers on Flex against their plain bodies, and their gradients.

use super::*;

type F = Flex;

fn values<const D: usize>(shape: [usize; D]) -> Tensor<F, D> {
    random(shape).inner()
}

#[test]
fn linear_layers_of_every_size_agree_with_the_plain_form() {
    // Few rows; few rows of a large weight; one block; several blocks of rows and of outputs, none of them whole;
    // nothing to add up.
    let cases = [
        [1, 7, 5],
        [1, 700, 401],
        [4, 2100, 133],
        [5, 16, 3],
        [77, 64, 130],
        [1100, 24, 2050],
        [3, 0, 4],
        [9, 0, 4],
    ];
    for [rows, inner, outputs] in cases {
        let (x, weight, bias) = (
            values([rows, inner]),
            values([outputs, inner]),
            values([outputs]),
        );
        for bias in [None, Some(bias)] {
            let ours = linear(x.clone(), weight.clone(), bias.clone());
            let what = format!("{rows} × {inner} × {outputs}");
            if inner == 0 {
                let y = bias.map_or(Tensor::zeros([outputs], &Default::default()), |b| b);
                assert_close(ours, y.unsqueeze::<2>().repeat_dim(0, rows), &what);
                continue;
            }
            assert_close(ours, plain::linear(x.clone(), weight.clone(), bias), &what);
        }
    }
}

#[test]
fn a_linear_layer_takes_views_and_tensors_of_any_rank() {
    let (x, weight) = (values([3, 5, 4]), values([6, 5]));
    let ours = linear(x.clone().swap_dims(1, 2), weight.clone(), None);
    assert_eq!(ours.dims(), [3, 4, 6]);
    let rows = x.swap_dims(1, 2).reshape([12, 5]);
    assert_close(
        ours.reshape([12, 6]),
        plain::linear(rows, weight, None),
        "view",
    );
}

#[test]
fn results_of_linear_layers_and_attention_do_not_depend_on_the_number_of_threads() {
    let (x, weight) = (values([600, 40]), values([300, 40]));
    let query = values([1, 2, 300, 16]);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let y = linear(x.clone(), weight.clone(), None);
            let z = attention(query.clone(), query.clone(), query.clone(), None, 0.25);
            (y.into_data(), z.into_data())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn layer_norm_and_its_gradients_agree_with_the_plain_form() {
    let (x, weight, bias) = (random([3, 4, 37]), random([37]), random([37]));
    let ours = layer_norm(
        x.clone().inner(),
        weight.clone().inner(),
        bias.clone().inner(),
        1e-5,
    );
    let rows = || x.clone().reshape([12, 37]);
    let exact = plain::layer_norm(rows(), weight.clone(), bias.clone(), 1e-5);
    assert_close(ours.reshape([12, 37]), exact.inner(), "value");
    let y = layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-5);
    let gradients = probe(y).backward();
    for gradient in [
        x.grad(&gradients).map(|g| g.reshape([444])),
        weight.grad(&gradients),
        bias.grad(&gradients),
    ] {
        let gradient = gradient.expect("a gradient");
        assert!(gradient.abs().max().into_scalar() > 1e-3);
    }
    // Adding a number to all features of a row changes nothing, so a row's gradient has no mean.
    let of_x = x.grad(&gradients).expect("x");
    let mean = of_x.mean_dim(2);
    assert_close(mean.clone(), mean.zeros_like(), "mean of the gradient");
}

#[test]
fn gated_gelu_agrees_with_the_plain_form_and_its_gradient_is_that_of_the_product() {
    let x = random([2, 5, 48]);
    let ours = geglu(x.clone().inner());
    let exact = plain::geglu(x.clone().inner().reshape([10, 48]));
    assert_close(ours.reshape([10, 24]), exact, "value");
    let gradients = geglu(x.clone()).sum().backward();
    let [value, gate] = [0, 24].map(|first| x.clone().inner().narrow(2, first, 24));
    let of_value = plain::activate(gate.clone(), Activation::Gelu);
    let of_gate = plain::activate_backward(gate, value, Activation::Gelu);
    let exact = Tensor::cat(vec![of_value, of_gate], 2);
    assert_close(x.grad(&gradients).expect("x"), exact, "gradient");
}

#[test]
fn upsampling_repeats_pixels_and_its_gradient_adds_them_up() {
    for factor in [1, 2, 3] {
        let x = random([2, 3, 5, 4]);
        let ours = upsample_nearest(x.clone().inner(), factor);
        let exact = plain::upsample_nearest(x.clone().inner(), factor);
        assert_eq!(ours.dims(), [2, 3, 5 * factor, 4 * factor]);
        assert_close(ours, exact, "value");
        let gradients = upsample_nearest(x.clone(), factor).sum().backward();
        let gradient = x.grad(&gradients).expect("x");
        let area = (factor * factor) as f32;
        assert_close(gradient.clone(), gradient.ones_like() * area, "gradient");
    }
}

/// A query, keys and values as models make them: [batch, rows, heads·d] seen as [batch, heads, rows, d].
fn heads(shape: [usize; 4]) -> Tensor<A, 4> {
    let [batch, heads, rows, columns] = shape;
    random([batch, rows, heads, columns]).swap_dims(1, 2)
}

#[test]
fn attention_agrees_with_the_plain_form_whatever_lies_in_memory() {
    // One block of keys and queries, several, and one key.
    for [n, m] in [[5, 7], [300, 1100], [130, 77], [3, 1]] {
        for strided in [false, true] {
            let of = |rows: usize, columns: usize| match strided {
                true => heads([2, 3, rows, columns]).inner(),
                false => values([2, 3, rows, columns]),
            };
            let (query, key, value) = (of(n, 8) * 2.0, of(m, 8), of(m, 6));
            let biases = [
                None,
                Some(values([1, 1, n, m])),
                Some(values([2, 1, 1, m])),
                Some(values([1, 3, n, 1])),
                Some(values([2, 3, m, n]).swap_dims(2, 3)),
            ];
            for bias in biases {
                let what = format!(
                    "{n} × {m}, {strided}, {:?}",
                    bias.as_ref().map(Tensor::dims)
                );
                let (q, k, v) = (query.clone(), key.clone(), value.clone());
                let ours = attention(q.clone(), k.clone(), v.clone(), bias.clone(), 0.5);
                assert_close(ours, plain::attention(q, k, v, bias, 0.5), &what);
            }
        }
    }
}

#[test]
fn attention_leaves_out_whole_blocks_of_keys_that_a_bias_forbids() {
    let (query, key, value) = (
        values([1, 2, 4, 8]),
        values([1, 2, 1200, 8]),
        values([1, 2, 1200, 8]),
    );
    let forbidden = Tensor::<F, 4>::full([1, 1, 4, 700], f32::NEG_INFINITY, &Default::default());
    let allowed = Tensor::<F, 4>::zeros([1, 1, 4, 500], &Default::default());
    let bias = Tensor::cat(vec![forbidden, allowed], 3);
    let ours = attention(query.clone(), key.clone(), value.clone(), Some(bias), 0.3);
    let (key, value) = (key.narrow(2, 700, 500), value.narrow(2, 700, 500));
    assert_close(
        ours,
        plain::attention(query, key, value, None, 0.3),
        "allowed",
    );
}

#[test]
fn attention_of_large_scores_stays_finite() {
    let query = values([1, 1, 6, 8]) * 300.0;
    let ours = attention(query.clone(), query.clone(), query.clone(), None, 1.0);
    let exact = plain::attention(query.clone(), query.clone(), query, None, 1.0);
    assert_close(ours, exact, "large scores");
}

#[test]
fn the_gradients_of_attention_and_linear_layers_are_right() {
    // By differences along one direction each, in f32: a percent.
    let (query, key, value) = (
        random([1, 2, 5, 4]),
        random([1, 2, 6, 4]),
        random([1, 2, 6, 3]),
    );
    let weight = random([7, 3]);
    let of = |q: Tensor<A, 4>, k: Tensor<A, 4>, v: Tensor<A, 4>, w: Tensor<A, 2>| {
        probe(linear(attention(q, k, v, None, 0.5), w, None))
    };
    let gradients = of(query.clone(), key.clone(), value.clone(), weight.clone()).backward();
    let along = |x: &Tensor<A, 4>, run: &dyn Fn(Tensor<A, 4>) -> Tensor<A, 1>, what: &str| {
        let direction = random(x.dims()).detach();
        let slope = (x.grad(&gradients).expect(what) * direction.clone().inner())
            .sum()
            .into_scalar();
        let at = |step: f32| run(x.clone() + direction.clone() * step).into_scalar();
        let by_differences = (at(1e-2) - at(-1e-2)) / 2e-2;
        let allowed = 0.01 * slope.abs().max(1.0);
        assert!(
            (slope - by_differences).abs() < allowed,
            "{what}: {slope}, {by_differences}"
        );
    };
    let (q, k, v, w) = (&query, &key, &value, &weight);
    along(q, &|q| of(q, k.clone(), v.clone(), w.clone()), "query");
    along(k, &|k| of(q.clone(), k, v.clone(), w.clone()), "key");
    along(v, &|v| of(q.clone(), k.clone(), v, w.clone()), "value");
    let rows = attention(q.clone(), k.clone(), v.clone(), None, 0.5)
        .inner()
        .reshape([10, 3]);
    let grad = Tensor::<F, 1, burn::tensor::Int>::arange(0..70, &Default::default());
    let exact = grad.float().sin().reshape([10, 7]).transpose().matmul(rows);
    assert_close(w.grad(&gradients).expect("weight"), exact, "weight");
}
