//! Matching the parameters of a model with the tensors of a file.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use burn::{
    module::{ModuleVisitor, Param, ParamId},
    tensor::{Tensor, backend::Backend},
};

use super::{
    NamedModel, StateDict, WeightsSource, norms,
    source::{Preference, Score, Wanted},
};
use crate::error::KeyReport;

/// A file's tensors in whole weights, under a model's published keys.
pub(super) struct Prepared<'a> {
    pub(super) dict: Cow<'a, StateDict>,
    /// What was done to them.
    pub(super) remark: Option<String>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new<B: Backend, M: NamedModel<B>>(dict: &'a StateDict) -> Self {
        let (mut dict, remark) = match norms::folded(dict, M::is_transposed) {
            Some((dict, remark)) => (Cow::Owned(dict), Some(remark)),
            None => (Cow::Borrowed(dict), None),
        };
        if let Some(translated) = M::translate(&dict) {
            dict = Cow::Owned(translated);
        }
        Self { dict, remark }
    }
}

/// Which tensors of a file a model takes.
pub(super) struct Matched {
    pub(super) places: Vec<Place>,
    pub(super) source: WeightsSource,
    pub(super) report: KeyReport,
}

impl Matched {
    /// The tensors under the best prefix, of those within the `part` that a user names.
    pub(super) fn new<B: Backend, M: NamedModel<B>>(
        model: &M,
        dict: &StateDict,
        part: Option<&str>,
    ) -> Self {
        let places = places::<B, M>(model);
        let wanted = places.iter().map(|place| Wanted {
            key: &place.key,
            shape: Some(&place.shape),
        });
        let preference = Preference {
            part,
            roles: M::ROLES,
        };
        let source = WeightsSource::find_by(dict, wanted, &preference);
        let report = report::<B, M>(&places, dict, &source);
        Self {
            places,
            source,
            report,
        }
    }

    /// The tensors that the model takes, under its published keys.
    pub(super) fn taken(&self, dict: &StateDict) -> StateDict {
        let mut taken =
            StateDict::of_file(dict.path(), Default::default(), dict.metadata().clone());
        let mut origins = BTreeMap::new();
        for Place { key, .. } in &self.places {
            let full_key = format!("{}{key}", self.source.taken());
            if let Some(tensor) = dict.get(&full_key) {
                taken.insert(key.clone(), tensor.clone());
                origins.insert(key.clone(), dict.origin(&full_key).to_owned());
            }
        }
        taken.with_origins(origins)
    }
}

/// A parameter of a model.
pub(super) struct Place {
    /// The field path.
    pub(super) path: String,
    /// The published key.
    pub(super) key: String,
    pub(super) shape: Vec<usize>,
    /// The id of the parameter.
    pub(super) id: ParamId,
}

/// The parameters of a model, none of which is made.
pub(super) fn places<B: Backend, M: NamedModel<B>>(model: &M) -> Vec<Place> {
    let mut walk = PlaceWalk::default();
    model.visit(&mut walk);
    let mut places = walk.places;
    for place in &mut places {
        place.key = M::published_key(&place.path);
    }
    places
}

/// The number of places that the tensors under `prefix` fill.
pub(super) fn score(places: &[Place], dict: &StateDict, prefix: &str) -> Score {
    let mut score = Score::default();
    for place in places {
        if let Some(tensor) = dict.get(&format!("{prefix}{}", place.key)) {
            score.keys += 1;
            score.fitting += usize::from(tensor.shape() == place.shape);
        }
    }
    score
}

fn report<B: Backend, M: NamedModel<B>>(
    places: &[Place],
    dict: &StateDict,
    source: &WeightsSource,
) -> KeyReport {
    let mut report = KeyReport::default();
    for place in places {
        let full_key = format!("{}{}", source.taken(), place.key);
        let origin = dict.origin(&full_key).to_owned();
        match dict.get(&full_key) {
            None => report.missing.push(match dict.unread(&full_key) {
                Some(reason) => format!("{origin} ({reason})"),
                None => origin,
            }),
            Some(tensor) if tensor.shape() != place.shape => {
                let shape = (origin, tensor.shape().to_vec(), place.shape.clone());
                report.shapes.push(shape);
            }
            Some(_) => {}
        }
    }
    report.unused = unused_keys::<B, M>(places, dict, source);
    report
}

/// Keys of the file that the model has no place for.
fn unused_keys<B: Backend, M: NamedModel<B>>(
    places: &[Place],
    dict: &StateDict,
    source: &WeightsSource,
) -> Vec<String> {
    let wanted: BTreeSet<_> = places.iter().map(|place| place.key.as_str()).collect();
    let ignored = |key: &str| M::IGNORED_SUFFIXES.iter().any(|end| key.ends_with(end));
    let is_unused = |full_key: &&str| {
        // What stands beside the part is not ours to judge.
        !source.is_of_another_part(full_key)
            && full_key
                .strip_prefix(source.taken())
                .is_some_and(|key| !wanted.contains(key) && !ignored(key))
    };
    let unused = dict.keys().filter(is_unused);
    let mut unused: Vec<_> = unused.map(|key| dict.origin(key).to_owned()).collect();
    // A tensor that is not read is of no interest, unless it is of a layer of the model: one more than the others tell.
    let fields: BTreeSet<_> = wanted
        .iter()
        .filter_map(|key| key.split('.').next())
        .collect();
    let is_of_field = |key: &&str| {
        let field = key
            .strip_prefix(source.taken())
            .and_then(|key| key.split('.').next());
        field.is_some_and(|field| fields.contains(field))
    };
    for key in dict.unread_keys().filter(is_unused).filter(is_of_field) {
        let reason = dict.unread(key).unwrap_or_default();
        unused.push(format!("{} ({reason})", dict.origin(key)));
    }
    unused
}

/// The names of the fields around a parameter, as a walk through a module enters them.
#[derive(Default)]
pub(super) struct FieldPath(pub(super) Vec<String>);

impl FieldPath {
    pub(super) fn joined(&self) -> String {
        self.0.join(".")
    }
}

/// Collects the field paths and shapes of a model's parameters, without making any.
#[derive(Default)]
struct PlaceWalk {
    path: FieldPath,
    places: Vec<Place>,
}

impl<B: Backend> ModuleVisitor<B> for PlaceWalk {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.places.push(Place {
            path: self.path.joined(),
            key: String::new(),
            shape: param.lazy_shape().to_vec(),
            id: param.id,
        });
    }
}
