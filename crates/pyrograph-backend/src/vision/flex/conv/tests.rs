//! Against the definition in f64.

use burn::tensor::ops::ConvOptions;
use proptest::prelude::*;

use super::{
    super::{super::Activation, half::Values},
    plan::{FourOfThree, Kind},
    *,
};

/// A convolution's sizes: [batch, in, out], image, kernel, stride, padding, dilation.
type Sizes = (
    [usize; 3],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
);

fn shape(sizes: Sizes) -> Shape {
    let ([batch, channels_in, channels_out], image, kernel, stride, padding, dilation) = sizes;
    let options = ConvOptions::new(stride, padding, dilation, 1);
    Shape::new(
        [batch, channels_in, image[0], image[1]],
        [channels_out, channels_in, kernel[0], kernel[1]],
        &options,
    )
    .expect("a legal shape")
}

/// A square convolution: channels as above, sides of image and kernel, stride, padding, dilation.
fn square(channels: [usize; 3], [image, kernel, stride, padding, dilation]: [usize; 5]) -> Shape {
    shape((
        channels,
        [image; 2],
        [kernel; 2],
        [stride; 2],
        [padding; 2],
        [dilation; 2],
    ))
}

pub(super) fn values(count: usize, seed: u64) -> Vec<f32> {
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
pub(super) fn products(s: &Shape, mut each: impl FnMut(usize, usize, usize)) {
    let ([h, w], [out_h, out_w], [kh, kw]) = (s.image, s.out, s.kernel);
    let pairs = |rows: usize, columns: usize| {
        (0..rows).flat_map(move |y| (0..columns).map(move |x| (y, x)))
    };
    for image in 0..s.batch {
        for (o, i) in pairs(s.channels_out, s.channels_in) {
            for (y, x) in pairs(out_h, out_w) {
                for (ky, kx) in pairs(kh, kw) {
                    let source = (
                        (y * s.stride[0] + ky * s.dilation[0]).checked_sub(s.padding[0]),
                        (x * s.stride[1] + kx * s.dilation[1]).checked_sub(s.padding[1]),
                    );
                    if let (Some(sy), Some(sx)) = source
                        && sy < h
                        && sx < w
                    {
                        each(
                            ((image * s.channels_out + o) * out_h + y) * out_w + x,
                            ((image * s.channels_in + i) * h + sy) * w + sx,
                            ((o * s.channels_in + i) * kh + ky) * kw + kx,
                        );
                    }
                }
            }
        }
    }
}

#[track_caller]
pub(super) fn assert_close(what: &str, ours: &[f32], exact: &[f64], bound: f64) {
    assert_eq!(ours.len(), exact.len(), "{what}");
    // Not less than the size of one product, where a few of them nearly cancel.
    let scale = exact.iter().fold(0.5_f64, |m, v| m.max(v.abs()));
    for (place, (a, b)) in ours.iter().zip(exact).enumerate() {
        // Written so that NaN fails.
        let error = (f64::from(*a) - b).abs();
        assert!(
            error <= bound * scale,
            "{what}, {place}: {a} is not {b}, {error:.1e} of scale {scale:.1e}"
        );
    }
}

/// Errors as a share of the scale, as the module promises.
fn bound(kinds: impl IntoIterator<Item = Kind>) -> f64 {
    let of = |kind| match kind {
        Kind::Unfolded => 2e-6,
        Kind::Two2 | Kind::Two3 => 5e-6,
        Kind::Four2 | Kind::Four3 => 2e-5,
    };
    kinds.into_iter().map(of).fold(2e-6, f64::max)
}

pub(super) fn finish<'a>(
    scale: Option<&'a [f32]>,
    shift: Option<&'a [f32]>,
    act: Activation,
) -> Finish<'a> {
    Finish { scale, shift, act }
}

fn kind(s: &Shape) -> Kind {
    Plan::of(Correlation::of(s)).kind
}

