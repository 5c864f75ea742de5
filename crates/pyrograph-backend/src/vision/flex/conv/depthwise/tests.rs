//! Against the definition in f64, plane by plane.

use burn::tensor::ops::ConvOptions;
use proptest::prelude::*;

use super::super::{
    super::{super::Activation, half::Values},
    Finish, Shape, forward, input_gradient,
    tests::{assert_close, finish, products, values},
    weight_gradient,
};

/// A convolution's sizes: batch and channels, image, kernel, stride, padding, dilation.
type Sizes = [[usize; 2]; 6];

fn shape([[batch, channels], image, kernel, stride, padding, dilation]: Sizes) -> Shape {
    let options = ConvOptions::new(stride, padding, dilation, channels);
    let x = [batch, channels, image[0], image[1]];
    let shape = Shape::new(x, [channels, 1, kernel[0], kernel[1]], &options);
    let shape = shape.expect("a legal shape");
    assert!(shape.is_depthwise);
    shape
}

fn square(channels: [usize; 2], [image, kernel, stride, padding]: [usize; 4]) -> Shape {
    let sides = [image, kernel, stride, padding, 1].map(|side| [side; 2]);
    shape([channels, sides[0], sides[1], sides[2], sides[3], sides[4]])
}

/// What the definition comes to, in f64: the output without bias, ∂x and ∂weight.
fn definition(s: &Shape, x: &[f32], weight: &[f32], grad: &[f32]) -> [Vec<f64>; 3] {
    let [outputs, pixels, area] = [s.out, s.image, s.kernel].map(|size| size[0] * size[1]);
    let mut y = vec![0.0; grad.len()];
    let mut back = vec![0.0; x.len()];
    let mut slope = vec![0.0; weight.len()];
    for plane in 0..s.batch * s.channels_in {
        let kernel = plane % s.channels_in * area;
        products(&s.of_a_plane(), |o, i, w| {
            let (o, i, w) = (plane * outputs + o, plane * pixels + i, kernel + w);
            y[o] += f64::from(x[i]) * f64::from(weight[w]);
            back[i] += f64::from(weight[w]) * f64::from(grad[o]);
            slope[w] += f64::from(x[i]) * f64::from(grad[o]);
        });
    }
    [y, back, slope]
}

fn check(s: &Shape, seed: u64) {
    let x = values(s.input().iter().product(), seed);
    let weight = values(s.channels_in * s.taps(), seed + 1);
    let grad = values(s.output().iter().product(), seed + 2);
    let (scale, shift) = (
        values(s.channels_in, seed + 3),
        values(s.channels_in, seed + 4),
    );
    let [y, back, slope] = definition(s, &x, &weight, &grad);
    let none = finish(None, None, Activation::Identity);
    assert_close("y", &forward(s, &x, Values::F32(&weight), none), &y, 2e-6);
    let ours = input_gradient(s, &weight, &grad, none);
    assert_close("∂x", &ours, &back, 2e-6);
    assert_close("∂w", &weight_gradient(s, &x, &grad), &slope, 2e-6);

    // With a scale, a shift and an activation, of outputs and of inputs.
    let finished = |values: &[f64], plane: usize| -> Vec<f64> {
        let each = values.iter().enumerate().map(|(place, value)| {
            let channel = place / plane % s.channels_in;
            value * f64::from(scale[channel]) + f64::from(shift[channel])
        });
        each.map(|value| value.clamp(0.0, 6.0)).collect()
    };
    let all = finish(Some(&scale), Some(&shift), Activation::Relu6);
    let exact = finished(&y, s.out[0] * s.out[1]);
    assert_close(
        "relu6(y)",
        &forward(s, &x, Values::F32(&weight), all),
        &exact,
        2e-6,
    );
    let exact = finished(&back, s.image[0] * s.image[1]);
    let ours = input_gradient(s, &weight, &grad, all);
    assert_close("relu6(∂x)", &ours, &exact, 2e-6);
}

