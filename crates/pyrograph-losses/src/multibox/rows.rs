//! Rows of a network's output, and the distance between offsets.

use burn::tensor::{Element, Int, Tensor, TensorData, backend::Backend};

/// Selects rows of [batch, priors, values], as [rows, values]; `None` without places.
pub(crate) fn rows<B: Backend>(output: Tensor<B, 3>, places: &[usize]) -> Option<Tensor<B, 2>> {
    if places.is_empty() {
        return None;
    }
    let [batch, priors, values] = output.dims();
    let device = output.device();
    let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
    let count = places.len();
    let data = TensorData::new(places, [count]);
    let places = Tensor::<B, 1, Int>::from_data(data, (&device, B::IntElem::dtype()));
    Some(output.reshape([batch * priors, values]).select(0, places))
}

/// A zero, `[1]`, that depends on the network's output, so that it has a gradient.
pub(crate) fn zero_of<B: Backend>(output: Tensor<B, 3>) -> Tensor<B, 1> {
    output.slice([0..1, 0..1, 0..1]).sum() * 0.0
}

/// Smooth L1 of each number with β = 1: ½d² for |d| < 1, else |d| − ½.
pub(super) fn smooth_l1<B: Backend, const D: usize>(
    found: Tensor<B, D>,
    target: Tensor<B, D>,
) -> Tensor<B, D> {
    let distance = (found - target).abs();
    let near = distance.clone().clamp_max(1.0);
    near.clone().square() * 0.5 + (distance - near)
}
