//! Files of weights as typed, lazy views: every type, shards, precisions, and hostile files.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use burn::{
    module::{Module, Param},
    tensor::{BoolStore, DType, Tensor, TensorData, backend::Backend},
};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use proptest::prelude::*;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    blocks::ParamInit,
    weights::{
        LoadOptions, NamedModel, Precision, Rename, StateDict, TensorEntry, build_model,
        build_model_by, build_model_with, state_dict_of,
    },
};

mod float8;

/// A model of one table.
#[derive(Module, Debug)]
struct Table<B: Backend> {
    rows: Param<Tensor<B, 2>>,
    scale: Param<Tensor<B, 1>>,
}

impl<B: Backend> NamedModel<B> for Table<B> {
    type Config = [usize; 2];
    const NAME: &'static str = "table";
    const RENAMES: &'static [Rename] = &[Rename::new("rows", "table.weight")];
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn from_config(shape: &[usize; 2], init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        Ok(Self {
            rows: init.weight(*shape, *shape),
            scale: init.buffer(shape[1], 1.0),
        })
    }
}

const SHAPE: [usize; 2] = [3, 4];

fn values() -> Vec<f32> {
    (0..12).map(|i| i as f32 * 0.37 - 2.0).collect()
}

fn table(dtype: DType) -> StateDict {
    let mut dict = StateDict::new();
    let rows = TensorEntry::from_f32(SHAPE.to_vec(), values());
    dict.insert("table.weight", rows.cast(dtype));
    dict.insert("scale", TensorEntry::from_f32(vec![4], vec![0.5; 4]));
    dict
}

fn saved(folder: &Path, name: &str, dict: &StateDict) -> PathBuf {
    let path = folder.join(name);
    dict.save(&path, HashMap::new()).expect("writable");
    path
}

fn build<B: VisionBackend>(dict: &StateDict, precision: Precision) -> Result<Table<B>, ModelError> {
    build_model_with(&SHAPE, dict, precision, &Default::default())
}

#[test]
fn every_type_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dict = StateDict::new();
    let data = |dtype| TensorData::new(vec![0_f32, 1.0, 2.0, 3.0], [2, 2]).convert_dtype(dtype);
    for dtype in [
        DType::F64,
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::U8,
    ] {
        dict.insert(format!("{dtype:?}"), TensorEntry::from_data(data(dtype)));
    }
    let flags = TensorData::new(vec![true, false, true], [3]);
    dict.insert("bool", TensorEntry::from_data(flags));
    dict.insert("scalar", TensorEntry::from_f32(Vec::new(), vec![7.0]));
    dict.insert("empty", TensorEntry::from_f32(vec![0, 5], Vec::new()));
    let read = StateDict::open(saved(folder.path(), "a", &dict)).expect("readable");
    assert!(dict.keys().eq(read.keys()));
    for key in dict.keys() {
        assert_eq!(dict.get(key), read.get(key), "{key}");
        assert!(read.get(key).expect(key).is_mapped(), "{key}");
    }
    assert_eq!(read.get("F16").expect("f16").to_f32(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(
        read.get("bool").expect("bool").dtype(),
        DType::Bool(BoolStore::Native)
    );
    assert_eq!(read.get("bool").expect("bool").to_f32(), [1.0, 0.0, 1.0]);

    // The format's own library reads the same.
    let bytes = fs::read(folder.path().join("a")).expect("written");
    let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("valid");
    assert_eq!(theirs.len(), dict.keys().count());
    let tensor = theirs.tensor("BF16").expect("there");
    assert_eq!(tensor.data(), dict.get("BF16").expect("there").bytes());
}

#[test]
fn parameters_have_the_type_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for stored in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let path = saved(folder.path(), "table", &table(stored));
        let dict = StateDict::open(&path).expect("readable");
        for (precision, expected) in [
            (Precision::F32, DType::F32),
            (Precision::Bf16, DType::BF16),
            (Precision::F16, DType::F16),
            (
                Precision::AsStored,
                match stored {
                    DType::F64 => DType::F32,
                    stored => stored,
                },
            ),
        ] {
            let model = build::<Flex>(&dict, precision).expect("fits");
            assert_eq!(model.rows.val().dtype(), expected);
            let read = state_dict_of(&model).expect("readable");
            let read = read.get("table.weight").expect("there").to_f32();
            for (read, value) in read.into_iter().zip(values()) {
                let error = (read - value).abs();
                assert!(
                    error <= 1e-2 * value.abs(),
                    "{stored:?} {precision}: {read} {value}"
                );
            }
        }
        let model: Table<Flex> = build_model(&SHAPE, &dict, &Default::default()).expect("fits");
        assert_eq!(model.rows.val().dtype(), DType::F32);
    }
}

