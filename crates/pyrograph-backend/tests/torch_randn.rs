//! `TorchGenerator` against `torch.randn`; see `fixtures/torch_randn/make.py`.

use pyrograph_backend::rng::TorchGenerator;
use serde::Deserialize;

/// PyTorch's vector sine, cosine and logarithm round otherwise.
const VECTOR_KERNELS: f32 = 2.4e-7;

#[derive(Deserialize)]
struct Case {
    seed: u64,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    r#fn: String,
    n: usize,
    head: Vec<f32>,
    tail: Vec<f32>,
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

fn close(ours: &[f32], torch: &[f32], tolerance: f32) -> bool {
    ours.len() == torch.len()
        && ours
            .iter()
            .zip(torch)
            .all(|(a, b)| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

#[test]
fn every_draw_of_the_fixture_is_reproduced() {
    let text = include_str!("fixtures/torch_randn/cases.json");
    let fixture: Fixture = serde_json::from_str(text).expect("the fixture reads");
    assert!(fixture.cases.len() > 80);
    for case in fixture.cases {
        let mut generator = TorchGenerator::new(case.seed);
        for (i, call) in case.calls.iter().enumerate() {
            let (values, tolerance) = match call.r#fn.as_str() {
                "rand" => (generator.rand(call.n), 0.0),
                "randn" if call.n < 16 => (generator.randn(call.n), 0.0),
                "randn" => (generator.randn(call.n), VECTOR_KERNELS),
                other => panic!("the fixture calls torch.{other}"),
            };
            assert_eq!(values.len(), call.n);
            let head = &values[..call.head.len()];
            let tail = &values[call.n - call.tail.len()..];
            assert!(
                close(head, &call.head, tolerance) && close(tail, &call.tail, tolerance),
                "seed {} call {i}: {}({})",
                case.seed,
                call.r#fn,
                call.n
            );
        }
    }
}
