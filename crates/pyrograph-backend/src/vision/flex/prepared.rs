//! The forms of prepared weights: a layer finds them by where its weight lies in memory.
//!
//! A weight is prepared as long as somebody holds it (see [`PreparedWeights`](super::super::PreparedWeights)). It keeps
//! its tensor, so that no other tensor comes to lie there and nobody writes to it meanwhile.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use burn_flex::FlexTensor;
use bytemuck::AnyBitPattern;
use parking_lot::{Mutex, RwLock};

use super::{
    super::prepared_bytes,
    buffers::{Buffer, LINE, before_line, zeros},
    pages::Pages,
};

/// Prepared weights by the address of their first number.
static WEIGHTS: RwLock<BTreeMap<usize, Weak<Weight>>> = RwLock::new(BTreeMap::new());

/// Bytes that all forms take beside what was given back for them.
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What [`BYTES`] is.
#[cfg(test)]
pub(in super::super) fn so_far() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// A weight, and its forms so far.
pub(super) struct Weight {
    tensor: FlexTensor,
    /// Whether a layer has multiplied it.
    was_used: AtomicBool,
    forms: Mutex<Vec<Kept>>,
}

struct Kept {
    key: Key,
    form: Arc<Form>,
    _room: Room,
}

/// What a form follows from beside the numbers: its kind, and all sizes that place a number in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    kind: &'static str,
    sizes: Vec<isize>,
}

impl Key {
    pub(super) fn new(kind: &'static str, sizes: impl IntoIterator<Item = usize>) -> Self {
        Self::of_signed(kind, sizes.into_iter().map(|size| size as isize))
    }

    pub(super) fn of_signed(kind: &'static str, sizes: impl IntoIterator<Item = isize>) -> Self {
        Self {
            kind,
            sizes: sizes.into_iter().collect(),
        }
    }
}

/// Numbers from the beginning of a line of the cache on.
pub(super) struct Form {
    values: Vec<f32>,
    first: usize,
    len: usize,
}

impl Form {
    fn new(len: usize, make: impl FnOnce(&mut [f32])) -> Self {
        let mut values = zeros(len + LINE - 1);
        let first = before_line(&values);
        make(&mut values[first..][..len]);
        Self { values, first, len }
    }

    /// The form as numbers of another type.
    pub(super) fn numbers<T: AnyBitPattern>(&self) -> &[T] {
        bytemuck::cast_slice(self)
    }
}

impl Deref for Form {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..][..self.len]
    }
}

/// Room within the limit of [`prepared_bytes`].
struct Room(usize);

impl Room {
    fn of(bytes: usize) -> Option<Self> {
        let limit = prepared_bytes();
        let taken = BYTES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            let all = taken.checked_add(bytes)?;
            (limit > 0 && all <= limit).then_some(all)
        });
        taken.is_ok().then(|| Self(bytes))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        BYTES.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Prepares a weight of contiguous numbers.
pub(super) fn weight(tensor: FlexTensor) -> Option<Arc<Weight>> {
    if !tensor.is_contiguous() || tensor.layout().num_elements() == 0 {
        return None;
    }
    let weight = Weight {
        tensor,
        was_used: AtomicBool::new(false),
        forms: Mutex::new(Vec::new()),
    };
    let mut weights = WEIGHTS.write();
    let place = weights.entry(weight.address()).or_default();
    if let Some(known) = place.upgrade() {
        // A view of the same numbers; dropped after the lock.
        drop(weights);
        return Some(known);
    }
    let weight = Arc::new(weight);
    *place = Arc::downgrade(&weight);
    Some(weight)
}

/// The form of the weight whose numbers these are, if it is prepared: the one that is kept, or `len` values that `make`
/// writes. None where there is no room, and at the first use: a network that runs once needs no memory for forms.
pub(super) fn form<T>(
    numbers: &[T],
    key: impl FnOnce() -> Key,
    len: usize,
    make: impl FnOnce(&mut [f32]),
) -> Option<Arc<Form>> {
    let weight = WEIGHTS.read().get(&numbers.as_ptr().addr())?.upgrade()?;
    let was_used = weight.was_used.swap(true, Ordering::Relaxed);
    was_used.then(|| weight.form(key(), len, make)).flatten()
}

/// A form that is kept, or one for this call.
pub(super) enum Packed {
    Kept(Arc<Form>),
    Made(Buffer),
}

impl Packed {
    /// [`form`], or what `make` writes for this call.
    pub(super) fn of<T>(
        numbers: &[T],
        key: impl FnOnce() -> Key,
        len: usize,
        make: impl Fn(&mut [f32]),
    ) -> Self {
        if let Some(form) = form(numbers, key, len, &make) {
            return Self::Kept(form);
        }
        let mut made = Buffer::new(len);
        make(&mut made);
        Self::Made(made)
    }

    /// The form as numbers of another type.
    pub(super) fn numbers<T: AnyBitPattern>(&self) -> &[T] {
        match self {
            Self::Kept(form) => form.numbers(),
            Self::Made(made) => bytemuck::cast_slice(made),
        }
    }
}

impl Weight {
    fn bytes(&self) -> &[u8] {
        let layout = self.tensor.layout();
        let size = self.tensor.dtype().size();
        &self.tensor.bytes()[layout.start_offset() * size..][..layout.num_elements() * size]
    }

    fn address(&self) -> usize {
        self.bytes().as_ptr().addr()
    }

    fn form(&self, key: Key, len: usize, make: impl FnOnce(&mut [f32])) -> Option<Arc<Form>> {
        let known = |forms: &[Kept]| {
            let found = forms.iter().find(|kept| kept.key == key);
            found.map(|kept| Arc::clone(&kept.form))
        };
        if let Some(form) = known(&self.forms.lock()) {
            return Some(form);
        }
        let pages = Pages::of_a_file(self.bytes());
        let given_back = pages.as_ref().map_or(0, Pages::size);
        let room = Room::of((len * size_of::<f32>()).saturating_sub(given_back))?;
        // Not under the lock: while a thread waits for others that make the form, it may begin a pass that wants it too.
        let form = Arc::new(Form::new(len, make));
        let mut forms = self.forms.lock();
        if let Some(form) = known(&forms) {
            return Some(form);
        }
        forms.push(Kept {
            key,
            form: Arc::clone(&form),
            _room: room,
        });
        drop(forms);
        if let Some(pages) = pages {
            pages.give_back();
        }
        Some(form)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        let mut weights = WEIGHTS.write();
        // Somebody may have prepared the same weight anew since the last holder went.
        let address = self.address();
        if weights
            .get(&address)
            .is_some_and(|weight| weight.strong_count() == 0)
        {
            weights.remove(&address);
        }
    }
}