#[test]
fn a_model_over_a_mapped_file_computes_and_changes_as_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = saved(folder.path(), "table", &table(DType::F32));
    let dict = StateDict::open(&path).expect("readable");
    let model = build::<Flex>(&dict, Precision::AsStored).expect("fits");
    let rows = model.rows.into_value();
    let data = (rows.clone() * 2.0)
        .into_data()
        .to_vec::<f32>()
        .expect("f32");
    let doubled: Vec<f32> = values().iter().map(|v| v * 2.0).collect();
    assert_eq!(data, doubled);
    // A change in place reaches neither the file nor the entry.
    let changed = rows.slice_assign(
        [0..1, 0..1],
        Tensor::from_floats([[9.0]], &Default::default()),
    );
    assert_eq!(changed.into_data().to_vec::<f32>().expect("f32")[0], 9.0);
    assert_eq!(dict.get("table.weight").expect("there").to_f32(), values());
}

#[test]
fn a_type_that_the_backend_lacks_is_refused_with_the_option_that_widens() {
    let dict = table(DType::BF16);
    let error = build::<NdArray<f32>>(&dict, Precision::AsStored).expect_err("no bf16");
    let message = error.to_string();
    for part in ["`table.weight` is stored as bf16", "--dtype f32"] {
        assert!(message.contains(part), "{message}");
    }
    let model = build::<NdArray<f32>>(&dict, Precision::F32).expect("widened");
    assert_eq!(model.rows.val().dtype(), DType::F32);
}

#[test]
fn values_that_are_not_finite_are_refused_unless_the_check_is_off() {
    for (dtype, at) in [(DType::F32, 5), (DType::F16, 0), (DType::BF16, 11)] {
        let mut dict = table(dtype);
        let mut values = values();
        values[at] = f32::NAN;
        let rows = TensorEntry::from_f32(SHAPE.to_vec(), values).cast(dtype);
        dict.insert("table.weight", rows);
        let error = build::<Flex>(&dict, Precision::AsStored).expect_err("NaN");
        let expected = format!("`table.weight` holds NaN at place {at}");
        assert!(error.to_string().contains(&expected), "{error}");
        let options = LoadOptions {
            check_values: false,
            ..LoadOptions::default()
        };
        let device = Default::default();
        assert!(build_model_by::<Flex, Table<_>>(&SHAPE, &dict, &options, &device).is_ok());
    }
}

#[test]
fn numbers_beyond_the_range_of_the_type_are_refused() {
    let mut dict = table(DType::F32);
    dict.insert(
        "scale",
        TensorEntry::from_f32(vec![4], vec![1.0, 2.0, 7e4, 3.0]),
    );
    let error = build::<Flex>(&dict, Precision::F16).expect_err("infinite as f16");
    let expected = "`scale` holds inf at place 2";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(build::<Flex>(&dict, Precision::Bf16).is_ok());
}

#[test]
fn a_number_of_a_config_costs_no_memory_before_shapes_are_compared() {
    // 4 TB, were they made.
    let shape = [1_usize << 20, 1 << 20];
    let error = build_model::<Flex, Table<_>>(&shape, &table(DType::F32), &Default::default());
    let message = error.expect_err("another shape").to_string();
    assert!(
        message.contains("2 of another shape: table.weight is [3, 4]"),
        "{message}"
    );
}

/// The index of two shards and the shards, in `folder`.
fn shards(folder: &Path) -> PathBuf {
    let dict = table(DType::F32);
    let mut map = serde_json::Map::new();
    for (number, key) in ["scale", "table.weight"].into_iter().enumerate() {
        let mut shard = StateDict::new();
        shard.insert(key, dict.get(key).expect(key).clone());
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        saved(folder, &name, &shard);
        map.insert(key.into(), name.into());
    }
    let index = serde_json::json!({ "metadata": {"total_size": 64}, "weight_map": map });
    let path = folder.join("model.safetensors.index.json");
    fs::write(&path, index.to_string()).expect("writable");
    path
}

