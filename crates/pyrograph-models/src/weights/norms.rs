//! Weights that a file stores in parts: under spectral norm, weight norm or a pruning mask.
//!
//! PyTorch replaces a layer's `weight` by its parts and composes the weight at every call; here it
//! is composed once, as in eval mode. The names are those of `torch.nn.utils.{spectral_norm,
//! weight_norm, prune}` (`weight_orig`, `weight_u`, `weight_g`, `weight_v`, `weight_mask`) and of
//! `torch.nn.utils.parametrizations` (`parametrizations.weight.original`, `.original0`, …).

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::TensorData;

use super::{StateDict, TensorEntry};

/// How many times over the bytes of the file's tensors the weights may be that are put together:
/// tied layers share parts.
const MAX_FOLDED: usize = 8;
const PARAMETRIZATIONS: &str = "parametrizations.";

/// What keeps a weight in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Spectral,
    Weight,
    Mask,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Spectral => "spectral norm",
            Self::Weight => "weight norm",
            Self::Mask => "a pruning mask",
        }
    }
}

/// The keys of a weight's parts.
struct Parts {
    kind: Kind,
    /// The whole weight's key.
    key: String,
    /// The weight before the norm: its direction for weight norm.
    weight: String,
    /// The vectors u and v of spectral norm, of which torch 0.4 kept u; the lengths, or the mask.
    factors: Vec<String>,
}

/// `dict` with whole weights instead of their parts, and a remark about it; `None` if no weight is
/// stored in parts. `is_transposed` tells from a key whether a layer is a transposed convolution,
/// whose outputs are on the second axis.
pub(super) fn folded(
    dict: &StateDict,
    is_transposed: impl Fn(&str) -> bool,
) -> Option<(StateDict, String)> {
    let found: Vec<Parts> = dict.keys().filter_map(|key| parts_of(dict, key)).collect();
    if found.is_empty() {
        return None;
    }
    let mut left = distinct_bytes(dict).saturating_mul(MAX_FOLDED);
    let mut whole = dict.clone();
    let mut counts = BTreeMap::<Kind, usize>::new();
    for parts in found {
        let Some(weight) = dict.get(&parts.weight) else {
            continue;
        };
        let Some(rest) = left.checked_sub(weight.count().saturating_mul(size_of::<f64>())) else {
            break;
        };
        let transposed = is_transposed(&parts.key);
        // torch 0.4 kept the whole weight beside its parts, as eval mode uses it.
        let kept = dict
            .get(&parts.key)
            .filter(|kept| kept.shape() == weight.shape());
        // Parts that do not go together stay, and are named as keys without a use.
        let folded = kept.cloned().or_else(|| {
            let values = put_together(dict, &parts, weight, transposed)?;
            let data = TensorData::new(values, weight.shape().to_vec());
            Some(TensorEntry::from_data(data).cast(weight.dtype()))
        });
        let Some(folded) = folded else {
            continue;
        };
        left = rest;
        whole.remove(&parts.weight);
        for factor in &parts.factors {
            whole.remove(factor);
        }
        whole.insert(parts.key, folded);
        *counts.entry(parts.kind).or_default() += 1;
    }
    let words: Vec<_> = counts
        .iter()
        .map(|(kind, count)| format!("{} of {count} weights", kind.name()))
        .collect();
    (!words.is_empty()).then(|| {
        (
            whole,
            format!("{} folded into the layers", words.join(" and ")),
        )
    })
}

/// Bytes of the tensors, each part of a file once.
fn distinct_bytes(dict: &StateDict) -> usize {
    let tensors = dict.keys().filter_map(|key| dict.get(key));
    let places: BTreeSet<_> = tensors
        .map(|tensor| (tensor.bytes().as_ptr().addr(), tensor.bytes().len()))
        .collect();
    places.iter().map(|(_, len)| len).sum()
}

/// The parts of the weight whose first part has this key.
fn parts_of(dict: &StateDict, key: &str) -> Option<Parts> {
    let has = |key: &String| dict.get(key).is_some();
    let with = |kind, whole: &str, factors: Vec<String>| {
        Some(Parts {
            kind,
            key: whole.to_owned(),
            weight: key.to_owned(),
            factors,
        })
    };
    if let Some(whole) = key.strip_suffix("_orig") {
        let mask = format!("{whole}_mask");
        if has(&mask) {
            return with(Kind::Mask, whole, vec![mask]);
        }
        let vectors = ["_u", "_v"].map(|end| format!("{whole}{end}"));
        let vectors: Vec<_> = vectors.into_iter().take_while(has).collect();
        return (!vectors.is_empty()).then(|| with(Kind::Spectral, whole, vectors))?;
    }
    if let Some(whole) = key.strip_suffix("_v") {
        let lengths = format!("{whole}_g");
        return has(&lengths).then(|| with(Kind::Weight, whole, vec![lengths]))?;
    }
    let (list, original) = key.rsplit_once('.')?;
    let (layer, name) = list.rsplit_once(PARAMETRIZATIONS)?;
    if name.contains('.') || !(layer.is_empty() || layer.ends_with('.')) {
        return None;
    }
    let (whole, second) = (format!("{layer}{name}"), format!("{list}.1"));
    // One after another are no kind that is known here.
    if dict.keys().any(|key| key.starts_with(&second)) {
        return None;
    }
    match original {
        "original" => {
            let vectors = ["_u", "_v"].map(|end| format!("{list}.0.{end}"));
            vectors
                .iter()
                .all(has)
                .then(|| with(Kind::Spectral, &whole, vectors.to_vec()))?
        }
        "original1" => {
            let lengths = format!("{list}.original0");
            has(&lengths).then(|| with(Kind::Weight, &whole, vec![lengths]))?
        }
        _ => None,
    }
}

