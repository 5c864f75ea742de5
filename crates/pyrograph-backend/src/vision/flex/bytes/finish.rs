//! From sums to outputs.

use super::{
    super::{
        super::Activation,
        features::{Level, vectorised},
        math,
        product::Target,
    },
    WIDE,
};

/// The scale and the bias of each column of a panel.
#[derive(Clone, Copy)]
pub(in super::super) struct Columns {
    scales: [f32; WIDE],
    bias: [f32; WIDE],
}

impl Columns {
    /// Of at most [`WIDE`] columns.
    pub(in super::super) fn new(scales: &[f32], bias: Option<&[f32]>) -> Self {
        let mut columns = Self {
            scales: [0.0; WIDE],
            bias: [0.0; WIDE],
        };
        columns.scales[..scales.len()].copy_from_slice(scales);
        if let Some(bias) = bias {
            columns.bias[..bias.len()].copy_from_slice(bias);
        }
        columns
    }

    /// The output of each sum of a row with a scale of its own, for as many columns as `to` has.
    #[inline(always)]
    fn write<const FUSED: bool>(
        &self,
        sums: &[i32; WIDE],
        scale: f32,
        to: &mut [f32],
        output: impl Fn(f32, f32) -> f32,
    ) {
        let of_column = |column: usize, to: f32| {
            let sum = sums[column] as f32 * scale;
            let value = math::fused::<FUSED>(sum, self.scales[column], self.bias[column]);
            output(to, value)
        };
        match to.first_chunk_mut::<WIDE>() {
            Some(to) => (0..WIDE).for_each(|column| to[column] = of_column(column, to[column])),
            None => {
                for (column, to) in to.iter_mut().enumerate() {
                    *to = of_column(column, *to);
                }
            }
        }
    }
}

vectorised! {
    /// Writes the outputs of rows, which have a scale each.
    pub(in super::super) fn write_rows(
        target: &mut Target<'_>,
        sums: &[i32],
        scales: &[f32],
        columns: &Columns,
    ) {
        for (row, (sums, scale)) in sums.as_chunks::<WIDE>().0.iter().zip(scales).enumerate() {
            columns.write::<FUSED>(sums, *scale, target.row(row), |_, value| value);
        }
    }
}

vectorised! {
    /// [`write_rows`] with values that are added: those of a row `step` after the ones of the row before.
    pub(in super::super) fn add_rows(
        target: &mut Target<'_>,
        sums: &[i32],
        scales: &[f32],
        columns: &Columns,
        added: &[f32],
        step: usize,
    ) {
        for (row, (sums, scale)) in sums.as_chunks::<WIDE>().0.iter().zip(scales).enumerate() {
            let to = target.row(row);
            let added = &added[row * step..][..to.len()];
            columns.write::<FUSED>(sums, *scale, to, |_, value| value);
            to.iter_mut().zip(added).for_each(|(to, added)| *to += added);
        }
    }
}

vectorised! {
    /// Multiplies the values in the rows by the GELU of the outputs.
    pub(in super::super) fn gate_rows(
        target: &mut Target<'_>,
        sums: &[i32],
        scales: &[f32],
        columns: &Columns,
    ) {
        for (row, (sums, scale)) in sums.as_chunks::<WIDE>().0.iter().zip(scales).enumerate() {
            let gated = |value, gate| value * math::value::<FUSED>(gate, Activation::Gelu);
            columns.write::<FUSED>(sums, *scale, target.row(row), gated);
        }
    }
}

/// Writes `size[0]` rows of [`WIDE`] values, of which `size[1]` count, by columns to as many rows of `target`, from place `first` of each
/// on.
pub(in super::super) fn turn_into(
    target: &mut Target<'_>,
    first: usize,
    from: &[f32],
    size: [usize; 2],
) {
    if Level::of_this_machine().has_wide_vectors() {
        return target.turn_from(first, from, WIDE, size);
    }
    for column in 0..size[1] {
        let to = &mut target.row(column)[first..][..size[0]];
        for (to, from) in to.iter_mut().zip(from.chunks(WIDE)) {
            *to = from[column];
        }
    }
}
