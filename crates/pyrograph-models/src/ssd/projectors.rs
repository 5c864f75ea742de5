//! Projectors from the feature maps of a student to the channels of a teacher.

use std::{collections::HashMap, fmt, path::Path, str::FromStr};

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};
use serde::{Deserialize, Serialize};

use super::{NAME, config::named};
use crate::{
    ModelError,
    blocks::{Conv2d, InitScheme, ParamInit},
    weights::{NamedModel, Rename, StateDict, build_model, save_model},
};

/// The name of projectors in their files and in errors.
const PROJECTORS: &str = "ssd300-projectors";

/// The layers of a projector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectorKind {
    /// A 1×1 convolution.
    #[default]
    Linear,
    /// A 1×1 convolution, ReLU and a 1×1 convolution; the hidden channels are the teacher's.
    Mlp,
}

named!(ProjectorKind, "projector", ["linear" => Self::Linear, "mlp" => Self::Mlp]);

/// Configuration of [`Projectors`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectorConfig {
    /// The layers of each projector.
    pub kind: ProjectorKind,
    /// Channels of the student's feature maps.
    pub student_channels: Vec<usize>,
    /// Channels of the teacher's feature maps, for as many maps as the student has.
    pub teacher_channels: Vec<usize>,
}

impl ProjectorConfig {
    /// Checks that both networks have equally many maps, each with at least one channel.
    ///
    /// # Errors
    /// Names the first list that is not allowed, and why.
    pub fn check(&self) -> Result<(), ModelError> {
        let refuse = |field, seen: &[usize], allowed| {
            Err(ModelError::Config {
                model: PROJECTORS,
                field,
                seen: format!("{seen:?}"),
                allowed,
            })
        };
        let (student, teacher) = (&self.student_channels, &self.teacher_channels);
        for (field, channels) in [("student_channels", student), ("teacher_channels", teacher)] {
            if channels.contains(&0) {
                return refuse(field, channels, "1 or more for each map".into());
            }
        }
        if student.len() != teacher.len() {
            let allowed = format!("as long as student_channels, {} maps", student.len());
            return refuse("teacher_channels", teacher, allowed);
        }
        Ok(())
    }
}

/// One projector for each feature map of a student, which converts the map to the channels of the
/// teacher's map of the same level ([Romero et al., 2015](https://arxiv.org/abs/1412.6550), section
/// 2.2). They are trained with the student and are not part of it.
#[derive(Module, Debug)]
pub struct Projectors<B: Backend> {
    projectors: Vec<Projector<B>>,
}

impl<B: Backend> Projectors<B> {
    /// New projectors, initialised by He's scheme; the same `seed` gives the same parameters on
    /// every backend.
    ///
    /// # Errors
    /// When the lists differ in length or hold a 0.
    pub fn new(
        device: &B::Device,
        seed: u64,
        kind: ProjectorKind,
        student_channels: &[usize],
        teacher_channels: &[usize],
    ) -> Result<Self, ModelError> {
        let config = config_of(kind, student_channels, teacher_channels);
        Self::from_config(&config, &mut ParamInit::new(device, seed))
    }

    /// No projectors, for training without a feature objective.
    pub fn none() -> Self {
        Self {
            projectors: Vec::new(),
        }
    }

    /// Whether there are no projectors.
    pub fn is_empty(&self) -> bool {
        self.projectors.is_empty()
    }

    /// Writes a safetensors file atomically, with the keys of a `torch.nn.ModuleList` named
    /// `projectors`.
    ///
    /// # Errors
    /// When a tensor cannot be read from its device or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let channels = |axis: usize| move |projector: &Projector<B>| projector.channels()[axis];
        let config = ProjectorConfig {
            kind: self
                .projectors
                .first()
                .map_or_else(Default::default, Projector::kind),
            student_channels: self.projectors.iter().map(channels(0)).collect(),
            teacher_channels: self.projectors.iter().map(channels(1)).collect(),
        };
        save_model(self, &config, HashMap::new(), path)
    }
}

