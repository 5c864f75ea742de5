//! Other processors have no such kernels: `has_products` says so, and nothing here is called.

use burn_std::bf16;

use super::super::{super::Activation, product::Target};

const NOWHERE: &str = "this processor has no such kernels";

pub(super) mod pack {
    use burn_std::bf16;

    pub(in super::super) unsafe fn rows(_: *const f32, _: usize, _: usize, _: usize, _: *mut u32) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn columns(
        _: *const u16,
        _: usize,
        _: usize,
        _: usize,
        _: *mut u32,
    ) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn turned_rows(
        _: *const f32,
        _: usize,
        _: [usize; 2],
        _: *mut bf16,
        _: usize,
    ) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn turned_block(
        _: *const f32,
        _: usize,
        _: [usize; 2],
        _: *mut f32,
        _: usize,
    ) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn taps(_: *const u16, _: [usize; 3], _: *mut u32) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn narrow(_: *const f32, _: usize, _: *mut bf16) {
        unreachable!("{}", super::NOWHERE);
    }
}

/// A kernel of each number type, in modules of their own.
macro_rules! products {
    ($name:ident, $number:ty) => {
        pub(in super::super) mod $name {
            use super::super::super::Size;

            pub(in super::super::super) unsafe fn product(
                _: Size,
                _: *const $number,
                _: usize,
                _: *const u32,
                _: *mut f32,
                _: usize,
                _: bool,
            ) {
                unreachable!("{}", super::super::NOWHERE);
            }
        }
    };
}

/// Rows of a whole panel: none.
pub(in super::super) enum RowsOfPanel {}

impl RowsOfPanel {
    pub(in super::super) fn of(_: [&[f32]; 2], _: Activation) -> Option<Self> {
        None
    }

    pub(in super::super) fn finish_rounded(&self, _: &mut [f32], _: &mut Target<'_, bf16>) {
        match *self {}
    }
}

pub(super) mod tile {
    products!(of_f32, f32);
    products!(of_bf16, burn_std::bf16);
}

pub(super) mod amx {
    use burn_std::bf16;

    use super::super::Size;
    pub(in super::super) use super::tile::of_bf16::product;

    pub(in super::super) const DEPTH: usize = 32;

    #[allow(clippy::too_many_arguments)] // Those of the kernel itself.
    pub(in super::super) unsafe fn product_of_pieces(
        _: Size,
        _: *const bf16,
        _: usize,
        _: &[usize],
        _: *const u32,
        _: *mut f32,
        _: usize,
        _: bool,
    ) {
        unreachable!("{}", super::NOWHERE);
    }
}
