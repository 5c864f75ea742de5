//! Wrong gradients, planted: a check that cannot fail is none.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use pyrograph_gradcheck::{
    Finding, GradCheck, GradCheckError, GradReport, HostTensor, Inputs, Oracle, Precision, Verdict,
};

use crate::{Single, check, host, modes};

/// The value of one tensor with the gradient of another.
fn grafted<A: AutodiffBackend, const D: usize>(
    value: Tensor<A, D>,
    gradient: Tensor<A, D>,
) -> Tensor<A, D> {
    gradient.clone() - gradient.detach() + value.detach()
}

type Function<A> = fn(Tensor<A, 2>) -> Tensor<A, 2>;

fn smooth<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    x.clone().sin() * 2.0 + x.clone().matmul(x) * 0.5
}

fn sign_flipped<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    let value = smooth(x);
    grafted(value.clone(), -value)
}

fn a_hundredth_too_large<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    let value = smooth(x);
    grafted(value.clone(), value * 1.01)
}

fn one_element_wrong<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    let mut mask = [0.0; 16];
    mask[6] = 1.0;
    let mask = TensorData::from(mask);
    let mask = Tensor::<A, 1>::from_data(mask, (&x.device(), x.dtype())).reshape([4, 4]);
    let value = smooth(x.clone());
    grafted(value.clone(), value + x * mask)
}

fn transposed<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    grafted(smooth(x.clone()), smooth(x.transpose()))
}

fn a_factor_missing<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    x.clone() * x.detach()
}

fn gone<A: AutodiffBackend>(x: Tensor<A, 2>) -> Tensor<A, 2> {
    smooth(x).detach()
}

fn reports<A: AutodiffBackend>(function: Function<A>) -> Vec<GradReport> {
    let inputs = [HostTensor::normal("x", &[4, 4], 11)];
    let one = |settings| {
        check(&settings, &inputs, |inputs: &Inputs<A>| {
            Ok(function(inputs.tensor("x")?))
        })
    };
    modes().into_iter().map(one).collect()
}

#[test]
fn the_function_behind_the_planted_ones_passes() {
    let all = [reports::<Oracle>(smooth), reports::<Single>(smooth)];
    for report in all.into_iter().flatten() {
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn every_planted_gradient_fails_in_both_modes_and_precisions() {
    macro_rules! planted {
        ($($function:ident),*) => {
            [$((stringify!($function), [reports::<Oracle>($function), reports::<Single>($function)].concat())),*]
        };
    }
    for (name, reports) in planted![
        sign_flipped,
        a_hundredth_too_large,
        one_element_wrong,
        transposed,
        a_factor_missing,
        gone
    ] {
        for report in reports {
            assert_eq!(report.verdict, Verdict::Failed, "{name}\n{report}");
            assert_eq!(report.tensors[0].kinks, 0, "{name}\n{report}");
        }
    }
}

#[test]
fn a_gradient_that_is_missing_is_named() {
    for report in [reports::<Oracle>(gone), reports::<Single>(gone)].concat() {
        let named = |finding: &Finding| matches!(finding, Finding::MissingGradient { tensor, .. } if tensor == "x");
        assert!(report.findings.iter().any(named), "{report}");
    }
}

#[test]
fn the_report_points_at_the_wrong_element() {
    let report = &reports::<Oracle>(one_element_wrong)[0];
    let x = report.tensor("x").expect("checked");
    assert_eq!((x.wrong, x.right), (1, 15), "{report}");
    let worst = x.worst.as_ref().expect("compared");
    assert_eq!(worst.place.to_string(), "[1, 2]");
}

#[test]
fn strong_curvature_does_not_pass_a_wrong_gradient_off_as_a_kink() {
    // One-sided slopes differ by 2000·h here, far more than the planted error.
    let inputs = [host("x", &[2, 2], &[0.5, -1.0, 0.1, 2.0])];
    for settings in modes() {
        let report = check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            let value = inputs.tensor::<2>("x")?.square() * 1000.0;
            Ok(grafted(value.clone(), value * 1.0001))
        });
        assert_eq!(report.verdict, Verdict::Failed, "{report}");
        assert_eq!(report.tensors[0].kinks, 0, "{report}");
    }
}

#[test]
fn a_gradient_outside_the_slopes_of_a_kink_is_wrong() {
    let inputs = [host("x", &[1, 2], &[0.0, 1.0])];
    for precision in [Precision::F64, Precision::F32] {
        let settings = modes()[0].with_precision(precision);
        let report = check(&settings, &inputs, |inputs: &Inputs<Single>| {
            let x = inputs.tensor::<2>("x")?;
            let value = burn::tensor::activation::relu(x.clone());
            // Twice the slope at 0, the right one at 1.
            let bent = value.clone() + (-x.clone()).exp().log() * 0.0 + x * 2.0;
            let right = value.clone();
            let mask = right.clone().detach();
            Ok(grafted(value, bent * (-mask.clone() + 1.0) + right * mask))
        });
        assert_eq!(report.verdict, Verdict::Failed, "{report}");
        assert_eq!(report.tensors[0].wrong, 1, "{report}");
    }
}

