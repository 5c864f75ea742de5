//! Files of textual inversion.

use std::{collections::HashMap, path::Path};

use burn::tensor::DType;
use pyrograph_models::{
    stable_diffusion::{checkpoint::Part, textual_inversion::TextualInversion},
    weights::{StateDict, TensorEntry},
};

const TABLE: &str = "text_model.embeddings.token_embedding.weight";

fn file(folder: &Path, key: &str, shape: &[usize]) -> std::path::PathBuf {
    let path = folder.join("my-style.safetensors");
    let values = (0..shape.iter().product())
        .map(|at: usize| at as f32 + 100.0)
        .collect();
    let mut dict = StateDict::new();
    dict.insert(key, TensorEntry::from_f32(shape.to_vec(), values));
    dict.save(&path, HashMap::new()).expect("writable");
    path
}

fn text_encoder() -> Part {
    let mut weights = StateDict::new();
    weights.insert(
        TABLE,
        TensorEntry::from_f32(vec![3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).cast(DType::BF16),
    );
    Part {
        config: r#"{"vocab_size":3}"#.into(),
        weights,
    }
}

#[test]
fn files_tell_their_token_or_take_the_name_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, shape, token, count) in [
        ("<cat-toy>", &[2][..], "<cat-toy>", 1),
        ("emb_params", &[3, 2], "my-style", 3),
        ("string_to_param.*", &[1, 2], "my-style", 1),
    ] {
        let inversion = TextualInversion::open(file(folder.path(), key, shape)).expect("rows");
        assert_eq!((inversion.token(), inversion.count()), (token, count));
    }
}

#[test]
fn files_that_torch_saved_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/textual_inversion");
    for (name, token, count) in [
        ("web_ui.pt", "web_ui", 2),
        ("diffusers.bin", "<cat-toy>", 1),
    ] {
        let inversion = TextualInversion::open(folder.join(name)).expect(name);
        assert_eq!((inversion.token(), inversion.count()), (token, count));
        let mut part = text_encoder();
        let ids: Vec<u32> = (3..).take(count).collect();
        inversion.add_to(&mut part, &ids).expect("fits");
        let table = part.weights.get(TABLE).expect("the table").to_f32();
        assert_eq!(table[6..], [1.0, 2.0, 3.0, 4.0][..2 * count], "{name}");
    }
}

#[test]
fn rows_inside_a_python_object_are_refused() {
    let file = "tests/fixtures/textual_inversion/latent_diffusion.pt";
    let error = TextualInversion::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
    let error = error.expect_err("a ParameterDict").to_string();
    assert!(
        error.contains("this file holds no tensor outside Python objects"),
        "{error}"
    );
}

#[test]
fn rows_extend_the_table_and_its_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let inversion =
        TextualInversion::open(file(folder.path(), "emb_params", &[2, 2])).expect("rows");
    let mut part = text_encoder();
    inversion.add_to(&mut part, &[3, 4]).expect("fits");
    let table = part.weights.get(TABLE).expect("the table");
    assert_eq!((table.shape(), table.dtype()), (&[5, 2][..], DType::BF16));
    assert_eq!(
        table.to_f32(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 100.0, 101.0, 102.0, 103.0]
    );
    assert_eq!(part.config, r#"{"vocab_size":5}"#);
    // A table with rows to spare keeps its size.
    inversion.add_to(&mut part, &[0, 4]).expect("fits");
    assert_eq!(
        part.weights.get(TABLE).expect("the table").to_f32()[..2],
        [100.0, 101.0]
    );
    assert_eq!(part.config, r#"{"vocab_size":5}"#);
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |shape: &[usize]| TextualInversion::open(file(folder.path(), "emb_params", shape));
    let refusal = |shape: &[usize], ids: &[u32]| {
        let added = open(shape).and_then(|inversion| inversion.add_to(&mut text_encoder(), ids));
        added.expect_err("refused").to_string()
    };
    assert!(
        refusal(&[1, 4], &[3]).contains("its rows have 4 values, but the text encoder's have 2")
    );
    assert!(refusal(&[2, 2], &[3]).contains("it holds 2 rows, but 1 ids are given"));
    assert!(refusal(&[1, 2], &[4]).contains("the id 4 lies behind the table's 3 rows"));
    assert!(refusal(&[1, 1, 2], &[3]).contains("[1, 1, 2], not [vectors, width]"));
    let mut two = StateDict::new();
    for key in ["clip_g", "clip_l"] {
        two.insert(key, TensorEntry::from_f32(vec![1, 2], vec![0.0; 2]));
    }
    let path = folder.path().join("two.safetensors");
    two.save(&path, HashMap::new()).expect("writable");
    let error = TextualInversion::open(path)
        .expect_err("two tokens")
        .to_string();
    assert!(error.contains("this file holds clip_g, clip_l"), "{error}");
}

#[test]
fn rows_that_are_not_finite_are_refused_by_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.safetensors");
    let mut dict = StateDict::new();
    dict.insert(
        "<cat>",
        TensorEntry::from_f32(vec![1, 2], vec![0.0, f32::INFINITY]),
    );
    dict.save(&path, HashMap::new()).expect("writable");
    let error = TextualInversion::open(&path)
        .expect_err("infinite")
        .to_string();
    assert!(
        error.contains("broken.safetensors") && error.contains("<cat>") && error.contains("inf"),
        "{error}"
    );
}
