//! Finding a model in a file that holds other networks or data too.

use std::collections::BTreeSet;

use burn::tensor::backend::Backend;

use super::{
    NamedModel, StateDict, WeightsSource,
    entry::is_float,
    matched::{Matched, Prepared, places, score},
    open::shard_described,
    source::{Preference, prefixes, rank},
};
use crate::{ModelError, blocks::ParamInit, error::first};

/// Parts of a file that may hold the model; more are not tried.
const MAX_CANDIDATES: usize = 64;

/// The weights of one model in a file, and the model's configuration.
#[derive(Clone, Debug)]
pub struct FoundModel<C> {
    /// The configuration.
    pub config: C,
    /// The tensors that are taken, under the model's published keys.
    pub weights: StateDict,
    /// The part of the file that was taken, and the parts that were left.
    pub source: WeightsSource,
    /// Remarks for the user.
    pub remarks: Vec<String>,
}

/// Finds the model `M` in a file: in the part named `part`, or in the part that fits best (see
/// [`WeightsSource`]).
///
/// `config_of` returns the configuration; its argument is the configuration that the shapes of the
/// weights determine, if they determine one. Weights that are stored in parts (by spectral norm,
/// weight norm or a pruning mask) are composed. No parameter is allocated.
///
/// # Errors
/// Those of `config_of`; when a field of the config is not allowed; when the file has no such part;
/// when keys are missing or unused, or when shapes differ.
pub fn find_model<B: Backend, M: NamedModel<B>, E: From<ModelError>>(
    dict: &StateDict,
    part: Option<&str>,
    device: &B::Device,
    config_of: impl Fn(Option<M::Config>) -> Result<M::Config, E>,
) -> Result<FoundModel<M::Config>, E> {
    let prepared = Prepared::new::<B, M>(dict);
    let dict = &*prepared.dict;
    let lazy = |config: &M::Config| M::from_config(config, &mut ParamInit::lazy(device));
    let preference = Preference {
        part,
        roles: M::ROLES,
    };
    let has_part = |key: &str| prefixes(key).any(|prefix| preference.allows(prefix));
    if let Some(part) = part
        && !dict.keys().any(has_part)
    {
        return Err(no_part::<B, M>(dict, part).into());
    }
    let mut tried = Vec::new();
    for prefix in candidates::<B, M>(dict, &preference) {
        // Parts without numbers, or with numbers that are not allowed, are of other networks, unless no part has better ones.
        let Ok(config) = config_of(M::infer(&dict.part(prefix))) else {
            continue;
        };
        if let Ok(model) = lazy(&config) {
            let score = score(&places::<B, M>(&model), dict, prefix);
            tried.push((rank(prefix, score, &preference), config));
        }
    }
    tried.sort_by(|(one, _), (other, _)| one.cmp(other));
    let config = match (tried.into_iter().next(), part) {
        (Some((_, config)), _) => config,
        (None, Some(part)) if !M::TELLING_KEYS.is_empty() => {
            return Err(no_part::<B, M>(dict, part).into());
        }
        (None, _) => {
            let inferred = infer_any::<B, M>(dict, &preference);
            if let Some(error) = inferred.as_ref().and_then(|config| lazy(config).err()) {
                return Err(no_network::<B, M>(dict, &error.to_string()).into());
            }
            let is_told = M::TELLING_KEYS.is_empty() || inferred.is_some();
            match config_of(inferred) {
                Err(_) if !is_told => {
                    return Err(no_network::<B, M>(dict, &held_instead::<B, M>(dict)).into());
                }
                config => config?,
            }
        }
    };
    let matched = Matched::new(&lazy(&config)?, dict, part);
    if let (Some(part), true) = (part, matched.source == WeightsSource::default()) {
        return Err(no_part::<B, M>(dict, part).into());
    }
    if !matched.report.missing.is_empty()
        && let Some(reason) = shard_described(dict.path())
    {
        return Err(no_network::<B, M>(dict, &reason).into());
    }
    if !matched.report.is_empty() {
        return Err(ModelError::Architecture {
            path: dict.path().into(),
            model: M::NAME,
            report: matched.report,
        }
        .into());
    }
    let weights = matched.taken(dict);
    let remarks = [prepared.remark.clone(), whole_numbers(&weights)];
    Ok(FoundModel {
        config,
        weights,
        source: matched.source,
        remarks: remarks.into_iter().flatten().collect(),
    })
}

