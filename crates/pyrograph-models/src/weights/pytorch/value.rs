//! Values of a pickle, and the stack machine that they live in.
//!
//! Copies share: `DUP` and the memo would otherwise double a value with every byte of a file.

use std::{collections::HashMap, rc::Rc};

use super::storage::TensorInfo;

/// Deeper than any state dict nests, and shallow enough for the stack of a thread.
pub(super) const MAX_DEPTH: usize = 32;

/// Opcodes of one pickle. A checkpoint of ten thousand tensors with its optimizer needs about one
/// million; what an opcode makes is at most a few dozen bytes beside what it takes from the file.
const MAX_OPCODES: usize = 1 << 23;

/// A value of a pickle.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A value that a state dict does not need: None, floats, bytes, sets.
    Opaque,
    Int(i64),
    /// A long integer's little-endian digits.
    Long(Rc<[u8]>),
    Str(Rc<str>),
    Tuple(Tuple),
    /// A list, by its place in the arena: pickles fill it after they have referred to it.
    List(usize),
    /// A dict, by its place in the arena.
    Dict(usize),
    /// A class or function, by module and name.
    Global(Rc<str>, Rc<str>),
    /// An object of an unknown class: its place in the arena of dicts, for the items of a subclass
    /// of `dict`, and the class.
    Object(usize, Rc<str>),
    /// A storage, by its key, and the name of its class.
    Storage(Rc<str>, Rc<str>),
    Tensor(Rc<TensorInfo>),
    /// A tensor that is not read, and why.
    Unread(Rc<str>),
}

/// A tuple that knows how deep it nests, so that neither reading nor dropping one can exhaust the stack.
#[derive(Clone, Debug)]
pub(super) struct Tuple {
    items: Rc<[Value]>,
    depth: usize,
}

impl Tuple {
    /// A tuple of `items`; one that nests deeper than any state dict is of no use here.
    pub(super) fn value(items: Vec<Value>) -> Value {
        let depth = |value: &Value| match value {
            Value::Tuple(tuple) => tuple.depth,
            _ => 0,
        };
        let depth = 1 + items.iter().map(depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Value::Opaque;
        }
        Value::Tuple(Self {
            items: items.into(),
            depth,
        })
    }

    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

/// One pickle being read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    opcodes: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            opcodes: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next opcode. Their number bounds the stack, the memo and the arenas too: each grows by one at most.
    pub(super) fn opcode(&mut self) -> Result<u8, String> {
        self.opcodes += 1;
        if self.opcodes > MAX_OPCODES {
            return Err(format!(
                "the pickle holds more than the {MAX_OPCODES} opcodes allowed"
            ));
        }
        Ok(self.take(1)?[0])
    }

    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    pub(super) fn top(&self) -> Option<&Value> {
        self.stack.last()
    }

    pub(super) fn mark(&mut self) {
        self.marks.push(self.stack.len());
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!(
                "the pickle ends at byte {}, inside a value: it is cut off or damaged",
                self.bytes.len()
            )
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned little-endian number of `width` bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |n, byte| (n << 8) | usize::from(*byte)))
    }

    pub(super) fn text(&mut self, width: usize) -> Result<Value, String> {
        let length = self.number(width)?;
        Ok(Value::Str(
            String::from_utf8_lossy(self.take(length)?).into(),
        ))
    }

    pub(super) fn line(&mut self) -> Result<Rc<str>, String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("the pickle ends inside a name")?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into())
    }

    pub(super) fn pop(&mut self) -> Result<Value, String> {
        self.stack
            .pop()
            .ok_or_else(|| "the pickle takes from an empty stack".into())
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let from = self
            .stack
            .len()
            .checked_sub(count)
            .ok_or("the pickle takes from an empty stack")?;
        Ok(self.stack.split_off(from))
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        let from = self
            .marks
            .pop()
            .ok_or("the pickle closes what it did not open")?;
        if from > self.stack.len() {
            return Err("the pickle takes from an empty stack".into());
        }
        Ok(self.stack.split_off(from))
    }

    pub(super) fn memoize(&mut self, key: usize) -> Result<(), String> {
        let top = self
            .stack
            .last()
            .ok_or("the pickle remembers nothing")?
            .clone();
        self.memo.insert(key, top);
        Ok(())
    }

    /// Under the next free number, as protocol 4 does.
    pub(super) fn memoize_next(&mut self) -> Result<(), String> {
        self.memoize(self.memo.len())
    }

    pub(super) fn recall(&mut self, key: usize) -> Result<(), String> {
        let value = self
            .memo
            .get(&key)
            .ok_or("the pickle recalls what it never remembered")?
            .clone();
        self.stack.push(value);
        Ok(())
    }
}
