//! What becomes of a convolution's products.

use std::ops::Range;

use burn_std::bf16;

use super::super::{
    super::Activation,
    features::vectorised,
    half::Values,
    lines::{affine, affine_of_columns},
    product::Target,
    scratch,
    words::{self, RowsOfPanel, WIDE},
};

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

    /// What becomes of the outputs of some channels, at most those of a panel.
    pub(super) fn of_channels(&self, channels: &Range<usize>) -> FinishOfChannels {
        let mut part = FinishOfChannels {
            scales: [1.0; WIDE],
            shifts: [0.0; WIDE],
            channels: channels.clone(),
            act: self.act,
        };
        for (place, channel) in channels.clone().enumerate() {
            (part.scales[place], part.shifts[place]) = self.of(channel);
        }
        part
    }

    /// Finishes one image, whose channels have `plane` values.
    pub(super) fn planes(&self, image: &mut [f32], plane: usize) {
        for (channel, values) in image.chunks_mut(plane).enumerate() {
            self.channel(channel, values);
        }
    }
}

/// [`Finish`] for neighbouring channels.
pub(super) struct FinishOfChannels {
    scales: [f32; WIDE],
    shifts: [f32; WIDE],
    pub(super) channels: Range<usize>,
    act: Activation,
}

impl FinishOfChannels {
    fn by(&self) -> [&[f32]; 2] {
        let count = self.channels.len();
        [&self.scales[..count], &self.shifts[..count]]
    }

    /// Finishes outputs [pixels, channels].
    pub(super) fn apply(&self, values: &mut [f32]) {
        affine_rows(values, self.by(), self.act);
    }

    /// Finishes outputs [pixels, channels] and writes them in bf16; the outputs are left in any state.
    pub(super) fn round(&self, values: &mut [f32], to: &mut Target<'_, bf16>) {
        if let Some(by) = RowsOfPanel::of(self.by(), self.act) {
            by.finish_rounded(values, to);
            return;
        }
        self.apply(values);
        let columns = self.channels.len();
        scratch::with_numbers(values.len(), |numbers: &mut [bf16]| {
            words::narrow(values, numbers);
            for (place, from) in numbers.chunks_exact(columns).enumerate() {
                to.row(place).copy_from_slice(from);
            }
        });
    }
}

vectorised! {
    fn affine_line(values: &mut [f32], scale: f32, shift: f32, act: Activation) {
        affine::<FUSED>(None, values, scale, shift, act);
    }
}

vectorised! {
    fn affine_rows(values: &mut [f32], by: [&[f32]; 2], act: Activation) {
        affine_of_columns::<FUSED>(values, by, act);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::values, *};

    #[test]
    fn outputs_that_are_rounded_on_the_way_are_those_that_are_rounded_afterwards() {
        let acts = [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu(0.2),
            Activation::Relu6,
            Activation::Gelu,
            Activation::QuickGelu,
            Activation::Silu,
            Activation::Tanh,
        ];
        let (scale, shift) = (values(64, 3), values(64, 5));
        for act in acts {
            let finish = Finish {
                scale: Some(&scale),
                shift: Some(&shift),
                act,
            };
            // A whole panel, and a part of one.
            for channels in [16..48, 3..10] {
                let (count, rows) = (channels.len(), 21);
                let finish = finish.of_channels(&channels);
                let mut products = values(rows * count, 7);
                products[5] = f32::NAN;
                let mut rounded = vec![bf16::ZERO; rows * count];
                let mut target = Target::of(&mut rounded, count, [rows, count]);
                finish.round(&mut products.clone(), &mut target);
                finish.apply(&mut products);
                let mut afterwards = vec![bf16::ZERO; rows * count];
                words::narrow(&products, &mut afterwards);
                for (place, (found, expected)) in rounded.iter().zip(afterwards).enumerate() {
                    let both_are_none = found.is_nan() && expected.is_nan();
                    assert!(
                        both_are_none || found.to_bits() == expected.to_bits(),
                        "{act:?}, {channels:?}: {found} beside {expected} at {place}"
                    );
                }
            }
        }
    }
}
