//! The number types of stored tensors: those of burn, and 8-bit floats.

use burn::tensor::DType;

/// The number type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredType {
    /// A type that tensors of burn have.
    Number(DType),
    /// A type of files alone: its numbers are widened when they are read.
    Float8(Float8),
}

/// Floats of 8 bits, as
/// [FP8 Formats for Deep Learning](https://arxiv.org/abs/2209.05433) has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float8 {
    /// 4 bits of exponent with bias 7, 3 of fraction; no infinities, S.1111.111 is NaN (PyTorch's `float8_e4m3fn`).
    E4m3,
    /// 5 bits of exponent with bias 15, 2 of fraction; infinities and NaN as IEEE types have them (`float8_e5m2`).
    E5m2,
}

impl StoredType {
    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Number(dtype) => dtype.size(),
            Self::Float8(_) => 1,
        }
    }

    /// The type of the numbers when they are read: their own, or f32, which holds every 8-bit float.
    pub(super) fn widened(self) -> DType {
        match self {
            Self::Number(dtype) => dtype,
            Self::Float8(_) => DType::F32,
        }
    }

    /// The name, as messages and options spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Float8(Float8::E4m3) => "f8_e4m3",
            Self::Float8(Float8::E5m2) => "f8_e5m2",
            Self::Number(dtype) => type_name(dtype),
        }
    }
}

impl From<DType> for StoredType {
    fn from(dtype: DType) -> Self {
        Self::Number(dtype)
    }
}

/// The name of a number type, as messages and options spell it.
pub(crate) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "f64",
        DType::F32 => "f32",
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        DType::I64 => "i64",
        DType::I32 => "i32",
        DType::I16 => "i16",
        DType::I8 => "i8",
        DType::U64 => "u64",
        DType::U32 => "u32",
        DType::U16 => "u16",
        DType::U8 => "u8",
        DType::Bool(_) => "bool",
        _ => "an unknown type",
    }
}

/// The values of each code.
static E4M3: [f32; 256] = table(Float8::E4m3);
static E5M2: [f32; 256] = table(Float8::E5m2);

impl Float8 {
    /// The values of all codes, by code.
    pub(super) fn values(self) -> &'static [f32; 256] {
        match self {
            Self::E4m3 => &E4M3,
            Self::E5m2 => &E5M2,
        }
    }

    /// Bits of the fraction, and the bias of the exponent.
    const fn layout(self) -> (u32, u32) {
        match self {
            Self::E4m3 => (3, 7),
            Self::E5m2 => (2, 15),
        }
    }

    /// The value of a code, exactly.
    const fn value(self, code: u8) -> f32 {
        /// Bits of an f32's fraction, and the bias of its exponent.
        const FRACTION: u32 = 23;
        const BIAS: u32 = 127;
        const INFINITE: u32 = 0x7f80_0000;
        const NAN: u32 = 0x7fc0_0000;
        let (bits, bias) = self.layout();
        let (sign, rest) = ((code as u32 & 0x80) << 24, code as u32 & 0x7f);
        let (exponent, fraction) = (rest >> bits, rest & ((1 << bits) - 1));
        let magnitude = match (self, exponent, fraction) {
            (Self::E4m3, 15, 7) => NAN,
            (Self::E5m2, 31, 0) => INFINITE,
            (Self::E5m2, 31, _) => NAN,
            // Subnormal: the fraction times the smallest number, 2^(1 − bias − bits).
            (_, 0, _) => {
                let smallest = f32::from_bits((BIAS + 1 - bias - bits) << FRACTION);
                (fraction as f32 * smallest).to_bits()
            }
            _ => (exponent + BIAS - bias) << FRACTION | fraction << (FRACTION - bits),
        };
        f32::from_bits(sign | magnitude)
    }
}

const fn table(kind: Float8) -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut code = 0;
    while code < values.len() {
        values[code] = kind.value(code as u8);
        code += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (−1)^s · 2^(e − bias) · (1 + f), or 2^(1 − bias) · f at e = 0, in f64.
    fn closed_form(kind: Float8, code: u8) -> f64 {
        let (bits, bias) = kind.layout();
        let exponent = i32::from(code & 0x7f) >> bits;
        let fraction = f64::from(code & ((1 << bits) - 1)) / f64::from(1 << bits);
        let magnitude = match exponent {
            0 => fraction * f64::powi(2.0, 1 - bias as i32),
            _ => (1.0 + fraction) * f64::powi(2.0, exponent - bias as i32),
        };
        if code & 0x80 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    #[test]
    fn every_code_has_the_value_of_its_bits() {
        for kind in [Float8::E4m3, Float8::E5m2] {
            for code in 0..=u8::MAX {
                let value = kind.values()[usize::from(code)];
                assert_eq!(value.is_sign_negative(), code >= 0x80, "{kind:?} {code}");
                match (kind, code & 0x7f) {
                    (Float8::E4m3, 0x7f) | (Float8::E5m2, 0x7d..) => assert!(value.is_nan()),
                    (Float8::E5m2, 0x7c) => assert!(value.is_infinite()),
                    _ => assert_eq!(f64::from(value), closed_form(kind, code), "{kind:?} {code}"),
                }
            }
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_paper() {
        let e4m3 = Float8::E4m3.values();
        assert_eq!(
            [e4m3[0x7e], e4m3[0x08], e4m3[0x01]],
            [448.0, 0.015625, 0.001953125]
        );
        let e5m2 = Float8::E5m2.values();
        assert_eq!(
            [e5m2[0x7b], e5m2[0x04], e5m2[0x01]],
            [57344.0, 1.0 / 16384.0, 1.0 / 65536.0]
        );
    }
}
