//! Distances between maps: kernels against the plain bodies, whose value burn differentiates.

use super::*;

/// Planes with vectors and a rest, of one value, and of several blocks.
const SHAPES: [[usize; 4]; 4] = [[3, 5, 13, 11], [5, 7, 1, 1], [4, 3, 38, 38], [2, 9, 3, 3]];

/// `ours`, and the value of `plain`, at each shape, for maps that differ in their scale.
fn assert_distance(
    what: &str,
    ours: impl Fn(Tensor<A, 4>, Tensor<A, 4>) -> Tensor<A, 1>,
    plain: impl Fn(Tensor<A, 4>, Tensor<A, 4>) -> Tensor<A, 1>,
) {
    for shape in SHAPES {
        let (x, target) = (random(shape), random(shape) * 2.5 + 0.5);
        let target = target.detach().set_require_grad(false);
        // A factor, so that the gradient of the value is not 1.
        let (ours, plain) = (
            ours(x.clone(), target.clone()) * 3.0,
            plain(x.clone(), target) * 3.0,
        );
        let (gradients, theirs) = (ours.clone().backward(), plain.clone().backward());
        assert_close(ours.inner(), plain.inner(), what);
        let (ours, theirs) = (x.grad(&gradients), x.grad(&theirs));
        let (ours, theirs) = (ours.expect("ours"), theirs.expect("burn's"));
        let scale = theirs.clone().abs().max().into_scalar();
        // The softmax of one place has no gradient.
        let scale = if shape[2..] == [1, 1] { 1.0 } else { scale };
        assert!(scale > 0.0, "{what}");
        assert_close(ours / scale, theirs / scale, what);
    }
}

#[test]
fn distances_and_their_gradients_agree_with_burn() {
    for temperature in [1.0, 3.0] {
        assert_distance(
            "channel divergence",
            |x, t| channel_divergence(x, t, temperature),
            |x, t| plain::channel_divergence(x, t, temperature).0,
        );
    }
    assert_distance(
        "normal squares",
        |x, t| normal_squares(x, t, 1e-6),
        |x, t| plain::normal_squares(x, t, 1e-6).0,
    );
    let weights = |x: &Tensor<A, 4>| {
        let [batch, _, height, width] = x.dims();
        let places = Tensor::<A, 1, burn::tensor::Int>::arange(
            0..(batch * height * width) as i64,
            &Default::default(),
        );
        places
            .float()
            .sin()
            .square()
            .reshape([batch, 1, height, width])
    };
    assert_distance(
        "weighted squares",
        |x, t| weighted_squares(x.clone(), t, weights(&x)),
        |x, t| plain::weighted_squares(x.clone(), t, weights(&x)).0,
    );
}

#[test]
fn the_closed_gradients_are_those_that_burn_finds() {
    let shape = [3, 4, 5, 3];
    let (target, weights) = (random(shape).detach(), random([3, 1, 5, 3]).detach());
    for place in 0..3 {
        let x = random(shape);
        let (value, closed) = match place {
            0 => plain::channel_divergence(x.clone(), target.clone(), 2.0),
            1 => plain::normal_squares(x.clone(), target.clone(), 1e-6),
            _ => plain::weighted_squares(x.clone(), target.clone(), weights.clone()),
        };
        let closed = closed.inner();
        let found = x.grad(&value.backward()).expect("a gradient");
        let scale = found.clone().abs().max().into_scalar();
        assert_close(closed / scale, found / scale, &format!("{place}"));
    }
}

#[test]
fn equal_maps_have_no_distance_and_constant_channels_no_gradient() {
    let x = random([2, 3, 9, 9]);
    let same = x.clone().detach();
    let weights = random([2, 1, 9, 9]).detach();
    let distances = [
        channel_divergence(x.clone(), same.clone(), 1.0),
        normal_squares(x.clone(), same.clone(), 1e-6),
        weighted_squares(x.clone(), same.clone(), weights),
    ];
    for (place, value) in distances.into_iter().enumerate() {
        let gradient = x.grad(&value.clone().backward()).expect("a gradient");
        assert_eq!(value.into_scalar(), 0.0, "{place}");
        assert_eq!(gradient.abs().max().into_scalar(), 0.0, "{place}");
    }
    let flat = Tensor::<A, 4>::full([2, 3, 9, 9], 0.3, &Default::default()).require_grad();
    let value = normal_squares(flat.clone(), same, 1e-6);
    let gradient = flat.grad(&value.backward()).expect("a gradient");
    assert_eq!(gradient.abs().max().into_scalar(), 0.0);
}

#[test]
fn what_is_not_a_number_shows() {
    let (x, target) = (random([1, 2, 9, 9]), random([1, 2, 9, 9]).detach());
    let mut values: Vec<f32> = target.to_data().to_vec().expect("f32");
    values[100] = f32::NAN;
    let data = burn::tensor::TensorData::new(values, [1, 2, 9, 9]);
    let broken = Tensor::<A, 4>::from_data(data, &Default::default());
    for (x, target) in [(x.clone(), broken.clone()), (broken, target)] {
        let one = Tensor::ones([1, 1, 9, 9], &Default::default());
        let distances = [
            channel_divergence(x.clone(), target.clone(), 1.0),
            normal_squares(x.clone(), target.clone(), 1e-6),
            weighted_squares(x, target, one),
        ];
        let mut values = distances.into_iter().map(Tensor::into_scalar);
        assert!(values.all(f32::is_nan));
    }
}

