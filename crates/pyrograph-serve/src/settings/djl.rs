//! The options that users of DJL Serving have: `serving.properties` beside a model, and their environment variables.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use pyrograph_models::weights::Precision;

use super::{
    ModelOverrides,
    properties::read_properties,
    values::{Allowed, parse_count, parse_dtype, parse_milliseconds, parse_task},
};
use crate::ServeError;

/// The name of the file beside a model.
pub const PROPERTIES: &str = "serving.properties";

/// The keys of `serving.properties` that are known.
const KNOWN: &str = "option.model_id, option.s3url, option.task, option.dtype, option.load_in_8bit, \
    option.tensor_parallel_degree, batch_size, max_batch_delay, job_queue_size, minWorkers, maxWorkers; \
    engine and option.entryPoint have no effect";
/// Why a model is not fetched.
const NO_DOWNLOAD: &str = "a server does not download its model: give the path of a folder on this machine, as SageMaker \
    makes one of `ModelDataUrl` in /opt/ml/model";

/// Options of DJL Serving that one source sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DjlOptions {
    /// The settings.
    pub overrides: ModelOverrides,
    /// Remarks for the log, such as options without effect.
    pub notes: Vec<String>,
}

/// Reads `serving.properties`. Paths in it are relative to its folder.
///
/// # Errors
/// When the file does not read, or a key or its value is not allowed.
pub fn options_of_properties(path: &Path) -> Result<DjlOptions, ServeError> {
    let base = path.parent().unwrap_or(Path::new("."));
    let mut reader = Reader::new(base);
    let mut seen = BTreeSet::new();
    for property in read_properties(path)? {
        let (file, line) = (path.display(), property.line);
        let name = format!("{} in {file}, line {line}", property.key);
        if !seen.insert(property.key.to_lowercase()) {
            let note = format!("{name} stands there twice: the last one counts");
            reader.options.notes.push(note);
        }
        if !reader.set(&property.key.to_lowercase(), &name, property.value.trim())? {
            return Err(ServeError::UnknownProperty {
                path: path.into(),
                line,
                key: property.key,
                known: KNOWN,
            });
        }
    }
    reader.finish()
}

/// Reads `OPTION_*`, `SERVING_*` and `TENSOR_PARALLEL_DEGREE`. Paths are relative to `base`. A name that is not known is
/// noted, not refused: others write into the environment too.
///
/// # Errors
/// When a value is not allowed.
pub fn options_of_environment(
    environment: &BTreeMap<String, String>,
    base: &Path,
) -> Result<DjlOptions, ServeError> {
    let mut reader = Reader::new(base);
    for (name, value) in environment {
        let lower = name.to_lowercase();
        let key = match (
            lower.strip_prefix("option_"),
            lower.strip_prefix("serving_"),
        ) {
            (Some(key), _) => format!("option.{key}"),
            (_, Some(key)) => key.to_owned(),
            _ if lower == "tensor_parallel_degree" => "option.tensor_parallel_degree".into(),
            _ => continue,
        };
        // A variable that is empty counts as unset, as a shell's default does.
        if !value.trim().is_empty() && !reader.set(&key, name, value.trim())? {
            let note = format!("{name} in the environment is not known, and without effect");
            reader.options.notes.push(note);
        }
    }
    reader.finish()
}

/// Takes one option after another.
struct Reader<'a> {
    base: &'a Path,
    options: DjlOptions,
    /// The model with the option that names it.
    model: Option<(String, PathBuf)>,
}

impl<'a> Reader<'a> {
    fn new(base: &'a Path) -> Self {
        Self {
            base,
            options: DjlOptions::default(),
            model: None,
        }
    }

