//! The config of a run without its seed and the numbers that follow from the seed.

use std::collections::BTreeMap;

use serde_json::Value;

/// The bits that tell the parts of the built-in scenes apart, see
/// [`DetectionSource::part`](crate::ssd::DetectionSource::part).
const PART_BITS: u64 = 0b111 << 61;

/// The start of the places of numbers in the path of the teacher.
const TEACHER: &str = "/training/distillation/teacher#";

/// A number that may come from the run's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Draw {
    value: u64,
    /// Whether it is the run's seed.
    is_seed: bool,
}

/// The config of a run, apart from its seed and from the numbers that may follow it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// Everything else.
    pub(super) config: Value,
    /// Those numbers, by their places in the config.
    draws: BTreeMap<String, Draw>,
    /// The checksum of the teacher's file; none in a plain training.
    teacher_checksum: Option<u64>,
}

impl Identity {
    /// That of a config whose seed is `seed`.
    ///
    /// The numbers that may follow the seed are those under a key that ends in `seed`, such as the
    /// seed of built-in scenes, and those at the end of a folder or file name of the training, such
    /// as `teacher/seed-0`. Checksums of data that are drawn by a seed are left out: they follow
    /// from the rest.
    pub(super) fn of(config: &Value, seed: u64) -> Self {
        let mut config = config.clone();
        remove(config.pointer_mut("/training"), &["seed"]);
        // Where answers are kept changes nothing.
        remove(
            config.pointer_mut("/training/distillation/cache"),
            &["file"],
        );
        let mut draws = BTreeMap::new();
        take_draws(&mut config, "", seed, &mut draws);
        if draws.keys().any(|place| !place.starts_with("/training/")) {
            for fingerprint in ["/fingerprint", "/validation_fingerprint"] {
                remove(config.pointer_mut(fingerprint), &["checksum", "side"]);
            }
        }
        let distillation = config.pointer_mut("/training/distillation");
        let checksum = distillation
            .as_ref()
            .and_then(|d| d["teacher_checksum"].as_u64());
        remove(distillation, &["teacher_checksum"]);
        Self {
            config,
            draws,
            teacher_checksum: checksum,
        }
    }

    /// Whether runs of these identities differ in their seed alone: each number follows the seed in
    /// all of them, or is the same in all of them. A teacher whose path does not follow the seed is
    /// the same file.
    pub(super) fn same(all: &[&Self]) -> bool {
        let Some((first, rest)) = all.split_first() else {
            return true;
        };
        let same_config = |other: &&&Self| {
            other.config == first.config && other.draws.keys().eq(first.draws.keys())
        };
        let mut teachers = first
            .draws
            .keys()
            .filter(|place| place.starts_with(TEACHER));
        let follows_seed = teachers.any(|place| {
            let mut draws = all.iter().filter_map(|other| other.draws.get(place));
            draws.all(|draw| draw.is_seed)
        });
        let same_teacher = |other: &&Self| other.teacher_checksum == first.teacher_checksum;
        rest.iter().all(|other| same_config(&other))
            && (follows_seed || rest.iter().all(same_teacher))
            && first.draws.iter().all(|(place, draw)| {
                let mut draws = all.iter().filter_map(|other| other.draws.get(place));
                draws.clone().all(|other| other.is_seed)
                    || draws.all(|other| other.value == draw.value)
            })
    }

    /// The part of the config outside the training: the data and how they are split.
    pub(super) fn data(&self) -> Value {
        let mut data = self.config.clone();
        remove(Some(&mut data), &["training"]);
        data
    }

    /// The network's config.
    pub(super) fn model(&self) -> &Value {
        &self.config["training"]["model"]
    }

    /// Whether the run learned from the boxes alone, without a teacher.
    pub(super) fn is_plain(&self) -> bool {
        self.config["training"]["distillation"].is_null()
    }

    /// The first place where the configs differ, such as `/training/steps`.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        difference(&self.config, &other.config, "").or_else(|| {
            let differs = |place: &&String| self.draws.get(*place) != other.draws.get(*place);
            self.draws.keys().find(differs).cloned()
        })
    }
}

/// Removes keys of an object; another value stays.
fn remove(value: Option<&mut Value>, keys: &[&str]) {
    if let Some(object) = value.and_then(Value::as_object_mut) {
        for key in keys {
            object.remove(*key);
        }
    }
}

/// Moves the numbers that may follow the seed out of `value`, which stands at `place`.
fn take_draws(value: &mut Value, place: &str, seed: u64, draws: &mut BTreeMap<String, Draw>) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let place = format!("{place}/{key}");
                match inner.as_u64() {
                    Some(number) if key.ends_with("seed") => {
                        *inner = Value::Null;
                        let is_seed = number & !PART_BITS == seed & !PART_BITS;
                        let value = number;
                        draws.insert(place, Draw { value, is_seed });
                    }
                    _ => take_draws(inner, &place, seed, draws),
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                take_draws(item, &format!("{place}/{number}"), seed, draws);
            }
        }
        Value::String(text) if place.starts_with("/training/") => {
            let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
            let parts = parts.into_iter().enumerate().map(|(number, part)| {
                let Some((stem, value)) = numbered(&part) else {
                    return part;
                };
                let is_seed = value == seed;
                draws.insert(format!("{place}#{number}"), Draw { value, is_seed });
                format!("{stem}*")
            });
            *text = parts.collect::<Vec<_>>().join("/");
        }
        _ => {}
    }
}

/// A name that ends in a number after `-` or `_`, apart: `seed-0` as `seed-` and 0.
pub(super) fn numbered(name: &str) -> Option<(&str, u64)> {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let number = name[stem.len()..].parse().ok()?;
    (stem.ends_with(['-', '_'])).then_some((stem, number))
}

fn difference(a: &Value, b: &Value, place: &str) -> Option<String> {
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let keys = a.keys().chain(b.keys());
        return keys
            .map(|key| (key, a.get(key), b.get(key)))
            .find_map(|(key, a, b)| {
                let null = Value::Null;
                difference(
                    a.unwrap_or(&null),
                    b.unwrap_or(&null),
                    &format!("{place}/{key}"),
                )
            });
    }
    (a != b).then(|| place.to_owned())
}
