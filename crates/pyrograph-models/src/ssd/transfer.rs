//! A detector that begins from the weights of another model.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::{Ssd, SsdBackbone, SsdConfig, plain_vgg};
use crate::{
    ModelError,
    error::KeyReport,
    weights::{HostTensor, NamedModel, StateDict, WeightsSource, load_weights, state_dict_of},
};

/// What is taken from a file of weights; the rest begins afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// Everything: the classes have to be as many.
    All,
    /// Everything but the heads that tell classes: for other classes than the file's.
    ReplaceHeads,
    /// The backbone: of a detector, a plain VGG16 (torchvision's `vgg16`, ssd.pytorch's `vgg16_reducedfc.pth`), or a
    /// MobileNetV2 by qfgaohao/pytorch-ssd.
    Backbone,
}

/// A detector, and what of it was taken from a file.
#[derive(Debug)]
pub struct Start<B: Backend> {
    /// The detector.
    pub model: Ssd<B>,
    /// Tensors that come from the file.
    pub taken: usize,
    /// Tensors that begin afresh.
    pub fresh: usize,
}

impl SsdConfig {
    /// A detector of these numbers that begins with tensors of `dict`; the others as [`init`](Self::init) draws them by `seed`.
    ///
    /// # Errors
    /// When a number is not allowed; when the file lacks a tensor that is to be taken, has one of another shape, or one that is
    /// not finite.
    pub fn init_from<B: Backend>(
        &self,
        dict: &StateDict,
        transfer: Transfer,
        device: &B::Device,
        seed: u64,
    ) -> Result<Start<B>, ModelError> {
        let model = self.init::<B>(device, seed)?;
        let mut weights = state_dict_of(&model)?;
        let wanted: Vec<String> = weights
            .keys()
            .filter(|key| is_taken(self.backbone, transfer, key))
            .map(str::to_owned)
            .collect();
        let translated = <Ssd<B> as NamedModel<B>>::translate(dict)
            .or_else(|| plain_vgg::translate(dict, &weights));
        let dict = translated.as_ref().unwrap_or(dict);
        let source = WeightsSource::find(dict, wanted.iter().map(String::as_str));
        let mut report = KeyReport::default();
        for key in &wanted {
            let full_key = format!("{}{key}", source.taken());
            match (dict.get(&full_key), weights.get(key)) {
                (Some(theirs), Some(ours)) if theirs.shape == ours.shape => {
                    let theirs: HostTensor = theirs.clone();
                    theirs.check_finite(dict.path(), &full_key)?;
                    weights.insert(key.clone(), theirs);
                }
                (Some(theirs), Some(ours)) => {
                    report
                        .shapes
                        .push((full_key, theirs.shape.clone(), ours.shape.clone()));
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
        })
    }
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
