//! The bounded queue.

use std::{
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
    length: usize,
    cost: f64,
}

impl<I> Default for Queue<I> {
    fn default() -> Self {
        Self {
            line: Flows::default(),
            length: 0,
            cost: 0.0,
        }
    }
}

impl<I> Queue<I> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The cost of all that waits.
    pub(crate) fn cost(&self) -> f64 {
        self.cost
    }

    pub(crate) fn push(&mut self, client: ClientKey, entry: Entry<I>) {
        self.length += 1;
        self.cost += entry.cost;
        let line = self.line.line_of(client).line_of(entry.demand.key.clone());
        line.push(entry.cost, entry);
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
        self.cost -= entries.iter().map(|entry| entry.cost).sum::<f64>();
        if self.length == 0 {
            // Sums of many numbers do not come back to nothing by themselves.
            self.cost = 0.0;
        }
    }
}
