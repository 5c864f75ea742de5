//! The teacher's outputs on disk, so that a view of an image asks it once.

mod bodies;

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use pyrograph_backend::vision::VisionBackend;
use pyrograph_data::detection::SsdAugment;
use pyrograph_losses::Needs;
use pyrograph_models::ssd::SsdConfig;
use serde::{Deserialize, Serialize};

use super::teacher::{Teacher, TeacherOutputs};
use crate::{DataFingerprint, TrainError};
use bodies::Shapes;

/// The first bytes of a cache file.
const MAGIC: &[u8; 16] = b"pyrograph-cache1";
/// Room for the header behind the magic.
const HEADER: usize = 4096;

/// The inputs that the cached outputs depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheKey {
    pub(super) teacher: u32,
    pub(super) teacher_classes: Vec<String>,
    pub(super) data: DataFingerprint,
    pub(super) pseudo: Option<DataFingerprint>,
    pub(super) augment: SsdAugment,
    pub(super) difficult: bool,
    pub(super) seed: u64,
    pub(super) draws: u64,
    pub(super) maps: bool,
}

/// The outputs by the view that they are of. Maps are kept in half precision: a view's first
/// output is rounded like those that are read again, so that it does not matter which of them a
/// step sees.
pub(super) struct TeacherCache {
    path: PathBuf,
    file: File,
    shapes: Shapes,
    needs: Needs,
}

impl TeacherCache {
    /// The cache at `path`, new or as an earlier run left it.
    ///
    /// # Errors
    /// When the file does not open, or is a cache of other data, another teacher or another
    /// training.
    pub(super) fn open(
        path: &Path,
        key: &CacheKey,
        teacher: &SsdConfig,
        classes: usize,
    ) -> Result<Self, TrainError> {
        let io = |error| TrainError::io(path, error);
        let shapes = Shapes::of(teacher, classes, key.maps)?;
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let mut file = options.open(path).map_err(io)?;
        let header = header_of(key, path)?;
        let mut seen = vec![0; header.len()];
        match file.read_exact(&mut seen) {
            Ok(()) => check_header(&seen, key, path)?,
            // A file that was only begun holds no outputs.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                if !header.starts_with(&seen[..seen.len().min(file_length(&file).map_err(io)?)]) {
                    return Err(no_cache(path));
                }
                file.seek(SeekFrom::Start(0)).map_err(io)?;
                file.write_all(&header).map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        Ok(Self {
            path: path.into(),
            file,
            shapes,
            needs: Needs {
                maps: key.maps,
                ..Needs::default()
            },
        })
    }

    /// Bytes of one image's outputs.
    pub(super) fn bytes_per_view(&self) -> usize {
        self.shapes.bytes()
    }

    /// The teacher's outputs for the images of `views`: read from the file, or computed and written
    /// to it.
    pub(super) fn outputs<B: VisionBackend>(
        &mut self,
        teacher: &Teacher<B>,
        pixels: &[f32],
        views: &[u64],
        device: &B::Device,
    ) -> Result<TeacherOutputs<B>, TrainError> {
        let size = pixels.len() / views.len().max(1);
        let mut kept = Vec::with_capacity(views.len());
        for &view in views {
            kept.push(self.read(view)?);
        }
        let missing: Vec<usize> = (0..views.len())
            .filter(|place| kept[*place].is_none())
            .collect();
        if !missing.is_empty() {
            let asked: Vec<f32> = missing
                .iter()
                .flat_map(|place| &pixels[place * size..(place + 1) * size])
                .copied()
                .collect();
            let outputs = teacher.forward(&asked, missing.len(), self.needs);
            for (place, bytes) in missing.into_iter().zip(self.shapes.encode(outputs)) {
                self.write(views[place], &bytes)?;
                kept[place] = Some(bytes);
            }
        }
        let kept: Vec<Vec<u8>> = kept.into_iter().flatten().collect();
        Ok(self.shapes.decode(&kept, device))
    }

    fn slot(&self, view: u64) -> SeekFrom {
        let slot = 4 + self.shapes.bytes() as u64;
        SeekFrom::Start((MAGIC.len() + HEADER) as u64 + view * slot)
    }

    /// The bytes of a view; `None` if they were not written, or not completely.
    fn read(&mut self, view: u64) -> Result<Option<Vec<u8>>, TrainError> {
        let io = |error| TrainError::io(&self.path, error);
        let slot = self.slot(view);
        self.file.seek(slot).map_err(io)?;
        let mut bytes = vec![0; 4 + self.shapes.bytes()];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(TrainError::io(&self.path, error)),
        }
        let body = bytes.split_off(4);
        Ok((bytes == checksum(&body)).then_some(body))
    }

    fn write(&mut self, view: u64, body: &[u8]) -> Result<(), TrainError> {
        let io = |error| TrainError::io(&self.path, error);
        let slot = self.slot(view);
        self.file.seek(slot).map_err(io)?;
        self.file.write_all(&checksum(body)).map_err(io)?;
        self.file.write_all(body).map_err(io)
    }
}

/// CRC-32, but never that of a slot that nothing was written to.
fn checksum(body: &[u8]) -> [u8; 4] {
    crc32fast::hash(body).max(1).to_le_bytes()
}

fn file_length(file: &File) -> std::io::Result<usize> {
    Ok(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))
}

/// The magic and the key as JSON, padded with spaces.
fn header_of(key: &CacheKey, path: &Path) -> Result<Vec<u8>, TrainError> {
    let mut header = MAGIC.to_vec();
    serde_json::to_writer(&mut header, key).map_err(|error| TrainError::io(path, error))?;
    let length = MAGIC.len() + HEADER;
    if header.len() > length {
        let reason = format!(
            "the names of the teacher's classes take more than {HEADER} bytes: cache nothing"
        );
        return Err(TrainError::Run {
            path: path.into(),
            reason,
        });
    }
    header.resize(length, b' ');
    Ok(header)
}

/// Refuses a file that is not a cache, or a cache of another key.
fn check_header(seen: &[u8], key: &CacheKey, path: &Path) -> Result<(), TrainError> {
    let body = seen
        .strip_prefix(&MAGIC[..])
        .ok_or_else(|| no_cache(path))?;
    let theirs: CacheKey = serde_json::from_slice(body).map_err(|_| no_cache(path))?;
    let differs = [
        (
            "another teacher",
            theirs.teacher != key.teacher || theirs.teacher_classes != key.teacher_classes,
        ),
        (
            "other data",
            theirs.data != key.data
                || theirs.pseudo != key.pseudo
                || theirs.difficult != key.difficult,
        ),
        (
            "another augmentation",
            theirs.augment != key.augment || theirs.draws != key.draws,
        ),
        ("another seed", theirs.seed != key.seed),
        ("other methods", theirs.maps != key.maps),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(TrainError::Run {
            path: path.into(),
            reason: format!("this cache is of {what}: delete it, or give another file"),
        }),
    }
}

fn no_cache(path: &Path) -> TrainError {
    TrainError::Run {
        path: path.into(),
        reason: "this is no cache of a teacher's outputs: give another file".into(),
    }
}
