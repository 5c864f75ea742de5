//! The zip archives of PyTorch 1.6 and later.

use std::io::{Cursor, Read};

use super::{Parts, Unpickler, storage::Storages};
use crate::{error::first, weights::shared_bytes::SharedBytes};

type Archive<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// How many times the file's size its packed entries may unpack to; trained weights hardly shrink when they are packed.
const MAX_PACKING: usize = 16;
/// The least that entries may unpack to: the pickle of a small file shrinks well.
const MIN_UNPACKED: usize = 1 << 20;

/// The object and the storages of an archive.
pub(super) fn read(file: &SharedBytes) -> Result<Parts, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(&**file)).map_err(|error| {
        format!("it begins as a zip archive, but is damaged or cut off: {error}")
    })?;
    let pickle_name = pickle_name(&archive)?;
    let root_folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    // Entries of an archive may overlap, or be packed, and then a small file would fill the memory.
    let mut budget = Budget {
        stored: file.len(),
        packed: file.len().saturating_mul(MAX_PACKING).max(MIN_UNPACKED),
    };
    let byteorder = format!("{root_folder}byteorder");
    if let Ok(order) = entry(&mut archive, file, &byteorder, &mut budget)
        && &*order != b"little"
    {
        return Err("it was saved on a big-endian machine".into());
    }
    let pickle = entry(&mut archive, file, &pickle_name, &mut budget)?;
    let mut unpickler = Unpickler::new();
    let (root, _) = unpickler.load(&pickle)?;
    let mut storages = Storages::default();
    for (key, wanted) in unpickler.storages() {
        let name = format!("{root_folder}data/{key}");
        let values = entry(&mut archive, file, &name, &mut budget)?;
        storages.insert(key, wanted, values)?;
    }
    Ok((unpickler, root, storages))
}

/// The entry of the object's pickle; an error that says what the archive is where it has none.
fn pickle_name(archive: &Archive<'_>) -> Result<String, String> {
    let has = |end: &str| {
        archive
            .file_names()
            .any(|name| name == end || name.ends_with(&format!("/{end}")))
    };
    if has("constants.pkl")
        || archive
            .file_names()
            .any(|name| name.contains("/code/__torch__"))
    {
        return Err(
            "it is a TorchScript archive, a program with its weights; save the weights alone in Python: \
             `torch.save(torch.jit.load(FILE).state_dict(), WEIGHTS)`"
                .into(),
        );
    }
    if has("serialized_exported_program.json") || has("archive_format") {
        return Err(
            "it is a program of torch.export; save the weights alone in Python: \
             `torch.save(torch.export.load(FILE).state_dict, WEIGHTS)`"
                .into(),
        );
    }
    let pickle = archive
        .file_names()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    if let Some(name) = pickle {
        return Ok(name.to_owned());
    }
    let ends = |end: &str| archive.file_names().any(|name| name.ends_with(end));
    let kind = if ends(".weights.h5") {
        "it is a Keras model, whose weights are read by Keras alone".to_owned()
    } else if ends(".npy") {
        "it is a NumPy archive (.npz); save its arrays as a safetensors file".to_owned()
    } else if has("[Content_Types].xml") {
        "it is an office document".to_owned()
    } else {
        let mut names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        names.sort();
        let weights = [".pth", ".pt", ".bin", ".ckpt", ".safetensors"];
        match names
            .iter()
            .find(|name| weights.iter().any(|end| name.ends_with(end)))
        {
            Some(name) => format!("it is a zip archive around `{name}`; unpack it"),
            None => format!("it is a zip archive of {}", first(&names)),
        }
    };
    Err(format!("the archive holds no data.pkl: {kind}"))
}

/// Bytes of entries that may still be read.
struct Budget {
    /// Of those that are stored as they are.
    stored: usize,
    /// Of those that are packed.
    packed: usize,
}

