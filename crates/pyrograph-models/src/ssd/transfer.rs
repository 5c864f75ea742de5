//! A detector that starts from the weights of another model.

use burn::tensor::backend::Backend;
use pyrograph_backend::vision::VisionBackend;
use serde::{Deserialize, Serialize};

use super::{Ssd, SsdBackbone, SsdConfig, plain_mobilenet, plain_vgg};
use crate::{
    ModelError,
    error::KeyReport,
    weights::{
        NamedModel, StateDict, WeightsSource, check_values, load_weights, only_part, state_dict_of,
    },
};

/// The tensors that are taken from a file of weights; all others are initialised at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// All tensors; the number of classes must be equal.
    All,
    /// All tensors except the classification heads: for classes other than the file's.
    ReplaceHeads,
    /// The backbone: of a detector, a plain VGG16 (torchvision's `vgg16`, or only its `features`,
    /// in which case fc6 and fc7 are initialised at random; ssd.pytorch's `vgg16_reducedfc.pth`),
    /// or a MobileNetV2 by the layout of qfgaohao/pytorch-ssd.
    Backbone,
}

/// A detector, and a count of the tensors that were taken from a file.
#[derive(Debug)]
pub struct Start<B: Backend> {
    /// The detector.
    pub model: Ssd<B>,
    /// Tensors that come from the file.
    pub taken: usize,
    /// Tensors that are initialised at random.
    pub fresh: usize,
    /// The part of the file that was taken, and the parts that were left.
    pub source: WeightsSource,
}

impl SsdConfig {
    /// A detector of this configuration that starts with tensors of `dict`, or of its part named
    /// `part`. [`init`](Self::init) draws all other tensors from `seed`.
    ///
    /// # Errors
    /// When a field is not allowed; when the file has no such part; when a tensor to be taken is
    /// missing, has another shape, or is not finite.
    pub fn init_from<B: VisionBackend>(
        &self,
        dict: &StateDict,
        part: Option<&str>,
        transfer: Transfer,
        device: &B::Device,
        seed: u64,
    ) -> Result<Start<B>, ModelError> {
        let of_part = part
            .map(|part| only_part::<B, Ssd<B>>(dict, part))
            .transpose()?;
        let dict = of_part.as_ref().unwrap_or(dict);
        let model = self.init::<B>(device, seed)?;
        let mut weights = state_dict_of(&model)?;
        let mut wanted: Vec<String> = weights
            .keys()
            .filter(|key| is_taken(self.backbone, transfer, key))
            .map(str::to_owned)
            .collect();
        let of_detector = <Ssd<B> as NamedModel<B>>::translate(dict);
        let of_backbone = match (&of_detector, self.backbone) {
            (Some(_), _) => None,
            (None, SsdBackbone::Vgg16) => plain_vgg::translate(dict, &weights),
            (None, SsdBackbone::MobilenetV2) => plain_mobilenet::translate(dict),
        };
        if let (Some(plain), Transfer::Backbone) = (&of_backbone, transfer) {
            let fits = |key: &String| {
                let pair = (plain.get(key), weights.get(key));
                matches!(pair, (Some(theirs), Some(ours)) if theirs.shape() == ours.shape())
                    && check_values_of(plain, key).is_ok()
            };
            let unfit: Vec<String> = wanted
                .iter()
                .filter(|key| plain_vgg::is_of_fc(key) && !fits(key))
                .map(|key| layer_of(key).to_owned())
                .collect();
            wanted.retain(|key| !unfit.iter().any(|layer| layer_of(key) == layer));
        }
        let translated = of_detector.or(of_backbone);
        let dict = translated.as_ref().unwrap_or(dict);
        let source = WeightsSource::find(dict, wanted.iter().map(String::as_str));
        let mut report = KeyReport::default();
        for key in &wanted {
            let full_key = format!("{}{key}", source.taken());
            match (dict.get(&full_key), weights.get(key)) {
                (Some(theirs), Some(ours)) if theirs.shape() == ours.shape() => {
                    check_values(dict, &full_key, theirs)?;
                    weights.insert(key.clone(), theirs.clone());
                }
                (Some(theirs), Some(ours)) => {
                    report
                        .shapes
                        .push((full_key, theirs.shape().to_vec(), ours.shape().to_vec()));
                }
                _ => report.missing.push(full_key),
            }
        }
        if !report.is_empty() {
            return Err(ModelError::Architecture {
                path: dict.path().into(),
                model: <Ssd<B> as NamedModel<B>>::NAME,
                report,
            });
        }
        Ok(Start {
            taken: wanted.len(),
            fresh: weights.keys().count() - wanted.len(),
            model: load_weights(model, &weights)?,
            source,
        })
    }
}

/// Whether a tensor that is there holds what a weight may hold.
fn check_values_of(dict: &StateDict, key: &str) -> Result<(), ModelError> {
    dict.get(key)
        .map_or(Ok(()), |tensor| check_values(dict, key, tensor))
}

/// The layer of a published key: `vgg.31` of `vgg.31.bias`.
fn layer_of(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(layer, _)| layer)
}

/// Whether the tensor of this published key is taken from the file.
fn is_taken(backbone: SsdBackbone, transfer: Transfer, key: &str) -> bool {
    match (backbone, transfer) {
        (_, Transfer::All) => true,
        (SsdBackbone::Vgg16, Transfer::Backbone) => key.starts_with("vgg."),
        (SsdBackbone::MobilenetV2, Transfer::Backbone) => key.starts_with("base_net."),
        (SsdBackbone::Vgg16, Transfer::ReplaceHeads) => !key.starts_with("conf."),
        // The layers before the last of a head know nothing of classes, but belong to them.
        (SsdBackbone::MobilenetV2, Transfer::ReplaceHeads) => {
            !key.starts_with("classification_headers.")
        }
    }
}