#[test]
fn an_index_opens_its_shards_and_a_set_that_is_not_whole_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = shards(folder.path());
    let dict = StateDict::open(&index).expect("whole");
    let model = build::<Flex>(&dict, Precision::AsStored).expect("fits");
    assert_eq!(
        model.rows.val().into_data().to_vec::<f32>().expect("f32"),
        values()
    );

    let refusal = |words: &[&str]| {
        let error = StateDict::open(&index).expect_err("not whole");
        assert!(matches!(error, ModelError::Shard { .. }), "{error:?}");
        let message = error.to_string();
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    let second = folder.path().join("model-00002-of-00002.safetensors");
    fs::rename(&second, folder.path().join("elsewhere")).expect("there");
    refusal(&[
        "model-00002-of-00002.safetensors",
        "missing beside the index",
    ]);
    fs::copy(
        folder.path().join("model-00001-of-00002.safetensors"),
        &second,
    )
    .expect("there");
    refusal(&["lacks `table.weight`", "not written as a whole"]);
    let text = fs::read_to_string(&index).expect("there");
    fs::write(&index, text.replace("of-00002", "of-00003")).expect("writable");
    refusal(&["counts 3 shards, but the index names 2"]);
    fs::write(&index, r#"{"weight_map": {"a": "../a.safetensors"}}"#).expect("writable");
    refusal(&["must be a file beside the index"]);
}

#[test]
fn what_stands_in_the_place_of_weights_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for (content, word) in [
        ("", "the file is empty"),
        (pointer, "git-lfs pointer"),
        ("<!DOCTYPE html><html></html>", "HTML"),
        ("{\"hidden_size\": 1024}", "JSON text"),
        ("hello", "it is text; it begins: hello"),
        ("\u{1}\u{2}\u{3}\u{4}", "no known format"),
    ] {
        fs::write(&path, content).expect("writable");
        let message = StateDict::open(&path).expect_err(word).to_string();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_file_cut_off_is_refused_before_its_tensors_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = saved(folder.path(), "table", &table(DType::F32));
    let bytes = fs::read(&path).expect("written");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("writable");
    let message = StateDict::open(&path).expect_err("cut").to_string();
    assert!(
        message.contains("cut off") && message.contains("64 bytes"),
        "{message}"
    );
}

#[test]
fn rows_and_shapes_of_an_entry_share_its_bytes() {
    let entry = TensorEntry::from_f32(vec![3, 4], values());
    let rows = entry.rows(1..3);
    assert_eq!(
        (rows.shape(), rows.to_f32()),
        (&[2, 4][..], values()[4..].to_vec())
    );
    assert_eq!(entry.rows(2..9).shape(), [1, 4]);
    assert_eq!(entry.rows(7..9).shape(), [0, 4]);
    assert_eq!(entry.reshaped(vec![2, 6]).shape(), [2, 6]);
    assert_eq!(entry.reshaped(vec![5]).shape(), [3, 4]);
}

/// Opens the file and uses all that it says it holds.
fn use_all(path: &Path, size: usize) -> Result<(), ModelError> {
    let dict = StateDict::open(path)?;
    for key in dict.keys() {
        let tensor = dict.get(key).expect("listed");
        assert!(
            // Views may repeat values.
            tensor.bytes().len() <= 8 * size,
            "{key} is much larger than its file"
        );
        assert_eq!(
            tensor.to_f32().len(),
            tensor.shape().iter().product::<usize>()
        );
    }
    Ok(())
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).expect(name)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn mutated_files_are_refused_or_read_and_never_panic(
        file in 0_usize..5,
        edits in prop::collection::vec((0_usize..1 << 16, any::<u8>(), any::<bool>()), 1..6),
        cut in prop::option::of(0_usize..1 << 16),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.index.json");
        let names = [
            "context_unet/weights.safetensors",
            "context_unet/weights_zip.pth",
            "context_unet/weights_legacy.pth",
            "weights/float8.safetensors",
        ];
        let mut bytes = match names.get(file) {
            Some(name) => fixture(name),
            None => fs::read(shards(folder.path())).expect("there"),
        };
        for (at, byte, near_an_end) in edits {
            // Headers stand at the begin of safetensors and pickles, and at the end of archives.
            let at = match near_an_end {
                true => bytes.len() - 1 - at % bytes.len().min(2048),
                false => at % bytes.len().min(4096),
            };
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut % (bytes.len() + 1)));
        fs::write(&path, &bytes).expect("writable");
        let _ = use_all(&path, bytes.len() + 4096);
    }

    #[test]
    fn headers_of_any_numbers_are_refused_or_right(
        shape in prop::collection::vec(prop_oneof![0_usize..4, Just(usize::MAX), Just(1 << 33)], 0..4),
        begin in prop_oneof![0_usize..40, Just(usize::MAX)],
        end in prop_oneof![0_usize..40, Just(usize::MAX)],
        dtype in prop::sample::select(vec!["F32", "F64", "BF16", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"]),
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.safetensors");
        let header = serde_json::json!({
            "a": { "dtype": dtype, "shape": shape, "data_offsets": [begin, end] }
        });
        let header = header.to_string();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        fs::write(&path, &bytes).expect("writable");
        let _ = use_all(&path, bytes.len());
    }
}
