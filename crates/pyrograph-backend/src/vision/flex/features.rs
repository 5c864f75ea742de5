//! Functions compiled for several instruction sets, the widest that the machine has being taken at run time.

use std::{env, sync::OnceLock};

use crate::BackendError;

/// The variable that holds the kernels to a narrower instruction set than the machine's, for tests and comparisons.
const VARIABLE: &str = "PYROGRAPH_SIMD";

/// What the machine can do.
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
    /// The best of this machine, or what `PYROGRAPH_SIMD` says (`avx512`, `avx2` or `baseline`) if that is less. Found out once.
    /// Another value of the variable is refused where a device starts ([`vector_words`]), and
    /// counts for nothing here.
    pub(super) fn of_this_machine() -> Self {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::asked().unwrap_or_else(|_| Self::at_most(true, true)))
    }

    /// The same, or a value of the variable that is none.
    fn asked() -> Result<Self, String> {
        let wanted = env::var_os(VARIABLE).unwrap_or_default();
        Self::named(&wanted.to_string_lossy())
    }

    fn named(name: &str) -> Result<Self, String> {
        let [avx512, avx2] = match name {
            "" | "avx512" => [true, true],
            "avx2" => [false, true],
            "baseline" => [false, false],
            other => return Err(other.into()),
        };
        Ok(Self::at_most(avx512, avx2))
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

    /// Whether this and the machine together multiply pairs of bf16.
    #[cfg(target_arch = "x86_64")]
    fn multiplies_bf16(self) -> bool {
        self == Self::Avx512 && std::arch::is_x86_feature_detected!("avx512bf16")
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn multiplies_bf16(self) -> bool {
        false
    }
}

/// Whether the machine multiplies pairs of bf16 (AVX512-BF16), and `PYROGRAPH_SIMD` does not hold the kernels to less.
pub(super) fn multiplies_bf16() -> bool {
    static MULTIPLIES: OnceLock<bool> = OnceLock::new();
    *MULTIPLIES.get_or_init(|| Level::of_this_machine().multiplies_bf16())
}

/// The vector instructions in force, and whether the variable holds the kernels to them.
///
/// # Errors
/// When the variable has a value that it may not have.
pub(crate) fn vector_words() -> Result<String, BackendError> {
    let level = Level::asked().map_err(|seen| BackendError::Setting {
        name: VARIABLE,
        seen,
        allowed: "avx512, avx2 or baseline, or unset",
    })?;
    let mut words = level.in_words().to_owned();
    if level.multiplies_bf16() {
        words += " with bf16 products";
    }
    Ok(match level == Level::at_most(true, true) {
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
        assert_eq!(Level::named(""), Ok(Level::at_most(true, true)));
        assert_eq!(Level::named("baseline"), Ok(Level::Baseline));
        assert_eq!(Level::named("avx9"), Err("avx9".into()));
        assert!(!Level::Baseline.in_words().is_empty());
    }
}
