//! What a packed model holds.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use crate::{ServeError, settings::parse_task, tasks::TaskKind};

/// The name of the manifest at the root of an archive.
pub const MANIFEST: &str = "pyrograph-manifest.json";
/// The form of the manifest that this version writes and reads.
const FORMAT: u32 = 1;
/// The most bytes of a manifest.
const MAX_BYTES: u64 = 16 << 20;
/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// What a packed model holds: its task, and every file with its size and checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of this file: 1.
    pub format: u32,
    /// The version of pyrograph that packed the model.
    pub pyrograph: String,
    /// The task.
    #[serde(serialize_with = "write_task", deserialize_with = "read_task")]
    pub task: TaskKind,
    /// The model in the archive: a file, or `.` for the whole of it.
    pub model: String,
    /// The files by name.
    pub files: Vec<PackedFile>,
}

/// A file of a packed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedFile {
    /// The path in the archive, with `/` between folders.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The SHA-256 of its bytes in hexadecimal digits.
    pub sha256: String,
}

fn write_task<S: Serializer>(task: &TaskKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(task.name())
}

fn read_task<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskKind, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_task(&text).map_err(|allowed| D::Error::custom(format!("`task` is `{text}`: {allowed}")))
}

impl Manifest {
    /// The manifest of `files`.
    pub(super) fn new(task: TaskKind, model: String, files: Vec<PackedFile>) -> Self {
        Self {
            format: FORMAT,
            pyrograph: env!("CARGO_PKG_VERSION").into(),
            task,
            model,
            files,
        }
    }

    /// Reads the manifest of a model's folder; none where there is none.
    ///
    /// # Errors
    /// When it does not read, or names a file outside the folder.
    pub fn read(folder: &Path) -> Result<Option<Self>, ServeError> {
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            return Ok(None);
        }
        let refuse = |reason: String| ServeError::Package {
            path: path.clone(),
            reason,
        };
        let file = |source| ServeError::File {
            path: path.clone(),
            source,
        };
        let bytes = fs::metadata(&path).map_err(file)?.len();
        if bytes > MAX_BYTES {
            return Err(refuse(format!(
                "it has {bytes} bytes, but at most {MAX_BYTES} are read"
            )));
        }
        let text = fs::read_to_string(&path).map_err(file)?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        if manifest.format != FORMAT {
            let seen = manifest.format;
            return Err(refuse(format!(
                "its format is {seen}, but {FORMAT} is the one that is known"
            )));
        }
        let paths = manifest.files.iter().map(|file| file.path.as_str());
        let outside = paths
            .chain([manifest.model.as_str()])
            .find(|path| !stays_inside(path));
        if let Some(outside) = outside {
            let reason = format!("it names `{outside}`, which lies outside the folder");
            return Err(refuse(reason));
        }
        Ok(Some(manifest))
    }

    /// Holds the files of `folder` against the manifest: their sizes, and with `checksums` their bytes. Files beside those of
    /// the manifest are allowed.
    ///
    /// # Errors
    /// The first file that is not as it was packed.
    pub fn check(&self, folder: &Path, checksums: bool) -> Result<(), ServeError> {
        for packed in &self.files {
            let path = folder.join(&packed.path);
            let refuse = |reason: String| ServeError::Package {
                path: path.clone(),
                reason,
            };
            let unreadable = |source| ServeError::File {
                path: path.clone(),
                source,
            };
            let size = fs::metadata(&path).map_err(unreadable)?.len();
            if size != packed.size {
                return Err(refuse(format!(
                    "it has {size} bytes, but {MANIFEST} says {}: the archive was cut off or the file changed",
                    packed.size
                )));
            }
            if !checksums {
                continue;
            }
            let sha256 = File::open(&path).and_then(checksum);
            let sha256 = sha256.map_err(unreadable)?;
            if sha256 != packed.sha256 {
                return Err(refuse(format!(
                    "its SHA-256 is {sha256}, but {MANIFEST} says {}: the file changed",
                    packed.sha256
                )));
            }
        }
        Ok(())
    }
}

/// Whether a path of a manifest leads to a file below its folder.
fn stays_inside(path: &str) -> bool {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.is_empty() && Path::new(path).components().all(inside)
}

/// The SHA-256 of what `source` reads, in hexadecimal digits.
fn checksum(mut source: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BLOCK];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
