//! The meaning of the names of a checkpoint's parts.

/// What training scripts put around a state dict: keys of a bigger checkpoint, the prefixes of `DataParallel` and
/// `torch.compile`, and fields of the modules that hold the network.
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
    "student",
    "params",
    "weights",
    "main",
    "generator",
    "discriminator",
    "encoder",
    "netG",
    "netD",
    "netE",
];
/// Words of names under which a moving average of the weights stands.
const AVERAGES: &[&str] = &[
    "ema", "emas", "gema", "netema", "avg", "average", "averaged", "shadow", "swa", "polyak",
    "teacher", "target", "momentum",
];

/// The likelihood that the weights under a prefix are those that a user wants; the smallest value
/// is the most likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartName {
    /// Names of averages.
    averages: usize,
    /// Whether no name is one of the network's.
    is_of_another: bool,
    /// Names that are none of the usual ones.
    unusual: usize,
    depth: usize,
}

impl PartName {
    /// What the name of `prefix`, which ends with a dot, tells of a network that `roles` name.
    pub(super) fn of(prefix: &str, roles: &[&str]) -> Self {
        let names = || prefix.split('.').filter(|name| !name.is_empty());
        let has = |name: &str, of: &[&str]| words(name).any(|word| of.contains(&&*word));
        let is_average = |name: &&str| has(name, AVERAGES);
        Self {
            averages: names().filter(is_average).count(),
            is_of_another: !names().any(|name| has(name, roles)),
            unusual: names()
                .filter(|name| !WRAPPERS.contains(name) && !is_average(name))
                .count(),
            depth: names().count(),
        }
    }

    /// Whether a moving average of the weights stands there.
    pub(super) fn is_average(self) -> bool {
        self.averages > 0
    }
}

/// The words of `netG_ema` or `ema-model`, in small letters.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (before.is_lowercase() && c.is_uppercase());
        if begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        for (name, expected) in [
            ("netG_ema", &["net", "g", "ema"][..]),
            ("ema-model", &["ema", "model"]),
            ("modelEMA", &["model", "ema"]),
            ("params", &["params"]),
            ("_orig_mod", &["orig", "mod"]),
        ] {
            assert_eq!(words(name).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn trained_weights_and_the_networks_own_names_come_first() {
        let roles = ["g", "generator"];
        for (first, second) in [
            ("netG.", "netE."),
            ("generator.", "ema_generator."),
            ("netD.", "netG_ema."),
            ("state_dict.G.", "state_dict.D."),
            ("model.", "best_model."),
            ("ema.online_model.", "ema.ema_model."),
            ("model.", "model.module."),
            ("student.", "teacher."),
        ] {
            assert!(
                PartName::of(first, &roles) < PartName::of(second, &roles),
                "{first} {second}"
            );
        }
    }
}
