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

    /// The output of each sum of a row with a scale of its own.
    #[inline(always)]
    fn outputs<const FUSED: bool>(&self, sums: &[i32; WIDE], scale: f32) -> [f32; WIDE] {
        let mut outputs = [0.0; WIDE];
        for (column, output) in outputs.iter_mut().enumerate() {
            let sum = sums[column] as f32 * scale;
            *output = math::fused::<FUSED>(sum, self.scales[column], self.bias[column]);
        }
        outputs
    }
}

/// What becomes of outputs.
#[derive(Clone, Copy)]
pub(in super::super) enum With<'a> {
    Nothing,
    /// Values are added, those of a row so many after the ones of the row before.
    Added(&'a [f32], usize),
    /// They are gates: rows of [`WIDE`] values are multiplied by their GELU.
    Gated(&'a [f32]),
}

/// How outputs are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stores {
    /// Into the cache.
    Cached,
    /// Into memory: what lies in the cache stays there, and no line is read before it is written. A [`fence`] comes
    /// after them.
    Streamed,
}

impl Stores {
    /// For so many outputs: many would displace all else.
    pub(in super::super) fn of(outputs: usize) -> Self {
        match outputs >= MANY {
            true => Self::Streamed,
            false => Self::Cached,
        }
    }
}

/// Outputs (8 MiB of them) that no core's own cache holds.
const MANY: usize = 1 << 21;

vectorised! {
    /// Writes the outputs of rows, which have a scale each.
    pub(in super::super) fn write_rows(
        target: &mut Target<'_>,
        sums: &[i32],
        scales: &[f32],
        columns: &Columns,
        with: With<'_>,
        stores: Stores,
    ) {
        for (row, (sums, scale)) in sums.as_chunks::<WIDE>().0.iter().zip(scales).enumerate() {
            let mut outputs = columns.outputs::<FUSED>(sums, *scale);
            let to = target.row(row);
            match with {
                With::Nothing => {}
                With::Added(added, step) => {
                    let added = &added[row * step..][..to.len()];
                    outputs.iter_mut().zip(added).for_each(|(output, added)| *output += added);
                }
                With::Gated(values) => {
                    let values = &values[row * WIDE..][..WIDE];
                    for (output, value) in outputs.iter_mut().zip(values) {
                        *output = value * math::value::<FUSED>(*output, Activation::Gelu);
                    }
                }
            }
            put(&outputs, to, stores);
        }
    }
}

/// Stores as many outputs as `to` has.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))] // Others store as usual.
fn put(outputs: &[f32; WIDE], to: &mut [f32], stores: Stores) {
    match to.first_chunk_mut::<WIDE>() {
        #[cfg(target_arch = "x86_64")]
        Some(to) if stores == Stores::Streamed && to.as_ptr().addr().is_multiple_of(64) => {
            use std::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps};
            for place in (0..WIDE).step_by(4) {
                // SAFETY: four values from `place` on are among the outputs and in `to`, which begins at a line of the
                // cache.
                unsafe {
                    let values = _mm_loadu_ps(outputs.as_ptr().add(place));
                    _mm_stream_ps(to.as_mut_ptr().add(place), values);
                }
            }
        }
        Some(to) => *to = *outputs,
        None => to.copy_from_slice(&outputs[..to.len()]),
    }
}

/// Orders streamed stores before all later ones of this thread, as other threads see them.
pub(in super::super) fn fence(stores: Stores) {
    #[cfg(target_arch = "x86_64")]
    if stores == Stores::Streamed {
        // SAFETY: every processor of this architecture has the instruction.
        unsafe { std::arch::x86_64::_mm_sfence() };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = stores;
}

/// Writes `size[0]` rows of [`WIDE`] values, of which `size[1]` count, by columns to as many rows of `target`, from
/// place `first` of each on.
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