fn check(s: &Shape, seed: u64) {
    let x = values(s.input().iter().product(), seed);
    let weight = values(s.channels_out * s.taps(), seed + 1);
    let bias = values(s.channels_out, seed + 2);
    let outputs = s.output().iter().product();
    let grad = values(outputs, seed + 3);
    let plane = s.out[0] * s.out[1];
    let mut y: Vec<f64> = (0..outputs)
        .map(|place| f64::from(bias[place / plane % s.channels_out]))
        .collect();
    let mut slope = vec![0.0; weight.len()];
    let bias_in = values(s.channels_in, seed + 4);
    let pixels = s.image[0] * s.image[1];
    let mut back: Vec<f64> = (0..x.len())
        .map(|place| f64::from(bias_in[place / pixels % s.channels_in]))
        .collect();
    products(s, |o, i, w| {
        y[o] += f64::from(x[i]) * f64::from(weight[w]);
        slope[w] += f64::from(x[i]) * f64::from(grad[o]);
        back[i] += f64::from(weight[w]) * f64::from(grad[o]);
    });
    let here = bound([kind(s)]);
    let ours = forward(
        s,
        &x,
        Values::F32(&weight),
        finish(None, Some(&bias), Activation::Identity),
    );
    assert_close("y", &ours, &y, here);
    let scale = values(s.channels_out, seed + 5);
    for (place, y) in y.iter_mut().enumerate() {
        let channel = place / plane % s.channels_out;
        let before = (*y - f64::from(bias[channel])) * f64::from(scale[channel]);
        *y = (before + f64::from(bias[channel])).max(0.0);
    }
    let ours = forward(
        s,
        &x,
        Values::F32(&weight),
        finish(Some(&scale), Some(&bias), Activation::Relu),
    );
    assert_close("relu(y)", &ours, &y, here);
    let ours = weight_gradient(s, &x, &grad);
    assert_close("∂w", &ours, &slope, here);
    let residues = Correlation::input_gradients(s).into_iter().map(Plan::of);
    let there = bound(residues.map(|plan| plan.kind));
    back.iter_mut().for_each(|value| *value = value.max(0.0));
    let ours = input_gradient(
        s,
        &weight,
        &grad,
        finish(None, Some(&bias_in), Activation::Relu),
    );
    assert_close("∂x", &ours, &back, there);
}

prop_compose! {
    /// Any small convolution, the image being no smaller than the kernel's reach.
    fn any_sizes()(
        channels in (0_usize..4, 1_usize..14, 1_usize..14),
        extra in (0_usize..12, 0_usize..12), kernel in (1_usize..6, 1_usize..6),
        stride in (1_usize..4, 1_usize..4), padding in (0_usize..4, 0_usize..4),
        dilation in (1_usize..4, 1_usize..4),
    ) -> Sizes {
        let reach = |kernel: usize, dilation: usize| dilation * (kernel - 1) + 1;
        let image = |extra: usize, kernel, dilation, padding: usize| {
            (extra + reach(kernel, dilation)).saturating_sub(2 * padding).max(1)
        };
        (
            [channels.0.max(1), channels.1, channels.2],
            [
                image(extra.0, kernel.0, dilation.0, padding.0),
                image(extra.1, kernel.1, dilation.1, padding.1),
            ],
            [kernel.0, kernel.1], [stride.0, stride.1], [padding.0, padding.1], [dilation.0, dilation.1],
        )
    }
}

prop_compose! {
    /// Square kernels of the sizes that Winograd's method takes, with channels enough for it.
    fn sizes_for_windows()(
        channels in (1_usize..4, 8_usize..14, 8_usize..14), size in (1_usize..15, 1_usize..15),
        kernel in prop::sample::select(vec![(2_usize, 1_usize, 1_usize), (3, 1, 1), (4, 2, 1), (6, 2, 1), (3, 1, 2), (2, 1, 3)]),
        padding in 0_usize..3,
    ) -> Sizes {
        let (kernel, stride, dilation) = kernel;
        let reach = |size: usize| size.max((dilation * (kernel - 1) + 1).saturating_sub(2 * padding));
        (
            [channels.0, channels.1, channels.2], [reach(size.0), reach(size.1)],
            [kernel; 2], [stride; 2], [padding; 2], [dilation; 2],
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_convolution_agrees_with_the_definition(sizes in any_sizes(), seed in 0_u64..1000) {
        check(&shape(sizes), seed);
    }

    #[test]
    fn every_window_agrees_with_the_definition(sizes in sizes_for_windows(), seed in 0_u64..1000) {
        check(&shape(sizes), seed);
    }
}

#[test]
fn several_blocks_of_many_channels_agree_with_the_definition() {
    // 5·5·6 tiles of F(4×4): three blocks that begin and end inside of rows; more tiles than output channels.
    let s = shape(([6, 48, 33], [18, 19], [3; 2], [1; 2], [1; 2], [1; 2]));
    assert_eq!(kind(&s), Kind::Four3);
    check(&s, 1);
    // Fewer tiles than output channels, by Winograd's method and by unfolding.
    let s = square([3, 20, 150], [12, 3, 1, 1, 1]);
    assert_eq!(kind(&s), Kind::Four3);
    check(&s, 2);
    let s = square([3, 20, 150], [9, 3, 2, 1, 1]);
    assert_eq!(kind(&s), Kind::Unfolded);
    check(&s, 3);
    // More pixels than a block of the unfolded image holds, at its own place and elsewhere.
    check(&square([2, 9, 10], [40, 1, 1, 0, 1]), 4);
    check(&square([2, 3, 10], [41, 3, 1, 1, 1]), 5);
    // The shapes of a DCGAN.
    let s = square([32, 16, 24], [16, 4, 2, 1, 1]);
    assert_eq!(kind(&s), Kind::Four2);
    check(&s, 6);
}

#[test]
fn the_same_numbers_come_from_any_number_of_threads() {
    for s in [
        square([7, 16, 16], [12, 3, 1, 1, 1]),
        square([1, 16, 80], [12, 3, 1, 1, 1]),
        square([7, 16, 16], [12, 3, 2, 1, 1]),
    ] {
        let x = values(s.input().iter().product(), 1);
        let grad = values(s.output().iter().product(), 2);
        let weight = values(s.channels_out * s.taps(), 3);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| {
                [
                    forward(
                        &s,
                        &x,
                        Values::F32(&weight),
                        finish(None, None, Activation::Gelu),
                    )
                    .to_vec(),
                    weight_gradient(&s, &x, &grad).to_vec(),
                    input_gradient(&s, &weight, &grad, finish(None, None, Activation::Identity))
                        .to_vec(),
                ]
            })
        };
        assert_eq!(run(1), run(3));
    }
}

