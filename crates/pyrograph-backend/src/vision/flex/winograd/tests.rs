//! Against the definition in f64.

use burn::tensor::ops::ConvOptions;
use proptest::prelude::*;

use super::*;

/// Errors as a share of the output's scale, as the module promises.
fn bound(plan: Plan) -> f64 {
    match plan {
        Plan::Four => 2e-5,
        Plan::Two => 3e-6,
    }
}

fn shape([batch, channels_in, channels_out, height, width, padding]: [usize; 6]) -> Shape {
    let options = ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
    Shape::new(
        [batch, channels_in, height, width],
        [channels_out, channels_in, 3, 3],
        &options,
    )
    .expect("a legal shape")
}

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..count)
        .map(|_| uniform() + uniform() + uniform() - 1.5)
        .collect()
}

/// Calls `each` with (output, input, weight) places of every product of the definition.
fn products(s: &Shape, mut each: impl FnMut(usize, usize, usize)) {
    let ([h, w], [out_h, out_w]) = (s.image, s.out);
    for image in 0..s.batch {
        for o in 0..s.channels_out {
            for i in 0..s.channels_in {
                for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
                    for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                        let source = (
                            (y + ky).checked_sub(s.padding[0]),
                            (x + kx).checked_sub(s.padding[1]),
                        );
                        if let (Some(sy), Some(sx)) = source
                            && sy < h
                            && sx < w
                        {
                            each(
                                ((image * s.channels_out + o) * out_h + y) * out_w + x,
                                ((image * s.channels_in + i) * h + sy) * w + sx,
                                (o * s.channels_in + i) * 9 + ky * 3 + kx,
                            );
                        }
                    }
                }
            }
        }
    }
}

#[track_caller]
fn assert_close(ours: &[f32], exact: &[f64], bound: f64) {
    assert_eq!(ours.len(), exact.len());
    let scale = exact.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (place, (a, b)) in ours.iter().zip(exact).enumerate() {
        // Written so that NaN fails.
        let error = (f64::from(*a) - b).abs();
        assert!(
            error <= bound * scale,
            "{place}: {a} is not {b}, {error:.1e} of scale {scale:.1e}"
        );
    }
}

fn check(plan: Plan, s: &Shape, seed: u64) {
    let (x, weight) = (
        values(s.batch * s.channels_in * s.image[0] * s.image[1], seed),
        values(s.channels_out * s.channels_in * 9, seed + 1),
    );
    let bias = values(s.channels_out, seed + 2);
    let outputs = s.batch * s.channels_out * s.out_plane();
    let grad = values(outputs, seed + 3);
    let mut y: Vec<f64> = (0..outputs)
        .map(|place| f64::from(bias[place / s.out_plane() % s.channels_out]))
        .collect();
    let mut slope = vec![0.0; weight.len()];
    products(s, |o, i, w| {
        y[o] += f64::from(x[i]) * f64::from(weight[w]);
        slope[w] += f64::from(x[i]) * f64::from(grad[o]);
    });
    let identity = forward(plan, s, &x, &weight, Some(&bias), Activation::Identity);
    assert_close(&identity, &y, bound(plan));
    y.iter_mut().for_each(|y| *y = y.max(0.0));
    let relu = forward(plan, s, &x, &weight, Some(&bias), Activation::Relu);
    assert_close(&relu, &y, bound(plan));
    if let Some(ours) = weight_gradient(plan, s, &x, &grad) {
        assert_close(&ours, &slope, bound(plan));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_shape_agrees_with_the_definition(
        batch in 1_usize..4, channels in (1_usize..12, 1_usize..12), size in (1_usize..15, 1_usize..15),
        padding in 0_usize..3, seed in 0_u64..1000,
    ) {
        let reach = |size: usize| size.max(3_usize.saturating_sub(2 * padding));
        let s = shape([batch, channels.0, channels.1, reach(size.0), reach(size.1), padding]);
        check(Plan::Four, &s, seed);
        check(Plan::Two, &s, seed);
    }
}

#[test]
fn several_blocks_of_many_channels_agree_with_the_definition() {
    // 5·5·6 tiles of F(4×4): three blocks that begin and end inside of rows.
    let s = shape([6, 48, 33, 18, 19, 1]);
    check(Plan::Four, &s, 1);
    check(Plan::Two, &s, 2);
}

#[test]
fn the_same_numbers_come_from_any_number_of_threads() {
    let s = shape([7, 16, 16, 12, 12, 1]);
    let (x, weight) = (values(7 * 16 * 144, 1), values(16 * 16 * 9, 2));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let y = forward(Plan::Four, &s, &x, &weight, None, Activation::Gelu);
            (y, weight_gradient(Plan::Four, &s, &x, &x))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn plans_go_by_the_number_of_products() {
    let plan = |sizes| Plan::new(&shape(sizes));
    assert_eq!(plan([1, 64, 64, 16, 16, 1]), Some(Plan::Four));
    assert_eq!(plan([1, 64, 64, 2, 2, 1]), Some(Plan::Two));
    assert_eq!(plan([1, 64, 64, 2, 6, 1]), Some(Plan::Two));
    assert_eq!(plan([1, 3, 64, 16, 16, 1]), None, "too few channels");
    assert_eq!(
        plan([1, 64, 64, 1, 1, 1]),
        None,
        "nine products, not sixteen"
    );
}
