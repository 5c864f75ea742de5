//! From the object of a file to named tensors.

use super::{
    Contents,
    pickle::Unpickler,
    storage::{MAX_COPIES, Storages},
    value::{MAX_DEPTH, Value},
};

/// How many times over the file's size its tensors may be: tied weights, and a state dict given under several names, share
/// their storages.
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
        contents: Contents::default(),
    };
    collector.collect("", root, 0)?;
    Ok(collector.contents)
}

/// A dict may stand in many places, even in itself, so that a few bytes describe endlessly many entries: the visits are
/// counted.
struct Collector<'a> {
    unpickler: &'a Unpickler,
    storages: &'a Storages,
    bytes_left: usize,
    copies_left: usize,
    work_left: usize,
    contents: Contents,
}

impl Collector<'_> {
    fn collect(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), String> {
        match value {
            Value::Tensor(tensor) => {
                let read = self
                    .storages
                    .read(tensor, &mut self.copies_left)
                    .map_err(|reason| format!("`{name}`: {reason}"))?;
                let bytes = read.bytes().len().saturating_add(TENSOR_BYTES);
                self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
                    format!("its tensors are more than {MAX_SHARING} times its bytes")
                })?;
                self.contents.tensors.insert(name.to_owned(), read);
                Ok(())
            }
            Value::Unread(reason) => {
                let reason = reason.to_string();
                self.contents.unread.insert(name.to_owned(), reason);
                Ok(())
            }
            Value::List(at) => self.collect_items(name, &self.unpickler.lists[*at], depth),
            Value::Tuple(tuple) => self.collect_items(name, tuple.items(), depth),
            Value::Dict(_) | Value::Object(..) => self.collect_entries(name, value, depth),
            _ => Ok(()),
        }
    }

    fn collect_entries(&mut self, name: &str, dict: &Value, depth: usize) -> Result<(), String> {
        let entries = self.unpickler.entries(dict).unwrap_or_default();
        check_depth(depth)?;
        for (key, value) in entries {
            let key = match key {
                Value::Str(key) => &**key,
                _ => "",
            };
            self.work(ENTRY_WORK + name.len() + key.len())?;
            // Numbers name the parameters of an optimizer, which is not the model.
            if !key.is_empty() {
                self.collect(&joined(name, key), value, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Items that hold anything have their place as a name; pairs of a name and a tensor are entries, as `state_dict.items()`
    /// lists them.
    fn collect_items(&mut self, name: &str, items: &[Value], depth: usize) -> Result<(), String> {
        check_depth(depth)?;
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

fn check_depth(depth: usize) -> Result<(), String> {
    if depth == MAX_DEPTH {
        return Err(format!(
            "its dicts nest deeper than the {MAX_DEPTH} levels allowed, or one holds itself"
        ));
    }
    Ok(())
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() {
        key.to_owned()
    } else {
        format!("{name}.{key}")
    }
}
