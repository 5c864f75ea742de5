//! What `train distill` asks beside `train ssd`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::DeviceSpec,
    losses::{DistillMethod, Objective},
    models::ssd::ProjectorKind,
    train::ssd::{
        CacheOptions, DetectionSource, Distillation, PseudoLabelling, Unlabelled, UnlabelledSource,
        WeightedMethod, teacher_checksum,
    },
};
use serde::{Deserialize, Serialize};

use super::model_file::model_file;
use crate::training::absolute;

/// What a recipe file may set; the command's flags go before it.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct DistillFlags {
    /// The teacher: a run folder of `train ssd`, whose best network is used, or a model file.
    #[arg(long)]
    teacher: Option<PathBuf>,
    /// The distillation method: chen (soft targets, bounded regression), cwd (feature maps, channel
    /// by channel), pkd (feature maps, correlated), score-l2 (feature maps, weighted by the
    /// teacher's scores), response (outputs, weighted by the teacher's scores), lad (the teacher
    /// assigns the priors); one, or several with weights: cwd:1,chen:0.5 [default: chen].
    #[arg(long, value_delimiter = ',', value_name = "METHOD[:WEIGHT]")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    method: Vec<String>,
    /// The fraction of the run that uses the teacher, above 0 and up to 1 [default: 1].
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    until: Option<f64>,
    /// Run the teacher at every STEPS-th step; the steps between are plain [default: 1].
    #[arg(long, allow_negative_numbers = true, value_name = "STEPS")]
    teacher_every: Option<u64>,
    /// Keep the teacher's outputs on disk for this number of augmentations of each image, which
    /// then repeat [default: run the teacher each time].
    #[arg(long, allow_negative_numbers = true, value_name = "DRAWS")]
    cache: Option<u64>,
    /// The file of the cached outputs, which another run with the same data, seed and teacher may
    /// use [default: in the run folder].
    #[arg(long)]
    cache_file: Option<PathBuf>,
    /// The projector from the student's feature maps to the teacher's channels: linear (1×1) or mlp
    /// (1×1, ReLU, 1×1) [default: linear].
    #[arg(long)]
    projector: Option<ProjectorKind>,
    /// The temperature of chen, cwd and response, above 0 [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Parameters of the methods by name: chen.margin=0.1,score-l2.dis=1. chen has temperature,
    /// margin, background_weight, foreground_weight, soft, conf, bounded and loc; cwd temperature;
    /// response temperature, cls and loc; score-l2 dis; lad candidate_iou [default: those of the
    /// methods' papers].
    #[arg(long, value_delimiter = ',', value_name = "METHOD.NUMBER=VALUE")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    set: Vec<String>,
    /// The teacher's name of each class of the data, in the data's order, if the names differ
    /// [default: the same names].
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    teacher_classes: Vec<String>,
    /// Allow a teacher with a mAP@.5 below 0.05, or below that of a student that starts from
    /// weights.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    any_teacher: bool,
    /// Images without boxes, which are trained on with the teacher's confident detections as
    /// objects: a folder of images, or scenes:COUNT [default: none].
    #[arg(long, value_name = "DIR")]
    unlabelled: Option<PathBuf>,
    /// The fraction of these images in every batch, between 0 and 1 [default: 0.5].
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    unlabelled_share: Option<f64>,
    /// The least score of a detection that becomes an object, for any threshold from the validation
    /// images [default: 0.5].
    #[arg(long, allow_negative_numbers = true, value_name = "SCORE")]
    unlabelled_floor: Option<f64>,
    /// The device of the teacher, of the same backend as --device [default: --device].
    #[arg(long)]
    teacher_device: Option<DeviceSpec>,
}

const TEMPERATURE: &str = "temperature";

fn is_false(value: &bool) -> bool {
    !value
}

/// `method = "cwd:1,chen:0.5"` or a list of such words.
fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    let words = match Words::deserialize(from)? {
        Words::One(words) => vec![words],
        Words::Many(words) => words,
    };
    let each = words.iter().flat_map(|words| words.split(','));
    Ok(each.map(|word| word.trim().to_owned()).collect())
}

impl DistillFlags {
    /// The keys of a recipe that are these flags'.
    pub(super) const KEYS: [&str; 15] = [
        "teacher",
        "method",
        "until",
        "teacher-every",
        "cache",
        "cache-file",
        "projector",
        "temperature",
        "set",
        "teacher-classes",
        "any-teacher",
        "unlabelled",
        "unlabelled-share",
        "unlabelled-floor",
        "teacher-device",
    ];