/// The values of the whole weight; `None` if the shapes of the parts do not fit.
fn put_together(
    dict: &StateDict,
    parts: &Parts,
    weight: &TensorEntry,
    transposed: bool,
) -> Option<Vec<f64>> {
    let factors: Option<Vec<_>> = parts.factors.iter().map(|key| dict.get(key)).collect();
    let factors = factors?;
    let (shape, values) = (weight.shape(), weight.to_f32());
    match (parts.kind, &factors[..]) {
        (Kind::Mask, [mask]) => (mask.shape() == shape).then(|| {
            let pairs = values.iter().zip(mask.to_f32());
            pairs
                .map(|(value, kept)| f64::from(*value) * f64::from(kept))
                .collect()
        }),
        (Kind::Weight, [lengths]) => weight_norm(shape, &values, lengths),
        (Kind::Spectral, [u, v]) => {
            spectral_norm(shape, &values, &u.to_f32(), &v.to_f32(), transposed)
        }
        _ => None,
    }
}

/// A tensor as a matrix whose rows are the places of one axis.
struct Rows {
    rows: usize,
    inner: usize,
    columns: usize,
}

impl Rows {
    fn of(shape: &[usize], axis: usize) -> Self {
        let inner = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        Self {
            rows: shape[axis],
            inner,
            columns: outer * inner,
        }
    }

    /// Row and column of the value at `place`.
    fn place(&self, place: usize) -> (usize, usize) {
        let (block, within) = (place / self.inner, place % self.inner);
        let (outer, row) = (block / self.rows, block % self.rows);
        (row, outer * self.inner + within)
    }
}

/// w = v · g / ‖v‖, with a length g for each place of the axis along which g is not 1 wide, or one for all.
fn weight_norm(shape: &[usize], v: &[f32], lengths: &TensorEntry) -> Option<Vec<f64>> {
    let g = lengths.to_f32();
    let axis = lengths.shape().iter().position(|&size| size != 1);
    let rows = match axis {
        Some(axis) if lengths.shape().len() == shape.len() && shape[axis] == g.len() => {
            Rows::of(shape, axis)
        }
        None if g.len() == 1 => Rows {
            rows: 1,
            inner: v.len().max(1),
            columns: v.len(),
        },
        _ => return None,
    };
    let mut squares = vec![0.0; rows.rows];
    for (place, value) in v.iter().enumerate() {
        squares[rows.place(place).0] += f64::from(*value).powi(2);
    }
    let scales: Vec<f64> = g
        .iter()
        .zip(&squares)
        .map(|(g, square)| f64::from(*g) / square.sqrt())
        .collect();
    let values = v.iter().enumerate();
    Some(
        values
            .map(|(place, value)| f64::from(*value) * scales[rows.place(place).0])
            .collect(),
    )
}

/// w / σ with σ = uᵀ W v, the largest singular value of the weight as a matrix of its outputs.
fn spectral_norm(
    shape: &[usize],
    weight: &[f32],
    u: &[f32],
    v: &[f32],
    transposed: bool,
) -> Option<Vec<f64>> {
    let fits = |axis: usize| shape.get(axis) == Some(&u.len());
    let axis = match (fits(0), fits(1)) {
        (true, true) => usize::from(transposed),
        (true, false) => 0,
        (false, true) => 1,
        (false, false) => return None,
    };
    let rows = Rows::of(shape, axis);
    if v.len() != rows.columns {
        return None;
    }
    let products = weight.iter().enumerate().map(|(place, value)| {
        let (row, column) = rows.place(place);
        f64::from(u[row]) * f64::from(*value) * f64::from(v[column])
    });
    let sigma: f64 = products.sum();
    Some(
        weight
            .iter()
            .map(|value| f64::from(*value) / sigma)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_that_is_kept_beside_its_parts_is_taken() {
        let tensor = |values: &[f32]| TensorEntry::from_f32(vec![values.len(), 1], values.to_vec());
        let mut dict = StateDict::new();
        dict.insert("fc.weight_orig", tensor(&[3.0, 4.0]));
        dict.insert(
            "fc.weight_u",
            TensorEntry::from_f32(vec![2], vec![0.6, 0.8]),
        );
        assert!(folded(&dict, |_| false).is_none(), "v is not told");
        dict.insert("fc.weight", tensor(&[0.5, 0.25]));
        let (whole, remark) = folded(&dict, |_| false).expect("torch 0.4's");
        assert_eq!(whole.keys().collect::<Vec<_>>(), ["fc.weight"]);
        assert_eq!(whole.get("fc.weight").expect("kept").to_f32(), [0.5, 0.25]);
        assert!(remark.contains("spectral norm of 1 weights"), "{remark}");
    }
}
