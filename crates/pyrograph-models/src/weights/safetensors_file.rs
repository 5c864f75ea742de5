//! The safetensors format: the length of a JSON header, the header, the tensors' bytes.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    io::{self, Write},
};

use burn::tensor::{BoolStore, DType};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use super::{
    TensorEntry,
    entry::size_of_values,
    shared_bytes::SharedBytes,
    stored_type::{Float8, StoredType},
};

/// Bytes of the header's length, which stand first; headers are padded to multiples of it.
const LENGTH: usize = size_of::<u64>();
/// The format's own bound of a header.
const MAX_HEADER: u64 = 100_000_000;
/// The key of the header under which no tensor stands.
const METADATA: &str = "__metadata__";

/// The names of number types.
const TYPES: [(&str, StoredType); 15] = [
    ("F64", StoredType::Number(DType::F64)),
    ("I64", StoredType::Number(DType::I64)),
    ("U64", StoredType::Number(DType::U64)),
    ("F32", StoredType::Number(DType::F32)),
    ("I32", StoredType::Number(DType::I32)),
    ("U32", StoredType::Number(DType::U32)),
    ("F16", StoredType::Number(DType::F16)),
    ("BF16", StoredType::Number(DType::BF16)),
    ("I16", StoredType::Number(DType::I16)),
    ("U16", StoredType::Number(DType::U16)),
    ("I8", StoredType::Number(DType::I8)),
    ("U8", StoredType::Number(DType::U8)),
    ("BOOL", StoredType::Number(DType::Bool(BoolStore::Native))),
    ("F8_E4M3", StoredType::Float8(Float8::E4m3)),
    ("F8_E5M2", StoredType::Float8(Float8::E5m2)),
];

pub(super) type Tensors = BTreeMap<String, TensorEntry>;
pub(super) type Metadata = HashMap<String, String>;

/// What a file holds.
pub(super) struct Contents {
    pub(super) tensors: Tensors,
    /// The keys of tensors of types that are not read, and why.
    pub(super) unread: BTreeMap<String, String>,
    pub(super) metadata: Metadata,
}

/// Whether a file begins like one of this format: a header's length, and the JSON's first brace.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    header_length(bytes).is_some_and(|length| length <= MAX_HEADER)
        && bytes.get(LENGTH) == Some(&b'{')
}

fn header_length(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk::<LENGTH>()?))
}

/// Reads the header and checks it against the file; the tensors stay where they are.
pub(super) fn read(file: &SharedBytes) -> Result<Contents, String> {
    let length = header_length(file).filter(|length| *length <= MAX_HEADER);
    let length = length.ok_or("it does not begin with the length of a safetensors header")?;
    let from = LENGTH + length as usize; // At most 100 MB.
    let header = file.get(LENGTH..from).ok_or_else(|| {
        format!(
            "it is cut off: its header alone has {length} bytes, the file {}",
            file.len()
        )
    })?;
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| format!("its safetensors header does not read: {error}"))?;

    let mut places: Vec<_> = header.tensors.iter().collect();
    places.sort_unstable_by_key(|(key, info)| (info.data_offsets, *key));
    let mut end = 0;
    for (key, info) in &places {
        let [begin, after] = info.data_offsets;
        if begin != end || after < begin {
            return Err(format!(
                "`{key}` lies at bytes {begin} to {after}, but must follow the tensor before it at {end}"
            ));
        }
        end = after;
    }
    let here = file.len() - from;
    if end != here {
        let cause = if end > here {
            "it is cut off"
        } else {
            "it is damaged"
        };
        return Err(format!(
            "{cause}: its header describes {end} bytes of tensors, the file holds {here}"
        ));
    }

    let (mut tensors, mut unread) = (Tensors::new(), BTreeMap::new());
    for (key, info) in header.tensors {
        let dtype = TYPES.iter().find(|(name, _)| *name == info.dtype);
        let Some((_, dtype)) = dtype else {
            unread.insert(
                key,
                format!("it is of type {}, which is not read", info.dtype),
            );
            continue;
        };
        let [begin, after] = info.data_offsets;
        let bytes = file.slice(from + begin..from + after);
        let tensor = bytes
            .ok_or_else(|| "its bytes are not in the file".to_owned())
            .and_then(|bytes| TensorEntry::new(info.shape, *dtype, bytes))
            .map_err(|reason| format!("`{key}`: {reason}"))?;
        tensors.insert(key, tensor);
    }
    if let (true, Some((key, reason))) = (tensors.is_empty(), unread.first_key_value()) {
        return Err(format!(
            "it holds no tensor that is read: `{key}`: {reason}"
        ));
    }
    Ok(Contents {
        tensors,
        unread,
        metadata: header.metadata,
    })
}

/// Writes a file, one tensor after the other, each as `dtype_of` says; `seen` is shown every tensor
/// as it is written. The same tensors and metadata make the same bytes.
pub(super) fn write(
    tensors: &Tensors,
    metadata: &Metadata,
    dtype_of: impl Fn(&str, &TensorEntry) -> DType,
    out: &mut impl Write,
    mut seen: impl FnMut(&str, &TensorEntry) -> io::Result<()>,
) -> io::Result<()> {
    // The format's own order: wide types first, so that every tensor is aligned, then by name.
    let mut order: Vec<_> = tensors
        .iter()
        .map(|(key, tensor)| (key.as_str(), tensor, dtype_of(key, tensor)))
        .collect();
    order.sort_by_key(|(key, _, dtype)| (std::cmp::Reverse(dtype.size()), *key));
    let mut header = BTreeMap::new();
    let sorted: BTreeMap<_, _> = metadata.iter().collect();
    header.insert(METADATA, serde_json::to_value(sorted)?);
    let mut end = 0;
    for (key, tensor, dtype) in &order {
        let begin = end;
        let size = size_of_values(tensor.shape(), *dtype);
        let whole = size_of_values(tensor.shape(), tensor.in_file()) == Some(tensor.bytes().len());
        let name = TYPES.iter().find(|(_, known)| *known == (*dtype).into());
        let (Some((name, _)), Some(size), true, false) = (name, size, whole, *key == METADATA)
        else {
            let reason = format!("`{key}` cannot be written as safetensors");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        };
        end += size;
        let info = serde_json::json!({
            "data_offsets": [begin, end],
            "dtype": name,
            "shape": tensor.shape(),
        });
        header.insert(*key, info);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(LENGTH), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (key, tensor, dtype) in order {
        let written = tensor.cast(dtype);
        seen(key, &written)?;
        out.write_all(written.bytes())?;
        written.release();
    }
    Ok(())
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

#[derive(Default)]
struct Header {
    tensors: BTreeMap<String, Info>,
    metadata: Metadata,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == METADATA {
                header.metadata = map.next_value()?;
            } else if let Some(twice) = header.tensors.insert(key, map.next_value()?) {
                return Err(A::Error::custom(format!(
                    "a tensor of shape {:?} is named twice",
                    twice.shape
                )));
            }
        }
        Ok(header)
    }
}
