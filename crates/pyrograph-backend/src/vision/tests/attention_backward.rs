//! The gradients of attention against those of its definition in f64.

use proptest::prelude::*;

use super::*;

type F = Flex;

/// The sizes of a case: batch, heads, queries, keys, and the columns of keys and of values.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    heads: usize,
    n: usize,
    m: usize,
    d: usize,
    e: usize,
}

impl Sizes {
    const fn new([batch, heads, n, m, d, e]: [usize; 6]) -> Self {
        Self {
            batch,
            heads,
            n,
            m,
            d,
            e,
        }
    }

    fn of_output(self) -> [usize; 4] {
        [self.batch, self.heads, self.n, self.e]
    }
}

/// A tensor in f64, [batch, heads, rows, columns]; axes of size 1 hold for all.
struct Wide {
    shape: [usize; 4],
    values: Vec<f64>,
}

impl Wide {
    fn of(x: &Tensor<F, 4>) -> Self {
        let values = x.to_data().to_vec::<f32>().expect("f32");
        Self {
            shape: x.dims(),
            values: values.into_iter().map(f64::from).collect(),
        }
    }

    fn zeros(shape: [usize; 4]) -> Self {
        let values = vec![0.0; shape.iter().product()];
        Self { shape, values }
    }

    fn place(&self, at: [usize; 4]) -> usize {
        let axes = self.shape.iter().zip(at);
        axes.fold(0, |place, (size, at)| {
            place * size + if *size == 1 { 0 } else { at }
        })
    }

    fn get(&self, at: [usize; 4]) -> f64 {
        self.values[self.place(at)]
    }

    fn add(&mut self, at: [usize; 4], value: f64) {
        let place = self.place(at);
        self.values[place] += value;
    }
}

/// The gradients of query, key, value and bias by the definition: a loop over queries and keys, without the output.
fn by_definition(
    [query, key, value, grad]: [&Tensor<F, 4>; 4],
    bias: Option<&Tensor<F, 4>>,
    scale: f64,
) -> [Wide; 4] {
    let bias = bias.map_or(Wide::zeros([1; 4]), Wide::of);
    let mut gradients = [query.dims(), key.dims(), value.dims(), bias.shape].map(Wide::zeros);
    let [query, key, value, grad] = [query, key, value, grad].map(Wide::of);
    let [batch, heads, n, d] = query.shape;
    let [_, _, m, e] = value.shape;
    let rows =
        (0..batch).flat_map(|b| (0..heads).flat_map(move |h| (0..n).map(move |i| [b, h, i])));
    for [b, h, i] in rows {
        let dot = |x: &Wide, y: &Wide, j: usize, columns: usize| -> f64 {
            let terms = (0..columns).map(|c| x.get([b, h, i, c]) * y.get([b, h, j, c]));
            terms.sum()
        };
        let scores: Vec<f64> = (0..m)
            .map(|j| dot(&query, &key, j, d) * scale + bias.get([b, h, i, j]))
            .collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
        let total = powers.iter().sum::<f64>();
        let weights: Vec<f64> = powers.iter().map(|power| power / total).collect();
        let slopes: Vec<f64> = (0..m).map(|j| dot(&grad, &value, j, e)).collect();
        let mean: f64 = weights.iter().zip(&slopes).map(|(w, s)| w * s).sum();
        for j in 0..m {
            let slope = weights[j] * (slopes[j] - mean);
            for c in 0..d {
                gradients[0].add([b, h, i, c], slope * key.get([b, h, j, c]) * scale);
                gradients[1].add([b, h, j, c], slope * query.get([b, h, i, c]) * scale);
            }
            for c in 0..e {
                gradients[2].add([b, h, j, c], weights[j] * grad.get([b, h, i, c]));
            }
            gradients[3].add([b, h, i, j], slope);
        }
    }
    gradients
}

fn assert_equal(ours: Tensor<F, 4>, exact: &Wide, what: &str) {
    assert_sums(ours, exact, 1, what);
}