#[test]
fn plans_go_by_the_work() {
    let of = |batch, sizes| kind(&square([batch, 64, 64], sizes));
    assert_eq!(of(1, [16, 3, 1, 1, 1]), Kind::Four3);
    assert_eq!(
        of(1, [2, 3, 1, 1, 1]),
        Kind::Unfolded,
        "more weights than pixels"
    );
    assert_eq!(of(1, [6, 3, 1, 1, 1]), Kind::Two3);
    assert_eq!(of(1, [16, 4, 2, 1, 1]), Kind::Four2);
    assert_eq!(of(1, [12, 4, 2, 1, 1]), Kind::Two2);
    assert_eq!(of(1, [19, 3, 1, 6, 6]), Kind::Four3);
    assert_eq!(
        of(1, [1, 3, 1, 1, 1]),
        Kind::Unfolded,
        "one product of nine is not zero"
    );
    assert_eq!(
        of(1, [16, 3, 2, 1, 1]),
        Kind::Unfolded,
        "phases of two and of one tap"
    );
    let few_channels = kind(&square([1, 3, 64], [16, 3, 1, 1, 1]));
    assert_eq!(few_channels, Kind::Unfolded);
}

#[test]
fn an_images_numbers_do_not_depend_on_its_neighbours() {
    for sizes in [[16, 3, 1, 1, 1], [16, 4, 2, 1, 1], [9, 3, 2, 1, 1]] {
        let (alone, among) = (square([1, 12, 16], sizes), square([7, 12, 16], sizes));
        let x = values(among.input().iter().product(), 1);
        let weight = values(among.channels_out * among.taps(), 2);
        let grad = values(among.output().iter().product(), 3);
        let none = finish(None, None, Activation::Identity);
        let (a_source, a_target) = (x.len() / 7, grad.len() / 7);
        let ours = forward(
            &alone,
            &x[3 * a_source..][..a_source],
            Values::F32(&weight),
            none,
        );
        let all = forward(&among, &x, Values::F32(&weight), none);
        assert_close_to(&ours, &all[3 * a_target..][..a_target]);
        let ours = input_gradient(&alone, &weight, &grad[3 * a_target..][..a_target], none);
        let all = input_gradient(&among, &weight, &grad, none);
        assert_close_to(&ours, &all[3 * a_source..][..a_source]);
    }
}

/// To the rounding of sums that are cut in other places.
#[track_caller]
fn assert_close_to(ours: &[f32], theirs: &[f32]) {
    let exact: Vec<f64> = theirs.iter().copied().map(f64::from).collect();
    assert_close("alone", ours, &exact, 1e-7);
}

#[test]
fn the_exact_mode_is_the_definition_everywhere() {
    let s = square([32, 16, 24], [16, 4, 2, 1, 1]);
    assert_eq!(kind(&s), Kind::Four2);
    assert_eq!(
        Plan::new(Correlation::of(&s), true, false).kind,
        Kind::Unfolded
    );
}

#[test]
fn the_sum_of_a_large_batch_is_taken_in_parts() {
    let s = square([9, 8, 12], [16, 3, 1, 1, 1]);
    let x = values(s.input().iter().product(), 1);
    let grad = values(s.output().iter().product(), 2);
    let plan = Plan::of(Correlation::of(&s));
    let mut whole = vec![0.0; s.channels_out * s.taps()];
    let mut parts = whole.clone();
    blocked::gradient_by_channels::<FourOfThree>(&plan.c, &x, &grad, usize::MAX, &mut whole);
    blocked::gradient_by_channels::<FourOfThree>(&plan.c, &x, &grad, 10_000, &mut parts);
    assert_ne!(whole, parts, "cut in other places");
    assert_close(
        "∂w",
        &parts,
        &whole.iter().copied().map(f64::from).collect::<Vec<_>>(),
        1e-5,
    );
}
