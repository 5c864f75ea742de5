//! Prompt weighting.

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use pyrograph_pipelines::stable_diffusion::tokenizer::{
    PromptSyntax, apply_weights, parse_weights,
};

use super::prompts::sd21;

#[track_caller]
fn assert_parsed(prompt: &str, expected: &[(&str, f32)]) {
    let parsed = parse_weights(prompt);
    let texts: Vec<_> = parsed.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(
        texts,
        expected.iter().map(|(text, _)| *text).collect::<Vec<_>>(),
        "{prompt}"
    );
    for (part, (text, weight)) in parsed.iter().zip(expected) {
        assert!(
            (part.weight - weight).abs() < 1e-6,
            "{prompt}: {text} has {}, not {weight}",
            part.weight
        );
    }
}

#[test]
fn brackets_weight_the_words_in_them() {
    assert_parsed("normal text", &[("normal text", 1.0)]);
    assert_parsed(
        "an (important) word",
        &[("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    );
    assert_parsed(
        "a [dull] word",
        &[("a ", 1.0), ("dull", 1.0 / 1.1), (" word", 1.0)],
    );
    assert_parsed(
        "(cat:1.3) (dog:-.5)",
        &[("cat", 1.3), (" ", 1.0), ("dog", -0.5)],
    );
    assert_parsed("(a (b:1.5) c)", &[("a ", 1.1), ("b", 1.65), (" c", 1.1)]);
    assert_parsed(
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        &[
            ("a ", 1.0),
            ("house", 1.573),
            (" ", 1.1),
            ("on", 1.0),
            (" a ", 1.1),
            ("hill", 0.55),
            (", sun, ", 1.1),
            ("sky", 1.4641),
            (".", 1.1),
        ],
    );
    assert_parsed("(漢字: 1.2 )", &[("漢字", 1.2)]);
}

#[test]
fn escaped_brackets_are_text() {
    assert_parsed(r"\(literal\] \\ \[", &[(r"(literal] \ [", 1.0)]);
    assert_parsed(r"(a \(b\):1.2)", &[("a (b)", 1.2)]);
}

#[test]
fn what_does_not_parse_is_text() {
    assert_parsed("", &[("", 1.0)]);
    assert_parsed("a) b] c:1.2) d", &[("a) b] c:1.2) d", 1.0)]);
    assert_parsed("(a:b)", &[("a:b", 1.1)]);
    assert_parsed("(a:1.2.3)", &[("a:1.2.3", 1.1)]);
    assert_parsed("(a:1-2)", &[("a:1-2", 1.1)]);
    assert_parsed("(unclosed", &[("unclosed", 1.1)]);
    assert_parsed("[unclosed", &[("unclosed", 1.0 / 1.1)]);
    assert_parsed("()[]:", &[(":", 1.0)]);
}

#[test]
fn brackets_in_any_number_are_read_in_one_sweep() {
    // As many texts as brackets, all within each other: by every pair this would take minutes.
    let count = 200_000;
    let parsed = parse_weights(&"(a".repeat(count));
    assert!(parsed[0].weight == 1.1 && parsed.len() < count);
    let parsed = parse_weights(&format!("{}x{}", "([".repeat(1000), "a])".repeat(1000)));
    assert!(parsed.iter().all(|part| (part.weight - 1.0).abs() < 1e-3));
    // Round and square brackets may cross.
    assert_parsed("(a[b)c]", &[("a", 1.1), ("b", 1.0), ("c", 1.0 / 1.1)]);
}

#[test]
fn tokens_carry_the_weights_of_their_words() {
    let encoded = sd21()
        .encode("astronaut (on:1.5) [mars]", PromptSyntax::Weighted)
        .expect("encodes");
    assert_eq!(encoded.ids[..5], [49406, 18376, 525, 7496, 49407]);
    assert_eq!(encoded.weights[..3], [1.0, 1.0, 1.5]);
    assert!((encoded.weights[3] - 1.0 / 1.1).abs() < 1e-6);
    assert!(encoded.is_weighted() && encoded.weights[4..].iter().all(|weight| *weight == 1.0));
    let plain = sd21()
        .encode("(on:1.5)", PromptSyntax::Plain)
        .expect("encodes");
    assert!(!plain.is_weighted() && plain.ids[1..4] != [525, 49407, 0]);
}

#[test]
fn weighted_hidden_states_keep_their_mean() {
    let values = [1.0_f32, 2.0, 3.0, 4.0, 1.0, -1.0, 2.0, -2.0];
    let hidden = Tensor::<Flex, 3>::from_data(
        TensorData::new(values.to_vec(), [2, 2, 2]),
        &Default::default(),
    );
    let weighted = apply_weights(hidden, &[vec![1.0, 1.5], vec![1.0, 1.0]]);
    let weighted: Vec<f32> = weighted.into_data().iter().collect();
    // Means: 2.5 before, (1 + 2 + 4.5 + 6) / 4 = 3.375 after.
    let ratio = 2.5 / 3.375;
    let expected = [
        1.0 * ratio,
        2.0 * ratio,
        4.5 * ratio,
        6.0 * ratio,
        1.0,
        -1.0,
        2.0,
        -2.0,
    ];
    for (ours, theirs) in weighted.iter().zip(expected) {
        assert!((ours - theirs).abs() < 1e-6, "{weighted:?}");
    }
}

#[test]
fn a_mean_that_becomes_zero_leaves_finite_states() {
    let hidden = Tensor::<Flex, 3>::ones([1, 2, 2], &Default::default());
    let weighted: Vec<f32> = apply_weights(hidden, &[vec![1.0, -1.0]])
        .into_data()
        .iter()
        .collect();
    assert_eq!(weighted, [1.0, 1.0, -1.0, -1.0]);
}
