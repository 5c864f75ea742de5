//! The position of a model's weights in a checkpoint.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use super::{StateDict, part_names::PartName};

/// The prefix under which a file holds a model's weights.
///
/// The prefix with the most keys and shapes of the model is taken, independent of its name. If
/// several prefixes have equally many, as in `{"model": …, "ema": …}`, trained weights are
/// preferred to their moving average, then names of this network (`netG` for a generator), then the
/// usual names, then the shorter prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightsSource {
    taken: String,
    left: Vec<String>,
    beside: Vec<String>,
}

/// A tensor that a model wants.
pub(super) struct Wanted<'a> {
    pub(super) key: &'a str,
    /// None where the shape is not known.
    pub(super) shape: Option<&'a [usize]>,
}

/// Which of a file's parts may be taken, and which comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Preference<'a> {
    /// The part that the user names.
    pub(super) part: Option<&'a str>,
    /// Words that name the network.
    pub(super) roles: &'a [&'a str],
}

impl Preference<'_> {
    /// Whether the weights under `prefix` may be taken.
    pub(super) fn allows(&self, prefix: &str) -> bool {
        self.part.is_none_or(|part| {
            format!(".{prefix}").contains(&format!(".{}.", part.trim_matches('.')))
        })
    }
}

/// Wanted tensors that are found under a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    /// With the wanted shape.
    pub(super) fitting: usize,
    /// With the wanted key.
    pub(super) keys: usize,
}

/// What decides between prefixes; the least comes first.
pub(super) type Rank = (bool, Reverse<usize>, Reverse<usize>, PartName, String);

pub(super) fn rank(prefix: &str, score: Score, preference: &Preference<'_>) -> Rank {
    let begins = |part: &str| prefix.starts_with(&format!("{}.", part.trim_matches('.')));
    (
        !preference.part.is_none_or(begins),
        Reverse(score.fitting),
        Reverse(score.keys),
        PartName::of(prefix, preference.roles),
        prefix.to_owned(),
    )
}

impl WeightsSource {
    /// Looks for a model with these published keys.
    pub fn find<'a>(dict: &StateDict, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let wanted = keys.into_iter().map(|key| Wanted { key, shape: None });
        Self::find_by(dict, wanted, &Preference::default())
    }

    /// Looks for these tensors.
    pub(super) fn find_by<'a>(
        dict: &StateDict,
        wanted: impl IntoIterator<Item = Wanted<'a>>,
        preference: &Preference<'_>,
    ) -> Self {
        let wanted: HashMap<_, _> = wanted
            .into_iter()
            .map(|wanted| (wanted.key, wanted.shape))
            .collect();
        let mut found = BTreeMap::<&str, Score>::new();
        for key in dict.keys() {
            for prefix in prefixes(key) {
                let Some(shape) = wanted.get(&key[prefix.len()..]) else {
                    continue;
                };
                let fits = |shape: &[usize]| dict.get(key).is_some_and(|t| t.shape() == shape);
                let score = found.entry(prefix).or_default();
                score.keys += 1;
                score.fitting += usize::from(shape.is_none_or(fits));
            }
        }
        let best = found
            .iter()
            .filter(|(prefix, _)| preference.allows(prefix))
            .min_by_key(|(prefix, score)| rank(prefix, **score, preference));
        let Some((taken, most)) = best else {
            return Self::default();
        };
        let left = found
            .iter()
            .filter(|(prefix, score)| *score == most && *prefix != taken);
        Self {
            taken: (*taken).to_owned(),
            left: left.map(|(prefix, _)| (*prefix).to_owned()).collect(),
            beside: Vec::new(),
        }
        .with_beside(dict)
    }

    /// Adds the groups of keys that are neither taken nor offered.
    fn with_beside(mut self, dict: &StateDict) -> Self {
        let groups: BTreeSet<&str> = dict
            .keys()
            .filter(|key| !key.starts_with(&self.taken))
            .map(|key| group(key, &self.taken))
            .filter(|group| !self.left.iter().any(|left| left.starts_with(*group)))
            .collect();
        self.beside = groups.into_iter().map(str::to_owned).collect();
        self
    }

    /// The prefix that is taken; empty if the keys have no prefix.
    pub fn taken(&self) -> &str {
        &self.taken
    }

    /// Prefixes with equally many of the model's keys, which are not taken.
    pub fn left(&self) -> &[String] {
        &self.left
    }

    /// The other contents of the file: prefixes with their dot, and single keys.
    pub fn beside(&self) -> &[String] {
        &self.beside
    }

    /// Whether the file holds only this model, without a prefix.
    pub fn is_whole_file(&self) -> bool {
        self.taken.is_empty() && self.left.is_empty()
    }

    /// Whether a key under the taken prefix belongs to another part within it, such as an average
    /// that the network itself keeps.
    pub(super) fn is_of_another_part(&self, key: &str) -> bool {
        let within = self
            .left
            .iter()
            .filter(|left| left.starts_with(&self.taken));
        within
            .map(|left| group(left, &self.taken))
            .any(|group| key.starts_with(group))
    }
}

/// The names of a message.
const NAMED: usize = 8;

