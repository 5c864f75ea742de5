//! The few constructors that a state dict needs.

use std::rc::Rc;

use super::{
    pickle::Unpickler,
    storage::{MAX_RANK, TensorInfo, dtype_by_name, dtype_of},
    value::Value,
};

impl Unpickler {
    /// What `callee` makes of `args`; an object without a meaning for every class but a few.
    pub(super) fn construct(&mut self, callee: Value, args: Value) -> Value {
        let Value::Global(module, name) = callee else {
            return Value::Opaque;
        };
        let Value::Tuple(args) = args else {
            return self.object(&module, &name);
        };
        let args = args.items();
        let first = || args.first().cloned().unwrap_or(Value::Opaque);
        match (&*module, &*name) {
            ("collections", "OrderedDict") => match args.first() {
                Some(Value::List(at)) => self.dict_of_pairs(*at),
                _ => self.new_dict(),
            },
            ("collections", "defaultdict") => self.new_dict(),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                match self.lazy_operation(args) {
                    Some(reason) => Value::Unread(reason.into()),
                    None => tensor(args),
                }
            }
            ("torch._utils", name)
                if name.starts_with("_rebuild_") && !name.contains("parameter") =>
            {
                let kind = name.trim_start_matches("_rebuild_");
                Value::Unread(format!("it is stored as a {kind}, which is not read").into())
            }
            // (tensor, requires_grad, hooks).
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => first(),
            // (function, class, its arguments, state): a tensor with attributes.
            ("torch._tensor", "_rebuild_from_type_v2") => match args {
                [callee, _, args, ..] => self.construct(callee.clone(), args.clone()),
                _ => Value::Opaque,
            },
            ("torch", "Size") => first(),
            _ => self.object(&module, &name),
        }
    }

    /// Why a tensor's values are not those of its storage: torch notes an operation that is done when they are used.
    fn lazy_operation(&self, args: &[Value]) -> Option<&'static str> {
        // Behind the hooks, or behind the type that follows them.
        let notes = args.iter().skip(6).filter_map(|value| self.entries(value));
        let is_set = |(key, value): &(Value, Value), name: &str| {
            let is_named = matches!(key, Value::Str(key) if **key == *name);
            is_named && matches!(value, Value::Int(1))
        };
        notes.flatten().find_map(|note| {
            if is_set(note, "neg") {
                return Some("it is a negated view, which is not read; save its `resolve_neg()`");
            }
            is_set(note, "conj")
                .then_some("it is a conjugated view, which is not read; save its `resolve_conj()`")
        })
    }

    fn object(&mut self, module: &str, name: &str) -> Value {
        self.dicts.push(Vec::new());
        Value::Object(self.dicts.len() - 1, format!("{module}.{name}").into())
    }

    /// Python 2 gave an OrderedDict its items as an argument. The list is used up: a pickle that
    /// builds many dicts of one list would otherwise copy it each time.
    fn dict_of_pairs(&mut self, list: usize) -> Value {
        let pairs = std::mem::take(&mut self.lists[list]);
        let pair = |value: Value| match value {
            Value::List(at) => <&[Value; 2]>::try_from(self.lists[at].as_slice())
                .ok()
                .cloned(),
            Value::Tuple(pair) => <&[Value; 2]>::try_from(pair.items()).ok().cloned(),
            _ => None,
        };
        let entries = pairs
            .into_iter()
            .filter_map(pair)
            .map(|[key, value]| (key, value))
            .collect();
        self.dicts.push(entries);
        Value::Dict(self.dicts.len() - 1)
    }
}

/// `(storage, offset, shape, strides, requires_grad, hooks[, dtype, …])`.
fn tensor(args: &[Value]) -> Value {
    let unread = |reason: String| Value::Unread(reason.into());
    let [
        Value::Storage(storage, class),
        Value::Int(offset),
        shape,
        strides,
        ..,
    ] = args
    else {
        return unread("its pickle builds it in an unknown way".into());
    };
    let named = match args.get(6) {
        Some(Value::Global(_, name)) => Some(name),
        _ => None,
    };
    let dtype = dtype_of(class).or_else(|| dtype_by_name(named?));
    let Some(dtype) = dtype else {
        let name = named.unwrap_or(class);
        let name = name.trim_end_matches("Storage");
        return unread(format!("it is of type {name}, which is not read"));
    };
    let sizes = |value: &Value| match value {
        Value::Tuple(sizes) if sizes.items().len() <= MAX_RANK => sizes
            .items()
            .iter()
            .map(|size| match size {
                Value::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    let info = || {
        Some(TensorInfo {
            storage: Rc::clone(storage),
            dtype,
            offset: usize::try_from(*offset).ok()?,
            shape: sizes(shape)?,
            strides: sizes(strides)?,
        })
    };
    info().map_or_else(
        || {
            unread(format!(
                "it has an offset, shape or strides that are no sizes, or more than {MAX_RANK} axes"
            ))
        },
        |info| Value::Tensor(Rc::new(info)),
    )
}
