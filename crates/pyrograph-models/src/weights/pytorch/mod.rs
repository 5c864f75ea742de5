//! PyTorch's own files: the zip format (since 1.6) and the legacy format before it.
//!
//! Written here because burn-store 0.21 passes over strides (a channels-last tensor comes back
//! scrambled) and fills the missing end of a truncated file with zeros (docs/decisions/0003).
//! Nothing pickled is run: only the few constructors that a state dict needs are understood,
//! everything else is skipped as opaque.

mod archive;
mod collect;
mod construct;
mod pickle;
mod storage;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use pickle::Unpickler;
use storage::Storages;
use value::Value;

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

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) tensors: BTreeMap<String, TensorEntry>,
    /// The keys of tensors that are not read, and why.
    pub(super) unread: BTreeMap<String, String>,
    /// Whether it holds the state of an optimizer, which is passed over.
    pub(super) has_optimizer: bool,
}

/// The tensors of a state dict; those of nested dicts, lists and tuples under joined keys (`model.conv.weight`).
///
/// Tensors that a file holds uncompressed and in row-major order stay in it.
pub(super) fn read(file: &SharedBytes) -> Result<Contents, String> {
    let (unpickler, root, storages) = if file.starts_with(ZIP_MAGIC) {
        archive::read(file)?
    } else {
        read_legacy(file)?
    };
    let contents = collect::collect(&unpickler, &root, &storages, file.len())?;
    if !contents.tensors.is_empty() {
        return Ok(contents);
    }
    if let Some(class) = unpickler.module() {
        return Err(format!(
            "it holds a whole module, a pickled object of the class `{class}`, which its own Python code alone can open; \
             save its weights in Python: `torch.save(module.state_dict(), FILE)`"
        ));
    }
    if let Some((key, reason)) = contents.unread.first_key_value() {
        return Err(format!(
            "it holds no tensor that is read: `{key}`: {reason}"
        ));
    }
    Err(match contents.has_optimizer {
        true => "it holds the state of an optimizer, and no weights".into(),
        false => "it holds no tensors".into(),
    })
}

type Parts = (Unpickler, Value, Storages);

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
        _ => {
            return Err(
                "it is a pickle, but not one of torch.save: load it in Python, and save a dict of its tensors by torch.save"
                    .into(),
            );
        }
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
        let element = wanted
            .size
            .ok_or_else(|| format!("storage {key} has the class {}", wanted.class))?;
        let (length, after) = rest
            .split_first_chunk()
            .ok_or("it is cut off: it ends before a storage's length")?;
        let size = usize::try_from(i64::from_le_bytes(*length))
            .ok()
            .and_then(|values| values.checked_mul(element))
            .ok_or_else(|| format!("storage {key} has an absurd length"))?;
        let start = file.len() - after.len();
        let values = start
            .checked_add(size)
            .and_then(|end| file.slice(start..end));
        let values = values.ok_or_else(|| {
            format!(
                "it is cut off: storage {key} needs {size} bytes, {} are left",
                after.len()
            )
        })?;
        storages.insert(key, wanted, values)?;
        rest = &after[size..];
    }
    Ok((unpickler, root, storages))
}