impl fmt::Display for WeightsSource {
    /// Example: ``the weights under `model.`; those under `ema.` (EMA) are left; not of this model:
    /// `netD.` ``. EMA marks averages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |prefix: &str| match prefix {
            "" => "no prefix".to_owned(),
            prefix if PartName::of(prefix, &[]).is_average() => format!("`{prefix}` (EMA)"),
            prefix => format!("`{prefix}`"),
        };
        let list = |names: &[String]| {
            let more = names.len().saturating_sub(NAMED);
            let mut names: Vec<_> = names.iter().take(NAMED).map(|name| quoted(name)).collect();
            if more > 0 {
                names.push(format!("{more} more"));
            }
            names.join(", ")
        };
        write!(f, "the weights under {}", quoted(&self.taken))?;
        if !self.left.is_empty() {
            write!(f, "; those under {} are left", list(&self.left))?;
        }
        if !self.beside.is_empty() {
            write!(f, "; not of this model: {}", list(&self.beside))?;
        }
        Ok(())
    }
}

/// The prefixes of a key, each with its last dot; the first is empty.
pub(super) fn prefixes(key: &str) -> impl Iterator<Item = &str> {
    let ends = key.match_indices('.').map(|(dot, _)| dot + 1);
    std::iter::once(0).chain(ends).map(|end| &key[..end])
}

/// The shortest prefix of `key`, or the key itself, that is not one of `taken`.
fn group<'a>(key: &'a str, taken: &str) -> &'a str {
    prefixes(key)
        .find(|prefix| !taken.starts_with(*prefix))
        .unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorEntry;

    const KEYS: [&str; 2] = ["conv.weight", "model.conv.bias"];

    fn dict(prefixes: &[&str]) -> StateDict {
        let mut dict = StateDict::new();
        for prefix in prefixes {
            for key in KEYS {
                let tensor = TensorEntry::from_f32(Vec::new(), vec![0.0]);
                dict.insert(format!("{prefix}{key}"), tensor);
            }
        }
        dict
    }

    fn find(prefixes: &[&str]) -> WeightsSource {
        WeightsSource::find(&dict(prefixes), KEYS)
    }

    #[test]
    fn a_prefix_of_any_name_is_found() {
        for prefix in [
            "",
            "state_dict.module.",
            "model_state_dict.module.",
            "module._orig_mod.",
            "model.",
            "ema_model.",
            "state_dict.model.unet.module.",
            "somebody.",
            "0.denoise_fn.",
        ] {
            let source = find(&[prefix]);
            assert_eq!((source.taken(), source.left()), (prefix, &[][..]));
        }
        assert_eq!(find(&[]).taken(), "");
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
            (["a_ema.", "zebra."], "zebra.", "a_ema."),
            (["best.", "model."], "model.", "best."),
            (["shadow.", "unet."], "unet.", "shadow."),
        ] {
            let source = find(&prefixes);
            assert_eq!(
                (source.taken(), source.left()),
                (taken, &[left.to_owned()][..])
            );
            let mark = if left == "best." { "" } else { " (EMA)" };
            assert_eq!(
                source.to_string(),
                format!("the weights under `{taken}`; those under `{left}`{mark} are left")
            );
        }
    }

    #[test]
    fn what_is_not_of_the_model_is_named() {
        let mut dict = dict(&["state_dict.netG."]);
        for key in ["state_dict.netD.a", "state_dict.netD.b.c", "betas"] {
            dict.insert(key, TensorEntry::from_f32(vec![1], vec![0.0]));
        }
        let source = WeightsSource::find(&dict, KEYS);
        assert_eq!(source.beside(), ["betas", "state_dict.netD."]);
        assert_eq!(
            source.to_string(),
            "the weights under `state_dict.netG.`; not of this model: `betas`, `state_dict.netD.`"
        );
    }

    #[test]
    fn shapes_and_the_named_part_decide_before_names() {
        let mut dict = dict(&["model.", "other.", "x.other."]);
        let wide = TensorEntry::from_f32(vec![2], vec![0.0; 2]);
        dict.insert("other.conv.weight", wide.clone());
        dict.insert("x.other.conv.weight", wide);
        let find = |part| {
            let wanted = KEYS.map(|key| Wanted {
                key,
                shape: Some(if key == "conv.weight" { &[2] } else { &[] }),
            });
            let preference = Preference { part, roles: &[] };
            WeightsSource::find_by(&dict, wanted, &preference)
        };
        assert_eq!(find(None).taken(), "other.");
        assert_eq!(find(Some("model")).taken(), "model.");
        assert_eq!(find(Some("x")).taken(), "x.other.");
        assert_eq!(find(Some("x.other.")).taken(), "x.other.");
        assert_eq!(find(Some("other")).taken(), "other.");
        assert_eq!(find(Some("oth")), WeightsSource::default());
    }

    #[test]
    fn a_part_within_the_taken_one_is_told_apart() {
        let source = find(&["", "ema.module."]);
        assert_eq!(
            (source.taken(), source.left()),
            ("", &["ema.module.".to_owned()][..])
        );
        assert!(source.is_of_another_part("ema.n_averaged"));
        assert!(!source.is_of_another_part("conv.weight"));
    }
}