/// The same of sums of so many terms, which may cancel each other where their rounding does not.
fn assert_sums(ours: Tensor<F, 4>, exact: &Wide, terms: usize, what: &str) {
    assert_eq!(ours.dims(), exact.shape, "{what}");
    let ours: Vec<f32> = ours.into_data().to_vec().expect("f32");
    let scale = exact.values.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    let scale = scale * ((terms as f64).sqrt() / 16.0).max(1.0);
    for (i, (ours, exact)) in ours.iter().zip(&exact.values).enumerate() {
        let error = (f64::from(*ours) - exact).abs();
        // What is not a number is no small error.
        assert!(error <= 1e-5 * scale, "{what}[{i}]: {ours} is not {exact}");
    }
}

fn values<const D: usize>(shape: [usize; D]) -> Tensor<F, D> {
    random(shape).inner()
}

/// [batch, heads, rows, columns], as it is or seen in [batch, rows, heads, columns].
fn tensor_of([batch, heads, rows, columns]: [usize; 4], by_rows: bool) -> Tensor<F, 4> {
    match by_rows {
        true => values([batch, rows, heads, columns]).swap_dims(1, 2),
        false => values([batch, heads, rows, columns]),
    }
}

/// Holds the kernel and the plain body to the definition, with a bias that is learned or constant.
fn assert_gradients(sizes: Sizes, by_rows: bool, bias: Option<Tensor<F, 4>>, learned: bool) {
    let Sizes {
        batch,
        heads,
        n,
        m,
        d,
        e,
    } = sizes;
    let of = |rows, columns| tensor_of([batch, heads, rows, columns], by_rows);
    let (query, key, value, grad) = (of(n, d), of(m, d), of(m, e), of(n, e));
    let scale = 1.5 / (d as f64).sqrt();
    let exact = by_definition([&query, &key, &value, &grad], bias.as_ref(), scale);
    let output = plain::attention(
        query.clone(),
        key.clone(),
        value.clone(),
        bias.clone(),
        scale,
    );
    let shape = bias.as_ref().map(Tensor::dims);
    let pass = AttentionPass {
        query,
        key,
        value,
        bias,
        bias_is_learned: learned,
        output,
    };
    let fused = F::attention_backward(
        pass.clone().map(primitives::into),
        primitives::into(grad.clone()),
        scale.into(),
    );
    let fused = fused.map(primitives::tensor);
    let plain = plain::attention_backward(pass, grad, scale);
    for (body, found) in [("fused", fused), ("plain", plain)] {
        let what = |name| format!("{body} {name}: {sizes:?}, {by_rows}, bias {shape:?}");
        assert_equal(found.query, &exact[0], &what("query"));
        assert_equal(found.key, &exact[1], &what("key"));
        assert_equal(found.value, &exact[2], &what("value"));
        assert_eq!(found.bias.is_some(), learned, "{}", what("bias"));
        if let Some(bias) = found.bias {
            let terms = batch * heads * n * m / exact[3].values.len();
            assert_sums(bias, &exact[3], terms, &what("bias"));
        }
    }
}

#[test]
fn gradients_agree_with_the_definition_in_f64_at_odd_sizes() {
    // One query and key; widths of 5 and of 160; several blocks of queries, of keys, and of both; one head.
    for sizes in [
        [1, 1, 1, 1, 5, 5],
        [2, 3, 7, 13, 5, 9],
        [1, 2, 37, 19, 160, 33],
        [2, 1, 131, 3, 17, 40],
        [1, 3, 5, 601, 11, 7],
        [1, 1, 270, 530, 8, 6],
    ] {
        for by_rows in [false, true] {
            assert_gradients(Sizes::new(sizes), by_rows, None, false);
        }
    }
}

#[test]
fn gradients_of_every_broadcast_bias_are_sums() {
    for sizes in [[2, 3, 9, 7, 6, 5], [2, 2, 131, 260, 5, 4]] {
        let sizes = Sizes::new(sizes);
        let whole = [sizes.batch, sizes.heads, sizes.n, sizes.m];
        for kind in 0..16 {
            let shape = [0, 1, 2, 3].map(|axis| match kind >> axis & 1 {
                1 => whole[axis],
                _ => 1,
            });
            assert_gradients(sizes, kind % 2 == 0, Some(values(shape)), true);
        }
        // One that runs the other way, and one that is a constant.
        let [batch, heads, n, m] = whole;
        let turned = values([batch, heads, m, n]).swap_dims(2, 3);
        assert_gradients(sizes, false, Some(turned), true);
        assert_gradients(sizes, true, Some(values([1, heads, n, m])), false);
    }
}

