//! What the tests of all tasks have in common.

use proptest::prelude::*;
use pyrograph_vision::{RgbImage, image::ImageFormat};
use serde_json::{Map, Value, json};

use crate::{Engine, Limits, Progress, Refusal, Task, TaskBody, TaskError, TaskOutput, Watch};

/// A watch that goes on.
pub(super) fn on() -> Watch<'static> {
    Watch {
        rows: usize::MAX,
        stopped: &|| false,
        progress: &|_: Progress| {},
    }
}

/// The result of a request by itself.
pub(super) fn alone<E: Engine>(engine: &mut E, input: E::Input) -> TaskOutput {
    together(engine, vec![input]).remove(0)
}

/// The results of requests that share steps: each joins a step after the one before.
pub(super) fn together<E: Engine>(engine: &mut E, inputs: Vec<E::Input>) -> Vec<TaskOutput> {
    let mut waiting = inputs.into_iter();
    let mut states: Vec<E::State> = Vec::new();
    loop {
        if let Some(input) = waiting.next() {
            states.push(engine.begin(input).expect("begins"));
        }
        let going = states.iter().map(|state| !engine.progress(state).is_done());
        let going: Vec<bool> = going.collect();
        let mut group: Vec<&mut E::State> = states
            .iter_mut()
            .zip(&going)
            .filter_map(|(state, going)| going.then_some(state))
            .collect();
        if group.is_empty() && waiting.len() == 0 {
            break;
        }
        engine.step(&mut group, &on()).expect("steps");
    }
    states
        .into_iter()
        .map(|state| engine.finish(state).expect("ends"))
        .collect()
}

/// The images of a result.
pub(super) fn images(output: TaskOutput) -> Vec<RgbImage> {
    match output {
        TaskOutput::Images { images, .. } => images.into_iter().map(|one| one.image).collect(),
        other => panic!("{other:?} is no images"),
    }
}

/// The JSON of a result.
pub(super) fn value(output: TaskOutput) -> Value {
    match output {
        TaskOutput::Json(value) => value,
        other => panic!("{other:?} is no JSON"),
    }
}

/// The largest difference of two images' bytes.
#[track_caller]
pub(super) fn difference(seen: &[RgbImage], expected: &[RgbImage]) -> u8 {
    assert_eq!(seen.len(), expected.len());
    let pairs = seen.iter().zip(expected).flat_map(|(seen, expected)| {
        assert_eq!(seen.dimensions(), expected.dimensions());
        seen.as_raw().iter().zip(expected.as_raw())
    });
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// An image as PNG.
pub(super) fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("an image");
    bytes.into_inner()
}

/// An image as PNG in base64.
pub(super) fn png_text(image: &RgbImage) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(png(image))
}

pub(super) fn parse<T: Task>(task: &T, body: Value) -> Result<T::Input, Refusal> {
    task.parse(TaskBody::Json(body), &Limits::default())
}

/// The refusal of a body.
#[track_caller]
pub(super) fn refused<T: Task>(task: &T, body: Value) -> Refusal {
    match parse(task, body.clone()) {
        Ok(_) => panic!("{body} is not refused"),
        Err(refusal) => refusal,
    }
}

/// Whether a begun request is refused, and how.
pub(super) fn refusal<S>(result: Result<S, TaskError>) -> Refusal {
    match result {
        Err(TaskError::Refused(refusal)) => refusal,
        Err(other) => panic!("{other} is no refusal"),
        Ok(_) => panic!("it is not refused"),
    }
}

