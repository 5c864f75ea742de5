//! Functions compiled for several instruction sets, the widest that the machine has being taken at run time.

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
    /// The best of this machine; the standard library asks the processor once.
    pub(super) fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            let avx512 =
                has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            match (avx512, avx2) {
                (true, true) => return Self::Avx512,
                (_, true) => return Self::Avx2,
                _ => {}
            }
        }
        Self::Baseline
    }
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
