//! Weights of words: `(word:1.3)`, `(word)`, `[word]`, and how hidden states take them.

use burn::tensor::{Tensor, TensorData, backend::Backend};

/// The weight of a round bracket that names none, and of its inverse, a square bracket.
const BRACKET: f64 = 1.1;

/// What brackets mean in a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptSyntax {
    /// Brackets are text.
    #[default]
    Plain,
    /// Brackets weight the words in them, as in AUTOMATIC1111's web UI: `(word)` by 1.1, `[word]` by 1 / 1.1, `(word:1.3)` by
    /// 1.3. They nest, and `\(` is a bracket of the text.
    Weighted,
}

/// A stretch of a prompt with one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedText {
    /// The text, without brackets and escapes.
    pub text: String,
    /// Its weight.
    pub weight: f32,
}

/// What the syntax consists of.
enum Part<'a> {
    Text,
    Escaped(&'a str),
    OpenRound,
    OpenSquare,
    CloseRound,
    CloseSquare,
    /// `:1.3)`.
    CloseWeight(f64),
}

/// Cuts a prompt into stretches of equal weight.
///
/// No prompt is refused: a closing bracket without an opening one is text, an opening one without a closing one reaches to
/// the end of the prompt, and a weight that is no number is text.
pub fn parse_weights(prompt: &str) -> Vec<WeightedText> {
    let mut texts: Vec<String> = Vec::new();
    let (mut round, mut square) = (Brackets::new(BRACKET), Brackets::new(1.0 / BRACKET));
    let mut rest = prompt;
    while !rest.is_empty() {
        let (part, length) = next_part(rest);
        let seen = &rest[..length];
        rest = &rest[length..];
        let place = texts.len();
        let is_text = match part {
            Part::OpenRound => round.open(place),
            Part::OpenSquare => square.open(place),
            Part::CloseWeight(weight) => !round.close(place, weight),
            Part::CloseRound => !round.close(place, BRACKET),
            Part::CloseSquare => !square.close(place, 1.0 / BRACKET),
            Part::Text => true,
            Part::Escaped(text) => {
                texts.push(text.to_owned());
                false
            }
        };
        if is_text {
            texts.push(seen.to_owned());
        }
    }
    let weights = round.weights(texts.len()).zip(square.weights(texts.len()));
    let weights: Vec<_> = weights.map(|(round, square)| round * square).collect();
    merged(texts.into_iter().zip(weights))
}

/// The brackets of one kind, each over a range of the texts. Those of one kind lie within each other or apart.
struct Brackets {
    /// In the order in which they open.
    all: Vec<Bracket>,
    /// The places in `all` of those that are open.
    open: Vec<usize>,
    /// The factor of a bracket that never closes.
    unclosed: f64,
}

struct Bracket {
    from: usize,
    to: usize,
    factor: f64,
}

impl Brackets {
    fn new(unclosed: f64) -> Self {
        Self {
            all: Vec::new(),
            open: Vec::new(),
            unclosed,
        }
    }

    /// Opens a bracket before the text at `from`; it is no text itself.
    fn open(&mut self, from: usize) -> bool {
        self.open.push(self.all.len());
        self.all.push(Bracket {
            from,
            to: usize::MAX,
            factor: self.unclosed,
        });
        false
    }

    /// Closes the innermost one before the text at `to`, if there is one.
    fn close(&mut self, to: usize, factor: f64) -> bool {
        let Some(place) = self.open.pop() else {
            return false;
        };
        (self.all[place].to, self.all[place].factor) = (to, factor);
        true
    }

    /// The product of the factors around each of `texts` texts, in one sweep.
    fn weights(self, texts: usize) -> impl Iterator<Item = f64> {
        let mut brackets = self.all.into_iter().peekable();
        // Where each bracket around the text ends, and the product of its factor and those around it.
        let mut around: Vec<(usize, f64)> = Vec::new();
        (0..texts).map(move |text| {
            while around.pop_if(|(to, _)| *to <= text).is_some() {}
            while let Some(next) = brackets.next_if(|next| next.from <= text) {
                let outer = around.last().map_or(1.0, |(_, product)| *product);
                if next.to > text {
                    around.push((next.to, outer * next.factor));
                }
            }
            around.last().map_or(1.0, |(_, product)| *product)
        })
    }
}

