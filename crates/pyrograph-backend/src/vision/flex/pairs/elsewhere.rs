//! Other processors multiply no pairs of bf16: `multiplies_bf16` says so, and nothing here is called.

const NOWHERE: &str = "this processor multiplies no pairs of bf16";

pub(super) mod pack {
    use burn_std::bf16;

    pub(in super::super) unsafe fn rows(_: *const f32, _: usize, _: usize, _: usize, _: *mut u32) {
        unreachable!("{}", super::NOWHERE);
    }

    pub(in super::super) unsafe fn columns(
        _: *const bf16,
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
    use burn_std::bf16;

    use super::super::Size;

    pub(in super::super) unsafe fn product(
        _: Size,
        _: *const bf16,
        _: usize,
        _: *const u32,
        _: *mut f32,
        _: usize,
        _: bool,
    ) {
        unreachable!("{}", super::NOWHERE);
    }
}
