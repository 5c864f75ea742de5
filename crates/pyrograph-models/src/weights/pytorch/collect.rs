//! From the object of a file to named tensors.

use super::{
    Contents,
    pickle::Unpickler,
    storage::{MAX_COPIES, Storages},
    value::{MAX_DEPTH, Value},
};

/// How many times over the file's size its tensors may be: tied weights, and a state dict given
/// under several names, share their storages.
const MAX_SHARING: usize = 64;
/// The bytes that a tensor counts beside its values.
const TENSOR_BYTES: usize = 128;
/// What collecting may cost: the entries visited, and the lengths of their names.
const MAX_WORK: usize = 1 << 26;
/// The cost of an entry beside its name.
const ENTRY_WORK: usize = 32;

/// Takes the tensors out of nested dicts, lists and tuples.
pub(super) fn collect(
    unpickler: &Unpickler,
    root: &Value,
    storages: &Storages,
    file_bytes: usize,
) -> Result<Contents, String> {
    let mut collector = Collector {
        unpickler,
        storages,
        bytes_left: file_bytes.saturating_mul(MAX_SHARING),
        copies_left: file_bytes.saturating_mul(MAX_COPIES),
        work_left: MAX_WORK,
        around: Vec::new(),
        contents: Contents::default(),
    };
    collector.collect("", root, 0)?;
    Ok(collector.contents)
}

/// A dict may stand in many places, so that a few bytes describe endlessly many entries: the visits are counted.
struct Collector<'a> {
    unpickler: &'a Unpickler,
    storages: &'a Storages,
    bytes_left: usize,
    copies_left: usize,
    work_left: usize,
    /// The dicts and lists around the value that is visited.
    around: Vec<Place>,
    contents: Contents,
}

/// A dict or a list, by its place in its arena.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Dict(usize),
    List(usize),
}

