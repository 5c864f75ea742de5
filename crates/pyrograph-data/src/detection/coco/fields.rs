//! The fields of COCO's files, of whatever type they are: a wrong one is named by its place, and not by a parser.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whole numbers beyond it have neighbours of the same floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value of JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar {
    #[default]
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    List,
    Object,
}

impl Scalar {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Missing | Self::Null)
    }

    /// A whole number, also as pandas writes it (1.0).
    pub(super) fn whole(&self) -> Option<i64> {
        match *self {
            Self::Int(number) => Some(number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
                Some(number as i64)
            }
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// 0 or 1, or false or true; 0 where it is missing.
    pub(super) fn flag(&self) -> Option<bool> {
        match (self, self.whole()) {
            (Self::Missing | Self::Null | Self::Bool(false), _) | (_, Some(0)) => Some(false),
            (Self::Bool(true), _) | (_, Some(1)) => Some(true),
            _ => None,
        }
    }
}

/// The id of an item: a whole number, however it is written, or a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Id {
    Number(i64),
    Text(Box<str>),
}

impl Scalar {
    /// An id: of a text that is a number as it is written, the number.
    pub(super) fn id(&self) -> Option<Id> {
        if let Some(number) = self.whole() {
            return Some(Id::Number(number));
        }
        let text = self.text().filter(|text| !text.is_empty())?;
        Some(match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Id::Number(number),
            _ => Id::Text(text.into()),
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// As in a message: `the string "1"`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// As many characters of a text as a message repeats.
        const MOST_QUOTED: usize = 60;
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => {
                let text: String = text.chars().take(MOST_QUOTED).collect();
                write!(f, "the string {text:?}")
            }
            Self::List => f.write_str("a list"),
            Self::Object => f.write_str("an object"),
        }
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Float(value as f64), Scalar::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor)
    }
}

/// A `bbox`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Corners {
    #[default]
    Missing,
    Numbers([f64; 4]),
    /// Anything else, in words.
    Other(Box<str>),
}

impl<'de> Deserialize<'de> for Corners {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct CornersVisitor;

        impl<'de> Visitor<'de> for CornersVisitor {
            type Value = Corners;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("four numbers")
            }

            fn visit_unit<E>(self) -> Result<Corners, E> {
                Ok(Corners::Other("null".into()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Corners, E> {
                Ok(Corners::Other(value.to_string().into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Corners, E> {
                Ok(Corners::Other(value.to_string().into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Corners, E> {
                Ok(Corners::Other(value.to_string().into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Corners, E> {
                Ok(Corners::Other(format!("{value:?}").into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Corners, E> {
                Ok(Corners::Other(
                    Scalar::Text(value.into()).to_string().into(),
                ))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Corners, A::Error> {
                let object = ScalarVisitor.visit_map(fields)?;
                Ok(Corners::Other(object.to_string().into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Corners, A::Error> {
                /// As many values of a longer list as a message repeats.
                const MOST_SHOWN: usize = 5;
                let mut shown = Vec::with_capacity(4);
                let mut count = 0;
                while let Some(item) = items.next_element::<Scalar>()? {
                    if count < MOST_SHOWN {
                        shown.push(item);
                    }
                    count += 1;
                }
                if let ([a, b, c, d], 4) = (&shown[..], count)
                    && let (Some(a), Some(b), Some(c), Some(d)) =
                        (a.number(), b.number(), c.number(), d.number())
                {
                    return Ok(Corners::Numbers([a, b, c, d]));
                }
                let words: Vec<_> = shown.iter().map(ToString::to_string).collect();
                let more = if count > MOST_SHOWN { ", …" } else { "" };
                Ok(Corners::Other(
                    format!("[{}{more}]", words.join(", ")).into(),
                ))
            }
        }

        from.deserialize_any(CornersVisitor)
    }
}

/// A list, whose faults are named by their place in it.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                loop {
                    let item = items.next_element().map_err(|error| {
                        de::Error::custom(format_args!("[{}]: {error}", list.len()))
                    })?;
                    match item {
                        Some(item) => list.push(item),
                        None => return Ok(List(list)),
                    }
                }
            }
        }

        from.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }
}
