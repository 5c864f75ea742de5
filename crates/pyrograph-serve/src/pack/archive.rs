//! Writing an archive.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use pyrograph_base::atomic_write_with;
use pyrograph_models::weights::StateDict;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{MANIFEST, Manifest, PackedFile, manifest::hexadecimal, source::Source};
use crate::{
    ServeError,
    settings::{PROPERTIES, options_of_properties},
    tasks::TaskKind,
};

/// Everybody may read a file of the archive.
const MODE: u32 = 0o644;
/// The extensions of an archive.
const EXTENSIONS: [&str; 2] = [".tar.gz", ".tgz"];

/// What is to be packed.
#[derive(Clone, Debug)]
pub struct PackRequest {
    /// The model: a diffusers folder, a model file, or a run folder.
    pub model: PathBuf,
    /// Its task, where the model does not tell.
    pub task: Option<TaskKind>,
    /// A file that becomes `serving.properties` in the archive.
    pub properties: Option<PathBuf>,
}

/// An archive that was written.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Its manifest, the last file of the archive.
    pub manifest: Manifest,
    /// Bytes of the archive.
    pub bytes: u64,
}

/// Packs a model into the archive `out`, which is written whole or not at all. Equal files make equal archives. `progress`
/// is called with the bytes that were read, and the bytes in all.
///
/// # Errors
/// When the model is broken or its task cannot be told, a link leads out of its folder, or a file cannot be read or written.
pub fn pack(
    request: &PackRequest,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Packed, ServeError> {
    check_name(out)?;
    let mut source = Source::find(&request.model, request.task)?;
    for (_, path) in &source.files {
        if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            StateDict::open(path)?;
        }
    }
    add_properties(&mut source, request.properties.as_deref())?;
    write_archive(&source, out, progress)
}

/// Writes the files of a model that was checked.
pub(super) fn write_archive(
    source: &Source,
    out: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Packed, ServeError> {
    let mut packer = Packer {
        total: total_bytes(source)?,
        done: 0,
        progress,
    };
    let mut outcome = None;
    let written = atomic_write_with(out, |file| {
        let manifest = packer.write(source, file);
        let whole = manifest.is_ok();
        outcome = Some(manifest);
        match whole {
            true => Ok(()),
            false => Err(io::Error::other("the archive is not whole")),
        }
    });
    // The error of a file says more than that of the archive.
    let manifest = outcome.transpose()?;
    written?;
    let bytes = fs::metadata(out).map_or(0, |metadata| metadata.len());
    manifest
        .map(|manifest| Packed { manifest, bytes })
        .ok_or_else(|| broken(out, "it was not written"))
}

fn check_name(out: &Path) -> Result<(), ServeError> {
    let name = out.to_string_lossy();
    match EXTENSIONS.iter().any(|extension| name.ends_with(extension)) {
        true => Ok(()),
        false => Err(ServeError::Setting {
            name: "--out".into(),
            seen: name.into_owned(),
            allowed: "a name that ends in .tar.gz or .tgz, as SageMaker wants it".into(),
        }),
    }
}

/// Takes `serving.properties` in, after a look at it.
fn add_properties(source: &mut Source, given: Option<&Path>) -> Result<(), ServeError> {
    if let Some(path) = given {
        source.files.retain(|(name, _)| name != PROPERTIES);
        source.files.push((PROPERTIES.into(), path.into()));
        source.files.sort();
    }
    let found = source.files.iter().find(|(name, _)| name == PROPERTIES);
    let Some((_, path)) = found else {
        return Ok(());
    };
    let options = options_of_properties(path)?;
    match options.overrides.model {
        Some(model) => Err(broken(
            path,
            &format!(
                "option.model_id or option.s3url names {}, but the archive is the model: leave the line out",
                model.display()
            ),
        )),
        None => Ok(()),
    }
}

fn total_bytes(source: &Source) -> Result<u64, ServeError> {
    let sizes = source.files.iter().map(|(_, path)| {
        let metadata = fs::metadata(path).map_err(|source| unreadable(path, source))?;
        Ok(metadata.len())
    });
    sizes.sum()
}

fn unreadable(path: &Path, source: io::Error) -> ServeError {
    ServeError::File {
        path: path.into(),
        source,
    }
}

fn broken(path: &Path, reason: &str) -> ServeError {
    ServeError::Package {
        path: path.into(),
        reason: reason.into(),
    }
}

/// An archive that is being written.
struct Packer<'a> {
    total: u64,
    done: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Packer<'_> {
    fn write(&mut self, source: &Source, out: &mut File) -> Result<Manifest, ServeError> {
        // Weights hardly shrink: more effort costs time alone. No time stands in the header.
        let encoder: GzEncoder<_> = GzBuilder::new().mtime(0).write(out, Compression::fast());
        let mut archive = Builder::new(encoder);
        let mut files = Vec::with_capacity(source.files.len());
        for (name, path) in &source.files {
            files.push(self.add(&mut archive, name, path)?);
        }
        let manifest = Manifest::new(source.task, source.model.clone(), files);
        let path = Path::new(MANIFEST);
        let mut text =
            serde_json::to_vec_pretty(&manifest).map_err(|error| unreadable(path, error.into()))?;
        text.push(b'\n');
        archive
            .append_data(&mut header(text.len() as u64), MANIFEST, &text[..])
            .and_then(|()| archive.into_inner()?.finish()?.flush())
            .map_err(|error| unreadable(path, error))?;
        Ok(manifest)
    }

    fn add(
        &mut self,
        archive: &mut Builder<impl Write>,
        name: &str,
        path: &Path,
    ) -> Result<PackedFile, ServeError> {
        let failed = |source| unreadable(path, source);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut reader = Hashing {
            source: file,
            hasher: Sha256::new(),
            bytes: 0,
            seen: |read| {
                self.done += read;
                (self.progress)(self.done, self.total.max(self.done));
            },
        };
        // A file that grew is read to the size that its header tells; the byte after it is looked for below.
        archive
            .append_data(&mut header(size), name, (&mut reader).take(size))
            .map_err(failed)?;
        let grew = reader.source.read(&mut [0]).map_err(failed)? > 0;
        if reader.bytes != size || grew {
            return Err(broken(
                path,
                "it changed while it was packed: pack it anew when nothing writes to it",
            ));
        }
        Ok(PackedFile {
            path: name.into(),
            size,
            sha256: hexadecimal(&reader.hasher.finalize()),
        })
    }
}

/// The same header for equal files, on any machine and at any time.
fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(MODE);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Takes the checksum of what is read.
struct Hashing<F: FnMut(u64)> {
    source: File,
    hasher: Sha256,
    bytes: u64,
    seen: F,
}

impl<F: FnMut(u64)> Read for Hashing<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        (self.seen)(read as u64);
        Ok(read)
    }
}
