//! From the settings of every source to a server and its models.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use pyrograph_backend::DeviceSpec;

use super::{
    DjlOptions, LogFormat, ModelChoice, ModelOverrides, PROPERTIES, ServerOverrides,
    checks::{check_defaults, check_files, idle, missing, of_tokens},
    container::Container,
    djl::{options_of_environment, options_of_properties},
    is_model_name,
    tokens::read_tokens,
};
use crate::{
    Limits, ModelSettings, ServeError,
    http::ServerSettings,
    pack::Manifest,
    tasks::{ModelOptions, TaskKind},
};

/// Requests that may wait, where nothing else is said.
const QUEUE: usize = 100;
/// Rows of a batch, where nothing else is said.
const MAX_BATCH: usize = 16;
/// Time that a worker waits for others, where nothing else is said.
const MAX_BATCH_DELAY: Duration = Duration::from_millis(2);
/// Steps of a request that names none, where nothing else is said and --max-steps allows them.
const STEPS: usize = 20;
/// Rows of a guided image: with the prompt, and without.
const GUIDED_ROWS: usize = 2;

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServeOptions {
    /// The models; none in a container.
    pub models: Vec<ModelChoice>,
    /// Settings of all models.
    pub overrides: ModelOverrides,
    /// Settings of the server.
    pub server: ServerOverrides,
}

/// A server and its models, with every setting decided.
#[derive(Clone, Debug)]
pub struct ServePlan {
    /// How the server listens.
    pub server: ServerSettings,
    /// Its models.
    pub models: Vec<ModelPlan>,
    /// The form of the log.
    pub log: LogFormat,
    /// Remarks for the log.
    pub notes: Vec<String>,
}

/// A model to be started.
#[derive(Clone, Debug)]
pub struct ModelPlan {
    /// The name in paths and bodies.
    pub name: String,
    /// The folder or file.
    pub path: PathBuf,
    /// The task.
    pub task: TaskKind,
    /// How the model is opened.
    pub options: ModelOptions,
    /// How the model is run.
    pub settings: ModelSettings,
}

impl ServePlan {
    /// Decides every setting. A flag goes before the environment, which goes before `serving.properties` beside the model,
    /// which goes before a default. Without a model on the command line, the server is a container of SageMaker, if
    /// `/opt/ml/model` is there; `OPTION_MODEL_ID` names the model elsewhere.
    ///
    /// # Errors
    /// When there is no model, or a setting is not allowed.
    pub fn new(
        options: ServeOptions,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ServeError> {
        let container = match options.models.is_empty() {
            true => Container::find(environment)?,
            false => None,
        };
        let base = container
            .as_ref()
            .map_or(Path::new(""), |found| &found.root);
        let djl = options_of_environment(environment, base)?;
        let server = server_settings(&options.server, container.as_ref())?;
        let mut planner = Planner {
            flags: options.overrides,
            environment: djl.overrides,
            container: container.as_ref(),
            verify: options.server.verify,
            notes: djl.notes,
        };
        planner.note_open_door(&server);
        let models = planner.models(&options.models, environment)?;
        planner.note_idle(&models);
        let default_log = container
            .as_ref()
            .map_or(LogFormat::Text, |_| LogFormat::Json);
        Ok(Self {
            server,
            models,
            log: options.server.log.unwrap_or(default_log),
            notes: planner.notes,
        })
    }
}

fn server_settings(
    given: &ServerOverrides,
    container: Option<&Container>,
) -> Result<ServerSettings, ServeError> {
    let tokens = match (&given.tokens, container) {
        (Some(path), Some(_)) => {
            return Err(ServeError::Unsupported {
                name: "--tokens".into(),
                seen: path.display().to_string(),
                reason: "SageMaker strips the `Authorization` header, so no request would carry a token: leave it out; \
                    SageMaker itself asks who calls",
            });
        }
        (Some(path), None) => read_tokens(path).map_err(of_tokens)?,
        (None, _) => Vec::new(),
    };
    if let Some(folder) = &given.inputs
        && !folder.is_dir()
    {
        return Err(ServeError::Setting {
            name: "--inputs".into(),
            seen: folder.display().to_string(),
            allowed: "a folder that is there".into(),
        });
    }
    let default = ServerSettings::default();
    let (host, port, grace) = match container {
        Some(container) => (
            IpAddr::from(Ipv4Addr::UNSPECIFIED),
            container.port,
            Container::GRACE,
        ),
        None => (default.address.ip(), default.address.port(), default.grace),
    };
    Ok(ServerSettings {
        address: SocketAddr::new(given.host.unwrap_or(host), given.port.unwrap_or(port)),
        tokens,
        connections: given.connections.unwrap_or(default.connections),
        header_timeout: given.header_timeout.unwrap_or(default.header_timeout),
        body_timeout: given.body_timeout.unwrap_or(default.body_timeout),
        grace: given.grace.unwrap_or(grace),
        jobs: given.jobs.unwrap_or(default.jobs),
        job_bytes: default.job_bytes,
        job_time: given.job_time.unwrap_or(default.job_time),
        input_folder: given.inputs.clone(),
    })
}

/// Decides the settings of models.
struct Planner<'a> {
    flags: ModelOverrides,
    environment: ModelOverrides,
    container: Option<&'a Container>,
    verify: bool,
    notes: Vec<String>,
}

