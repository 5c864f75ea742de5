//! 8-bit floats: every code, what is loaded of them, and what is refused.

use super::*;

fn every_code() -> StateDict {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/float8.safetensors");
    StateDict::open(path).expect("the fixture")
}

/// A safetensors file of 8-bit floats in `folder`: one tensor of each key, of `SHAPE` and of its second axis.
fn stored(folder: &Path, dtype: &str, rows: &[u8], scale: &[u8]) -> PathBuf {
    let header = serde_json::json!({
        "table.weight": { "dtype": dtype, "shape": SHAPE, "data_offsets": [0, rows.len()] },
        "scale": { "dtype": dtype, "shape": SHAPE[1..], "data_offsets": [rows.len(), rows.len() + scale.len()] },
    });
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    let path = folder.join("float8.safetensors");
    let bytes = [&length[..], header.as_bytes(), rows, scale].concat();
    fs::write(&path, bytes).expect("writable");
    path
}

/// Codes of finite numbers of either type.
const ROWS: [u8; 12] = [
    0x00, 0x01, 0x04, 0x08, 0x38, 0x3c, 0x80, 0x81, 0xb8, 0x70, 0x77, 0xf7,
];
const SCALE: [u8; 4] = [0x38, 0x3c, 0x40, 0x44];

#[test]
fn every_code_has_pytorchs_value() {
    let dict = every_code();
    for name in ["e4m3", "e5m2"] {
        let codes = dict.get(&format!("{name}.codes")).expect(name);
        assert_eq!(codes.type_name(), format!("f8_{name}"));
        assert!(codes.is_float8() && codes.is_mapped());
        assert!(codes.bytes().iter().copied().eq(0..=255));
        let values = dict.get(&format!("{name}.values")).expect(name).to_f32();
        let widened = codes.to_f32();
        assert_eq!(widened.len(), 256);
        for (code, (ours, theirs)) in widened.iter().zip(&values).enumerate() {
            let same = ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
            assert!(same, "{name} {code:#x}: {ours} {theirs}");
        }
        // Both half precisions hold every one of them.
        for dtype in [DType::BF16, DType::F16, DType::F64] {
            let cast = codes.cast(dtype);
            assert_eq!(cast.dtype(), dtype);
            let pairs = cast.to_f32().into_iter().zip(&values);
            for (cast, value) in pairs {
                assert!(cast == *value || cast.is_nan() && value.is_nan(), "{value}");
            }
        }
    }
}

#[test]
fn rows_and_shapes_count_bytes() {
    let dict = every_code();
    let codes = dict.get("e4m3.codes").expect("there");
    let table = codes.reshaped(vec![16, 16]);
    assert_eq!((table.shape(), table.count()), (&[16, 16][..], 256));
    let rows = table.rows(3..5);
    assert_eq!(
        (rows.shape(), rows.to_f32()),
        (&[2, 16][..], codes.to_f32()[48..80].to_vec())
    );
    assert_ne!(codes, dict.get("e5m2.codes").expect("there"));
}

#[test]
fn weights_are_widened_where_a_type_is_asked_for_and_refused_as_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    for (dtype, name) in [("F8_E4M3", "f8_e4m3"), ("F8_E5M2", "f8_e5m2")] {
        let path = stored(folder.path(), dtype, &ROWS, &SCALE);
        let dict = StateDict::open(&path).expect("readable");
        let values = dict.get("table.weight").expect("there").to_f32();
        for (precision, expected) in [
            (Precision::F32, DType::F32),
            (Precision::Bf16, DType::BF16),
            (Precision::F16, DType::F16),
        ] {
            let model = build::<Flex>(&dict, precision).expect("widened");
            assert_eq!(model.rows.val().dtype(), expected);
            let read = state_dict_of(&model).expect("readable");
            assert_eq!(read.get("table.weight").expect("there").to_f32(), values);
            // Files are written in the type that is asked for.
            let out = folder.path().join("out.safetensors");
            dict.save_as(&out, &HashMap::new(), precision, |_, _| Ok(()))
                .expect("writable");
            let written = StateDict::open(&out).expect("readable");
            let written = written.get("table.weight").expect("there");
            assert_eq!(
                (written.dtype(), written.to_f32()),
                (expected, values.clone())
            );
        }
        let model: Table<Flex> = build_model(&SHAPE, &dict, &Default::default()).expect("fits");
        assert_eq!(model.rows.val().dtype(), DType::F32);

        let error = build::<Flex>(&dict, Precision::AsStored).expect_err("as stored");
        assert!(matches!(error, ModelError::Float8 { .. }), "{error:?}");
        let message = error.to_string();
        for part in ["float8.safetensors", "`table.weight`", name, "--dtype bf16"] {
            assert!(message.contains(part), "{message}");
        }
        let out = folder.path().join("none.safetensors");
        let error = dict.save(&out, HashMap::new()).expect_err("as stored");
        assert!(error.to_string().contains(name), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn codes_of_no_number_are_refused_by_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    for (dtype, code, words) in [
        ("F8_E4M3", 0x7f, "holds NaN at place 5"),
        ("F8_E4M3", 0xff, "holds NaN at place 5"),
        ("F8_E5M2", 0x7e, "holds NaN at place 5"),
        ("F8_E5M2", 0xfc, "holds -inf at place 5"),
    ] {
        let mut rows = ROWS;
        rows[5] = code;
        let path = stored(folder.path(), dtype, &rows, &SCALE);
        let dict = StateDict::open(&path).expect("readable");
        let error = build::<Flex>(&dict, Precision::Bf16).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        let error = dict.check_finite().expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn tensors_of_scales_beside_them_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = stored(folder.path(), "F8_E4M3", &ROWS, &SCALE);
    let mut dict = StateDict::open(&path).expect("readable");
    dict.insert(
        "table.scale_weight",
        TensorEntry::from_f32(vec![1], vec![2.0]),
    );
    let error = build::<Flex>(&dict, Precision::F32).expect_err("a scale without a use");
    let words = "unused: table.scale_weight";
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn other_types_of_few_bits_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = stored(folder.path(), "F8_E8M0", &ROWS, &SCALE);
    let error = StateDict::open(&path).expect_err("unread").to_string();
    assert!(error.contains("F8_E8M0"), "{error}");
}

#[test]
fn parameters_of_one_axis_have_a_type_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = Default::default();
    let options = LoadOptions::of_weights(Precision::Bf16);
    let path = stored(folder.path(), "F8_E4M3", &ROWS, &SCALE);
    for dict in [
        StateDict::open(&path).expect("readable"),
        table(DType::F32),
        table(DType::F16),
    ] {
        let model: Table<Flex> = build_model_by(&SHAPE, &dict, &options, &device).expect("fits");
        assert_eq!(model.rows.val().dtype(), DType::BF16);
        assert_eq!(model.scale.val().dtype(), DType::F32);
    }
}
