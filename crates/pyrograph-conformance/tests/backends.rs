//! Every entry of the registry on every backend of this build.
//!
//! `cargo test -p pyrograph-conformance --test backends -- --nocapture` prints how far each is from the oracle. A backend is
//! tested when its feature is on, and a test of a backend that finds no device fails and says why.

use pyrograph_backend::DeviceSpec;
use pyrograph_conformance::{check, entries};

#[track_caller]
fn assert_conforms(spec: DeviceSpec) {
    let report = check(spec, None).unwrap_or_else(|error| {
        panic!("the test of `{spec}` needs that device, since its feature is on: {error}")
    });
    println!("{report}");
    assert_eq!(report.entries.len(), entries().len());
    assert!(report.passed(), "{report}");
}

#[cfg(feature = "flex")]
#[test]
fn flex_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Cpu);
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_in_f32_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::NdArray);
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Wgpu { index: None });
}

#[cfg(feature = "cuda")]
#[test]
fn cuda_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Cuda { index: 0 });
}

#[cfg(feature = "flex")]
#[test]
fn a_part_of_a_name_selects_and_an_unknown_one_is_refused_with_the_names() {
    let report = check(DeviceSpec::Cpu, Some("POOL")).expect("there are two");
    let names: Vec<_> = report.entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["max_pool2d_window", "avg_pool2d_window"]);
    let error = check(DeviceSpec::Cpu, Some("conv9d")).expect_err("no such entry");
    assert!(
        matches!(
            error,
            pyrograph_conformance::ConformanceError::Unknown { .. }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("`conv9d`") && text.contains("ContextUnet"),
        "{text}"
    );
}

#[cfg(feature = "flex")]
#[test]
fn a_report_is_json_with_the_numbers_of_every_entry() {
    let report = check(DeviceSpec::Cpu, Some("modulate")).expect("an entry");
    let json = serde_json::to_value(&report).expect("plain data");
    let entry = &json["entries"][0];
    assert_eq!(
        (&json["passed"], &entry["name"]),
        (&true.into(), &"modulate".into())
    );
    for worst in ["output", "gradient", "slope"] {
        let error = entry[worst]["error"].as_f64().expect("a number");
        assert!(
            error <= entry[worst]["allowed"].as_f64().expect("a number"),
            "{worst}"
        );
    }
}