#[test]
fn keys_that_a_mask_forbids_get_no_gradient() {
    // A triangle, and more keys than a block has.
    let triangle = |n: usize, m: usize| {
        let row = move |i| (0..m).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 });
        let values: Vec<f32> = (0..n).flat_map(row).collect();
        Tensor::<F, 4>::from_data(
            burn::tensor::TensorData::new(values, [1, 1, n, m]),
            &Default::default(),
        )
    };
    for [n, m] in [[11, 11], [140, 300]] {
        let sizes = Sizes::new([2, 2, n, m, 7, 5]);
        for learned in [false, true] {
            assert_gradients(sizes, true, Some(triangle(n, m)), learned);
        }
    }
    let forbidden = Tensor::<F, 4>::full([1, 1, 1, 300], f32::NEG_INFINITY, &Default::default());
    let allowed = Tensor::<F, 4>::zeros([1, 1, 1, 260], &Default::default());
    let bias = Tensor::cat(vec![forbidden, allowed], 3);
    assert_gradients(Sizes::new([1, 2, 9, 560, 6, 6]), false, Some(bias), false);
}

#[test]
fn a_row_without_any_key_has_no_number_in_either_body() {
    let bias = Tensor::<F, 4>::full([1, 1, 1, 3], f32::NEG_INFINITY, &Default::default());
    let (query, key) = (values([1, 1, 2, 4]), values([1, 1, 3, 4]));
    let grad = values([1, 1, 2, 4]);
    let pass = AttentionPass {
        output: attention(
            query.clone(),
            key.clone(),
            key.clone(),
            Some(bias.clone()),
            0.5,
        ),
        query,
        key: key.clone(),
        value: key,
        bias: Some(bias),
        bias_is_learned: false,
    };
    let fused = F::attention_backward(
        pass.clone().map(primitives::into),
        primitives::into(grad.clone()),
        0.5.into(),
    );
    let fused = fused.map(primitives::tensor);
    for found in [fused, plain::attention_backward(pass, grad, 0.5)] {
        let found: Vec<f32> = found.query.into_data().to_vec().expect("f32");
        assert!(found.into_iter().all(f32::is_nan));
    }
}

#[test]
fn gradients_of_large_scores_agree_with_the_definition() {
    let (query, key) = (values([1, 2, 6, 8]) * 60.0, values([1, 2, 300, 8]));
    let (value, grad) = (values([1, 2, 300, 5]), values([1, 2, 6, 5]));
    let exact = by_definition([&query, &key, &value, &grad], None, 1.0);
    let pass = AttentionPass {
        output: attention(query.clone(), key.clone(), value.clone(), None, 1.0),
        query,
        key,
        value,
        bias: None,
        bias_is_learned: false,
    };
    let found = F::attention_backward(
        pass.map(primitives::into),
        primitives::into(grad),
        1.0.into(),
    );
    for (found, exact) in [found.query, found.key, found.value].into_iter().zip(exact) {
        let found: Vec<f32> = primitives::tensor::<F, 4>(found)
            .into_data()
            .to_vec()
            .expect("f32");
        // Where one key outweighs all others, gradients are differences of numbers near 1 that are exact to 1e-7 alone.
        let scale = exact.values.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        for (found, exact) in found.into_iter().zip(exact.values) {
            // Scores of several hundred are exact to 3e-5.
            assert!(
                (f64::from(found) - exact).abs() <= 5e-4 * scale,
                "{found}, {exact}"
            );
        }
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    // Groups of keys whose parts are added up, for the query and for a bias of queries.
    let sizes = Sizes::new([1, 2, 150, 1100, 16, 12]);
    let (query, key) = (values([1, 2, 150, 16]), values([1, 2, 1100, 16]));
    let (value, grad) = (values([1, 2, 1100, 12]), values(sizes.of_output()));
    for shape in [[1, 1, 150, 1], [1, 2, 150, 1100]] {
        let bias = values(shape);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| {
                let (q, k, v) = (query.clone(), key.clone(), value.clone());
                let bias = Some(bias.clone());
                let pass = AttentionPass {
                    output: attention(q.clone(), k.clone(), v.clone(), bias.clone(), 0.25),
                    query: q,
                    key: k,
                    value: v,
                    bias,
                    bias_is_learned: true,
                };
                let grad = primitives::into(grad.clone());
                let found = F::attention_backward(pass.map(primitives::into), grad, 0.25.into());
                let all = [
                    Some(found.query),
                    Some(found.key),
                    Some(found.value),
                    found.bias,
                ];
                all.map(|x| x.map(|x| primitives::tensor::<F, 4>(x).into_data()))
            })
        };
        let one = run(1);
        assert!(one.iter().all(Option::is_some));
        assert_eq!(one, run(3));
        assert_eq!(one, run(5));
    }
}