impl Planner<'_> {
    fn models(
        &mut self,
        choices: &[ModelChoice],
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<ModelPlan>, ServeError> {
        if choices.is_empty() {
            let named = self.environment.model.take();
            let root = self.container.map(|container| container.root.clone());
            let path = named.or(root).ok_or_else(|| ServeError::NoModel {
                root: Container::root(environment),
            })?;
            let name = Some(Container::MODEL_NAME.to_owned());
            return Ok(vec![self.model(&ModelChoice { name, path })?]);
        }
        if self.environment.model.take().is_some() {
            let note = "OPTION_MODEL_ID or OPTION_S3URL is without effect, since --model is given";
            self.notes.push(note.into());
        }
        let models: Vec<_> = choices
            .iter()
            .map(|choice| self.model(choice))
            .collect::<Result<_, _>>()?;
        for (place, model) in models.iter().enumerate() {
            if models[..place].iter().any(|other| other.name == model.name) {
                return Err(ServeError::Setting {
                    name: "--model".into(),
                    seen: format!("twice called `{}`", model.name),
                    allowed: "of different names: give them as --model NAME=DIR".into(),
                });
            }
        }
        Ok(models)
    }

    fn model(&mut self, choice: &ModelChoice) -> Result<ModelPlan, ServeError> {
        if !choice.path.exists() {
            return Err(missing(choice));
        }
        let DjlOptions { overrides, notes } = beside(&choice.path)?;
        self.notes.extend(notes);
        let given = self
            .flags
            .clone()
            .or(self.environment.clone())
            .or(overrides);
        let (path, manifest) = match &given.model {
            Some(path) => (path.clone(), None),
            None => self.packed(&choice.path)?,
        };
        let task = match given.task.or(manifest.map(|manifest| manifest.task)) {
            Some(task) => task,
            None => TaskKind::of(&path)?,
        };
        let limits = limits(&given, self.container);
        check_defaults(&given, &limits)?;
        check_files(&given)?;
        let settings = ModelSettings {
            devices: self.devices(&given),
            queue: given.queue.unwrap_or(QUEUE),
            max_batch: max_batch(&given, task),
            max_batch_delay: given.max_batch_delay.unwrap_or(MAX_BATCH_DELAY),
            limits,
        };
        Ok(ModelPlan {
            name: choice.name.clone().unwrap_or_else(|| name_of(&choice.path)),
            path,
            task,
            options: model_options(given, &settings.limits),
            settings,
        })
    }

    /// A model folder, whose manifest is held against its files where there is one.
    fn packed(&mut self, path: &Path) -> Result<(PathBuf, Option<Manifest>), ServeError> {
        let Some(manifest) = Manifest::read(path)? else {
            if self.verify {
                self.notes.push(format!(
                    "--verify is without effect: {} has no manifest of `pyrograph pack`",
                    path.display()
                ));
            }
            return Ok((path.into(), None));
        };
        manifest.check(path, self.verify)?;
        let model = match manifest.model.as_str() {
            "." => path.into(),
            name => path.join(name),
        };
        Ok((model, Some(manifest)))
    }

    /// One worker a device.
    fn devices(&mut self, given: &ModelOverrides) -> Vec<DeviceSpec> {
        let mut devices = given.devices.clone().unwrap_or(vec![DeviceSpec::Auto]);
        let asked = given.max_workers.max(given.min_workers);
        if let Some(asked) = asked.filter(|asked| *asked > devices.len()) {
            self.notes.push(format!(
                "{asked} workers are asked for and {} started, one a device: one worker batches requests by itself",
                devices.len()
            ));
        }
        devices.truncate(given.max_workers.unwrap_or(devices.len()));
        devices
    }

    /// Says which flags have no effect on any model.
    fn note_idle(&mut self, models: &[ModelPlan]) {
        if models.iter().any(|model| model.task == TaskKind::Txt2img) {
            return;
        }
        let notes = idle(&self.flags)
            .into_iter()
            .map(|flag| format!("{flag} is without effect: no model has the task txt2img"));
        self.notes.extend(notes);
    }

    /// Says when anybody in the network may use the server.
    fn note_open_door(&mut self, server: &ServerSettings) {
        let (address, tokens) = (server.address, &server.tokens);
        if !address.ip().is_loopback() && tokens.is_empty() && self.container.is_none() {
            self.notes.push(format!(
                "{address} can be reached from other machines, and no --tokens are asked for"
            ));
        }
    }
}