    /// Whether a flag says how something is done that is not asked for.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.teacher.is_none() {
            bail!(
                "--teacher is needed: the run folder or the model file of the detector to learn from"
            );
        }
        let methods = self.weighted_methods()?;
        let asked = |name: &str| {
            methods
                .iter()
                .any(|weighted| weighted.method.name() == name)
        };
        let tempered = ["chen", "cwd", "response"];
        if self.temperature.is_some() && !tempered.into_iter().any(asked) {
            bail!("--temperature needs --method chen, cwd or response");
        }
        if self.projector.is_some() && !methods.iter().any(|w| w.method.needs().maps) {
            bail!("--projector needs --method cwd, pkd or score-l2, which compare maps");
        }
        let needs = [
            (
                "cache-file",
                self.cache_file.is_some(),
                "cache",
                self.cache.is_some(),
            ),
            (
                "unlabelled-share",
                self.unlabelled_share.is_some(),
                "unlabelled",
                self.unlabelled.is_some(),
            ),
            (
                "unlabelled-floor",
                self.unlabelled_floor.is_some(),
                "unlabelled",
                self.unlabelled.is_some(),
            ),
        ];
        match needs
            .iter()
            .find(|(_, given, _, is_there)| *given && !is_there)
        {
            Some((flag, _, needed, _)) => bail!("--{flag} needs --{needed}"),
            None => Ok(()),
        }
    }

    /// The methods with their numbers and weights.
    fn weighted_methods(&self) -> anyhow::Result<Vec<WeightedMethod>> {
        let words = match self.method.is_empty() && self.unlabelled.is_none() {
            true => vec!["chen".to_owned()],
            false => self.method.clone(),
        };
        let method = |word: &String| {
            let (name, weight) = match word.split_once(':') {
                None => (word.as_str(), 1.0),
                Some((name, weight)) => {
                    let seen = || format!("--method {word}: the weight is a number of 0 or more");
                    (name, weight.parse().with_context(seen)?)
                }
            };
            let method = self.with_numbers(name.parse().context("--method")?)?;
            method.check().context("--method")?;
            Ok(WeightedMethod { method, weight })
        };
        let methods: Vec<WeightedMethod> =
            words.iter().map(method).collect::<anyhow::Result<_>>()?;
        for word in &self.set {
            let name = word.split('.').next().unwrap_or(word);
            if !methods
                .iter()
                .any(|weighted| weighted.method.name() == name)
            {
                bail!("--set {word}: `{name}` is no method of --method: give METHOD.NUMBER=VALUE");
            }
        }
        Ok(methods)
    }

    /// The method with the numbers that are set.
    fn with_numbers(&self, method: DistillMethod) -> anyhow::Result<DistillMethod> {
        let name = method.name();
        let mut value = serde_json::to_value(method)?;
        // A method is an object of one key, its name, and that of its numbers.
        let numbers = &mut value[name];
        if let Some(temperature) = self.temperature
            && numbers.get(TEMPERATURE).is_some()
        {
            numbers[TEMPERATURE] = temperature.into();
        }
        for word in &self.set {
            let Some(rest) = word
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let shape = || format!("--set {word}: give METHOD.NUMBER=VALUE");
            let (key, number) = rest.split_once('=').with_context(shape)?;
            let number: f64 = number.parse().with_context(shape)?;
            numbers[key] = number.into();
        }
        serde_json::from_value(value).with_context(|| format!("--set, of {name}"))
    }

    /// The first flag that asks for something else than `run`, the distillation of a run on `data`;
    /// the teacher's device may be another one.
    pub(super) fn difference(
        &self,
        run: &Distillation,
        data: &DetectionSource,
    ) -> anyhow::Result<Option<&'static str>> {
        let asked = self.without_teacher(data)?;
        let teacher = match &self.teacher {
            Some(teacher) => model_file("--teacher", teacher)? != run.teacher,
            None => false,
        };
        let says_method =
            !self.method.is_empty() || !self.set.is_empty() || self.temperature.is_some();
        let says_unlabelled = self.unlabelled_share.is_some() || self.unlabelled_floor.is_some();
        let differs = [
            ("teacher", teacher),
            ("method", says_method && asked.methods != run.methods),
            ("until", self.until.is_some() && asked.until != run.until),
            (
                "teacher-every",
                self.teacher_every.is_some() && asked.every != run.every,
            ),
            ("cache", self.cache.is_some() && asked.cache != run.cache),
            (
                "cache-file",
                self.cache_file.is_some() && asked.cache != run.cache,
            ),
            (
                "projector",
                self.projector.is_some() && asked.projector != run.projector,
            ),
            (
                "teacher-classes",
                !self.teacher_classes.is_empty() && asked.teacher_classes != run.teacher_classes,
            ),
            ("any-teacher", self.any_teacher && !run.any_teacher),
            (
                "unlabelled",
                (self.unlabelled.is_some() || says_unlabelled)
                    && asked.unlabelled != run.unlabelled,
            ),
        ];
        let first = differs.into_iter().find(|(_, differs)| *differs);
        Ok(first.map(|(flag, _)| flag))
    }

    pub(super) fn teacher_device(&self) -> Option<DeviceSpec> {
        self.teacher_device
    }

    /// What a student of `data` is to learn.
    pub(super) fn distillation(&self, data: &DetectionSource) -> anyhow::Result<Distillation> {
        let teacher = self.teacher.as_deref().context("--teacher is needed")?;
        let teacher = model_file("--teacher", teacher)?;
        Ok(Distillation {
            teacher_checksum: teacher_checksum(&teacher).context("--teacher")?,
            teacher,
            ..self.without_teacher(data)?
        })
    }

    /// The same with no file as its teacher.
    pub(super) fn without_teacher(&self, data: &DetectionSource) -> anyhow::Result<Distillation> {
        Ok(Distillation {
            teacher: PathBuf::new(),
            teacher_checksum: 0,
            teacher_classes: self.teacher_classes.clone(),
            methods: self.weighted_methods()?,
            until: self.until.unwrap_or(1.0),
            every: self.teacher_every.unwrap_or(1),
            projector: self.projector.unwrap_or_default(),
            cache: match self.cache {
                None => None,
                Some(draws) => Some(CacheOptions {
                    draws,
                    file: match &self.cache_file {
                        None => None,
                        Some(file) => Some(absolute(file, "--cache-file")?),
                    },
                }),
            },
            any_teacher: self.any_teacher,
            unlabelled: match &self.unlabelled {
                None => None,
                Some(from) => Some(self.unlabelled_images(from, data)?),
            },
        })
    }

    fn unlabelled_images(&self, from: &Path, data: &DetectionSource) -> anyhow::Result<Unlabelled> {
        /// The side and the seed where the labelled images are no scenes.
        const SIDE: u32 = 300;
        const SEED: u64 = 0;
        /// Half of every batch.
        const SHARE: f64 = 0.5;
        let scenes = from.to_str().and_then(|text| text.strip_prefix("scenes:"));
        let images = match scenes {
            Some(count) => {
                let count = count
                    .parse()
                    .context("--unlabelled scenes:COUNT: COUNT is a number")?;
                let (side, seed) = match data {
                    DetectionSource::Scenes { side, seed, .. } => (*side, *seed),
                    DetectionSource::Files { .. } => (SIDE, SEED),
                };
                let scenes = DetectionSource::Scenes { count, side, seed };
                UnlabelledSource::Source(scenes.part("unlabelled")?)
            }
            None => UnlabelledSource::Folder(absolute(Path::new(from), "--unlabelled")?),
        };
        let mut labelling = PseudoLabelling::default();
        labelling.floor = self.unlabelled_floor.unwrap_or(labelling.floor);
        Ok(Unlabelled {
            images,
            share: self.unlabelled_share.unwrap_or(SHARE),
            labelling,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_recipe_are_the_flags() {
        let all = DistillFlags {
            teacher: Some("t".into()),
            method: vec!["cwd:1".into()],
            until: Some(0.9),
            teacher_every: Some(2),
            cache: Some(4),
            cache_file: Some("c".into()),
            projector: Some(ProjectorKind::Mlp),
            temperature: Some(2.0),
            set: vec!["chen.margin=0.1".into()],
            teacher_classes: vec!["a".into()],
            any_teacher: true,
            unlabelled: Some("u".into()),
            unlabelled_share: Some(0.5),
            unlabelled_floor: Some(0.5),
            teacher_device: Some("cpu".parse().expect("a device")),
        };
        let table = toml::Table::try_from(all).expect("a table");
        let mut keys: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut known = DistillFlags::KEYS;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
    }

    #[test]
    fn several_methods_have_weights_and_an_unknown_one_is_refused_with_the_list() {
        let flags = |text: &str| toml::from_str::<DistillFlags>(text).expect("reads");
        let methods = flags("method = \"cwd:2, chen:0.5,pkd\"\ntemperature = 3.0");
        let methods = methods.weighted_methods().expect("known");
        let seen: Vec<_> = methods
            .iter()
            .map(|w| (w.method.name(), w.weight))
            .collect();
        assert_eq!(seen, [("cwd", 2.0), ("chen", 0.5), ("pkd", 1.0)]);
        assert!(matches!(methods[1].method, DistillMethod::Chen(chen) if chen.temperature == 3.0));
        let set = flags("method = \"chen,lad\"\nset = \"chen.margin=0.5, lad.candidate_iou=0.3\"");
        let set = set.weighted_methods().expect("known");
        assert!(matches!(set[0].method, DistillMethod::Chen(chen) if chen.margin == 0.5));
        assert!(matches!(set[1].method, DistillMethod::Lad(lad) if lad.candidate_iou == 0.3));
        for (text, word) in [
            ("method = \"chen\"\nset = \"chen.speed=1\"", "speed"),
            ("method = \"chen\"\nset = \"cwd.temperature=1\"", "cwd"),
            (
                "method = \"chen\"\nset = \"chen.margin\"",
                "METHOD.NUMBER=VALUE",
            ),
            ("method = \"fgd\"", "score-l2"),
            ("method = \"cwd:much\"", "cwd:much"),
            ("method = \"chen\"\ntemperature = 0.0", "temperature"),
        ] {
            let error = flags(text).weighted_methods().expect_err(word);
            assert!(format!("{error:#}").contains(word), "{error:#}");
        }
    }
}