/// Rows of the shapes of detectors and odd ones, with weights of which some are 0.
fn row_cases() -> impl Iterator<Item = [Tensor<A, 2>; 3]> {
    let shapes = [[1, 1], [7, 4], [3, 21], [1500, 21], [9, 5000], [4000, 4]];
    shapes.into_iter().map(|[rows, columns]| {
        let constant = |x: Tensor<A, 2>| x.detach().set_require_grad(false);
        let weights = constant(random([rows, 1])).clamp_min(0.0);
        let x = (random([rows, columns]) * 1.7).detach().require_grad();
        [x, constant(random([rows, columns]) * 2.5), weights]
    })
}

#[test]
fn distances_of_rows_and_their_gradients_agree_with_burn() {
    type Body<'a> = &'a dyn Fn(Tensor<A, 2>, Tensor<A, 2>, Tensor<A, 1>) -> Tensor<A, 1>;
    let bodies: [(&str, Body<'_>, Body<'_>); 3] = [
        (
            "divergence",
            &|x, t, w| row_divergence(x, t, w, 1.0),
            &|x, t, w| plain::row_divergence(x, t, w, 1.0).0,
        ),
        (
            "divergence at 2.5",
            &|x, t, w| row_divergence(x, t, w, 2.5),
            &|x, t, w| plain::row_divergence(x, t, w, 2.5).0,
        ),
        (
            "smooth L1",
            &|x, t, w| row_smooth_l1(x, t, w),
            // As the loss of detection writes it.
            &|x, t, w| {
                let distance = (x - t).abs();
                let near = distance.clone().clamp_max(1.0);
                let each = near.clone().square() * 0.5 + (distance - near);
                (each * w.unsqueeze_dim::<2>(1)).sum()
            },
        ),
    ];
    for (what, ours, plain) in bodies {
        for [x, target, weights] in row_cases() {
            let what = format!("{what} of {:?}", x.dims());
            let weights = weights.squeeze_dim::<1>(1);
            let ours = ours(x.clone(), target.clone(), weights.clone()) * 3.0;
            let plain = plain(x.clone(), target, weights) * 3.0;
            let (gradients, theirs) = (ours.clone().backward(), plain.clone().backward());
            assert_close(ours.inner(), plain.inner(), &what);
            let found = x.grad(&gradients).expect("ours");
            assert_close(found, x.grad(&theirs).expect("burn's"), &what);
        }
    }
}

#[test]
fn the_closed_gradients_of_rows_are_those_that_burn_finds() {
    for [x, target, weights] in row_cases() {
        let weights = weights.squeeze_dim::<1>(1);
        let (t, w) = (target.clone(), weights.clone());
        let of_rows = [
            plain::row_divergence(x.clone(), t, w, 1.5),
            plain::row_smooth_l1(x.clone(), target, weights),
        ];
        for (value, closed) in of_rows {
            let closed = closed.inner();
            let found = x.grad(&value.backward()).expect("a gradient");
            assert_close(closed, found, &format!("{:?}", x.dims()));
        }
    }
}

#[test]
fn distances_of_rows_have_known_values() {
    let device = Default::default();
    let from = |rows: [[f32; 3]; 2]| Tensor::<A, 2>::from_floats(rows, &device);
    let weights = Tensor::<A, 1>::from_floats([2.0, 0.5], &device);
    // |d| = ½, 1, 3 and 0, 2, 10: ½·¼ + ½ + 2½ and 0 + 1½ + 9½.
    let x = from([[0.5, 1.0, -3.0], [0.0, 2.0, -10.0]]).require_grad();
    let value = row_smooth_l1(x.clone(), from([[0.0; 3]; 2]), weights.clone());
    let gradient = x.grad(&value.clone().backward()).expect("a gradient");
    let exact = [[1.0, 2.0, -2.0], [0.0, 0.5, -0.5]];
    assert_close(gradient, from(exact).inner(), "slopes");
    assert!((value.into_scalar() - (2.0 * 3.125 + 0.5 * 11.0)).abs() < 1e-5);
    // p_t = (½, ¼, ¼) from p_s = ⅓ each: ½·ln(3/2) + ½·ln(3/4) = 0.058 891 5.
    let t = from([[2.0_f32.ln(), 0.0, 0.0]; 2]);
    let x = from([[7.0; 3]; 2]).require_grad();
    let value = row_divergence(x.clone(), t, weights, 1.0);
    let gradient = x.grad(&value.clone().backward()).expect("a gradient");
    let row = [-1.0 / 6.0, 1.0 / 12.0, 1.0 / 12.0];
    let exact = [row.map(|slope| slope * 2.0), row.map(|slope| slope * 0.5)];
    assert_close(gradient, from(exact).inner(), "slopes");
    assert!((value.into_scalar() - 2.5 * 0.058_891_52).abs() < 1e-6);
}

#[test]
fn distances_of_rows_with_extreme_logits_stay_finite_and_nan_shows() {
    let device = Default::default();
    let rows = |value: f32| Tensor::<A, 2>::from_floats([[value, -1e4, 0.0]; 40], &device);
    let weights = || Tensor::<A, 1>::ones([40], &device);
    for (value, is_finite) in [(1e4, true), (f32::NAN, false)] {
        for (x, target) in [(rows(value), rows(1.0)), (rows(1.0), rows(value))] {
            let x = x.require_grad();
            let of_rows = [
                row_divergence(x.clone(), target.clone(), weights(), 1.0),
                row_smooth_l1(x.clone(), target, weights()),
            ];
            for distance in of_rows {
                let gradient = x.grad(&distance.clone().backward()).expect("a gradient");
                assert_eq!(distance.into_scalar().is_finite(), is_finite);
                assert_eq!(gradient.sum().into_scalar().is_finite(), is_finite);
            }
        }
    }
}
