//! Wrong gradients, planted: a check that cannot fail is none.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use pyrograph_gradcheck::{Finding, GradReport, HostTensor, Inputs, Oracle, Precision, Verdict};

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