    /// Takes the option `key`, in small letters, which its source spells `name`. Returns whether it is known.
    fn set(&mut self, key: &str, name: &str, value: &str) -> Result<bool, ServeError> {
        let found = |Allowed(allowed)| setting(name, value, allowed);
        let overrides = &mut self.options.overrides;
        match key {
            "option.model_id" | "option.s3url" => self.set_model(name, value)?,
            "option.task" => overrides.task = Some(parse_task(value).map_err(found)?),
            "option.dtype" => overrides.precision = Some(parse_dtype(value).map_err(found)?),
            "option.load_in_8bit" => match value.to_lowercase().as_str() {
                "false" => {}
                "true" => overrides.precision = Some(Precision::Int8),
                _ => return Err(setting(name, value, "true or false")),
            },
            "option.tensor_parallel_degree" => check_degree(name, value)?,
            "batch_size" => overrides.batch_size = Some(parse_count(value).map_err(found)?),
            "max_batch_delay" => {
                overrides.max_batch_delay = Some(parse_milliseconds(value).map_err(found)?);
            }
            "job_queue_size" => overrides.queue = Some(parse_count(value).map_err(found)?),
            "minworkers" | "min_workers" => {
                overrides.min_workers = Some(parse_count(value).map_err(found)?);
            }
            "maxworkers" | "max_workers" => {
                overrides.max_workers = Some(parse_count(value).map_err(found)?);
            }
            "engine" | "option.engine" | "option.entrypoint" => {
                let note = format!("{name} is `{value}`: it is accepted, and without effect");
                self.options.notes.push(note);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_model(&mut self, name: &str, value: &str) -> Result<(), ServeError> {
        if value.contains("://") {
            return Err(unsupported(name, value, NO_DOWNLOAD));
        }
        let path = self.base.join(value);
        if value.is_empty() || !path.exists() {
            let allowed = "the path of a model on this machine, relative to the folder of the file that names it; \
                `pyrograph convert` makes a folder of a repository of the Hugging Face Hub";
            return Err(setting(name, value, allowed));
        }
        match self.model.replace((name.to_owned(), path.clone())) {
            Some((earlier, other)) if other != path && !same_key(&earlier, name) => {
                let allowed = format!("the same path as {earlier}: leave one of them out");
                Err(setting(name, value, &allowed))
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<DjlOptions, ServeError> {
        self.options.overrides.model = self.model.map(|(_, path)| path);
        let overrides = &self.options.overrides;
        if let (Some(least), Some(most)) = (overrides.min_workers, overrides.max_workers)
            && least > most
        {
            let allowed = format!("at most maxWorkers, which is {most}");
            return Err(setting("minWorkers", &least.to_string(), &allowed));
        }
        Ok(self.options)
    }
}

/// Whether two options differ in their line alone.
fn same_key(earlier: &str, later: &str) -> bool {
    earlier.split(' ').next() == later.split(' ').next()
}

/// A model is not spread over several devices.
fn check_degree(name: &str, value: &str) -> Result<(), ServeError> {
    match value.parse::<usize>() {
        Ok(1) => Ok(()),
        Ok(2..) => Err(unsupported(
            name,
            value,
            "a model runs on one device: leave it out, and give --devices for a worker on each device",
        )),
        _ if value == "max" => Ok(()),
        _ => Err(setting(name, value, "1 or max")),
    }
}

fn setting(name: &str, seen: &str, allowed: &str) -> ServeError {
    ServeError::Setting {
        name: name.into(),
        seen: format!("`{seen}`"),
        allowed: allowed.into(),
    }
}

fn unsupported(name: &str, seen: &str, reason: &'static str) -> ServeError {
    ServeError::Unsupported {
        name: name.into(),
        seen: seen.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::tasks::TaskKind;

    fn properties(text: &str) -> Result<DjlOptions, ServeError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("sd")).expect("writable");
        let path = folder.path().join(PROPERTIES);
        fs::write(&path, text).expect("writable");
        options_of_properties(&path)
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let message = properties(text).expect_err(text).to_string();
        for word in words {
            assert!(message.contains(word), "{text}: no {word:?} in {message}");
        }
    }

    #[test]
    fn the_file_of_a_user_of_djl_serving_is_read() {
        let text = "engine=Python\noption.entryPoint=djl_python.stable-diffusion\noption.model_id=sd\n\
            option.task=text-to-image\noption.dtype=fp16\noption.load_in_8bit=false\n\
            option.tensor_parallel_degree=max\nbatch_size=4\nmax_batch_delay=100\njob_queue_size=50\nminWorkers=1\n\
            max_workers=2\n";
        let DjlOptions { overrides, notes } = properties(text).expect("options");
        assert!(overrides.model.is_some_and(|path| path.ends_with("sd")));
        assert_eq!(overrides.task, Some(TaskKind::Txt2img));
        assert_eq!(overrides.precision, Some(Precision::F16));
        assert_eq!(overrides.batch_size, Some(4));
        assert_eq!(overrides.max_batch_delay, Some(Duration::from_millis(100)));
        assert_eq!(overrides.queue, Some(50));
        assert_eq!(
            (overrides.min_workers, overrides.max_workers),
            (Some(1), Some(2))
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("engine") && notes[0].contains("without effect"));
    }

    #[test]
    fn weights_of_8_bits_are_asked_for_by_either_option() {
        for text in [
            "option.dtype=int8",
            "option.dtype=fp16\noption.load_in_8bit=true",
        ] {
            let DjlOptions { overrides, .. } = properties(text).expect(text);
            assert_eq!(overrides.precision, Some(Precision::Int8), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        refused(
            "\nrolling_batch=auto",
            &["rolling_batch", "line 2", "job_queue_size"],
        );
        refused("option.load_in_8bit=yes", &["true or false"]);
        refused("option.dtype=fp8", &["option.dtype", "fp8", "bf16"]);
        refused(
            "option.tensor_parallel_degree=2",
            &["tensor_parallel_degree", "--devices"],
        );
        refused("option.tensor_parallel_degree=0", &["1 or max"]);
        refused(
            "option.task=text-generation",
            &["text-generation", "text-to-image"],
        );
        refused(
            "option.s3url=s3://bucket/sd/",
            &["option.s3url", "s3://bucket/sd/", "does not download"],
        );
        refused(
            "option.model_id=stabilityai/sd",
            &["stabilityai/sd", "pyrograph convert"],
        );
        refused(
            "option.model_id=sd\noption.s3url=.",
            &["option.s3url", "leave one of them out"],
        );
        refused("batch_size=0", &["batch_size", "`0`", "from 1"]);
        refused("max_batch_delay=-1", &["max_batch_delay", "milliseconds"]);
        refused(
            "minWorkers=3\nmaxWorkers=2",
            &["minWorkers", "`3`", "maxWorkers"],
        );
        refused("option.dtype=\\u00", &["line 1"]);
    }

    #[test]
    fn the_last_of_two_lines_counts() {
        let options =
            properties("batch_size=1\nbatch_size=2\noption.model_id=sd\noption.model_id=.")
                .expect("options");
        assert_eq!(options.overrides.batch_size, Some(2));
        assert_eq!(options.notes.len(), 2, "{:?}", options.notes);
    }

    #[test]
    fn the_environment_names_the_same_options() {
        let environment = [
            ("OPTION_DTYPE", "bf16"),
            ("OPTION_ENTRYPOINT", "x"),
            ("SERVING_BATCH_SIZE", "3"),
            ("SERVING_MIN_WORKERS", "1"),
            ("SERVING_JOB_QUEUE_SIZE", ""),
            ("SERVING_SERVICE_HOST", "10.0.0.1"),
            ("TENSOR_PARALLEL_DEGREE", "1"),
            ("PATH", "/bin"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = BTreeMap::from(environment);
        let options = options_of_environment(&environment, Path::new("/")).expect("options");
        assert_eq!(options.overrides.precision, Some(Precision::Bf16));
        assert_eq!(options.overrides.batch_size, Some(3));
        assert_eq!(options.overrides.queue, None);
        assert!(
            options
                .notes
                .iter()
                .any(|note| note.contains("SERVING_SERVICE_HOST"))
        );
        let wrong = BTreeMap::from([("OPTION_DTYPE".to_owned(), "fp8".to_owned())]);
        let message = options_of_environment(&wrong, Path::new("/"))
            .expect_err("fp8")
            .to_string();
        assert!(
            message.contains("OPTION_DTYPE") && message.contains("fp8"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn no_value_panics(
            key in "option\\.(model_id|dtype|task|load_in_8bit|tensor_parallel_degree)|(batch_size|max_batch_delay|minWorkers)",
            value in any::<String>(),
        ) {
            let mut reader = Reader::new(Path::new("/"));
            let _ = reader.set(&key, &key, &value);
        }
    }
}
