//! The type of a network's weights on the command line.

use clap::{Args, ValueEnum};
use pyrograph::models::weights::{LoadOptions, Precision};

/// Types of the weights of Stable Diffusion on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeName {
    F32,
    Bf16,
    F16,
    Int8,
    Int8Activations,
}

/// Types of the weights of other networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FloatName {
    F32,
    Bf16,
    F16,
}

impl From<DtypeName> for Precision {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => Self::F32,
            DtypeName::Bf16 => Self::Bf16,
            DtypeName::F16 => Self::F16,
            DtypeName::Int8 => Self::Int8,
            DtypeName::Int8Activations => Self::Int8Activations,
        }
    }
}

impl From<FloatName> for Precision {
    fn from(name: FloatName) -> Self {
        match name {
            FloatName::F32 => Self::F32,
            FloatName::Bf16 => Self::Bf16,
            FloatName::F16 => Self::F16,
        }
    }
}

/// The type of the weights of one network.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DtypeOption {
    /// Type of the weights in memory, independent of the type in the file; norms and biases are
    /// f32.
    #[arg(long, value_enum, default_value_t = FloatName::F32)]
    dtype: FloatName,
}

impl DtypeOption {
    /// The type.
    pub(crate) fn precision(self) -> Precision {
        self.dtype.into()
    }

    /// How the network's parameters are loaded.
    pub(crate) fn load_options(self) -> LoadOptions {
        LoadOptions::of_weights(self.precision())
    }
}
