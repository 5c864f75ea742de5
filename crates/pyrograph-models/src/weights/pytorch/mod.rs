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

use super::{TensorEntry, shared_bytes::SharedBytes};

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
///
/// Tensors that a file holds uncompressed and in row-major order stay in it.
pub(super) fn read(file: &SharedBytes) -> Result<BTreeMap<String, TensorEntry>, String> {
    let (unpickler, root, storages) = if file.starts_with(ZIP_MAGIC) {
        read_zip(file)?
    } else {
        read_legacy(file)?
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

fn read_zip(file: &SharedBytes) -> Result<Parts, String> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(&**file)).map_err(|error| error.to_string())?;
    let pickle_name = archive
        .file_names()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or("the archive holds no data.pkl")?
        .to_owned();
    let root_folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    // Entries of an archive may overlap, or be packed, and then a small file would fill the memory.
    let mut packed = file.len().saturating_mul(MAX_PACKING);
    let byteorder = format!("{root_folder}byteorder");
    if let Ok(order) = zip_entry(&mut archive, file, &byteorder, &mut packed)
        && &*order != b"little"
    {
        return Err("it was saved on a big-endian machine".into());
    }
    let pickle = zip_entry(&mut archive, file, &pickle_name, &mut packed)?;
    let mut unpickler = Unpickler::new();
    let (root, _) = unpickler.load(&pickle)?;
    let mut storages = Storages::default();
    let mut left = file.len();
    for (key, wanted) in unpickler.storages() {
        let name = format!("{root_folder}data/{key}");
        let values = zip_entry(&mut archive, file, &name, &mut packed)?;
        left = left.checked_sub(values.len()).ok_or_else(|| {
            format!(
                "its storages hold more than the file's {} bytes",
                file.len()
            )
        })?;
        storages.insert(key, wanted, values)?;
    }
    Ok((unpickler, root, storages))
}

/// How many times the file's size its packed entries may unpack to.
const MAX_PACKING: usize = 4;

/// An entry of an archive: a part of the file where it is stored as it is, else unpacked; `packed` counts what may still be
/// unpacked.
fn zip_entry(
    archive: &mut zip::ZipArchive<Cursor<&[u8]>>,
    file: &SharedBytes,
    name: &str,
    packed: &mut usize,
) -> Result<SharedBytes, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let mut entry = archive.by_name(name).map_err(|error| failed(&error))?;
    if entry.compression() == zip::CompressionMethod::Stored && !entry.encrypted() {
        let start = entry
            .data_start()
            .and_then(|start| usize::try_from(start).ok());
        let size = usize::try_from(entry.size()).ok();
        let stored = start
            .zip(size)
            .and_then(|(start, size)| file.slice(start..start.checked_add(size)?));
        return stored.ok_or_else(|| failed(&"it reaches beyond the file"));
    }
    // An entry's claimed size is a stranger's word; reading grows as bytes come.
    let mut content = Vec::new();
    entry
        .by_ref()
        .take(*packed as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| failed(&error))?;
    *packed = packed.checked_sub(content.len()).ok_or_else(|| {
        failed(&format!(
            "it unpacks to more than {MAX_PACKING} times the file"
        ))
    })?;
    Ok(SharedBytes::owned(content))
}

/// Five pickles in a row (magic, protocol, system, object, storage keys), then each storage's length and values.
fn read_legacy(file: &SharedBytes) -> Result<Parts, String> {
    let mut rest: &[u8] = file;
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
        let start = file.len() - after.len();
        let values = start
            .checked_add(size)
            .and_then(|end| file.slice(start..end));
        let values = values
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
    tensors: BTreeMap<String, TensorEntry>,
}

impl Collector<'_> {
    fn collect(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), String> {
        if let Value::Tensor(tensor) = value {
            let read = self
                .storages
                .read(tensor)
                .map_err(|reason| format!("`{name}`: {reason}"))?;
            self.values_left = self.values_left.checked_sub(read.count()).ok_or_else(|| {
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