impl<B: VisionBackend> Projectors<B> {
    /// Reads a file that [`save`](Self::save) or PyTorch wrote, for maps with the channels of the
    /// config.
    ///
    /// # Errors
    /// When the lists differ in length or hold a 0; when the file cannot be read, or its keys,
    /// shapes or values are not of such projectors.
    pub fn load(
        path: impl AsRef<Path>,
        kind: ProjectorKind,
        student_channels: &[usize],
        teacher_channels: &[usize],
        device: &B::Device,
    ) -> Result<Self, ModelError> {
        let config = config_of(kind, student_channels, teacher_channels);
        build_model(&config, &StateDict::open(path)?, device)
    }

    /// Applies to every map its projector; returns no maps if there are no projectors.
    ///
    /// # Shapes
    /// Each [batch, student channels, height, width] → [batch, teacher channels, height, width];
    /// the number of `maps` equals that of projectors.
    pub fn forward(&self, maps: &[Tensor<B, 4>]) -> Vec<Tensor<B, 4>> {
        debug_assert!(self.is_empty() || maps.len() == self.projectors.len());
        let pairs = self.projectors.iter().zip(maps);
        pairs
            .map(|(projector, map)| projector.forward(map.clone()))
            .collect()
    }
}

impl<B: Backend> NamedModel<B> for Projectors<B> {
    type Config = ProjectorConfig;
    const NAME: &'static str = PROJECTORS;
    /// PyTorch's `Sequential` counts the ReLU.
    const RENAMES: &'static [Rename] = &[
        Rename::new("Linear", ""),
        Rename::new("Mlp", ""),
        Rename::new("hidden", "0"),
        Rename::new("output", "2"),
    ];
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.check()?;
        init.set_scheme(InitScheme::He);
        let pairs = config.student_channels.iter().zip(&config.teacher_channels);
        let projectors = pairs.map(|(&student, &teacher)| {
            let point = Conv2d::same(init, [student, teacher], 1);
            match config.kind {
                ProjectorKind::Linear => Projector::Linear(point),
                ProjectorKind::Mlp => Projector::Mlp(Mlp {
                    hidden: point,
                    output: Conv2d::same(init, [teacher, teacher], 1),
                }),
            }
        });
        Ok(Self {
            projectors: projectors.collect(),
        })
    }
}

fn config_of(kind: ProjectorKind, student: &[usize], teacher: &[usize]) -> ProjectorConfig {
    ProjectorConfig {
        kind,
        student_channels: student.to_vec(),
        teacher_channels: teacher.to_vec(),
    }
}

/// The projector of one map.
// There are six of them: a box would save little.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
enum Projector<B: Backend> {
    Linear(Conv2d<B>),
    Mlp(Mlp<B>),
}

impl<B: Backend> Projector<B> {
    fn kind(&self) -> ProjectorKind {
        match self {
            Self::Linear(_) => ProjectorKind::Linear,
            Self::Mlp(_) => ProjectorKind::Mlp,
        }
    }

    /// Channels [in, out].
    fn channels(&self) -> [usize; 2] {
        let (Self::Linear(first) | Self::Mlp(Mlp { hidden: first, .. })) = self;
        let [c_out, c_in, _, _] = first.weight.dims();
        [c_in, c_out]
    }
}

impl<B: VisionBackend> Projector<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Linear(point) => point.forward(x, Activation::Identity),
            Self::Mlp(mlp) => {
                let hidden = mlp.hidden.forward(x, Activation::Relu);
                mlp.output.forward(hidden, Activation::Identity)
            }
        }
    }
}

/// Two 1×1 convolutions with ReLU between them.
#[derive(Module, Debug)]
struct Mlp<B: Backend> {
    hidden: Conv2d<B>,
    output: Conv2d<B>,
}
