//! What a report names beside wrong gradients, and what a check refuses.

use std::cell::Cell;

use burn::tensor::{DType, Tensor, TensorData};
use pyrograph_gradcheck::{
    Finding, GradCheck, GradCheckError, GradReport, HostTensor, Inputs, Mode, Oracle, Place,
    Precision, Verdict, gradcheck,
};

use crate::{Single, check, host, modes};

fn x() -> [HostTensor; 1] {
    [HostTensor::normal("x", &[4], 1)]
}

fn names(report: &GradReport, wanted: impl Fn(&Finding) -> bool) -> bool {
    report.findings.iter().any(wanted)
}

#[test]
fn a_function_that_returns_nan_is_named() {
    for settings in modes() {
        let report = check(&settings, &x(), |inputs: &Inputs<Oracle>| {
            Ok((inputs.tensor::<1>("x")? - 100.0).log())
        });
        let nan = Finding::NonFinite {
            tensor: None,
            values: 4,
            index: vec![0],
            moved: None,
        };
        assert_eq!(
            (report.verdict, &report.findings[..]),
            (Verdict::Failed, &[nan][..])
        );
    }
}

#[test]
fn a_function_that_turns_infinite_beside_the_point_is_named() {
    let inputs = [host("x", &[1], &[1e-6])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<1>("x")?.log())
    });
    let named = |finding: &Finding| matches!(finding, Finding::NonFinite { tensor: Some(tensor), .. } if tensor == "x");
    assert!(names(&report, named), "{report}");
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_gradient_that_is_nan_is_named() {
    let inputs = [host("x", &[2], &[0.0, 1.0])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        // √(x²): the value at 0 is fine, the chain rule gives 0·∞.
        Ok(inputs.tensor::<1>("x")?.square().sqrt())
    });
    let nan = Finding::NonFiniteGradient {
        tensor: "x".to_owned(),
        values: 1,
        index: vec![0],
    };
    assert_eq!(report.findings, [nan]);
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_function_that_changes_its_shape_is_named() {
    let calls = Cell::new(0);
    let report = check(&GradCheck::full(), &x(), |inputs: &Inputs<Oracle>| {
        calls.set(calls.get() + 1);
        Ok(inputs
            .tensor::<1>("x")?
            .narrow(0, 0, if calls.get() > 5 { 2 } else { 4 }))
    });
    let changed = Finding::ShapeChanged {
        first: vec![4],
        later: vec![2],
    };
    assert_eq!(report.findings, [changed]);
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_function_that_is_not_deterministic_is_named() {
    let calls = Cell::new(0.0);
    for settings in modes() {
        let report = check(&settings, &x(), |inputs: &Inputs<Single>| {
            calls.set(calls.get() + 0.001);
            Ok(inputs.tensor::<1>("x")? * calls.get())
        });
        let named = |finding: &Finding| matches!(finding, Finding::NonDeterministic { .. });
        assert!(names(&report, named), "{report}");
        assert_eq!(report.verdict, Verdict::Failed);
    }
}

#[test]
fn a_value_that_depends_on_being_tracked_is_named() {
    let calls = Cell::new(0);
    let report = check(&GradCheck::full(), &x(), |inputs: &Inputs<Oracle>| {
        // Of the three calls at the point, the last asks for gradients.
        calls.set(calls.get() + 1);
        let factor = if calls.get() == 3 { 2.0 } else { 1.0 };
        Ok(inputs.tensor::<1>("x")? * factor)
    });
    let named = |finding: &Finding| matches!(finding, Finding::TrackedValueDiffers { .. });
    assert!(names(&report, named), "{report}");
}

#[test]
fn integer_and_empty_inputs_are_skipped_by_name() {
    let inputs = [
        HostTensor::int("index", &[2], vec![1, 0]).expect("filled"),
        host("none", &[0, 3], &[]),
        HostTensor::normal("x", &[3, 2], 1),
    ];
    for settings in modes() {
        let report = check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            let none = inputs.tensor::<2>("none")?;
            assert_eq!(none.dims(), [0, 3]);
            Ok(inputs
                .tensor::<2>("x")?
                .select(0, inputs.int::<1>("index")?)
                .exp())
        });
        assert!(report.passed(), "{report}");
        let index = Finding::IntegerInput {
            tensor: "index".to_owned(),
        };
        let none = Finding::EmptyTensor {
            tensor: "none".to_owned(),
        };
        assert_eq!(report.findings, [index, none]);
        assert_eq!(
            report.tensor("index").expect("listed").verdict,
            Verdict::Skipped
        );
    }
}

