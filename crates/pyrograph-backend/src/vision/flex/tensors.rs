//! Between Flex's tensors and slices of numbers.

use burn::tensor::{Shape, TensorData, TensorMetadata};
use burn_flex::FlexTensor;

/// Channels, and values of a plane, of [batch, channels, height, width].
pub(super) fn planes_of(x: &FlexTensor) -> (usize, usize) {
    let shape = x.shape();
    (shape[1], shape[2] * shape[3])
}

/// The values of a contiguous tensor.
pub(super) fn floats(x: &FlexTensor) -> &[f32] {
    let all: &[f32] = x.storage();
    let start = x.layout().start_offset();
    &all[start..start + x.layout().num_elements()]
}

/// The tensor after `edit` has changed its values: in place where nobody else holds them.
pub(super) fn edited(x: FlexTensor, edit: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut edited = x.to_contiguous();
    drop(x); // A second owner would make the next line copy.
    let (start, count) = (
        edited.layout().start_offset(),
        edited.layout().num_elements(),
    );
    edit(&mut edited.storage_mut()[start..start + count]);
    edited
}

pub(super) fn vector(values: Vec<f32>) -> FlexTensor {
    let shape = Shape::from([values.len()]);
    FlexTensor::from_data(TensorData::new(values, shape))
}

pub(super) fn image(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape)))
}
