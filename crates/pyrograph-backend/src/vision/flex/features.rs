//! Functions compiled for several instruction sets, the widest that the machine has being taken at run time.

use std::{env, sync::OnceLock};

use crate::BackendError;

/// The variable that holds the kernels to a narrower instruction set than the machine's, for tests and comparisons.
const VARIABLE: &str = "PYROGRAPH_SIMD";

/// The width of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// AVX-512 (F, BW, DQ, VL).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every machine of the target has: SSE2 on x86-64, NEON on 64-bit Arm.
    Baseline,
}

impl Level {
    /// The best of this machine, or what `PYROGRAPH_SIMD` says if that is less.
    pub(super) fn of_this_machine() -> Self {
        Features::in_force().level
    }

    fn in_words(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            Self::Baseline if cfg!(target_arch = "x86_64") => "SSE2",
            Self::Baseline if cfg!(target_arch = "aarch64") => "NEON",
            Self::Baseline => "no vectors chosen",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn at_most(avx512: bool, avx2: bool) -> Self {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = avx2 && has!("avx2") && has!("fma");
        let has_avx512 =
            has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        match (avx512 && has_avx512, avx2) {
            (true, true) => Self::Avx512,
            (_, true) => Self::Avx2,
            _ => Self::Baseline,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn at_most(_: bool, _: bool) -> Self {
        Self::Baseline
    }

    /// Whether vectors have 512 bits.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn has_wide_vectors(self) -> bool {
        self == Self::Avx512
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn has_wide_vectors(self) -> bool {
        false
    }
}

/// The instructions by which whole numbers of 8 bits are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteProducts {
    /// Tiles (AMX-INT8), for which the system has to give leave.
    #[cfg(target_arch = "x86_64")]
    Tiles,
    /// AVX512-VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni512,
    /// AVX-VNNI, on vectors of 256 bits.
    #[cfg(target_arch = "x86_64")]
    Vnni256,
    /// AVX2, which multiplies numbers of 16 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every machine has.
    Baseline,
}

impl ByteProducts {
    #[cfg(target_arch = "x86_64")]
    fn at_most(level: Level, with_tiles: bool) -> Self {
        use std::arch::is_x86_feature_detected as has;
        let has_wide_vectors = level.has_wide_vectors();
        match level {
            Level::Baseline => Self::Baseline,
            _ if has_wide_vectors && with_tiles && tiles::multiply_bytes() => Self::Tiles,
            _ if has_wide_vectors && has!("avx512vnni") => Self::Vnni512,
            _ if has!("avxvnni") => Self::Vnni256,
            _ => Self::Avx2,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn at_most(_: Level, _: bool) -> Self {
        Self::Baseline
    }

    /// All that the machine has, by the variable's limits.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all: Vec<Self> = (0..=3)
            .map(|steps| Features::at_most(steps).bytes)
            .collect();
        #[cfg(target_arch = "x86_64")]
        if Level::at_most(false, true) == Level::Avx2 {
            all.push(Self::Avx2);
        }
        all.dedup();
        all
    }
}

/// What the kernels use of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Features {
    level: Level,
    /// Products of pairs of bf16 (AVX512-BF16).
    bf16_pairs: bool,
    /// Products of tiles of bf16 (AMX), for which the system has to give leave.
    bf16_tiles: bool,
    bytes: ByteProducts,
}

impl Features {
    /// Found out once. A value of `PYROGRAPH_SIMD` that is none is refused where a device starts
    /// ([`vector_words`]), and counts for nothing here.
    fn in_force() -> &'static Self {
        static FEATURES: OnceLock<Features> = OnceLock::new();
        FEATURES.get_or_init(|| Self::asked().unwrap_or_else(|_| Self::at_most(3)))
    }

    /// Those of the machine, or what the variable says (`amx`, `avx512`, `avx2` or `baseline`) if that is less.
    ///
    /// # Errors
    /// With another value of the variable.
    fn asked() -> Result<Self, String> {
        let wanted = env::var_os(VARIABLE).unwrap_or_default();
        Self::named(&wanted.to_string_lossy())
    }

    fn named(name: &str) -> Result<Self, String> {
        match name {
            "" | "amx" => Ok(Self::at_most(3)),
            "avx512" => Ok(Self::at_most(2)),
            "avx2" => Ok(Self::at_most(1)),
            "baseline" => Ok(Self::at_most(0)),
            other => Err(other.into()),
        }
    }

    /// 3 for all that there is, 2 without tiles, 1 without AVX-512 too, 0 for the baseline.
    fn at_most(steps: usize) -> Self {
        let level = Level::at_most(steps >= 2, steps >= 1);
        let bf16_pairs = level.has_wide_vectors() && has_bf16_pairs();
        Self {
            level,
            bf16_pairs,
            bf16_tiles: bf16_pairs && steps >= 3 && tiles::are_allowed(),
            bytes: ByteProducts::at_most(level, steps >= 3),
        }
    }

    fn in_words(self) -> String {
        let of_bf16 = match (self.bf16_tiles, self.bf16_pairs) {
            (true, _) => Some("bf16 products by AMX"),
            (_, true) => Some("bf16 products"),
            _ => None,
        };
        let of_bytes = match self.bytes {
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Tiles => Some("int8 products by AMX"),
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Vnni512 | ByteProducts::Vnni256 => Some("int8 products by VNNI"),
            _ => None,
        };
        let products: Vec<_> = of_bf16.into_iter().chain(of_bytes).collect();
        let level = self.level.in_words();
        match products.is_empty() {
            true => level.into(),
            false => format!("{level} with {}", products.join(" and ")),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_bf16_pairs() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16_pairs() -> bool {
    false
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use std::arch::x86_64::__cpuid_count;

    /// Bits of leaf 7 in EDX: products of bf16, tiles, and products of bytes.
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    const BYTES: u32 = 1 << 25;
    /// `ARCH_REQ_XCOMP_PERM`, and the number of the state that tiles' contents are.
    const REQUEST: libc::c_long = 0x1023;
    const CONTENTS: libc::c_long = 18;

    /// Whether the processor has tiles of bf16 and the system gives leave to use them.
    pub(super) fn are_allowed() -> bool {
        multiply(BF16)
    }

    /// Whether it has tiles of bytes, and the leave.
    pub(super) fn multiply_bytes() -> bool {
        multiply(BYTES)
    }

    /// The leave is asked for here, for the whole process.
    #[allow(unsafe_code)] // A system call.
    fn multiply(numbers: u32) -> bool {
        // Leaf 0 says how many leaves there are.
        let has_leaf = __cpuid_count(0, 0).eax >= 7;
        let wanted = TILES | numbers;
        let has_tiles = has_leaf && __cpuid_count(7, 0).edx & wanted == wanted;
        // SAFETY: the call takes two numbers and touches no memory of the process.
        has_tiles && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, CONTENTS) } == 0
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod tiles {
    /// Elsewhere no leave is asked for.
    pub(super) fn are_allowed() -> bool {
        false
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn multiply_bytes() -> bool {
        false
    }
}

/// Whether the machine multiplies pairs of bf16, and `PYROGRAPH_SIMD` does not hold the kernels to less.
pub(super) fn multiplies_bf16() -> bool {
    Features::in_force().bf16_pairs
}

/// Whether it multiplies tiles of bf16 as well.
pub(super) fn multiplies_tiles() -> bool {
    Features::in_force().bf16_tiles
}

/// What it multiplies whole numbers of 8 bits by.
pub(super) fn multiply_bytes_by() -> ByteProducts {
    Features::in_force().bytes
}

/// The vector instructions in force, and whether the variable holds the kernels to them.
///
/// # Errors
/// When the variable has a value that it may not have.
pub(crate) fn vector_words() -> Result<String, BackendError> {
    let features = Features::asked().map_err(|seen| BackendError::Setting {
        name: VARIABLE,
        seen,
        allowed: "amx, avx512, avx2 or baseline, or unset",
    })?;
    let words = features.in_words();
    Ok(match features == Features::at_most(3) {
        true => words,
        false => format!("{words} (held to it by {VARIABLE})"),
    })
}

/// Defines a function whose body, closures included, is compiled once for each [`Level`].
///
/// A closure inherits the instruction set of the function that it is written in, and an `#[inline(always)]` function that of
/// its caller; any other function that the body calls keeps the baseline. The body may use `FUSED`: whether a product and a sum are
/// one instruction (see [`fused`](super::math::fused)). Generic parameters are given twice, in brackets: as
/// arguments and as declarations.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $([$($given:ident),*] [$($declared:tt)*])? (
            $($arg:ident: $ty:ty),* $(,)?
        ) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)] // The call below is all that is unsafe in it.
        $vis fn $name $(<$($declared)*>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512 $(<$($declared)*>)? ($($arg: $ty),*) $(-> $ret)? {
                #[allow(dead_code)]
                const FUSED: bool = true;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$($declared)*>)? ($($arg: $ty),*) $(-> $ret)? {
                #[allow(dead_code)]
                const FUSED: bool = true;
                $body
            }
            fn baseline $(<$($declared)*>)? ($($arg: $ty),*) $(-> $ret)? {
                #[allow(dead_code)]
                const FUSED: bool = cfg!(target_arch = "aarch64");
                $body
            }

            use $crate::vision::flex::features::Level;
            match Level::of_this_machine() {
                // SAFETY: the machine was just asked for these features.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512 $(::<$($given),*>)? ($($arg),*) },
                // SAFETY: likewise.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2 $(::<$($given),*>)? ($($arg),*) },
                Level::Baseline => baseline $(::<$($given),*>)? ($($arg),*),
            }
        }
    };
}

pub(super) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_named_and_another_word_is_none() {
        assert_eq!(Features::named(""), Ok(Features::at_most(3)));
        assert_eq!(Features::named("amx"), Ok(Features::at_most(3)));
        let narrow = Features::named("baseline");
        assert_eq!(narrow.map(|features| features.level), Ok(Level::Baseline));
        assert!(!Features::at_most(2).bf16_tiles);
        assert_eq!(Features::named("avx9"), Err("avx9".into()));
        assert!(!Features::at_most(0).in_words().is_empty());
    }
}
