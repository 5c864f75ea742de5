//! Gradient checks of functions and modules, right ones and planted wrong ones, in f64 and in f32.

mod findings;
mod functions;
mod modules;
mod planted;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::AutodiffBackend};
use burn_flex::Flex;
use pyrograph_gradcheck::{GradCheck, GradCheckError, GradReport, HostTensor, Inputs, gradcheck};

/// The f32 backend of these tests.
type Single = Autodiff<Flex>;

const DIRECTIONS: usize = 3;

fn modes() -> [GradCheck; 2] {
    [GradCheck::full(), GradCheck::projected(DIRECTIONS)]
}

fn check<A: AutodiffBackend, const D: usize>(
    check: &GradCheck,
    inputs: &[HostTensor],
    function: impl Fn(&Inputs<A>) -> Result<Tensor<A, D>, GradCheckError>,
) -> GradReport {
    gradcheck(check, inputs, &Default::default(), function).expect("legal")
}

fn host(name: &str, shape: &[usize], values: &[f64]) -> HostTensor {
    HostTensor::new(name, shape, values.to_vec()).expect("filled")
}