/// Joins neighbours of equal weight. An empty prompt is one empty text.
fn merged(texts: impl Iterator<Item = (String, f64)>) -> Vec<WeightedText> {
    let mut joined: Vec<(String, f64)> = Vec::new();
    for (text, weight) in texts {
        match joined.last_mut() {
            Some((before, same)) if *same == weight => before.push_str(&text),
            _ => joined.push((text, weight)),
        }
    }
    if joined.is_empty() {
        joined.push((String::new(), 1.0));
    }
    let weighted = |(text, weight)| WeightedText {
        text,
        weight: weight as f32,
    };
    joined.into_iter().map(weighted).collect()
}

/// The part that `rest`, which is not empty, begins with, and its length in bytes.
fn next_part(rest: &str) -> (Part<'_>, usize) {
    match rest.as_bytes()[0] {
        b'\\' => match rest.as_bytes().get(1) {
            Some(b'(' | b')' | b'[' | b']' | b'\\') => (Part::Escaped(&rest[1..2]), 2),
            // A backslash before anything else is dropped, as in the web UI.
            _ => (Part::Escaped(""), 1),
        },
        b'(' => (Part::OpenRound, 1),
        b'[' => (Part::OpenSquare, 1),
        b')' => (Part::CloseRound, 1),
        b']' => (Part::CloseSquare, 1),
        b':' => match closing_weight(rest) {
            Some((weight, length)) => (Part::CloseWeight(weight), length),
            None => (Part::Text, 1),
        },
        _ => {
            let special = |c| matches!(c, '\\' | '(' | ')' | '[' | ']' | ':');
            let length = rest.find(special).unwrap_or(rest.len());
            (Part::Text, length)
        }
    }
}

/// The weight of a `:1.3)` that `rest` begins with, and its length.
fn closing_weight(rest: &str) -> Option<(f64, usize)> {
    let inside = rest.strip_prefix(':')?;
    // Numbers are short: a closing bracket further off does not close a weight.
    let number = inside.trim_start();
    let end = number.find(|c: char| !matches!(c, '+' | '-' | '.' | '0'..='9'))?;
    let after = number[end..].trim_start();
    let unsigned = number[..end]
        .strip_prefix(['+', '-'])
        .unwrap_or(&number[..end]);
    if unsigned.contains(['+', '-']) || !after.starts_with(')') {
        return None;
    }
    let weight: f64 = number[..end].parse().ok()?;
    (weight as f32)
        .is_finite()
        .then_some((weight, rest.len() - after.len() + 1))
}

/// Multiplies the hidden states of weighted tokens, then scales each prompt's states back to their mean of before.
///
/// `weights` holds one list a prompt, as [`EncodedPrompt::weights`](super::EncodedPrompt::weights). A prompt whose weights are
/// all 1 stays as it is, to the bit; a prompt whose mean becomes 0 is not scaled back.
///
/// # Shapes
/// - `hidden`: [batch, length, width]
/// - output: the same
pub fn apply_weights<B: Backend>(hidden: Tensor<B, 3>, weights: &[Vec<f32>]) -> Tensor<B, 3> {
    let [batch, length, width] = hidden.dims();
    assert_eq!(weights.len(), batch, "one list of weights a prompt");
    assert!(
        weights.iter().all(|list| list.len() == length),
        "one weight a token"
    );
    let device = hidden.device();
    let rows = hidden.clone().split(1, 0).into_iter().zip(weights);
    let weighted = rows.map(|(row, list)| {
        if list.iter().all(|weight| *weight == 1.0) {
            return row;
        }
        let factors = TensorData::new(list.clone(), [1, length, 1]);
        let scaled = row.clone() * Tensor::from_data(factors, &device);
        let mean = |tensor: Tensor<B, 3>| tensor.reshape([1, 1, length * width]).mean_dim(2);
        let after = mean(scaled.clone());
        let gone = after.clone().equal_elem(0.0);
        let ratio = mean(row) / after.mask_fill(gone.clone(), 1.0);
        scaled * ratio.mask_fill(gone, 1.0)
    });
    Tensor::cat(weighted.collect(), 0)
}