prop_compose! {
    /// Any small convolution, the image being no smaller than the kernel's reach.
    fn any_sizes()(
        channels in (1_usize..4, 2_usize..7), extra in (0_usize..24, 0_usize..40),
        kernel in (1_usize..6, 1_usize..6), stride in (1_usize..4, 1_usize..4),
        padding in (0_usize..5, 0_usize..5), dilation in (1_usize..4, 1_usize..4),
    ) -> Sizes {
        let image = |extra: usize, kernel: usize, dilation: usize, padding: usize| {
            (extra + dilation * (kernel - 1) + 1).saturating_sub(2 * padding).max(1)
        };
        [
            channels.into(),
            [
                image(extra.0, kernel.0, dilation.0, padding.0),
                image(extra.1, kernel.1, dilation.1, padding.1),
            ],
            kernel.into(), stride.into(), padding.into(), dilation.into(),
        ]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_depthwise_convolution_agrees_with_the_definition(sizes in any_sizes(), seed in 0_u64..1000) {
        check(&shape(sizes), seed);
    }
}

#[test]
fn planes_of_several_bands_and_blocks_of_several_planes_agree_with_the_definition() {
    check(&square([2, 3], [150, 3, 1, 1]), 1);
    check(&square([1, 3], [151, 3, 2, 1]), 2);
    check(&square([3, 40], [19, 3, 1, 1]), 3);
    check(&square([3, 70], [20, 3, 2, 1]), 4);
    check(&square([3, 200], [10, 3, 1, 1]), 5);
    check(&square([1, 2], [97, 5, 2, 2]), 6);
    // A row that is longer than a band.
    check(
        &shape([[1, 2], [3, 5000], [3, 3], [1, 1], [1, 1], [1, 1]]),
        7,
    );
    // The whole image at once, which would be a dense layer if the channels met.
    check(&square([2, 5], [7, 7, 1, 0]), 8);
}

#[test]
fn the_same_numbers_come_from_any_number_of_threads() {
    for s in [
        square([3, 40], [19, 3, 1, 1]),
        square([5, 6], [75, 3, 2, 1]),
    ] {
        let x = values(s.input().iter().product(), 1);
        let grad = values(s.output().iter().product(), 2);
        let weight = values(s.channels_in * s.taps(), 3);
        let none = finish(None, None, Activation::Identity);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| {
                let all = [
                    forward(
                        &s,
                        &x,
                        Values::F32(&weight),
                        finish(None, None, Activation::Silu),
                    ),
                    weight_gradient(&s, &x, &grad),
                    input_gradient(&s, &weight, &grad, none),
                ];
                all.map(|values| values.to_vec())
            })
        };
        assert_eq!(run(1), run(3));
    }
}

#[test]
fn what_is_not_a_number_reaches_those_that_see_it_and_no_others() {
    for (stride, act) in [(1, Activation::Relu6), (2, Activation::Relu)] {
        let s = square([1, 3], [11, 3, stride, 1]);
        let mut x = values(s.input().iter().product(), 1);
        let grad = values(s.output().iter().product(), 2);
        let weight = values(s.channels_in * s.taps(), 3);
        // Row 4, column 10 of the second plane: a right end, whose neighbour in a line is a left one.
        x[121 + 4 * 11 + 10] = f32::NAN;
        let seen = |s: &Shape, x: &[f32], act| {
            forward(s, x, Values::F32(&weight), finish(None, None, act))
        };
        let [exact, _, _] = definition(&s, &x, &weight, &grad);
        let ours = seen(&s, &x, act);
        assert!(exact.iter().any(|y| y.is_nan()));
        for (place, (ours, exact)) in ours.iter().zip(&exact).enumerate() {
            assert_eq!(ours.is_nan(), exact.is_nan(), "{place}");
        }
        let slope = weight_gradient(&s, &x, &grad);
        let [_, _, exact] = definition(&s, &x, &weight, &grad);
        for (place, (ours, exact)) in slope.iter().zip(&exact).enumerate() {
            assert!(ours.is_nan() || !exact.is_nan(), "{place}");
            assert!(
                place / 9 == 1 || ours.is_finite(),
                "{place}: another channel"
            );
        }
        let mut grad = grad;
        let plane = s.out[0] * s.out[1];
        grad[2 * plane - 1] = f32::NAN;
        let none: Finish<'_> = finish(None, None, Activation::Identity);
        let ours = input_gradient(&s, &weight, &grad, none);
        let [_, exact, _] = definition(&s, &x, &weight, &grad);
        for (place, (ours, exact)) in ours.iter().zip(&exact).enumerate() {
            assert_eq!(ours.is_nan(), exact.is_nan(), "∂x {place}");
        }
    }
}

#[test]
fn other_groups_are_not_ours() {
    let of = |x, weight, groups| {
        Shape::new(x, weight, &ConvOptions::new([1; 2], [1; 2], [1; 2], groups))
    };
    assert!(of([1, 4, 5, 5], [4, 1, 3, 3], 4).is_some_and(|s| s.is_depthwise));
    assert!(of([1, 4, 5, 5], [4, 4, 3, 3], 1).is_some_and(|s| !s.is_depthwise));
    assert!(of([1, 4, 5, 5], [8, 1, 3, 3], 4).is_none());
    assert!(of([1, 4, 5, 5], [4, 2, 3, 3], 2).is_none());
}