fn planted_share<A: AutodiffBackend>(
    settings: GradCheck,
    size: f64,
    share: f64,
    shape: &[usize],
) -> GradReport {
    let inputs = [HostTensor::normal("x", shape, 11)];
    check(&settings, &inputs, |inputs: &Inputs<A>| {
        let value = (inputs.tensor::<2>("x")?.sin() * size).sum();
        Ok(grafted(value.clone(), value * share))
    })
}

#[test]
fn small_gradients_are_held_to_their_own_size() {
    for settings in modes() {
        for size in [1.0, 5e-3, 1e-6] {
            for share in [2.0, 1.1] {
                let planted = [
                    planted_share::<Oracle>(settings, size, share, &[3, 4]),
                    planted_share::<Single>(settings, size, share, &[3, 4]),
                ];
                for report in planted {
                    assert_eq!(report.verdict, Verdict::Failed, "{size} {share}\n{report}");
                }
            }
            let right = [
                planted_share::<Oracle>(settings, size, 1.0, &[3, 4]),
                planted_share::<Single>(settings, size, 1.0, &[3, 4]),
            ];
            for report in right {
                assert!(report.passed(), "{size}\n{report}");
            }
        }
    }
}

fn mean_of_squares<A: AutodiffBackend>(settings: GradCheck, share: f64) -> GradReport {
    let inputs = [HostTensor::normal("x", &[64, 768], 11)];
    check(&settings, &inputs, |inputs: &Inputs<A>| {
        let value = inputs.tensor::<2>("x")?.square().mean();
        Ok(grafted(value.clone(), value * share))
    })
}

#[test]
fn a_mean_over_many_values_does_not_hide_a_gradient_that_is_a_tenth_off() {
    let projected = modes()[1];
    let in_f64 = projected.with_precision(Precision::F64);
    for report in [
        mean_of_squares::<Single>(projected, 1.1),
        mean_of_squares::<Single>(in_f64, 1.1),
        mean_of_squares::<Oracle>(projected, 1.1),
    ] {
        assert_eq!(report.verdict, Verdict::Failed, "{report}");
    }
    let right = mean_of_squares::<Oracle>(projected, 1.0);
    assert!(right.passed(), "{right}");
    let right = mean_of_squares::<Single>(projected, 1.0);
    assert_ne!(right.verdict, Verdict::Failed, "{right}");
}

#[test]
fn a_missing_gradient_of_a_small_slope_is_found_beside_steep_ones() {
    let inputs = [
        HostTensor::normal("x", &[3, 4], 11),
        HostTensor::normal("y", &[3, 4], 12),
    ];
    fn beside<A: AutodiffBackend>(
        inputs: &Inputs<A>,
        size: f64,
    ) -> Result<Tensor<A, 1>, GradCheckError> {
        let small = inputs.tensor::<2>("y")?.sin().detach() * size;
        Ok((inputs.tensor::<2>("x")?.sin() + small).sum())
    }
    for settings in modes() {
        // At f32's first step, these are within what a network may round inside.
        let single = check(&settings, &inputs, |inputs: &Inputs<Single>| {
            beside(inputs, 1e-3)
        });
        let double = check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            beside(inputs, 1e-9)
        });
        for report in [single, double] {
            let named = |finding: &Finding| matches!(finding, Finding::MissingGradient { tensor, .. } if tensor == "y");
            assert!(report.findings.iter().any(named), "{report}");
            // Measured by its own slope, not by the steepest of `x`.
            assert!(report.worst_error() > 0.9, "{report}");
        }
    }
}

#[test]
fn a_slope_far_below_rounding_is_inconclusive_and_no_pass() {
    // One rounding of 1000 in f32 is more than a thousand times what the widest step changes.
    let inputs = [HostTensor::normal("x", &[2, 2], 1)];
    for share in [1.0, 2.0] {
        let report = check(&modes()[0], &inputs, |inputs: &Inputs<Single>| {
            let value = inputs.tensor::<2>("x")?.sin().sum() * 1e-6 + 1000.0;
            Ok(grafted(value.clone(), value * share))
        });
        assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    }
}

#[test]
fn a_wrong_element_is_found_beside_steeper_ones() {
    let inputs = [host("x", &[1, 3], &[1.0, 1.0, 1.0])];
    for (precision, small) in [(Precision::F64, 1e-6), (Precision::F32, 4e-3)] {
        let report = check(
            &modes()[0].with_precision(precision),
            &inputs,
            |inputs: &Inputs<Single>| {
                let x = inputs.tensor::<2>("x")?;
                let sizes = TensorData::from([[1.0, small, 0.5]]);
                let sizes = Tensor::<Single, 2>::from_data(sizes, (&x.device(), x.dtype()));
                let doubled = TensorData::from([[0.0, small, 0.0]]);
                let doubled = Tensor::<Single, 2>::from_data(doubled, (&x.device(), x.dtype()));
                let value = x.clone().sin() * sizes;
                Ok(grafted(value.clone(), value + x.sin() * doubled))
            },
        );
        let x = report.tensor("x").expect("checked");
        assert_eq!((x.wrong, x.right), (1, 2), "{report}");
    }
}
