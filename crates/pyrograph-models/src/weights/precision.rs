//! The number types that parameters are loaded as.

use std::{fmt, str::FromStr};

use burn::tensor::DType;
use pyrograph_backend::vision::Int8Products;

/// The number type of a model's parameters in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The type in the file, for f32, bf16, f16 and int8 with scales. 8-bit floats are refused; any
    /// other type becomes f32.
    #[default]
    AsStored,
    /// 32-bit floats.
    F32,
    /// bfloat16: the range of f32, 8 bits of precision.
    Bf16,
    /// Half precision: values up to 65,504, 11 bits of precision.
    F16,
    /// int8 with a scale for each output for the layers that the model names; bf16 for all other
    /// layers. Activations are not int8.
    Int8,
    /// The same weights, for products with activations in int8 ([`Int8Products::Activations`]).
    Int8Activations,
}

impl Precision {
    /// The type of a parameter that is stored as `stored` and not in int8.
    pub fn parameter_type(self, stored: DType) -> DType {
        match (self, stored) {
            (Self::AsStored, DType::BF16 | DType::F16) => stored,
            (Self::AsStored | Self::F32, _) => DType::F32,
            (Self::Bf16 | Self::Int8 | Self::Int8Activations, _) => DType::BF16,
            (Self::F16, _) => DType::F16,
        }
    }

    /// The products with weights in int8 that are asked for; none where no weight becomes int8.
    pub fn int8_products(self) -> Option<Int8Products> {
        match self {
            Self::Int8 => Some(Int8Products::WeightsAlone),
            Self::Int8Activations => Some(Int8Products::Activations),
            Self::AsStored | Self::F32 | Self::Bf16 | Self::F16 => None,
        }
    }
}

/// The names that options take, and their precisions.
const NAMES: [(&str, Precision); 6] = [
    ("stored", Precision::AsStored),
    ("f32", Precision::F32),
    ("bf16", Precision::Bf16),
    ("f16", Precision::F16),
    ("int8", Precision::Int8),
    ("int8-activations", Precision::Int8Activations),
];

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, precision)| precision == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, precision)| *precision).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!(
                "`{text}` is no precision; expected one of {}",
                names.join(", ")
            )
        })
    }
}