impl Collector<'_> {
    fn collect(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), String> {
        match value {
            Value::Tensor(tensor) => match self.storages.read(tensor, &mut self.copies_left) {
                Ok(read) => {
                    let bytes = read.bytes().len().saturating_add(TENSOR_BYTES);
                    self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
                        format!("its tensors are more than {MAX_SHARING} times its bytes")
                    })?;
                    self.contents.tensors.insert(name.to_owned(), read);
                }
                // Of interest where the model wants it.
                Err(reason) => self.unread(name, reason),
            },
            Value::Unread(reason) => self.unread(name, reason.to_string()),
            Value::List(at) => self.collect_within(Place::List(*at), name, value, depth)?,
            Value::Dict(at) | Value::Object(at, _) => {
                self.collect_within(Place::Dict(*at), name, value, depth)?;
            }
            Value::Tuple(tuple) => self.collect_items(name, tuple.items(), depth)?,
            _ => {}
        }
        Ok(())
    }

    /// A dict or list, but for one that holds itself.
    fn collect_within(
        &mut self,
        place: Place,
        name: &str,
        value: &Value,
        depth: usize,
    ) -> Result<(), String> {
        if self.around.contains(&place) {
            return Ok(());
        }
        if depth == MAX_DEPTH {
            self.unread(
                name,
                format!("it nests deeper than the {MAX_DEPTH} levels that are read"),
            );
            return Ok(());
        }
        self.around.push(place);
        match place {
            Place::List(at) => self.collect_items(name, &self.unpickler.lists[at], depth)?,
            Place::Dict(_) => self.collect_entries(name, value, depth)?,
        }
        self.around.pop();
        Ok(())
    }

    fn unread(&mut self, name: &str, reason: String) {
        self.contents.unread.insert(name.to_owned(), reason);
    }

    fn collect_entries(&mut self, name: &str, dict: &Value, depth: usize) -> Result<(), String> {
        let entries = self.unpickler.entries(dict).unwrap_or_default();
        let has = |name: &str| {
            let mut keys = entries.iter().map(|(key, _)| key);
            keys.any(|key| matches!(key, Value::Str(key) if **key == *name))
        };
        if has("state") && has("param_groups") {
            self.contents.has_optimizer = true;
            return Ok(());
        }
        for (key, value) in entries {
            let number;
            let key = match key {
                Value::Str(key) => &**key,
                Value::Int(key) => {
                    number = key.to_string();
                    &number
                }
                _ => "",
            };
            self.work(ENTRY_WORK + name.len() + key.len())?;
            if !key.is_empty() {
                self.collect(&joined(name, key), value, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Items that hold anything have their place as a name; pairs of a name and a tensor are
    /// entries, as `state_dict.items()` lists them.
    fn collect_items(&mut self, name: &str, items: &[Value], depth: usize) -> Result<(), String> {
        for (place, item) in items.iter().enumerate() {
            self.work(1)?;
            match item {
                Value::Tuple(pair)
                    if let [Value::Str(key), value @ Value::Tensor(_)] = pair.items() =>
                {
                    self.work(ENTRY_WORK + name.len() + key.len())?;
                    self.collect(&joined(name, key), value, depth + 1)?;
                }
                Value::Tensor(_)
                | Value::Unread(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Object(..) => {
                    self.work(ENTRY_WORK + name.len())?;
                    self.collect(&joined(name, &place.to_string()), item, depth + 1)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn work(&mut self, cost: usize) -> Result<(), String> {
        self.work_left = self
            .work_left
            .checked_sub(cost)
            .ok_or("its dicts hold more entries than any checkpoint's")?;
        Ok(())
    }
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() {
        key.to_owned()
    } else {
        format!("{name}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, legacy, tensor, text};

    /// The tensors of a dict of `bias`, two numbers, beside the entry `other`, and why one is not read.
    fn beside(other: &[u8]) -> (Vec<String>, Vec<(String, String)>) {
        let entries = [&text("other")[..], other, &text("bias"), &tensor(2)].concat();
        let object = [b"}q\x00(", &entries[..], b"u"].concat();
        let found = contents(&legacy(&object, &[&[1.0, 2.0]])).expect("a bias");
        assert_eq!(found.tensors["bias"].to_f32(), [1.0, 2.0]);
        let tensors = found.tensors.into_keys().collect();
        (tensors, found.unread.into_iter().collect())
    }

    #[test]
    fn what_nests_without_end_or_holds_itself_is_passed_over() {
        let lists = [&b"]".repeat(100)[..], &b"a".repeat(99)].concat();
        let (tensors, unread) = beside(&lists);
        assert_eq!((tensors.len(), unread.len()), (1, 1));
        assert!(
            unread[0].1.contains("deeper than the 32 levels"),
            "{unread:?}"
        );
        let tuples = [&b")"[..], &b"\x85".repeat(1_000_000)].concat();
        let marks = [&b"(".repeat(200_000)[..], &b"t".repeat(200_000)].concat();
        // The dict around it, twice, and a list in itself.
        let parent = [b"}(", &text("a")[..], b"h\x00", &text("b"), b"h\x00u"].concat();
        for other in [&tuples[..], &marks, &parent, b"]q\x01h\x01a"] {
            assert_eq!(beside(other), (vec!["bias".to_owned()], Vec::new()));
        }
    }

    #[test]
    fn the_state_of_an_optimizer_is_passed_over_and_other_numbers_are_names() {
        let state = [b"}K\x00", &tensor(2)[..], b"s"].concat();
        let (tensors, _) = beside(&state);
        assert_eq!(tensors, ["bias", "other.0"]);
        let optimizer = [
            b"}(",
            &text("state")[..],
            &state,
            &text("param_groups"),
            b"]u",
        ]
        .concat();
        let (tensors, _) = beside(&optimizer);
        assert_eq!(tensors, ["bias"]);
        let file = legacy(&optimizer, &[&[1.0, 2.0]]);
        let message = contents(&file).expect_err("no weights");
        assert_eq!(
            message,
            "it holds the state of an optimizer, and no weights"
        );
    }

    #[test]
    fn a_view_that_is_not_read_stands_beside_tensors_that_are() {
        let view = |size: &[u8], rest: &[u8]| {
            let whole = tensor(2);
            // Offset, shape, strides, and what follows.
            let at = whole
                .windows(4)
                .position(|w| w == b"QK\x00K")
                .expect("an offset");
            [&whole[..at], b"QK\x00", size, rest].concat()
        };
        let expanded = view(b"J\x00\x00\x00\x40\x85K\x00\x85", b"\x89}tR");
        let (_, unread) = beside(&expanded);
        assert!(
            unread[0].1.contains("more than 8 times the file's bytes"),
            "{unread:?}"
        );
        let negated = [b"\x89}}", &text("neg")[..], b"\x88stR"].concat();
        let (_, unread) = beside(&view(b"K\x02\x85K\x01\x85", &negated));
        assert!(unread[0].1.contains("resolve_neg()"), "{unread:?}");
        let plain = [b"\x89}}", &text("neg")[..], b"\x89stR"].concat();
        let (tensors, _) = beside(&view(b"K\x02\x85K\x01\x85", &plain));
        assert_eq!(tensors, ["bias", "other"]);
    }
}
