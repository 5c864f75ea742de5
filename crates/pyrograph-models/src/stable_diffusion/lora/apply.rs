//! Adding LoRA files to weights.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{
    Lora,
    keys::{Network, Target},
    layer::Product,
    refused,
};
use crate::{
    ModelError,
    error::first,
    weights::{StateDict, TensorEntry},
};

/// What text encoders' keys begin with; some files leave it out.
const TEXT_PREFIX: &str = "text_model.";
/// Names that diffusers once gave the text encoder's projections, and their own.
const TEXT_PROJECTIONS: [(&str, &str); 4] = [
    (".to_q", ".q_proj"),
    (".to_k", ".k_proj"),
    (".to_v", ".v_proj"),
    (".to_out.0", ".out_proj"),
];

/// The layers of a network that have a weight, by path and by path without dots.
struct Layers {
    paths: HashMap<String, String>,
    flat: HashMap<String, String>,
}

impl Layers {
    fn new(dict: &StateDict) -> Self {
        let weights = dict
            .keys()
            .filter_map(|key| Some((key.strip_suffix(".weight")?, key)));
        let weights =
            weights.filter(|(_, key)| dict.get(key).is_some_and(|tensor| tensor.shape().len() > 1));
        let (mut paths, mut flat) = (HashMap::new(), HashMap::new());
        for (path, key) in weights {
            paths.insert(path.to_owned(), key.to_owned());
            flat.insert(path.replace('.', "_"), key.to_owned());
        }
        Self { paths, flat }
    }

    /// The key of the weight of a layer.
    fn find(&self, target: &Target, network: Network) -> Option<&String> {
        let layers = if target.is_flat {
            &self.flat
        } else {
            &self.paths
        };
        let flattened = |text: &str| match target.is_flat {
            true => text.replace('.', "_"),
            false => text.to_owned(),
        };
        let find = |module: &str| layers.get(module);
        if let Some(key) = find(&target.module) {
            return Some(key);
        }
        if network != Network::TextEncoder {
            return None;
        }
        let prefix = flattened(TEXT_PREFIX);
        let mut names = vec![target.module.clone()];
        for (theirs, ours) in TEXT_PROJECTIONS {
            names.extend(
                target
                    .module
                    .strip_suffix(theirs)
                    .map(|layer| format!("{layer}{ours}")),
            );
        }
        names.iter().find_map(|name| {
            find(name)
                .or_else(|| find(&format!("{prefix}{name}")))
                .or_else(|| find(name.strip_prefix(&prefix)?))
        })
    }
}

/// The changes of each weight, by network and key.
type Changes = BTreeMap<(Network, String), Vec<Product>>;

/// Adds LoRA files, each times its scale, to the weights of a checkpoint. Sums are in f32; a weight keeps its type.
///
/// # Errors
/// When layers of a file exist in no network (a LoRA of another architecture), or have other
/// shapes. The weights are then unchanged.
pub fn apply_loras(
    loras: &[(Lora, f64)],
    unet: &mut StateDict,
    text_encoder: &mut StateDict,
) -> Result<(), ModelError> {
    let changes = changes(loras, unet, text_encoder)?;
    for ((network, key), products) in changes {
        let dict = match network {
            Network::Unet => &mut *unet,
            Network::TextEncoder => &mut *text_encoder,
        };
        if let Some(weight) = dict.get(&key) {
            let changed = changed(weight, &products);
            dict.insert(key, changed);
        }
    }
    Ok(())
}

fn changes(
    loras: &[(Lora, f64)],
    unet: &StateDict,
    text_encoder: &StateDict,
) -> Result<Changes, ModelError> {
    let networks = [
        (Network::Unet, unet, Layers::new(unet)),
        (
            Network::TextEncoder,
            text_encoder,
            Layers::new(text_encoder),
        ),
    ];
    let mut changes = Changes::new();
    for (lora, scale) in loras {
        if !(*scale as f32).is_finite() {
            return Err(refused(
                &lora.path,
                format!("its scale is {scale}, but must be a finite number"),
            ));
        }
        let (mut strangers, mut misfits) = (Vec::new(), Vec::new());
        for (target, layer) in &lora.layers {
            let place =
                networks
                    .iter()
                    .zip(&lora.configs)
                    .find_map(|((network, dict, layers), config)| {
                        let fits = target.network.is_none_or(|wanted| wanted == *network);
                        let key = fits.then(|| layers.find(target, *network))??;
                        Some((*network, key, dict.get(key)?, config))
                    });
            let Some((network, key, weight, config)) = place else {
                strangers.push(target.module.clone());
                continue;
            };
            let path = key.trim_end_matches(".weight");
            let scale = scale * config.scale(path, layer.alpha, layer.rank());
            match layer.product(weight.shape(), scale) {
                Ok(product) => changes
                    .entry((network, key.clone()))
                    .or_default()
                    .push(product),
                Err(reason) => misfits.push(format!("`{path}` {reason}")),
            }
        }
        if !strangers.is_empty() {
            let reason = format!(
                "{} of its {} layers are not in this checkpoint, so that it is of another architecture: {}",
                strangers.len(),
                lora.len(),
                first(&strangers)
            );
            return Err(refused(&lora.path, reason));
        }
        if !misfits.is_empty() {
            let reason = format!(
                "{} layers are of another shape: {}",
                misfits.len(),
                first(&misfits)
            );
            return Err(refused(&lora.path, reason));
        }
    }
    Ok(changes)
}

/// The weight plus its changes.
fn changed(weight: &TensorEntry, products: &[Product]) -> TensorEntry {
    let columns: usize = weight.shape().iter().skip(1).product();
    let mut values = weight.to_f32();
    values
        .par_chunks_mut(columns.max(1))
        .enumerate()
        .for_each(|(row, values)| {
            let mut sum = vec![0.0; values.len()];
            products
                .iter()
                .for_each(|product| product.add_row(row, &mut sum));
            values
                .iter_mut()
                .zip(sum)
                .for_each(|(value, change)| *value += change);
        });
    TensorEntry::from_f32(weight.shape().to_vec(), values).in_form_of(weight)
}