/// An entry of an archive: a part of the file where it is stored as it is, else unpacked.
fn entry(
    archive: &mut Archive<'_>,
    file: &SharedBytes,
    name: &str,
    budget: &mut Budget,
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
        let stored = stored.ok_or_else(|| failed(&"it reaches beyond the file"))?;
        budget.stored = budget.stored.checked_sub(stored.len()).ok_or_else(|| {
            format!(
                "its storages hold more than the file's {} bytes",
                file.len()
            )
        })?;
        return Ok(stored);
    }
    // An entry's claimed size is a stranger's word; reading grows as bytes come.
    let mut content = Vec::new();
    entry
        .by_ref()
        .take(budget.packed as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| failed(&error))?;
    budget.packed = budget.packed.checked_sub(content.len()).ok_or_else(|| {
        failed(&format!(
            "it unpacks to more than {MAX_PACKING} times the file"
        ))
    })?;
    content.shrink_to_fit();
    Ok(SharedBytes::owned(content))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;
    use crate::weights::{TensorEntry, pytorch};

    /// An archive of these entries, packed or as they are.
    fn archive(method: CompressionMethod, entries: &[(&str, &[u8])]) -> SharedBytes {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(*name, options).expect("a name");
            zip.write_all(content).expect("in memory");
        }
        SharedBytes::owned(zip.finish().expect("in memory").into_inner())
    }

    /// The pickle of `{"bias": …}`, all of storage `0`.
    fn pickle(length: u32) -> Vec<u8> {
        let text = |text: &str| [&[b'X', text.len() as u8, 0, 0, 0], text.as_bytes()].concat();
        let length = [&b"J"[..], &length.to_le_bytes()].concat();
        [
            &b"\x80\x02}"[..],
            &text("bias"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            &text("storage"),
            b"ctorch\nFloatStorage\n",
            &text("0"),
            &text("cpu"),
            &length,
            b"tQK\x00",
            &length,
            b"\x85K\x01\x85\x89}tRs.",
        ]
        .concat()
    }

    fn read(file: &SharedBytes) -> Result<TensorEntry, String> {
        pytorch::read(file).map(|contents| contents.tensors["bias"].clone())
    }

    #[test]
    fn a_packed_archive_reads_as_one_that_is_not() {
        let values: Vec<f32> = (0..500).map(|i| (i as f32).sin()).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let entries = [("a/data.pkl", &pickle(500)[..]), ("a/data/0", &bytes)];
            let tensor = read(&archive(method, &entries)).expect("whole");
            assert_eq!(tensor.to_f32(), values);
        }
    }

    #[test]
    fn an_archive_that_unpacks_to_far_more_than_its_size_is_refused() {
        let zeros = vec![0; 4 << 20];
        let entries = [("a/data.pkl", &pickle(1 << 20)[..]), ("a/data/0", &zeros)];
        let file = archive(CompressionMethod::Deflated, &entries);
        assert!(file.len() < 1 << 16, "{}", file.len());
        let message = read(&file).expect_err("a bomb");
        assert!(
            message.contains("unpacks to more than 16 times the file"),
            "{message}"
        );
    }

    #[test]
    fn a_packed_entry_that_is_damaged_is_refused() {
        let bytes: Vec<u8> = (0..2000_u32).flat_map(|v| (v * v).to_le_bytes()).collect();
        let entries = [("a/data.pkl", &pickle(2000)[..]), ("a/data/0", &bytes)];
        let mut file = archive(CompressionMethod::Deflated, &entries).to_vec();
        let middle = file.len() / 2;
        file[middle] ^= 0x55;
        assert!(read(&SharedBytes::owned(file)).is_err());
    }

    #[test]
    fn archives_of_other_kinds_are_named() {
        for (name, words) in [
            ("x/code/__torch__/a.py", "TorchScript"),
            ("x/constants.pkl", "torch.jit.load"),
            ("arr_0.npy", "NumPy archive"),
            ("model.weights.h5", "Keras"),
            ("[Content_Types].xml", "office document"),
            (
                "best/model.pth",
                "a zip archive around `best/model.pth`; unpack it",
            ),
            ("x/serialized_exported_program.json", "torch.export"),
            ("notes.txt", "a zip archive of notes.txt"),
        ] {
            let file = archive(CompressionMethod::Stored, &[(name, b"1")]);
            let message = pytorch::read(&file).expect_err(name);
            assert!(message.contains(words), "{message}");
        }
    }
}