#[test]
fn the_backward_step_hands_each_input_its_gradient() {
    let shapes = [[2, 3, 5, 4], [2, 3, 7, 4], [2, 3, 7, 6]];
    for tracked in 1..16 {
        let is_tracked = |place: usize| tracked >> place & 1 == 1;
        let input = |place: usize, shape: [usize; 4]| {
            let x = random(shape).detach();
            x.set_require_grad(is_tracked(place))
        };
        let [query, key, value] = [0, 1, 2].map(|place| input(place, shapes[place]));
        let bias = input(3, [1, 3, 1, 7]);
        let inputs = || {
            (
                query.clone(),
                key.clone(),
                value.clone(),
                Some(bias.clone()),
            )
        };
        let (q, k, v, b) = inputs();
        let ours = probe(attention(q, k, v, b, 0.7)).backward();
        let (q, k, v, b) = inputs();
        let theirs = probe(plain::attention(q, k, v, b, 0.7)).backward();
        for (place, input) in [&query, &key, &value, &bias].into_iter().enumerate() {
            let what = format!("input {place} of {tracked:04b}");
            match (input.grad(&ours), input.grad(&theirs)) {
                (Some(ours), Some(theirs)) => assert_close(ours, theirs, &what),
                (ours, theirs) => {
                    assert!(
                        ours.is_none() && theirs.is_none() && !is_tracked(place),
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_tensor_that_is_query_key_and_value_gets_the_sum() {
    let x = random([2, 2, 9, 6]);
    let of = |y: Tensor<A, 4>| x.grad(&probe(y).backward()).expect("a gradient");
    let ours = of(attention(x.clone(), x.clone(), x.clone(), None, 0.4));
    let theirs = of(plain::attention(x.clone(), x.clone(), x.clone(), None, 0.4));
    assert_close(ours, theirs, "one tensor");
}

#[test]
fn the_gradient_of_a_gradient_is_that_of_the_plain_form() {
    type Twice = Autodiff<A>;
    let shape = [1, 2, 4, 3];
    let start = random(shape);
    let run = |fused: bool| {
        let x =
            Tensor::<Twice, 4>::from_inner(start.clone().detach().require_grad()).require_grad();
        let (q, k, v) = (x.clone(), x.clone() * 0.5, x.clone());
        let y = match fused {
            true => attention(q, k, v, None, 0.8),
            false => plain::attention(q, k, v, None, 0.8),
        };
        let inner = x.clone().inner();
        let gradient = x.grad(&y.powi_scalar(2).sum().backward()).expect("first");
        let again = probe(gradient).backward();
        inner.grad(&again).expect("second")
    };
    assert_close(run(true), run(false), "second");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn gradients_of_any_shape_agree_with_the_definition(
        (batch, heads, n, m) in (1_usize..3, 1_usize..4, 1_usize..40, 1_usize..60),
        (d, e) in (1_usize..24, 1_usize..24),
        (by_rows, learned) in (any::<bool>(), any::<bool>()),
        kind in 0_usize..17,
    ) {
        let sizes = Sizes { batch, heads, n, m, d, e };
        let whole = [batch, heads, n, m];
        let shape = [0, 1, 2, 3].map(|axis| if kind >> axis & 1 == 1 { whole[axis] } else { 1 });
        let bias = (kind < 16).then(|| values(shape));
        let learned = learned && bias.is_some();
        assert_gradients(sizes, by_rows, bias, learned);
    }
}
