//! What becomes of a convolution's products.

use super::super::{super::Activation, features::vectorised, half::Values, lines::affine};

/// `act(y·scale + shift)`, with a scale and a shift for each output channel.
#[derive(Clone, Copy)]
pub(in super::super) struct Finish<'a> {
    pub(in super::super) scale: Option<&'a [f32]>,
    pub(in super::super) shift: Option<&'a [f32]>,
    pub(in super::super) act: Activation,
}

impl Finish<'_> {
    /// The scale and the shift of a channel.
    pub(super) fn of(&self, channel: usize) -> (f32, f32) {
        let scale = self.scale.map_or(1.0, |scale| scale[channel]);
        let shift = self.shift.map_or(0.0, |shift| shift[channel]);
        (scale, shift)
    }

    /// The scales of the sums of int8, with those of the finish; none where the weights have none.
    pub(super) fn scales_of(&self, weight: &Values<'_>) -> Option<Vec<f32>> {
        let scales = weight.scales_of_sums()?;
        Some(match self.scale {
            Some(by) => scales
                .iter()
                .zip(by)
                .map(|(scale, by)| scale * by)
                .collect(),
            None => scales.to_vec(),
        })
    }

    /// Finishes outputs of one channel.
    pub(super) fn channel(&self, channel: usize, values: &mut [f32]) {
        let (scale, shift) = self.of(channel);
        if scale != 1.0 || shift != 0.0 || self.act != Activation::Identity {
            affine_line(values, scale, shift, self.act);
        }
    }

    /// Finishes one image, whose channels have `plane` values.
    pub(super) fn planes(&self, image: &mut [f32], plane: usize) {
        for (channel, values) in image.chunks_mut(plane).enumerate() {
            self.channel(channel, values);
        }
    }
}

vectorised! {
    fn affine_line(values: &mut [f32], scale: f32, shift: f32, act: Activation) {
        affine::<FUSED>(None, values, scale, shift, act);
    }
}
