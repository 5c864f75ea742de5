//! What a user writes after `--device`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::BackendError;

/// A backend that a build may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// burn-flex: the CPU, pure Rust with SIMD and threads. Written `cpu`.
    Flex,
    /// burn-ndarray: the CPU, kept for comparison.
    NdArray,
    /// burn-wgpu: any adapter, software adapters included.
    Wgpu,
    /// burn-cuda: NVIDIA GPUs.
    Cuda,
}

impl BackendKind {
    /// Every backend that pyrograph knows.
    pub const ALL: [Self; 4] = [Self::Flex, Self::NdArray, Self::Wgpu, Self::Cuda];

    /// Whether this build holds it.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The Cargo feature that compiles it in.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The features of the backends compiled in, with commas.
    pub(crate) fn compiled_list() -> String {
        let names: Vec<_> = Self::ALL
            .into_iter()
            .filter(|kind| kind.is_compiled())
            .map(Self::feature)
            .collect();
        if names.is_empty() {
            "none".into()
        } else {
            names.join(", ")
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.feature())
    }
}

/// A device as a user names it. `Auto` picks a GPU that is there, else the CPU.
///
/// ```
/// # mod pyrograph { pub use pyrograph_backend as backend; }
/// use pyrograph::backend::DeviceSpec;
/// let spec: DeviceSpec = "wgpu:1".parse()?;
/// assert_eq!(spec, DeviceSpec::Wgpu { index: Some(1) });
/// assert_eq!(spec.to_string(), "wgpu:1");
/// assert!("gpu".parse::<DeviceSpec>().is_err());
/// # Ok::<(), pyrograph::backend::BackendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceSpec {
    /// CUDA if compiled in and present, else a hardware WGPU adapter, else the CPU.
    #[default]
    Auto,
    /// The CPU by burn-flex.
    Cpu,
    /// The CPU by burn-ndarray.
    NdArray,
    /// A WGPU adapter; without an index the driver's preferred one.
    Wgpu {
        /// Place in the list that `pyrograph devices` prints.
        index: Option<usize>,
    },
    /// An NVIDIA GPU.
    Cuda {
        /// CUDA's ordinal.
        index: usize,
    },
}

impl DeviceSpec {
    /// The backend that runs it; `None` for `Auto`.
    pub fn kind(&self) -> Option<BackendKind> {
        match self {
            Self::Auto => None,
            Self::Cpu => Some(BackendKind::Flex),
            Self::NdArray => Some(BackendKind::NdArray),
            Self::Wgpu { .. } => Some(BackendKind::Wgpu),
            Self::Cuda { .. } => Some(BackendKind::Cuda),
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || BackendError::UnknownDevice { seen: text.into() };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu" | "flex", None) => Ok(Self::Cpu),
            ("ndarray", None) => Ok(Self::NdArray),
            ("wgpu", index) => Ok(Self::Wgpu { index }),
            ("cuda", index) => Ok(Self::Cuda {
                index: index.unwrap_or(0),
            }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Wgpu { index: None } => f.write_str("wgpu"),
            Self::Wgpu { index: Some(index) } => write!(f, "wgpu:{index}"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

impl TryFrom<String> for DeviceSpec {
    type Error = BackendError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceSpec> for String {
    fn from(spec: DeviceSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back() {
        for text in [
            "auto", "cpu", "ndarray", "wgpu", "wgpu:0", "wgpu:3", "cuda:0", "cuda:7",
        ] {
            let spec: DeviceSpec = text.parse().expect(text);
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!(
            "flex".parse::<DeviceSpec>().expect("alias"),
            DeviceSpec::Cpu
        );
    }

    #[test]
    fn other_words_are_refused_with_the_list() {
        for text in [
            "", "gpu", "cpu:0", "wgpu:", "wgpu:-1", "cuda:x", "CPU", "wgpu:1:2",
        ] {
            let error = text.parse::<DeviceSpec>().expect_err(text).to_string();
            assert!(
                error.contains(&format!("`{text}`")) && error.contains("wgpu:N"),
                "{error}"
            );
        }
    }
}
