//! One checkpoint: model, optimizer, EMA, step and seed.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path, time::Duration};

use burn::{
    module::AutodiffModule,
    optim::Optimizer,
    record::{BinBytesRecorder, BinFileRecorder, FullPrecisionSettings, Recorder},
    tensor::backend::AutodiffBackend,
};
use pyrograph_base::atomic_write;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{DataFingerprint, TrainError};

/// The model after the last step.
pub(crate) const MODEL: &str = "model.safetensors";
/// The moving average of the model, which sampling uses.
pub(crate) const EMA: &str = "ema.safetensors";
/// The state of the only optimizer.
pub(crate) const OPTIMIZER: &str = "optimizer.bin";
const STATE: &str = "state.json";

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Steps taken.
    pub step: u64,
    /// Total seconds of training, over all resumes.
    pub seconds: f64,
    /// The run's seed.
    pub seed: u64,
    /// The fingerprint of the training data.
    pub data: DataFingerprint,
    /// The best figure of an evaluation so far, if there was an evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
}

impl TrainState {
    /// Total time of training, over all resumes.
    pub fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }
}

pub(crate) fn save_optimizer<B, M, O>(
    optimizer: &O,
    folder: &Path,
    name: &str,
) -> Result<(), TrainError>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    let path = folder.join(name);
    let recorder = BinBytesRecorder::<FullPrecisionSettings>::new();
    let bytes = Recorder::<B>::record(&recorder, optimizer.to_record(), ())
        .map_err(|error| TrainError::io(&path, std::io::Error::other(error.to_string())))?;
    Ok(atomic_write(&path, &bytes)?)
}

pub(crate) fn load_optimizer<B, M, O>(
    optimizer: O,
    folder: &Path,
    name: &str,
    device: &B::Device,
) -> Result<O, TrainError>
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: Optimizer<M, B>,
{
    let path = folder.join(name);
    // The same format as the bytes recorder's, which panics where a file is damaged.
    let recorder = BinFileRecorder::<FullPrecisionSettings>::new();
    let record =
        Recorder::<B>::load(&recorder, path.clone(), device).map_err(|error| TrainError::Run {
            path,
            reason: error.to_string(),
        })?;
    Ok(optimizer.load_record(record))
}

/// `state.json`: where the run stands, and what the files beside it must hold.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    content: StateContent,
    /// CRC-32 of `content` as compact JSON.
    checksum: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateContent {
    state: TrainState,
    /// CRC-32 of each file of the checkpoint.
    files: BTreeMap<String, u32>,
}

impl StateContent {
    fn checksum(&self) -> serde_json::Result<u32> {
        Ok(crc32fast::hash(&serde_json::to_vec(self)?))
    }
}

/// Writes the state and the checksums of the files that are there: the last file of a checkpoint.
pub(crate) fn save_state(state: &TrainState, folder: &Path) -> Result<(), TrainError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| TrainError::io(folder, error))? {
        let file = entry.map_err(|error| TrainError::io(folder, error))?.path();
        let bytes = fs::read(&file).map_err(|error| TrainError::io(&file, error))?;
        if let Some(name) = file.file_name().and_then(|name| name.to_str()) {
            files.insert(name.to_owned(), crc32fast::hash(&bytes));
        }
    }
    let state = *state;
    save_content(StateContent { state, files }, folder)
}

/// Replaces the state of a checkpoint, whose files stay as they are.
pub(crate) fn update_state(state: &TrainState, folder: &Path) -> Result<(), TrainError> {
    let content = StateContent {
        state: *state,
        ..load_content(folder)?
    };
    save_content(content, folder)
}

fn save_content(content: StateContent, folder: &Path) -> Result<(), TrainError> {
    let path = folder.join(STATE);
    let unwritable = |error| TrainError::io(&path, error);
    let checksum = content.checksum().map_err(unwritable)?;
    let file = StateFile { content, checksum };
    let bytes = serde_json::to_vec_pretty(&file).map_err(unwritable)?;
    Ok(atomic_write(&path, &bytes)?)
}

/// The state of a checkpoint whose every file is as it was written.
pub(crate) fn load_state(folder: &Path) -> Result<TrainState, TrainError> {
    let content = load_content(folder)?;
    for name in content.files.keys() {
        check_file(folder, name, &content)?;
    }
    Ok(content.state)
}

/// Whether a checkpoint was written with the file `name`, which may have gone since.
pub(crate) fn holds(folder: &Path, name: &str) -> Result<bool, TrainError> {
    Ok(load_content(folder)?.files.contains_key(name))
}

/// The JSON file `name` of a checkpoint whose files were checked; none where it has no such file.
pub(crate) fn load_json<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
) -> Result<Option<T>, TrainError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    serde_json::from_slice(&read_whole(&path)?)
        .map(Some)
        .map_err(|error| damaged(&path, format!("it does not read: {error}")))
}

/// Writes a JSON file into a checkpoint.
pub(crate) fn save_json(
    value: &impl Serialize,
    folder: &Path,
    name: &str,
) -> Result<(), TrainError> {
    let path = folder.join(name);
    let bytes = serde_json::to_vec(value).map_err(|error| TrainError::io(&path, error))?;
    Ok(atomic_write(&path, &bytes)?)
}

/// Checks one file of a checkpoint, which is all that sampling reads of it.
pub(crate) fn check_one_file(folder: &Path, name: &str) -> Result<(), TrainError> {
    check_file(folder, name, &load_content(folder)?)
}

fn load_content(folder: &Path) -> Result<StateContent, TrainError> {
    let path = folder.join(STATE);
    let bytes = read_whole(&path)?;
    let file: StateFile = serde_json::from_slice(&bytes)
        .map_err(|error| damaged(&path, format!("it does not read: {error}")))?;
    let seen = file
        .content
        .checksum()
        .map_err(|error| damaged(&path, format!("it does not read: {error}")))?;
    expect_checksum(&path, seen, file.checksum)?;
    Ok(file.content)
}

fn check_file(folder: &Path, name: &str, content: &StateContent) -> Result<(), TrainError> {
    let path = folder.join(name);
    let bytes = read_whole(&path)?;
    match content.files.get(name) {
        Some(&expected) => expect_checksum(&path, crc32fast::hash(&bytes), expected),
        None => Err(damaged(
            &path,
            format!("{STATE} beside it does not know it"),
        )),
    }
}

fn expect_checksum(path: &Path, seen: u32, expected: u32) -> Result<(), TrainError> {
    if seen == expected {
        return Ok(());
    }
    let reason = format!("its checksum is {seen:08x}, but must be {expected:08x}");
    Err(damaged(path, reason))
}

/// A missing file is damage to a checkpoint, and so is a folder in its place; one that may not be read is not.
fn read_whole(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => damaged(path, "it is missing".into()),
        ErrorKind::IsADirectory => damaged(path, "it is a folder".into()),
        _ => TrainError::io(path, error),
    })
}

fn damaged(path: &Path, reason: String) -> TrainError {
    TrainError::Damaged {
        path: path.into(),
        reason: format!("the checkpoint is damaged: {reason}"),
    }
}
