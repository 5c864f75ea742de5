//! Numbers that the fixtures' Python makes too.

/// Outputs of splitmix64 from the state `seed`.
pub(crate) fn splitmix(seed: u64) -> impl Iterator<Item = u64> {
    (1_u64..).map(move |count| {
        let mut z = seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// The same as floats in [0, 1), of 24 bits.
pub(crate) fn splitmix_floats(seed: u64) -> impl Iterator<Item = f32> {
    splitmix(seed).map(|output| (output >> 40) as f32 / (1_u32 << 24) as f32)
}
