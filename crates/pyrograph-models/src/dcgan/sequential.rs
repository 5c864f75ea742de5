//! Files whose networks are one `nn.Sequential` of convolutions, norms and activations, as in PyTorch's DCGAN example.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::weights::{StateDict, TensorEntry};

/// Lists of layers that already have pyrograph's names.
const PUBLISHED: [&str; 2] = ["generator_network.", "feature_network."];
/// The indices of a layer: in its Sequential, and in the Sequential of its block if there is one.
type Place = Vec<usize>;
/// Fields of a convolution, and of the norm after it.
const FIELDS: [&[&str]; 2] = [
    &["weight", "bias"],
    &["weight", "bias", "running_mean", "running_var"],
];

/// The names of a network's layers, and the layout of its weights.
pub(super) struct Layout<F> {
    /// The prefix of convolution `conv` of `convs` (part 0), or of the norm after it (part 1);
    /// `None` if the network has no such layer.
    pub(super) name: F,
    /// The output axis of a weight.
    pub(super) outputs: usize,
}

/// The convolutions of a Sequential, and the norms that directly follow them.
#[derive(Default)]
struct Network {
    convs: Vec<Place>,
    norms: Vec<Option<Place>>,
}

/// The tensors of every network in the layout of one Sequential (`main.0.weight`, `net.0.1.bias`)
/// under our keys. A layer that is neither a convolution nor the norm after one keeps its name, so
/// that loading names it in an error. `None` if there is no such network.
pub(super) fn translate(
    dict: &StateDict,
    layout: &Layout<impl Fn(usize, usize, usize) -> Option<String>>,
) -> Option<StateDict> {
    let lists = lists(dict);
    let networks = networks(dict, &lists);
    if networks.is_empty() {
        return None;
    }
    let mut names = BTreeMap::new();
    for (list, network) in &networks {
        let count = network.convs.len();
        for (conv, (place, norm)) in network.convs.iter().zip(&network.norms).enumerate() {
            // A norm that is missing is named by the place after its convolution.
            let after = norm.clone().unwrap_or_else(|| next(place));
            for (part, place) in [place, &after].into_iter().enumerate() {
                let Some(name) = (layout.name)(conv, count, part) else {
                    continue;
                };
                for field in FIELDS[part] {
                    let ours = format!("{list}{name}{field}");
                    names.insert(ours, format!("{list}{}.{field}", joined(place)));
                }
            }
        }
    }
    let ours: BTreeMap<&str, &str> = names
        .iter()
        .map(|(ours, theirs)| (&**theirs, &**ours))
        .collect();
    let renamed = dict.renamed(|key| (*ours.get(key).unwrap_or(&key)).to_owned());
    let mut renamed = renamed.with_origins(names.clone());
    for (list, network) in &networks {
        add_biases(&mut renamed, list, network.convs.len(), layout);
    }
    Some(renamed)
}

/// Adds a bias of zeros to convolutions without a bias if other convolutions of the network have
/// one.
fn add_biases(
    dict: &mut StateDict,
    list: &str,
    convs: usize,
    layout: &Layout<impl Fn(usize, usize, usize) -> Option<String>>,
) {
    let names = (0..convs).filter_map(|conv| (layout.name)(conv, convs, 0));
    let keys: Vec<[String; 2]> = names
        .map(|name| ["weight", "bias"].map(|field| format!("{list}{name}{field}")))
        .collect();
    let has = |dict: &StateDict, key: &str| dict.get(key).is_some() || dict.unread(key).is_some();
    if !keys.iter().any(|[_, bias]| has(dict, bias)) {
        return;
    }
    for [weight, bias] in keys {
        let outputs = dict
            .get(&weight)
            .and_then(|weight| weight.shape().get(layout.outputs).copied());
        if let (Some(outputs), false) = (outputs, has(dict, &bias)) {
            dict.insert(
                bias,
                TensorEntry::from_f32(vec![outputs], vec![0.0; outputs]),
            );
        }
    }
}

/// Whether this key may be the weight of a convolution, including tensors that are not read.
fn is_conv(dict: &StateDict, key: &str) -> bool {
    match (dict.get(key), key.strip_suffix("weight")) {
        (Some(tensor), _) => tensor.shape().len() == 4,
        (None, Some(layer)) => dict.get(&format!("{layer}running_mean")).is_none(),
        (None, None) => false,
    }
}

fn keys(dict: &StateDict) -> impl Iterator<Item = &str> {
    dict.keys().chain(dict.unread_keys())
}

/// The lists of layers, with the number of their convolutions. A block holds one convolution; a
/// nested list with more convolutions is a network of its own.
fn lists(dict: &StateDict) -> BTreeMap<&str, usize> {
    let mut lists = BTreeMap::new();
    for key in keys(dict).filter(|key| is_conv(dict, key)) {
        if let Some((list, ..)) = split(key, 1) {
            *lists.entry(list).or_default() += 1;
        }
    }
    lists
}

fn networks<'a>(
    dict: &'a StateDict,
    lists: &BTreeMap<&'a str, usize>,
) -> BTreeMap<&'a str, Network> {
    let mut networks = BTreeMap::<&str, Network>::new();
    let mut layers = BTreeMap::<&str, BTreeSet<Place>>::new();
    for key in keys(dict) {
        if let Some((list, place, _)) = split_within(lists, key) {
            if is_conv(dict, key) {
                networks.entry(list).or_default().convs.push(place.clone());
            }
            layers.entry(list).or_default().insert(place);
        }
    }
    networks.retain(|list, network| {
        network.convs.sort_unstable();
        network.convs.len() > 1 && !PUBLISHED.iter().any(|published| list.ends_with(published))
    });
    for (list, network) in &mut networks {
        let layers = layers.get(list);
        let after = |conv: &Place| {
            let from = (Bound::Excluded(conv), Bound::Unbounded);
            let next = layers?.range::<Place, _>(from).next()?;
            network
                .convs
                .binary_search(next)
                .is_err()
                .then(|| next.clone())
        };
        network.norms = network.convs.iter().map(after).collect();
    }
    networks
}

fn next(place: &[usize]) -> Place {
    let mut next = place.to_vec();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    next
}

fn joined(place: &[usize]) -> String {
    let numbers: Vec<_> = place.iter().map(usize::to_string).collect();
    numbers.join(".")
}

/// The list, the place and the field of a key. The place is one index if the list holds several
/// convolutions, and two otherwise.
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

/// Splits `netG.main.3.weight` into `netG.main.`, 3 and `weight`, with at most `levels` indices.
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

    fn translated(keys: &[(&str, usize)]) -> Option<Vec<String>> {
        let mut dict = StateDict::new();
        for (key, rank) in keys {
            dict.insert(*key, TensorEntry::from_f32(vec![1; *rank], vec![0.0]));
        }
        let layout = Layout {
            name: |conv, convs, part| Some(format!("layer{conv}of{convs}.{part}.")),
            outputs: 0,
        };
        let dict = translate(&dict, &layout)?;
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