/// Whether `schema` accepts `value`, by the words of JSON Schema that this crate uses.
pub(super) fn accepts(schema: &Value, value: &Value) -> bool {
    let fields = schema.as_object().expect("a schema");
    fields.iter().all(|(word, wanted)| match word.as_str() {
        "type" => match wanted {
            Value::String(name) => is_a(value, name),
            names => {
                let mut names = names.as_array().expect("names").iter();
                names.any(|name| is_a(value, name.as_str().expect("a name")))
            }
        },
        "enum" => wanted.as_array().expect("values").contains(value),
        "minimum" => number(value).is_none_or(|seen| seen >= wanted.as_f64().expect("a number")),
        "maximum" => number(value).is_none_or(|seen| seen <= wanted.as_f64().expect("a number")),
        "maxLength" => {
            let seen = value.as_str().map_or(0, |text| text.chars().count() as u64);
            seen <= wanted.as_u64().expect("a number")
        }
        "maxItems" => {
            let seen = value.as_array().map_or(0, |items| items.len() as u64);
            seen <= wanted.as_u64().expect("a number")
        }
        "anyOf" => {
            let mut schemas = wanted.as_array().expect("schemas").iter();
            schemas.any(|schema| accepts(schema, value))
        }
        "items" => {
            let items = value.as_array().into_iter().flatten();
            items.into_iter().all(|item| accepts(wanted, item))
        }
        "required" => value.as_object().is_none_or(|value| {
            let mut names = wanted.as_array().expect("names").iter();
            names.all(|name| value.contains_key(name.as_str().expect("a name")))
        }),
        "properties" => value.as_object().is_none_or(|value| {
            let known = wanted.as_object().expect("properties");
            value
                .iter()
                .all(|(name, value)| known.get(name).is_none_or(|schema| accepts(schema, value)))
        }),
        "additionalProperties" => {
            assert_eq!(*wanted, json!(false));
            let known = schema["properties"].as_object().expect("properties");
            value
                .as_object()
                .is_none_or(|value| value.keys().all(|name| known.contains_key(name)))
        }
        "title" | "description" | "default" | "contentEncoding" => true,
        other => panic!("{other} is not known here"),
    })
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => number(value).is_some_and(|number| number.fract() == 0.0),
        other => panic!("{other} is no type"),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// Bodies of a schema's own fields and foreign ones, with values of every kind, the right ones more often.
pub(super) fn bodies(schema: &Value) -> impl Strategy<Value = Value> + use<> {
    let fields = |schema: &Value| {
        let names = schema["properties"].as_object().expect("properties");
        let mut names: Vec<String> = names.keys().cloned().collect();
        names.retain(|name| name != "parameters");
        names
    };
    let mut inner = fields(&schema["properties"]["parameters"]);
    let mut outer = fields(schema);
    inner.extend(["prompt".into(), "size".into()]);
    outer.extend(["width".into(), "n".into(), "".into()]);
    let parameters = prop_oneof![
        4 => object(inner, 5),
        1 => leaf(),
    ];
    (
        object(outer, 4),
        proptest::option::of(parameters),
        any::<bool>(),
    )
        .prop_map(|(mut body, parameters, prompt)| {
            if let Some(parameters) = parameters {
                body["parameters"] = parameters;
            }
            if prompt {
                body["prompt"] = "a cat".into();
            }
            body
        })
}

fn object(names: Vec<String>, most: usize) -> impl Strategy<Value = Value> {
    let field = (proptest::sample::select(names), leaf());
    proptest::collection::vec(field, 0..=most)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn leaf() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..100).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (0.0..1.5_f64).prop_map(|number| json!(number)),
        ".{0,8}".prop_map(Value::from),
        proptest::sample::select(vec![
            "euler", "ddim", "hero", "hero:0.5", "url", "b64_json", "opaque", "encoder", "data:,",
        ])
        .prop_map(Value::from),
    ];
    let list = proptest::collection::vec(scalar.clone(), 0..6).prop_map(Value::from);
    prop_oneof![
        6 => scalar,
        1 => list.clone(),
        1 => proptest::collection::vec(list, 0..3).prop_map(Value::from),
        1 => Just(json!({"a": 1})),
    ]
}

/// Whatever the schema refuses, the task refuses; nothing panics.
pub(super) fn hold_to_schema<T: Task>(task: &T, body: Value) -> Result<(), TestCaseError> {
    let accepted = accepts(&task.schema(), &body);
    let parsed = parse(task, body);
    prop_assert!(accepted || parsed.is_err());
    if let Err(refusal) = parsed {
        prop_assert!(refusal.message.len() < 2000, "{}", refusal);
        let kind = refusal.kind.status();
        prop_assert!([400, 413, 422].contains(&kind), "{}", kind);
    }
    Ok(())
}
