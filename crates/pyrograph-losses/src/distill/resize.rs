//! Bilinear resizing that every backend can differentiate.

use burn::tensor::{Element, Tensor, TensorData, backend::Backend};

/// Resizes a map bilinearly: half-pixel centres, corners not aligned, no antialiasing, as torch's
/// `F.interpolate(mode="bilinear", align_corners=False)`.
///
/// A side is a product with an interpolation matrix, so that the gradient is a product too.
///
/// # Shapes
/// `map` [batch, channels, h, w]; result [batch, channels, `height`, `width`].
pub(super) fn resize_bilinear<B: Backend>(
    map: Tensor<B, 4>,
    [height, width]: [usize; 2],
) -> Tensor<B, 4> {
    let [batch, channels, h, w] = map.dims();
    if [h, w] == [height, width] {
        return map;
    }
    let maps = batch * channels;
    let across = interpolation::<B>(w, width, &map.device());
    let down = interpolation::<B>(h, height, &map.device());
    let rows = map.reshape([maps * h, w]).matmul(across);
    let columns = rows.reshape([maps, h, width]).swap_dims(1, 2);
    let columns = columns.reshape([maps * width, h]).matmul(down);
    let maps = columns.reshape([maps, width, height]).swap_dims(1, 2);
    maps.reshape([batch, channels, height, width])
}

/// [from, to]: each column has the weights of the inputs of one output.
fn interpolation<B: Backend>(from: usize, to: usize, device: &B::Device) -> Tensor<B, 2> {
    let mut weights = vec![0.0_f32; from * to];
    let scale = from as f64 / to as f64;
    for output in 0..to {
        let center = ((output as f64 + 0.5) * scale - 0.5).max(0.0);
        let low = (center as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let share = center - low as f64;
        weights[low * to + output] += (1.0 - share) as f32;
        weights[high * to + output] += share as f32;
    }
    let weights = TensorData::new(weights, [from, to]);
    Tensor::from_data(weights, (device, B::FloatElem::dtype()))
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    fn resized(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
        let data = TensorData::new(values.to_vec(), [1, 1, from[0], from[1]]);
        let map = Tensor::<Flex, 4>::from_data(data, &Default::default());
        resize_bilinear(map, to).into_data().iter().collect()
    }

    #[test]
    fn centres_are_half_pixels_and_borders_repeat() {
        assert_eq!(resized(&[0.0, 1.0], [1, 2], [1, 4]), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(resized(&[0.0, 1.0], [2, 1], [4, 1]), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(resized(&[7.0], [1, 1], [2, 3]), [7.0; 6]);
        // Without antialiasing: the two values beside the centre, not all five.
        let fifth = [9.0, 1.0, 2.0, 3.0, 9.0];
        assert_eq!(resized(&fifth, [1, 5], [1, 1]), [2.0]);
        let square = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(resized(&square, [2, 2], [2, 2]), square);
        assert_eq!(resized(&square, [2, 2], [1, 1]), [2.5]);
    }
}
