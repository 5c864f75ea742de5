//! The bounded queue.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::mpsc::UnboundedSender;

use super::fair::{Fifo, Flows, Line};
use crate::{BatchKey, ClientKey, Demand, Event, Refusal, RefusalKind};

/// The client's end of a request: where its events go, and whether anybody listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) id: String,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) deadline: Instant,
    pub(crate) previews: usize,
}

impl Listener {
    /// Tells the client. One that went away is told nothing.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Why nobody waits for the request any more.
    pub(crate) fn gone(&self, now: Instant) -> Option<Refusal> {
        if self.cancelled.load(Ordering::Acquire) || self.events.is_closed() {
            return Some(Refusal::new(
                RefusalKind::Cancelled,
                "the request was cancelled",
            ));
        }
        (now >= self.deadline).then(|| {
            Refusal::new(
                RefusalKind::Deadline,
                "the deadline of the request passed before its result was there",
            )
        })
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Entry<I> {
    pub(crate) client: ClientKey,
    pub(crate) input: I,
    pub(crate) demand: Demand,
    pub(crate) listener: Listener,
    pub(crate) arrived: Instant,
    /// Estimated seconds, or work where nothing was observed.
    pub(crate) cost: f64,
}

/// Requests that wait: fair between clients, and between the sizes of each client.
#[derive(Debug)]
pub(crate) struct Queue<I> {
    line: Flows<ClientKey, Flows<BatchKey, Fifo<Entry<I>>>>,
    clients: HashMap<ClientKey, Waiting>,
    length: usize,
}

/// What waits of one client.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    length: usize,
    cost: f64,
}

impl<I> Default for Queue<I> {
    fn default() -> Self {
        Self {
            line: Flows::default(),
            clients: HashMap::new(),
            length: 0,
        }
    }
}

impl<I> Queue<I> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether another request of `client` may wait, where `room` of them may. Beyond it there is a quarter more for clients
    /// that have less than their share: one that fills the queue does not shut out the others.
    pub(crate) fn has_room(&self, client: &ClientKey, room: usize) -> bool {
        let own = self.clients.get(client).map_or(0, |waiting| waiting.length);
        let clients = self.clients.len() + usize::from(own == 0);
        let share = (room / clients).max(1);
        self.length < room || (own < share && self.length < Self::bound(room))
    }

    /// The most requests that wait of all clients together.
    pub(crate) fn bound(room: usize) -> usize {
        room.saturating_add((room / 4).max(1))
    }

    /// The cost of all that waits.
    pub(crate) fn cost(&self) -> f64 {
        self.clients.values().map(|waiting| waiting.cost).sum()
    }

    /// The cost of what is served before a further request of `client` that costs `cost`, since clients take turns.
    pub(crate) fn cost_before(&self, client: &ClientKey, cost: f64) -> f64 {
        let own = self.clients.get(client).copied().unwrap_or_default();
        let others = self.clients.keys().filter(|other| *other != client).count();
        let turns = others as f64 * (own.cost + cost);
        own.cost + turns.min(self.cost() - own.cost)
    }

    pub(crate) fn push(&mut self, entry: Entry<I>) {
        self.length += 1;
        let waiting = self.clients.entry(entry.client.clone()).or_default();
        waiting.length += 1;
        waiting.cost += entry.cost;
        let line = self.line.line_of(entry.client.clone());
        line.line_of(entry.demand.key.clone())
            .push(entry.cost, entry);
    }

    /// Takes the request whose turn it is, if it fits. One that does not fit lets no other pass, so that none waits for ever.
    pub(crate) fn take_if(&mut self, fits: impl FnOnce(&Demand) -> bool) -> Option<Entry<I>> {
        if !fits(&self.line.peek()?.demand) {
            return None;
        }
        let entry = self.line.take()?;
        self.took(std::slice::from_ref(&entry));
        Some(entry)
    }

    /// Takes out the requests that nobody waits for, and tells those whose deadline passed.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let mut out = Vec::new();
        let keep = &mut |entry: &Entry<I>| entry.listener.gone(now).is_none();
        self.line.sift(keep, &mut out);
        self.took(&out);
        for entry in out {
            if let Some(refusal) = entry.listener.gone(now) {
                entry.listener.tell(Event::Done(Err(refusal)));
            }
        }
    }

    /// Refuses all that waits.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        let mut out = Vec::new();
        self.line.sift(&mut |_| false, &mut out);
        self.took(&out);
        for entry in out {
            entry.listener.tell(Event::Done(Err(refusal.clone())));
        }
    }

    fn took(&mut self, entries: &[Entry<I>]) {
        self.length -= entries.len();
        for entry in entries {
            if let Some(waiting) = self.clients.get_mut(&entry.client) {
                waiting.length -= 1;
                waiting.cost -= entry.cost;
                if waiting.length == 0 {
                    self.clients.remove(&entry.client);
                }
            }
        }
    }
}
