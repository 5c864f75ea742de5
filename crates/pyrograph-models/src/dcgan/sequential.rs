//! Files whose networks are one `nn.Sequential` of convolutions, norms and activations, as in PyTorch's DCGAN example.

use std::collections::BTreeMap;

use crate::weights::StateDict;

/// Lists of layers that have our names already.
const PUBLISHED: [&str; 2] = ["generator_network.", "feature_network."];
/// A layer's numbers in its Sequential, and in that of its block where it has one.
type Place = Vec<usize>;

/// The tensors of every network in the layout of one Sequential (`main.0.weight`, `net.0.1.bias`) under our keys: `name`
/// gives the prefix of convolution `conv` of `convs`, and of the norm after it, which is part 0 and 1. None where there is no
/// such network.
pub(super) fn translate(
    dict: &StateDict,
    name: impl Fn(usize, usize, usize) -> String,
) -> Option<StateDict> {
    let is_conv = |key: &&str| {
        let tensor = dict.get(key);
        tensor.is_some_and(|tensor| tensor.shape().len() == 4)
    };
    // Blocks hold one convolution each; a list within a list that holds more is a network of several.
    let mut lists = BTreeMap::<&str, usize>::new();
    for key in dict.keys().filter(is_conv) {
        if let Some((list, ..)) = split(key, 1) {
            *lists.entry(list).or_default() += 1;
        }
    }
    let mut networks = BTreeMap::<&str, Vec<Place>>::new();
    for key in dict.keys().filter(is_conv) {
        if let Some((list, place, _)) = split_within(&lists, key) {
            networks.entry(list).or_default().push(place);
        }
    }
    networks.retain(|list, convs| {
        convs.sort_unstable();
        convs.dedup();
        convs.len() > 1 && !PUBLISHED.iter().any(|published| list.ends_with(published))
    });
    if networks.is_empty() {
        return None;
    }
    let translated = |key: &str| {
        let (list, place, field) = split_within(&lists, key)?;
        let convs = networks.get(list)?;
        // The convolution of this layer, or the one before this norm. The first layer is one.
        let conv = convs
            .partition_point(|conv| *conv <= place)
            .saturating_sub(1);
        let part = usize::from(!convs.contains(&place));
        Some(format!("{list}{}{field}", name(conv, convs.len(), part)))
    };
    Some(dict.renamed(|key| translated(key).unwrap_or_else(|| key.to_owned())))
}

/// A key's list, place and field: one number where the list holds several convolutions, and two elsewhere.
fn split_within<'a>(
    lists: &BTreeMap<&str, usize>,
    key: &'a str,
) -> Option<(&'a str, Place, &'a str)> {
    let flat = split(key, 1)?;
    match lists.get(flat.0) {
        Some(convs) if *convs > 1 => Some(flat),
        _ => split(key, 2),
    }
}

/// `netG.main.3.weight` as `netG.main.`, 3 and `weight`, with as many as `levels` numbers.
fn split(key: &str, levels: usize) -> Option<(&str, Place, &str)> {
    let (layer, field) = key.rsplit_once('.')?;
    let (mut list, mut place) = (layer, Vec::new());
    while place.len() < levels && !list.is_empty() {
        let (before, last) = list.rsplit_once('.').unwrap_or(("", list));
        let Ok(number) = last.parse() else {
            break;
        };
        place.insert(0, number);
        list = before;
    }
    let end = if list.is_empty() { 0 } else { list.len() + 1 };
    (!place.is_empty()).then(|| (&key[..end], place, field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::TensorEntry;

    fn translated(keys: &[(&str, usize)]) -> Option<Vec<String>> {
        let mut dict = StateDict::new();
        for (key, rank) in keys {
            dict.insert(*key, TensorEntry::from_f32(vec![1; *rank], vec![0.0]));
        }
        let dict = translate(&dict, |conv, convs, part| {
            format!("layer{conv}of{convs}.{part}.")
        })?;
        Some(dict.keys().map(str::to_owned).collect())
    }

    #[test]
    fn each_sequential_of_a_file_is_counted_by_itself() {
        let found = translated(&[
            ("netG.main.0.weight", 4),
            ("netG.main.1.running_var", 1),
            ("netG.main.10.weight", 4),
            ("netG.main.3.weight", 4),
            ("netD.main.0.weight", 4),
            ("netD.main.2.weight", 4),
            ("epoch", 0),
        ]);
        assert_eq!(
            found.expect("two"),
            [
                "epoch",
                "netD.main.layer0of2.0.weight",
                "netD.main.layer1of2.0.weight",
                "netG.main.layer0of3.0.weight",
                "netG.main.layer0of3.1.running_var",
                "netG.main.layer1of3.0.weight",
                "netG.main.layer2of3.0.weight",
            ]
        );
    }

    #[test]
    fn blocks_may_be_sequences_and_the_list_may_have_no_name() {
        let found = translated(&[
            ("0.0.weight", 4),
            ("0.1.weight", 1),
            ("1.0.weight", 4),
            ("2.weight", 4),
        ]);
        assert_eq!(
            found.expect("one"),
            [
                "layer0of3.0.weight",
                "layer0of3.1.weight",
                "layer1of3.0.weight",
                "layer2of3.0.weight",
            ]
        );
    }

    #[test]
    fn a_list_of_sequences_is_several_networks() {
        let found = translated(&[
            ("nets.0.0.weight", 4),
            ("nets.0.1.weight", 1),
            ("nets.0.3.weight", 4),
            ("nets.1.0.weight", 4),
            ("nets.1.2.weight", 4),
        ]);
        assert_eq!(
            found.expect("two"),
            [
                "nets.0.layer0of2.0.weight",
                "nets.0.layer0of2.1.weight",
                "nets.0.layer1of2.0.weight",
                "nets.1.layer0of2.0.weight",
                "nets.1.layer1of2.0.weight",
            ]
        );
    }

    #[test]
    fn our_own_names_stay() {
        let keys = [
            "generator_network.0.0.weight",
            "generator_network.1.0.weight",
        ];
        assert_eq!(translated(&keys.map(|key| (key, 4))), None);
        assert_eq!(translated(&[("out.0.weight", 4)]), None);
    }
}
