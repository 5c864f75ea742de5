//! Functions whose gradients are right.

use burn::backend::Autodiff;
use burn::tensor::{
    Tensor, activation,
    backend::AutodiffBackend,
    module::{conv2d, max_pool2d},
    ops::ConvOptions,
};
use burn_ndarray::NdArray;
use pyrograph_gradcheck::{
    GradCheck, GradReport, HostTensor, Inputs, Oracle, Place, Precision, Verdict,
};

use crate::{Single, check, host, modes};

fn convolutional<A: AutodiffBackend>(settings: &GradCheck) -> GradReport {
    let inputs = [
        HostTensor::normal("x", &[2, 2, 5, 6], 1),
        HostTensor::normal("w", &[3, 2, 3, 2], 2),
        HostTensor::normal("b", &[3], 3),
    ];
    check(settings, &inputs, |inputs: &Inputs<A>| {
        let (x, w, b) = (
            inputs.tensor::<4>("x")?,
            inputs.tensor("w")?,
            inputs.tensor("b")?,
        );
        let options = ConvOptions::new([2, 1], [1, 0], [1, 2], 1);
        let z = activation::relu(conv2d(x, w, Some(b), options));
        let pooled = max_pool2d(z, [2, 2], [1, 1], [0, 0], [1, 1], false);
        Ok(activation::log_softmax(pooled.flatten::<2>(1, 3), 1))
    })
}

#[test]
fn a_convolutional_network_passes_in_both_modes_and_precisions() {
    for settings in modes() {
        for report in [
            convolutional::<Oracle>(&settings),
            convolutional::<Single>(&settings),
        ] {
            assert!(report.passed(), "{report}");
            assert_eq!(report.tensors.len(), 3);
        }
    }
}

#[test]
fn elementwise_functions_pass_near_the_limits_of_their_domain() {
    let inputs = [host("x", &[4], &[0.05, 0.5, 3.0, 40.0])];
    for settings in modes() {
        let report = check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            let x = inputs.tensor::<1>("x")?;
            Ok(x.clone().log() + x.clone().sqrt() + x.clone().recip() + (-x).exp())
        });
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn the_precision_follows_the_backend_and_may_be_overridden() {
    let inputs = [HostTensor::normal("x", &[3], 1)];
    let report = |settings| {
        check(&settings, &inputs, |inputs: &Inputs<Single>| {
            Ok(inputs.tensor::<1>("x")?.powi_scalar(3))
        })
    };
    assert_eq!(report(GradCheck::full()).dtype, "f32");
    // Flex computes in f64 too, when its tensors are f64.
    let double = report(GradCheck::full().with_precision(Precision::F64));
    assert_eq!(double.dtype, "f64");
    assert!(double.passed() && double.worst_error() < 1e-8, "{double}");
}

#[test]
fn full_mode_calls_twice_an_element_and_projected_mode_twice_a_direction() {
    let inputs = [HostTensor::normal("x", &[5, 20], 1)];
    let calls = |settings| {
        check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            Ok(inputs.tensor::<2>("x")?.tanh())
        })
        .calls
    };
    // Four calls at the point itself come first: two with gradients.
    assert_eq!(calls(GradCheck::full()), 4 + 2 * 100);
    assert_eq!(calls(GradCheck::projected(4)), 4 + 2 * 4);
}

#[test]
fn kinks_are_counted_and_listed_apart() {
    let inputs = [host("x", &[5], &[-1.0, 0.0, 0.5, 0.0, 2.0])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(activation::relu(inputs.tensor::<1>("x")?))
    });
    let x = report.tensor("x").expect("checked");
    assert_eq!((x.right, x.wrong, x.kinks), (3, 0, 2), "{report}");
    assert_eq!(x.listed_kinks[0].place, Place::Element(vec![1]));
    assert_eq!(x.share_checked, 0.6);
    assert_eq!(report.verdict, Verdict::Passed);
}

#[test]
fn ties_of_a_maximum_and_the_corner_of_l1_are_kinks() {
    let inputs = [host("x", &[1, 1, 2, 2], &[0.7, 0.7, -0.3, 0.0])];
    for settings in [
        GradCheck::full(),
        GradCheck::full().with_precision(Precision::F32),
    ] {
        let pooled = check(&settings, &inputs, |inputs: &Inputs<Single>| {
            let x = inputs.tensor::<4>("x")?;
            Ok(max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false))
        });
        let x = pooled.tensor("x").expect("checked");
        assert_eq!((x.right, x.wrong, x.kinks), (2, 0, 2), "{pooled}");

        let absolute = check(&settings, &inputs, |inputs: &Inputs<Single>| {
            Ok(inputs.tensor::<4>("x")?.abs())
        });
        let x = absolute.tensor("x").expect("checked");
        assert_eq!((x.right, x.wrong, x.kinks), (3, 0, 1), "{absolute}");
    }
}

#[test]
fn a_report_reads_as_a_table_and_as_json() {
    let inputs = [HostTensor::normal("x", &[2], 1)];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<1>("x")?.square())
    });
    let text = report.to_string();
    assert!(text.starts_with("gradcheck passed: full, f64"), "{text}");
    assert!(
        text.contains("| x      | [2]   | passed  | 100 %"),
        "{text}"
    );
    let json = serde_json::to_value(&report).expect("serialises");
    assert_eq!(json["verdict"], "passed");
    assert_eq!(json["tensors"][0]["kind"], "input");
    assert_eq!(json["tensors"][0]["right"], 2);
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let inputs = [HostTensor::normal("x", &[6], 1)];
    let report = |seed| {
        let settings = GradCheck::projected(2).with_seed(seed);
        check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            let x: Tensor<Oracle, 1> = inputs.tensor("x")?;
            Ok(x.sin())
        })
    };
    assert_eq!(report(5), report(5));
    assert_ne!(report(5).tensors, report(6).tensors);
}

fn gelu<A: AutodiffBackend>(settings: &GradCheck) -> GradReport {
    let inputs = [HostTensor::normal("x", &[20], 1)];
    check(settings, &inputs, |inputs: &Inputs<A>| {
        Ok(activation::gelu(inputs.tensor::<1>("x")?))
    })
}

/// A wrong gradient that nobody planted: burn 0.21's GELU is `x·Φ(x)`, but its gradient that of the tanh approximation.
#[test]
fn the_gradient_of_burns_gelu_is_found_to_be_another_functions_and_the_oracles_is_right() {
    for settings in modes() {
        let report = gelu::<Autodiff<NdArray<f64>>>(&settings);
        assert_eq!(report.verdict, Verdict::Failed, "{report}");
        assert!(report.worst_error() < 1e-2, "{report}");
        let report = gelu::<Oracle>(&settings);
        assert!(report.passed() && report.worst_error() < 1e-8, "{report}");
    }
}