#[test]
fn a_check_of_nothing_is_inconclusive() {
    let report = check(&GradCheck::full(), &[], |_: &Inputs<Oracle>| {
        Ok(Tensor::<Oracle, 1>::from_data(
            TensorData::from([1.0]),
            (&Default::default(), DType::F64),
        ))
    });
    assert_eq!(report.findings, [Finding::NothingToCheck]);
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

#[test]
fn a_step_that_drowns_in_rounding_is_named() {
    for (step, offset) in [(1e-9, 0.0), (1e-20, 0.0), (6e-6, 1e8)] {
        let precision = Precision {
            step,
            tolerance: 1e-8,
            ..Precision::F64
        };
        for settings in modes() {
            let settings = settings.with_precision(precision);
            let report = check(&settings, &x(), |inputs: &Inputs<Oracle>| {
                Ok(inputs.tensor::<1>("x")?.exp() + offset)
            });
            let named = |finding: &Finding| matches!(finding, Finding::StepTooSmall { .. });
            assert!(names(&report, named), "{step} {offset}\n{report}");
            assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
        }
    }
}

#[test]
fn an_unused_input_is_named_and_passes() {
    let inputs = [
        HostTensor::normal("x", &[3], 1),
        HostTensor::normal("y", &[3], 2),
    ];
    for settings in modes() {
        let report = check(&settings, &inputs, |inputs: &Inputs<Oracle>| {
            Ok(inputs.tensor::<1>("x")?.exp())
        });
        let unused = Finding::Unused {
            tensor: "y".to_owned(),
        };
        assert_eq!(report.findings, [unused]);
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn only_kinks_are_inconclusive() {
    let inputs = [host("x", &[3], &[0.0; 3])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<1>("x")?.abs())
    });
    let only = Finding::OnlyKinks {
        tensor: "x".to_owned(),
    };
    assert_eq!(report.findings, [only]);
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

fn refusal(settings: GradCheck, inputs: &[HostTensor]) -> GradCheckError {
    let function = |inputs: &Inputs<Oracle>| inputs.tensor::<1>("x");
    gradcheck(&settings, inputs, &Default::default(), function).expect_err("refused")
}

#[test]
fn what_a_check_cannot_do_is_refused_with_the_value_seen() {
    let full = GradCheck::full();
    assert_eq!(
        refusal(full, &[HostTensor::normal("y", &[2], 1)]).to_string(),
        "there is no input `x`; there are [\"y\"]"
    );
    assert_eq!(
        refusal(full, &[HostTensor::normal("x", &[2, 2], 1)]).to_string(),
        "input `x` has shape [2, 2], so rank 1 does not fit it"
    );
    let labels = HostTensor::int("x", &[1], vec![1]).expect("filled");
    assert!(matches!(
        refusal(full, &[labels]),
        GradCheckError::Kind { .. }
    ));
    let [one] = x();
    assert!(matches!(
        refusal(full, &[one.clone(), one]),
        GradCheckError::SameName { .. }
    ));
    let none = GradCheck {
        mode: Mode::Projected { directions: 0 },
        ..full
    };
    assert!(matches!(
        refusal(none, &x()),
        GradCheckError::Setting { .. }
    ));
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let settings = full.with_precision(Precision {
            step,
            ..Precision::F64
        });
        assert!(matches!(
            refusal(settings, &x()),
            GradCheckError::Setting { .. }
        ));
    }
    let half = full.with_precision(Precision {
        dtype: DType::F16,
        ..Precision::F32
    });
    assert!(matches!(refusal(half, &x()), GradCheckError::DType { .. }));
    assert!(HostTensor::new("x", &[3], vec![0.0; 2]).is_err());
}

#[test]
fn an_error_of_the_function_is_handed_on() {
    let function = |_: &Inputs<Oracle>| -> Result<Tensor<Oracle, 1>, _> {
        Err(GradCheckError::function("out of paper"))
    };
    let error = gradcheck(&GradCheck::full(), &x(), &Default::default(), function);
    let source = error.expect_err("handed on");
    let source = std::error::Error::source(&source).expect("kept");
    assert_eq!(source.to_string(), "out of paper");
}

#[test]
fn a_gradient_of_zero_amid_rounding_passes_and_a_wrong_zero_does_not() {
    let inputs = [
        HostTensor::normal("x", &[5], 1),
        HostTensor::normal("b", &[5], 2),
    ];
    // A bias that is taken away again, as by a norm: sums near 30 round by more than the output shows.
    let cancelled = |i: &Inputs<Oracle>| {
        let (x, b) = (i.tensor::<1>("x")?, i.tensor::<1>("b")?);
        let sum = (b.clone() + x.clone() + 6.0).sum() - 30.0;
        Ok((sum - b.sum() - x.clone().sum()) + x.sin().sum())
    };
    let report = check(&GradCheck::projected(4), &inputs, cancelled);
    assert!(report.passed(), "{report}");
    let b = report.tensor("b").expect("an input");
    let noise = b.worst.as_ref().expect("compared").numeric.abs();
    assert!(
        noise > 1e-10,
        "no rounding to be told from a slope: {report}"
    );

    // A true slope of 1e-7 with a gradient of 0, in a function that rounds little.
    let wrong = |i: &Inputs<Oracle>| {
        let (x, b) = (i.tensor::<1>("x")?, i.tensor::<1>("b")?);
        Ok(x.sin() + b.clone().detach() * 1e-7 + b * 0.0)
    };
    let report = check(&GradCheck::full(), &inputs, wrong);
    assert_eq!(report.verdict, Verdict::Failed, "{report}");
    assert_eq!(report.tensor("b").expect("an input").wrong, 5, "{report}");
}

#[test]
fn a_value_that_is_not_finite_is_named_with_its_index() {
    let inputs = [HostTensor::normal("x", &[2, 3], 1)];
    let mask = TensorData::new(vec![0.0, 0.0, 0.0, 0.0, 0.0, f64::NAN], [2, 3]);
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        let mask = Tensor::<Oracle, 2>::from_data(mask.clone(), (&Default::default(), DType::F64));
        Ok(inputs.tensor::<2>("x")? + mask)
    });
    let nan = Finding::NonFinite {
        tensor: None,
        values: 1,
        index: vec![1, 2],
        moved: None,
    };
    assert_eq!(report.findings, [nan]);
    assert!(
        report.to_string().contains("the first at [1, 2]"),
        "{report}"
    );

    // √ at 1e-9 becomes NaN where its element moves down.
    let inputs = [host("x", &[1, 3], &[1.0, 1e-9, 2.0])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<2>("x")?.sqrt())
    });
    let nan = Finding::NonFinite {
        tensor: Some("x".to_owned()),
        values: 1,
        index: vec![0, 1],
        moved: Some(Place::Element(vec![0, 1])),
    };
    assert_eq!(report.findings, [nan]);

    let inputs = [host("x", &[2, 2], &[1.0, 1.0, f64::INFINITY, 1.0])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<2>("x")?.recip())
    });
    let infinite = Finding::NonFiniteTensor {
        tensor: "x".to_owned(),
        values: 1,
        index: vec![1, 0],
    };
    assert_eq!(report.findings, [infinite]);
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_gradient_that_is_nan_has_its_index() {
    let inputs = [host("x", &[2, 2], &[1.0, 1.0, 1.0, 0.0])];
    let report = check(&GradCheck::full(), &inputs, |inputs: &Inputs<Oracle>| {
        Ok(inputs.tensor::<2>("x")?.square().sqrt())
    });
    assert!(
        report.to_string().contains("the first at [1, 1]"),
        "{report}"
    );
}

