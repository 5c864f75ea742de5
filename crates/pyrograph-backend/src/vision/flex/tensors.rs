//! Between Flex's tensors and slices of numbers.

use burn::tensor::{DType, Shape, TensorData, TensorMetadata};
use burn_flex::{FlexTensor, Layout};

use super::buffers::Buffer;

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

/// The tensor after `edit` has changed its values. It gets where they are now, if that is elsewhere, and where they are to be: in
/// place where nobody else holds them.
pub(super) fn edited(x: FlexTensor, edit: impl FnOnce(Option<&[f32]>, &mut [f32])) -> FlexTensor {
    let mut kept = x.to_contiguous();
    drop(x); // A second owner would forbid the change in place.
    let (start, count) = (kept.layout().start_offset(), kept.layout().num_elements());
    if let Some(values) = kept.try_storage_mut() {
        edit(None, &mut values[start..start + count]);
        return kept;
    }
    let mut values = Buffer::new(count);
    edit(Some(floats(&kept)), &mut values);
    shaped(values, kept.shape())
}

/// A tensor of this shape.
pub(super) fn shaped(values: Buffer, shape: Shape) -> FlexTensor {
    assert_eq!(values.len(), shape.num_elements(), "values of {shape:?}");
    FlexTensor::new(values.into_bytes(), Layout::contiguous(shape), DType::F32)
}

pub(super) fn vector(values: Vec<f32>) -> FlexTensor {
    let shape = Shape::from([values.len()]);
    FlexTensor::from_data(TensorData::new(values, shape))
}

pub(super) fn image(values: Buffer, shape: [usize; 4]) -> FlexTensor {
    shaped(values, Shape::from(shape))
}

pub(super) fn rows(values: Buffer, shape: [usize; 2]) -> FlexTensor {
    shaped(values, Shape::from(shape))
}

/// A number for each item and channel [batch, channels, 1, 1].
pub(super) fn column(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape)))
}