/// `serving.properties` in a model's folder, or beside its file.
fn beside(path: &Path) -> Result<DjlOptions, ServeError> {
    let folder = match path.is_dir() {
        true => Some(path),
        false => path.parent(),
    };
    let file = folder.unwrap_or(Path::new("")).join(PROPERTIES);
    match file.is_file() {
        true => options_of_properties(&file),
        false => Ok(DjlOptions::default()),
    }
}

/// The name of a model that has none: that of its folder or file, other characters as `-`.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    let name = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    let name = name.unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() || "-_.".contains(c) {
            true => c,
            false => '-',
        })
        .collect();
    let name = name.trim_start_matches(['-', '_', '.']);
    let name = &name[..name.len().min(64)]; // ASCII alone is left.
    match is_model_name(name) {
        true => name.into(),
        false => Container::MODEL_NAME.into(),
    }
}

fn limits(given: &ModelOverrides, container: Option<&Container>) -> Limits {
    let mut default = Limits::default();
    if container.is_some() {
        default.body_bytes = Container::BODY_BYTES;
        default.deadline = Container::DEADLINE;
    }
    Limits {
        body_bytes: given.body_bytes.unwrap_or(default.body_bytes),
        prompt_bytes: given.prompt_bytes.unwrap_or(default.prompt_bytes),
        pixels: given.pixels.unwrap_or(default.pixels),
        input_pixels: given.input_pixels.unwrap_or(default.input_pixels),
        steps: given.max_steps.unwrap_or(default.steps),
        images: given.images.unwrap_or(default.images),
        deadline: given.deadline.unwrap_or(default.deadline),
        job_deadline: given.job_deadline.unwrap_or(default.job_deadline),
    }
}

/// The most rows of a batch. DJL's `batch_size` counts requests.
fn max_batch(given: &ModelOverrides, task: TaskKind) -> usize {
    let rows = match task {
        TaskKind::Txt2img => GUIDED_ROWS,
        TaskKind::Sprites | TaskKind::Anomaly | TaskKind::Detect => 1,
    };
    let of_requests = given.batch_size.map(|requests| requests * rows);
    given.max_batch.or(of_requests).unwrap_or(MAX_BATCH)
}

fn model_options(given: ModelOverrides, limits: &Limits) -> ModelOptions {
    ModelOptions {
        precision: given.precision.unwrap_or_default(),
        tiny_vae: given.tiny_vae,
        loras: given.loras.unwrap_or_default(),
        embeddings: given.embeddings.unwrap_or_default(),
        sizes: given.sizes.unwrap_or_default(),
        steps: given.steps.unwrap_or(STEPS.min(limits.steps)),
        memory: Default::default(),
    }
}