#[test]
fn a_gradient_inside_the_slopes_of_a_kink_is_not_certain() {
    let inputs = [host("x", &[4], &[-1.0, 0.0, 0.5, 2.0])];
    let with_slope_at_zero = |slope: f64, settings: GradCheck| {
        check(&settings, &inputs, |inputs: &Inputs<Single>| {
            let x = inputs.tensor::<1>("x")?;
            let value = burn::tensor::activation::relu(x.clone());
            let at_zero = x.clone().detach().equal_elem(0.0).float().cast(x.dtype());
            let extra = x * at_zero * slope;
            Ok(value + extra.clone() - extra.detach())
        })
    };
    for precision in [Precision::F64, Precision::F32] {
        for settings in modes() {
            let settings = settings.with_precision(precision);
            for slope in [0.0, 0.5, 1.0] {
                let report = with_slope_at_zero(slope, settings);
                assert_ne!(report.verdict, Verdict::Failed, "{slope}\n{report}");
                let named = |finding: &Finding| matches!(finding, Finding::InsideKink { .. });
                assert!(!names(&report, named), "{slope}\n{report}");
            }
        }
        for slope in [0.2, 0.7] {
            let report = with_slope_at_zero(slope, modes()[0].with_precision(precision));
            assert_eq!(report.verdict, Verdict::Inconclusive, "{slope}\n{report}");
            let named = |finding: &Finding| matches!(finding, Finding::InsideKink { place, .. } if *place == Place::Element(vec![1]));
            assert!(names(&report, named), "{slope}\n{report}");
        }
    }
}

#[test]
fn a_gradient_that_is_wrong_every_second_pass_is_found_whichever_pass_it_is() {
    for parity in [0, 1] {
        for settings in modes() {
            let calls = Cell::new(0);
            let report = check(&settings, &x(), |inputs: &Inputs<Single>| {
                let x = inputs.tensor::<1>("x")?;
                calls.set(calls.get() + 1);
                let value = x.clone().sin();
                if calls.get() % 2 == parity {
                    return Ok(value);
                }
                let extra = x.cos();
                Ok(value + extra.clone() - extra.detach())
            });
            let named =
                |finding: &Finding| matches!(finding, Finding::GradientNotDeterministic { .. });
            assert!(names(&report, named), "{report}");
            assert_eq!(report.verdict, Verdict::Failed, "{report}");
        }
    }
}