/// A remark on weights that are not floating-point numbers.
fn whole_numbers(weights: &StateDict) -> Option<String> {
    let tensors = weights
        .keys()
        .filter_map(|key| Some((key, weights.get(key)?)));
    let whole: Vec<String> = tensors
        .filter(|(_, tensor)| !is_float(tensor.dtype()) && !tensor.is_quantised())
        .map(|(key, tensor)| format!("{} ({})", weights.origin(key), tensor.type_name()))
        .collect();
    (!whole.is_empty()).then(|| {
        format!(
            "weights of whole numbers are taken as they are, without a scale as quantised weights have one: {}",
            first(&whole)
        )
    })
}

fn no_network<B: Backend, M: NamedModel<B>>(dict: &StateDict, reason: &str) -> ModelError {
    let shard = shard_described(dict.path());
    ModelError::NoNetwork {
        path: dict.path().into(),
        model: M::NAME,
        reason: shard.unwrap_or_else(|| reason.to_owned()),
    }
}

/// A description of the contents of a file without the model.
fn held_instead<B: Backend, M: NamedModel<B>>(dict: &StateDict) -> String {
    let is_telling = |key: &&str| M::TELLING_KEYS.iter().any(|end| key.ends_with(end));
    let mut unread = dict.unread_keys().filter(is_telling);
    if let Some((key, reason)) = unread.find_map(|key| Some((key, dict.unread(key)?))) {
        return format!("`{}`: {reason}", dict.origin(key));
    }
    let mut others = dict.keys().filter(is_telling);
    if let Some((key, tensor)) = others.find_map(|key| Some((key, dict.get(key)?))) {
        let (key, shape) = (dict.origin(key), tensor.shape());
        return format!("`{key}` is {shape:?}, which does not go with the layers after it");
    }
    let keys: Vec<String> = dict.keys().map(|key| dict.origin(key).to_owned()).collect();
    format!(
        "no key ends in `{}`; its keys are {}",
        M::TELLING_KEYS.join("` or `"),
        first(&keys)
    )
}

/// The prefixes under which the key stands that tells the model.
fn candidates<'a, B: Backend, M: NamedModel<B>>(
    dict: &'a StateDict,
    preference: &Preference<'_>,
) -> Vec<&'a str> {
    let prefixes_of = |key: &'a str| {
        let telling = M::TELLING_KEYS.iter();
        telling.filter_map(move |end| key.strip_suffix(end))
    };
    let found: BTreeSet<&str> = dict
        .keys()
        .flat_map(prefixes_of)
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .filter(|prefix| preference.allows(prefix))
        .collect();
    found.into_iter().take(MAX_CANDIDATES).collect()
}

/// An inferred configuration that may be invalid, so that the error can name its fields.
fn infer_any<B: Backend, M: NamedModel<B>>(
    dict: &StateDict,
    preference: &Preference<'_>,
) -> Option<M::Config> {
    candidates::<B, M>(dict, preference)
        .into_iter()
        .find_map(|prefix| M::infer(&dict.part(prefix)))
}

/// The tensors of the part of a file that the user names.
///
/// # Errors
/// When the file has no such part; names those that it has.
pub(crate) fn only_part<B: Backend, M: NamedModel<B>>(
    dict: &StateDict,
    part: &str,
) -> Result<StateDict, ModelError> {
    let kept = under_part(dict, part);
    if kept.keys().next().is_none() {
        return Err(no_part::<B, M>(dict, part));
    }
    Ok(kept)
}

/// The tensors of a file whose keys have the part of this name.
pub(crate) fn under_part(dict: &StateDict, part: &str) -> StateDict {
    let preference = Preference {
        part: Some(part),
        roles: &[],
    };
    let mut kept = dict.clone();
    for key in dict.keys() {
        if !prefixes(key).any(|prefix| preference.allows(prefix)) {
            kept.remove(key);
        }
    }
    kept
}

/// The error that no part of this name holds the model, with the parts that do.
fn no_part<B: Backend, M: NamedModel<B>>(dict: &StateDict, part: &str) -> ModelError {
    let quoted = |prefix: &str| format!("`{}`", prefix.trim_end_matches('.'));
    let fitting: Vec<String> = candidates::<B, M>(dict, &Preference::default())
        .into_iter()
        .filter(|prefix| !prefix.is_empty() && M::infer(&dict.part(prefix)).is_some())
        .map(quoted)
        .collect();
    // The first name of a key; a key without a dot is no part.
    let held: BTreeSet<String> = dict
        .keys()
        .filter_map(|key| prefixes(key).nth(1))
        .map(quoted)
        .collect();
    ModelError::NoPart {
        path: dict.path().into(),
        model: M::NAME,
        part: part.to_owned(),
        allowed: match fitting.is_empty() {
            false => format!("allowed: {}", first(&fitting)),
            true => format!(
                "its first names are {}",
                first(&held.into_iter().collect::<Vec<_>>())
            ),
        },
    }
}
