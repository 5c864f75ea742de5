//! What the tests of every model use: fixtures, comparison, gradients by name.

use std::path::PathBuf;

use burn::{
    module::{ModuleVisitor, Param},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{rng::host_tensor, vision::VisionAutodiff};
use pyrograph_models::weights::{NamedModel, StateDict, TensorEntry};

/// `f32_model`: a whole forward pass in f32 against f64.
pub(crate) const F32_MODEL: f32 = 1e-4;
/// A network whose products are those of numbers rounded to bf16.
pub(crate) const BF16_PRODUCTS: f32 = 0.03;
/// Gradients sum over the batch, so they lose one more digit.
pub(crate) const F32_GRADIENT: f32 = 1e-3;

pub(crate) fn fixture(unit: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(unit)
        .join(name)
}

pub(crate) fn tensor<B: Backend, const D: usize>(dict: &StateDict, key: &str) -> Tensor<B, D> {
    let host = dict
        .get(key)
        .unwrap_or_else(|| panic!("the fixture lacks {key}"));
    let shape = host.shape().try_into().expect("the rank of the fixture");
    host_tensor(host.to_f32(), shape, &Default::default())
}

/// The same tensor with another value at one place.
pub(crate) fn with_value(tensor: &TensorEntry, at: usize, value: f32) -> TensorEntry {
    let mut values = tensor.to_f32();
    values[at] = value;
    TensorEntry::from_f32(tensor.shape().to_vec(), values)
}

pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[track_caller]
pub(crate) fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}: sizes");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!(a.is_finite() && b.is_finite(), "{what}[{i}]: {a} {b}");
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{what}[{i}]: {a} is not {b}"
        );
    }
}

#[track_caller]
pub(crate) fn assert_is<B: Backend, const D: usize>(
    dict: &StateDict,
    key: &str,
    ours: Tensor<B, D>,
) {
    assert_close(
        key,
        &values(ours),
        &dict.get(key).expect(key).to_f32(),
        F32_MODEL,
    );
}

/// The gradients of a module's parameters by field path.
pub(crate) struct Gradients<'a, A: VisionAutodiff> {
    gradients: &'a A::Gradients,
    path: Vec<String>,
    pub(crate) dict: StateDict,
}

impl<'a, A: VisionAutodiff> Gradients<'a, A> {
    pub(crate) fn of<M: burn::module::Module<A>>(model: &M, gradients: &'a A::Gradients) -> Self {
        let mut found = Self {
            gradients,
            path: Vec::new(),
            dict: StateDict::new(),
        };
        model.visit(&mut found);
        found
    }

    /// That the norms of all gradients are those of the fixture under `prefix`, none left out; gives their number.
    #[track_caller]
    pub(crate) fn assert_norms<M: NamedModel<A>>(
        &self,
        model: &M,
        cases: &StateDict,
        prefix: &str,
    ) -> usize {
        let mut compared = 0;
        for key in cases.keys().filter_map(|key| key.strip_prefix(prefix)) {
            let ours = self
                .dict
                .get(&field_path(model, key))
                .unwrap_or_else(|| panic!("{key} has no gradient"));
            let squares = ours.to_f32().into_iter().map(|v| f64::from(v).powi(2));
            let norm = squares.sum::<f64>().sqrt() as f32;
            let theirs = &cases.get(&format!("{prefix}{key}")).expect(key).to_f32();
            assert_close(key, &[norm], theirs, F32_GRADIENT);
            compared += 1;
        }
        compared
    }
}

impl<A: VisionAutodiff> ModuleVisitor<A> for Gradients<'_, A> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            let shape = gradient.dims().to_vec();
            let values = gradient.into_data().iter::<f32>().collect();
            self.dict
                .insert(self.path.join("."), TensorEntry::from_f32(shape, values));
        }
    }
}

/// The field path whose published key is `key`.
pub(crate) fn field_path<B: Backend, M: NamedModel<B>>(model: &M, key: &str) -> String {
    use burn_store::ModuleSnapshot;
    let paths = model
        .collect(None, None, false)
        .into_iter()
        .map(|snapshot| snapshot.full_path());
    paths
        .into_iter()
        .find(|path| M::published_key(path) == key)
        .unwrap_or_else(|| panic!("no field for {key}"))
}
