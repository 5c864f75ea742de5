//! Where in a checkpoint a model's weights stand.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::StateDict;

/// What training scripts put around a state dict, in any combination: keys of a bigger checkpoint, the prefixes of
/// `DataParallel` and `torch.compile`, and fields of the modules that hold the network.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "_orig_mod",
    "net",
    "network",
    "unet",
    "nn_model",
    "online_model",
    "generator",
    "discriminator",
    "encoder",
    "netG",
    "netD",
];
/// The same for a moving average of the weights.
const AVERAGES: &[&str] = &[
    "ema",
    "ema_model",
    "ema_state_dict",
    "ema_model_state_dict",
    "model_ema",
    "averaged_model",
];
/// More wrappers than any script puts around a model.
const MAX_CHAIN: usize = 8;

/// Under which prefix a file holds a model's weights.
///
/// The prefix with most of the model's keys is taken. Where several hold as many, as in `{"model": …, "ema": …}`, the
/// trained weights come before their moving average, and then the shorter prefix. [`StateDict::part`] takes another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightsSource {
    taken: String,
    left: Vec<String>,
}

impl WeightsSource {
    /// Looks for a model with these published keys.
    pub fn find<'a>(dict: &StateDict, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let wanted: BTreeSet<_> = keys.into_iter().collect();
        let mut found = BTreeMap::<&str, usize>::new();
        for key in dict.keys() {
            for prefix in prefixes(key) {
                if wanted.contains(&key[prefix.len()..]) {
                    *found.entry(prefix).or_default() += 1;
                }
            }
        }
        let best = found
            .iter()
            .map(|(prefix, count)| {
                (
                    Reverse(*count),
                    is_average(prefix),
                    prefix.matches('.').count(),
                    *prefix,
                )
            })
            .min();
        let Some((Reverse(most), .., taken)) = best else {
            return Self::default();
        };
        let left = found
            .iter()
            .filter(|(prefix, count)| **count == most && **prefix != taken)
            .map(|(prefix, _)| (*prefix).to_owned())
            .collect();
        Self {
            taken: taken.to_owned(),
            left,
        }
    }

    /// The prefix of the keys that are taken; empty where they stand by themselves.
    pub fn taken(&self) -> &str {
        &self.taken
    }

    /// Prefixes under which the file holds as many of the model's keys, and which are left.
    pub fn left(&self) -> &[String] {
        &self.left
    }
}

impl fmt::Display for WeightsSource {
    /// As in ``the weights under `model.`; those under `ema.` are left``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |prefix: &str| match prefix {
            "" => "no prefix".to_owned(),
            prefix => format!("`{prefix}`"),
        };
        write!(f, "the weights under {}", quoted(&self.taken))?;
        if !self.left.is_empty() {
            let left: Vec<_> = self.left.iter().map(|prefix| quoted(prefix)).collect();
            write!(f, "; those under {} are left", left.join(", "))?;
        }
        Ok(())
    }
}

/// The chains of wrappers that a key begins with, each with its last dot; the first is empty.
fn prefixes(key: &str) -> impl Iterator<Item = &str> {
    let ends = key
        .match_indices('.')
        .scan(0, move |from, (dot, _)| {
            let name = &key[*from..dot];
            *from = dot + 1;
            (WRAPPERS.contains(&name) || AVERAGES.contains(&name)).then_some(dot + 1)
        })
        .take(MAX_CHAIN);
    std::iter::once(0).chain(ends).map(|end| &key[..end])
}

fn is_average(prefix: &str) -> bool {
    prefix.split('.').any(|name| AVERAGES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorEntry;

    const KEYS: [&str; 2] = ["conv.weight", "model.conv.bias"];

    fn find(prefixes: &[&str]) -> WeightsSource {
        let mut dict = StateDict::new();
        for prefix in prefixes {
            for key in KEYS {
                let tensor = TensorEntry::from_f32(Vec::new(), vec![0.0]);
                dict.insert(format!("{prefix}{key}"), tensor);
            }
        }
        WeightsSource::find(&dict, KEYS)
    }

    #[test]
    fn any_chain_of_known_wrappers_is_found() {
        for prefix in [
            "",
            "state_dict.module.",
            "model_state_dict.module.",
            "_orig_mod.",
            "module._orig_mod.",
            "model.",
            "unet.",
            "ema_model.",
            "state_dict.model.unet.module.",
        ] {
            let source = find(&[prefix]);
            assert_eq!((source.taken(), source.left()), (prefix, &[][..]));
        }
        assert_eq!(find(&["somebody."]).taken(), "");
    }

    #[test]
    fn the_model_is_taken_before_its_average_and_the_message_names_both() {
        for (prefixes, taken, left) in [
            (["model.", "ema."], "model.", "ema."),
            (["ema.", "model.module."], "model.module.", "ema."),
            (
                ["ema_model.", "online_model."],
                "online_model.",
                "ema_model.",
            ),
            (
                ["state_dict.module.", "state_dict.model_ema."],
                "state_dict.module.",
                "state_dict.model_ema.",
            ),
        ] {
            let source = find(&prefixes);
            assert_eq!(
                (source.taken(), source.left()),
                (taken, &[left.to_owned()][..])
            );
            assert_eq!(
                source.to_string(),
                format!("the weights under `{taken}`; those under `{left}` are left")
            );
        }
    }
}
