//! Other processors have no such kernels: `has_products` says so, and nothing here is called.

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
        _: usize,
        _: usize,
        _: *mut bf16,
    ) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn narrow(_: *const f32, _: usize, _: *mut bf16) {
        unreachable!("{}", super::NOWHERE);
    }
}

pub(super) mod tile {
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

    products!(of_f32, f32);
    products!(of_bf16, burn_std::bf16);
}
