//! PyTorch's own files: the zip format (since 1.6) and the legacy format before it.
//!
//! Written here because burn-store 0.21 passes over strides (a channels-last tensor comes back scrambled) and fills the
//! missing end of a truncated file with zeros (docs/decisions/0003). Nothing pickled is run: only the few constructors that
//! a state dict needs are understood, everything else is skipped as opaque.

mod pickle;
mod storage;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use pickle::Unpickler;
use storage::Storages;
use value::{MAX_DEPTH, Value};

use super::HostTensor;

/// What `torch.save` puts before a legacy file's object.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The same as pickle protocols 0 and 1 write it.
const LEGACY_MAGIC_TEXT: &[u8] = b"L119547037146038801333356L\n";
/// The first bytes of a zip archive.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// The first byte of a pickle of protocol 2 and above.
const PICKLE_MAGIC: u8 = 0x80;

/// Whether a file opens like one of PyTorch's.
pub(super) fn is_pytorch(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP_MAGIC)
        || bytes.starts_with(LEGACY_MAGIC_TEXT)
        || bytes.first() == Some(&PICKLE_MAGIC)
}

/// The tensors of a state dict; those of nested dicts under joined keys (`model.conv.weight`).
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, HostTensor>, String> {
    let (unpickler, root, storages) = if bytes.starts_with(ZIP_MAGIC) {
        read_zip(bytes)?
    } else {
        read_legacy(bytes)?
    };
    let mut collector = Collector {
        unpickler: &unpickler,
        storages: &storages,
        values_left: storages.count().saturating_mul(MAX_SHARING),
        work_left: MAX_WORK,
        tensors: BTreeMap::new(),
    };
    collector.collect("", &root, 0)?;
    Ok(collector.tensors)
}

type Parts = (Unpickler, Value, Storages);

fn read_zip(bytes: &[u8]) -> Result<Parts, String> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let pickle_name = archive
        .file_names()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or("the archive holds no data.pkl")?
        .to_owned();
    let root_folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    let entry = |archive: &mut zip::ZipArchive<_>, name: &str| -> Result<Vec<u8>, String> {
        let mut file = archive
            .by_name(name)
            .map_err(|error| format!("{name}: {error}"))?;
        // An entry's claimed size is a stranger's word; reading grows as bytes come.
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(content)
    };
    if let Ok(order) = entry(&mut archive, &format!("{root_folder}byteorder"))
        && order != b"little"
    {
        return Err("it was saved on a big-endian machine".into());
    }
    let pickle = entry(&mut archive, &pickle_name)?;
    let mut unpickler = Unpickler::new();
    let (root, _) = unpickler.load(&pickle)?;
    let mut storages = Storages::default();
    let mut left = bytes.len();
    for (key, wanted) in unpickler.storages() {
        let values = entry(&mut archive, &format!("{root_folder}data/{key}"))?;
        // Entries of an archive may overlap, and then a small file would fill the memory.
        left = left.checked_sub(values.len()).ok_or_else(|| {
            format!(
                "its storages hold more than the file's {} bytes",
                bytes.len()
            )
        })?;
        storages.insert(key, wanted, &values)?;
    }
    Ok((unpickler, root, storages))
}

/// Five pickles in a row (magic, protocol, system, object, storage keys), then each storage's length and values.
fn read_legacy(bytes: &[u8]) -> Result<Parts, String> {
    let mut rest = bytes;
    let mut next = |unpickler: &mut Unpickler| -> Result<Value, String> {
        let (value, used) = unpickler.load(rest)?;
        rest = &rest[used..];
        Ok(value)
    };
    let mut prelude = Unpickler::new();
    match next(&mut prelude)? {
        Value::Long(digits) if *digits == LEGACY_MAGIC => {}
        _ => return Err("it is a pickle, but not one of torch.save".into()),
    }
    next(&mut prelude)?; // The protocol, 1001.
    next(&mut prelude)?; // Byte order and integer sizes of the system.
    let mut unpickler = Unpickler::new();
    let root = next(&mut unpickler)?;
    let keys = next(&mut prelude)?;
    let mut storages = Storages::default();
    for key in prelude.items(&keys).ok_or("it has no list of storages")? {
        let Value::Str(key) = key else {
            return Err("a storage's key is no text".into());
        };
        let wanted = unpickler
            .storages()
            .get(key)
            .ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        let (length, after) = rest
            .split_first_chunk()
            .ok_or("it ends before a storage's length")?;
        let size = usize::try_from(i64::from_le_bytes(*length))
            .ok()
            .and_then(|values| values.checked_mul(wanted.dtype.size()))
            .ok_or_else(|| format!("storage {key} has an absurd length"))?;
        let values = after
            .get(..size)
            .ok_or_else(|| format!("storage {key} needs {size} bytes, {} are left", after.len()))?;
        storages.insert(key, wanted, values)?;
        rest = &after[size..];
    }
    Ok((unpickler, root, storages))
}

/// How many times over its storages the tensors of a file may be: tied weights and a state dict given twice share theirs.
const MAX_SHARING: usize = 8;
/// What collecting may cost: the entries visited, and the lengths of their names.
const MAX_WORK: usize = 1 << 26;
/// The cost of an entry beside its name.
const ENTRY_WORK: usize = 32;

/// Takes the tensors out of nested dicts. A dict may stand in many places, even in itself, so that a few bytes describe
/// endlessly many entries: the visits are counted.
struct Collector<'a> {
    unpickler: &'a Unpickler,
    storages: &'a Storages,
    values_left: usize,
    work_left: usize,
    tensors: BTreeMap<String, HostTensor>,
}

impl Collector<'_> {
    fn collect(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), String> {
        if let Value::Tensor(tensor) = value {
            let read = self
                .storages
                .read(tensor)
                .map_err(|reason| format!("`{name}`: {reason}"))?;
            self.values_left =
                self.values_left
                    .checked_sub(read.values.len())
                    .ok_or_else(|| {
                        format!("its tensors are more than {MAX_SHARING} times its storages")
                    })?;
            self.tensors.insert(name.to_owned(), read);
            return Ok(());
        }
        let Some(entries) = self.unpickler.entries(value) else {
            return Ok(());
        };
        if depth == MAX_DEPTH {
            return Err(format!(
                "its dicts nest deeper than the {MAX_DEPTH} levels allowed, or one holds itself"
            ));
        }
        for (key, value) in entries {
            let key = match key {
                Value::Str(key) => &**key,
                _ => "",
            };
            let work = ENTRY_WORK + name.len() + key.len();
            self.work_left = self
                .work_left
                .checked_sub(work)
                .ok_or("its dicts hold more entries than any checkpoint's")?;
            // Numbers name the parameters of an optimizer, which is not the model.
            if key.is_empty() {
                continue;
            }
            let full = if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name}.{key}")
            };
            self.collect(&full, value, depth + 1)?;
        }
        Ok(())
    }
}
