//! The part of Python's pickle format that state dicts use (protocols 1 to 5). Nothing is imported or called.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    storage::{StorageInfo, size_of_element},
    value::{Reader, Tuple, Value},
};

/// torch numbers the storages of a file, or names them by their addresses.
const MAX_STORAGE_KEY: usize = 64;

/// Opcodes by which a pickle of protocol 0 gives itself away: those of lines of text that protocol 1 writes in binary.
const PROTOCOL_0: &[u8] = b"dpgFPSV";

/// Unpickles, remembering the storages that were named.
#[derive(Debug, Default)]
pub(super) struct Unpickler {
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    storages: BTreeMap<Rc<str>, StorageInfo>,
    module: Option<Rc<str>>,
}

impl Unpickler {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The storages that tensors are views of.
    pub(super) fn storages(&self) -> &BTreeMap<Rc<str>, StorageInfo> {
        &self.storages
    }

    /// The class of the outermost `torch.nn.Module` that was pickled as an object.
    pub(super) fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// The entries of a dict.
    pub(super) fn entries(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) | Value::Object(at, _) => Some(&self.dicts[*at]),
            _ => None,
        }
    }

    /// The items of a list.
    pub(super) fn items(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(at) => Some(&self.lists[*at]),
            _ => None,
        }
    }

    /// Reads one pickle; the second value is its length in bytes.
    pub(super) fn load(&mut self, bytes: &[u8]) -> Result<(Value, usize), String> {
        let mut r = Reader::new(bytes);
        loop {
            match r.opcode()? {
                b'.' => return Ok((r.pop()?, r.at())),
                op => self.execute(op, &mut r)?,
            }
        }
    }

    fn execute(&mut self, op: u8, r: &mut Reader<'_>) -> Result<(), String> {
        let value = match op {
            // Frames and protocol.
            0x80 => return r.take(1).map(drop),
            0x95 => return r.take(8).map(drop),
            // Stack and memo.
            b'(' => {
                r.mark();
                return Ok(());
            }
            b'0' => return r.pop().map(drop),
            b'1' => return r.pop_mark().map(drop),
            b'2' => r.top().ok_or("the pickle copies nothing")?.clone(),
            b'q' => return r.number(1).and_then(|key| r.memoize(key)),
            b'r' => return r.number(4).and_then(|key| r.memoize(key)),
            0x94 => return r.memoize_next(),
            b'h' => return r.number(1).and_then(|key| r.recall(key)),
            b'j' => return r.number(4).and_then(|key| r.recall(key)),
            // Atoms.
            b'N' => Value::Opaque,
            0x88 => Value::Int(1),
            0x89 => Value::Int(0),
            b'J' => Value::Int(i64::from(r.number(4)? as u32 as i32)),
            b'K' => Value::Int(r.number(1)? as i64),
            b'M' => Value::Int(r.number(2)? as i64),
            b'I' | b'L' => long(&decimal(&r.line()?)?),
            0x8a => r.number(1).and_then(|width| r.take(width)).map(long)?,
            0x8b => r.number(4).and_then(|width| r.take(width)).map(long)?,
            b'G' => r.take(8).map(|_| Value::Opaque)?,
            b'U' | 0x8c => r.text(1)?,
            b'T' | b'X' => r.text(4)?,
            0x8d => r.text(8)?,
            b'C' => skipped(r, 1)?,
            b'B' => skipped(r, 4)?,
            0x8e | 0x96 => skipped(r, 8)?, // Bytes and bytearrays of protocols 4 and 5.
            0x97 => Value::Opaque,         // A buffer beside the pickle.
            0x98 => return Ok(()),         // The buffer becomes read-only.
            0x82 => r.take(1).map(|_| Value::Opaque)?, // Classes by numbers of a registry.
            0x83 => r.take(2).map(|_| Value::Opaque)?,
            0x84 => r.take(4).map(|_| Value::Opaque)?,
            // Containers.
            b')' => Tuple::value(Vec::new()),
            0x85 => Tuple::value(r.pop_many(1)?),
            0x86 => Tuple::value(r.pop_many(2)?),
            0x87 => Tuple::value(r.pop_many(3)?),
            b't' => Tuple::value(r.pop_mark()?),
            b']' => self.new_list(Vec::new()),
            b'l' => {
                let items = r.pop_mark()?;
                self.new_list(items)
            }
            b'}' => self.new_dict(),
            0x8f => Value::Opaque,                        // A set.
            0x91 => r.pop_mark().map(|_| Value::Opaque)?, // A frozen set.
            b'a' => {
                let item = r.pop()?;
                return self.append(r, vec![item]);
            }
            b'e' => {
                let items = r.pop_mark()?;
                return self.append(r, items);
            }
            0x90 => return r.pop_mark().map(drop), // Items of a set.
            b's' => {
                let pair = r.pop_many(2)?;
                return self.set_items(r, pair);
            }
            b'u' => {
                let items = r.pop_mark()?;
                return self.set_items(r, items);
            }
            // Objects.
            b'c' => Value::Global(r.line()?, r.line()?),
            0x93 => match r.pop_many(2)?.as_slice() {
                [Value::Str(module), Value::Str(name)] => {
                    Value::Global(module.clone(), name.clone())
                }
                _ => return Err("the pickle names a class by something else than text".into()),
            },
            b'Q' => {
                let id = r.pop()?;
                self.persistent(id)?
            }
            b'R' | 0x81 => {
                let (args, callee) = (r.pop()?, r.pop()?);
                self.construct(callee, args)
            }
            0x92 => {
                let (_, args, callee) = (r.pop()?, r.pop()?, r.pop()?);
                self.construct(callee, args)
            }
            b'i' => {
                let callee = Value::Global(r.line()?, r.line()?);
                r.pop_mark()?;
                self.construct(callee, Value::Opaque)
            }
            b'o' => {
                let parts = r.pop_mark()?;
                let callee = parts.into_iter().next().unwrap_or(Value::Opaque);
                self.construct(callee, Value::Opaque)
            }
            b'b' => {
                let state = r.pop()?; // Such as OrderedDict's `_metadata`.
                self.note_module(r.top(), &state);
                return Ok(());
            }
            op if PROTOCOL_0.contains(&op) => {
                return Err("it was pickled with protocol 0, in which torch cannot name storages; 1 and above are read".into());
            }
            op => {
                return Err(format!(
                    "the pickle holds opcode {op:#04x} at byte {}, which no state dict needs",
                    r.at() - 1
                ));
            }
        };
        r.push(value);
        Ok(())
    }

    fn new_list(&mut self, items: Vec<Value>) -> Value {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    pub(super) fn new_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    /// Items of anything but a list are of no use here.
    fn append(&mut self, r: &Reader<'_>, items: Vec<Value>) -> Result<(), String> {
        match r.top() {
            Some(Value::List(at)) => self.lists[*at].extend(items),
            Some(_) => {}
            None => return Err("the pickle appends to nothing".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, r: &Reader<'_>, items: Vec<Value>) -> Result<(), String> {
        let mut items = items.into_iter();
        match r.top() {
            Some(Value::Dict(at) | Value::Object(at, _)) => {
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    self.dicts[*at].push((key, value));
                }
            }
            Some(_) => {}
            None => return Err("the pickle sets items of nothing".into()),
        }
        Ok(())
    }

    /// Remembers the class of an object whose state is that of a module. A module is filled after those that it holds.
    fn note_module(&mut self, object: Option<&Value>, state: &Value) {
        let Some(Value::Object(_, class)) = object else {
            return;
        };
        let is_field = |(key, _): &(Value, Value), name: &str| matches!(key, Value::Str(key) if **key == *name);
        let entries = self.entries(state).unwrap_or_default();
        let has = |name| entries.iter().any(|entry| is_field(entry, name));
        if has("_modules") && has("_parameters") {
            self.module = Some(Rc::clone(class));
        }
    }

    /// `('storage', torch.FloatStorage, key, device, length[, view])`.
    fn persistent(&mut self, id: Value) -> Result<Value, String> {
        let Value::Tuple(id) = id else {
            return Err("the pickle names a storage by something else than a tuple".into());
        };
        let parts = id.items();
        // Legacy files name the classes of pickled modules so, with their source.
        if let [Value::Str(kind), class, ..] = parts
            && **kind == *"module"
        {
            return Ok(class.clone());
        }
        let [
            Value::Str(kind),
            Value::Global(_, class),
            Value::Str(key),
            ..,
        ] = parts
        else {
            return Err("the pickle names a storage in an unknown way".into());
        };
        if &**kind != "storage" {
            return Ok(Value::Opaque);
        }
        if key.len() > MAX_STORAGE_KEY {
            return Err(format!(
                "a storage's key has {} bytes, more than the {MAX_STORAGE_KEY} allowed",
                key.len()
            ));
        }
        if !matches!(parts.get(5), None | Some(Value::Opaque)) {
            return Err(format!(
                "storage {key} is a view of another, a form given up with torch 0.4"
            ));
        }
        let info = StorageInfo {
            class: Rc::clone(class),
            size: size_of_element(class),
        };
        self.storages.insert(Rc::clone(key), info);
        Ok(Value::Storage(Rc::clone(key), Rc::clone(class)))
    }
}

/// Bytes of which a state dict has no use.
fn skipped(r: &mut Reader<'_>, width: usize) -> Result<Value, String> {
    let length = r.number(width)?;
    r.take(length).map(|_| Value::Opaque)
}

/// The digits of a number that protocol 1 wrote as a line of text, such as `12`, `12L` or `01` for True.
fn decimal(line: &str) -> Result<Vec<u8>, String> {
    let number: i128 = line
        .strip_suffix('L')
        .unwrap_or(line)
        .parse()
        .map_err(|_| "the pickle holds a number that does not read")?;
    let mut digits = number.to_le_bytes().to_vec();
    // As few digits as keep the sign, which is how protocol 2 writes a number.
    let filler = if number < 0 { 0xff } else { 0 };
    let same_sign = |byte: u8| (byte & 0x80 != 0) == (number < 0);
    while let [.., before, last] = digits[..]
        && last == filler
        && same_sign(before)
    {
        digits.pop();
    }
    Ok(digits)
}

/// A long integer: as an `Int` where it fits.
fn long(digits: &[u8]) -> Value {
    if digits.len() > size_of::<i64>() {
        return Value::Long(digits.into());
    }
    let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; size_of::<i64>()];
    bytes[..digits.len()].copy_from_slice(digits);
    Value::Int(i64::from_le_bytes(bytes))
}
