//! Deficit round robin: flows share a server by the cost of their items, not by their number.
//!
//! M. Shreedhar, G. Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", 1996. The quantum is the highest cost
//! among the heads of the flows, so that a visit always serves an item.

use std::collections::VecDeque;

/// A line of waiting items, or flows of such lines.
pub(crate) trait Line {
    /// What waits.
    type Item;

    /// The cost of the item that comes next; nothing in an empty line. May turn to the next flow.
    fn next_cost(&mut self) -> Option<f64>;

    /// The item that comes next, without taking it. The same item as [`take`](Self::take) then gives.
    fn peek(&mut self) -> Option<&Self::Item>;

    /// Takes the item that comes next.
    fn take(&mut self) -> Option<Self::Item>;

    /// Takes out every item that `keep` refuses.
    fn sift(&mut self, keep: &mut dyn FnMut(&Self::Item) -> bool, out: &mut Vec<Self::Item>);

    /// Whether nothing waits.
    fn is_empty(&self) -> bool;
}

/// Items in the order of their arrival, each with its cost.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    items: VecDeque<(f64, T)>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
        }
    }
}

impl<T> Fifo<T> {
    pub(crate) fn push(&mut self, cost: f64, item: T) {
        self.items.push_back((cost, item));
    }
}

impl<T> Line for Fifo<T> {
    type Item = T;

    fn next_cost(&mut self) -> Option<f64> {
        self.items.front().map(|(cost, _)| *cost)
    }

    fn peek(&mut self) -> Option<&T> {
        self.items.front().map(|(_, item)| item)
    }

    fn take(&mut self) -> Option<T> {
        self.items.pop_front().map(|(_, item)| item)
    }

    fn sift(&mut self, keep: &mut dyn FnMut(&T) -> bool, out: &mut Vec<T>) {
        for (cost, item) in std::mem::take(&mut self.items) {
            match keep(&item) {
                true => self.items.push_back((cost, item)),
                false => out.push(item),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// A flow: a line with its key and what it may still spend in this round.
#[derive(Debug)]
struct Flow<K, L> {
    key: K,
    line: L,
    deficit: f64,
    /// Whether the flow has got its quantum of this visit.
    is_visited: bool,
}

/// Lines by key, served by deficit round robin. A line of such flows is a flow itself.
#[derive(Debug)]
pub(crate) struct Flows<K, L> {
    /// The first one is visited now. None is empty.
    flows: VecDeque<Flow<K, L>>,
}

impl<K, L> Default for Flows<K, L> {
    fn default() -> Self {
        Self {
            flows: VecDeque::new(),
        }
    }
}

impl<K: PartialEq, L: Line + Default> Flows<K, L> {
    /// The line of `key`, to put an item into at once: no line may stay empty.
    pub(crate) fn line_of(&mut self, key: K) -> &mut L {
        let place = self.flows.iter().position(|flow| flow.key == key);
        let place = place.unwrap_or_else(|| {
            self.flows.push_back(Flow {
                key,
                line: L::default(),
                deficit: 0.0,
                is_visited: false,
            });
            self.flows.len() - 1
        });
        &mut self.flows[place].line
    }

    /// Turns to the flow that is served next. The turn is the same until an item is taken or put in.
    fn turn(&mut self) -> Option<&mut Flow<K, L>> {
        let costs = self.flows.iter_mut();
        let quantum = costs
            .filter_map(|flow| flow.line.next_cost())
            .fold(0.0, f64::max);
        // One visit to each flow at most: a quantum pays for any head.
        for _ in 0..=self.flows.len() {
            let flow = self.flows.front_mut()?;
            let cost = flow.line.next_cost().unwrap_or(0.0);
            if flow.deficit < cost && !flow.is_visited {
                flow.deficit += quantum;
                flow.is_visited = true;
            }
            if flow.deficit >= cost {
                break;
            }
            flow.is_visited = false;
            self.flows.rotate_left(1);
        }
        self.flows.front_mut()
    }
}

impl<K: PartialEq, L: Line + Default> Line for Flows<K, L> {
    type Item = L::Item;

    fn next_cost(&mut self) -> Option<f64> {
        self.turn()?.line.next_cost()
    }

    fn peek(&mut self) -> Option<&Self::Item> {
        self.turn()?.line.peek()
    }

    fn take(&mut self) -> Option<Self::Item> {
        let flow = self.turn()?;
        let cost = flow.line.next_cost()?;
        let item = flow.line.take()?;
        flow.deficit -= cost;
        if flow.line.is_empty() {
            // An empty flow saves nothing up.
            self.flows.pop_front();
        }
        Some(item)
    }

    fn sift(&mut self, keep: &mut dyn FnMut(&Self::Item) -> bool, out: &mut Vec<Self::Item>) {
        for flow in &mut self.flows {
            flow.line.sift(keep, out);
        }
        self.flows.retain(|flow| !flow.line.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Nested = Flows<&'static str, Flows<u32, Fifo<(&'static str, u32)>>>;

    fn put(flows: &mut Nested, client: &'static str, size: u32, cost: f64) {
        flows
            .line_of(client)
            .line_of(size)
            .push(cost, (client, size));
    }

    #[test]
    fn flows_share_by_cost_and_not_by_number() {
        let mut flows = Nested::default();
        for _ in 0..30 {
            put(&mut flows, "large", 1, 4.0);
            put(&mut flows, "small", 1, 1.0);
        }
        let first: Vec<_> = (0..20).map(|_| flows.take().unwrap().0).collect();
        let large = first.iter().filter(|client| **client == "large").count();
        assert_eq!(large, 4, "4 of cost 4 beside 16 of cost 1: {first:?}");
    }

    #[test]
    fn a_client_with_many_requests_does_not_hold_up_another() {
        let mut flows = Nested::default();
        (0..50).for_each(|_| put(&mut flows, "many", 1, 1.0));
        put(&mut flows, "few", 1, 1.0);
        let place = (0..51).position(|_| flows.take().unwrap().0 == "few");
        assert!(place.unwrap() <= 2, "{place:?}");
    }

    #[test]
    fn sizes_of_a_client_share_its_turns() {
        let mut flows = Nested::default();
        (0..10).for_each(|_| put(&mut flows, "a", 768, 3.0));
        (0..10).for_each(|_| put(&mut flows, "a", 256, 1.0));
        let first: Vec<_> = (0..8).map(|_| flows.take().unwrap().1).collect();
        assert_eq!(
            first.iter().filter(|size| **size == 768).count(),
            2,
            "{first:?}"
        );
    }

    #[test]
    fn what_is_seen_first_is_what_is_taken() {
        let mut flows = Nested::default();
        for (place, client) in ["a", "b", "c", "a", "b", "a"].into_iter().enumerate() {
            put(&mut flows, client, place as u32 % 2, 1.0 + place as f64);
        }
        let mut taken = 0;
        while let Some(seen) = flows.peek().copied() {
            assert_eq!(flows.peek().copied(), Some(seen));
            assert_eq!(flows.take(), Some(seen));
            taken += 1;
        }
        assert_eq!(taken, 6);
        assert!(flows.is_empty());
    }

    #[test]
    fn sifting_leaves_no_empty_flow() {
        let mut flows = Nested::default();
        put(&mut flows, "a", 1, 1.0);
        put(&mut flows, "b", 1, 1.0);
        let mut out = Vec::new();
        flows.sift(&mut |(client, _)| *client == "b", &mut out);
        assert_eq!(out, [("a", 1)]);
        assert_eq!(flows.take(), Some(("b", 1)));
        assert!(flows.is_empty() && flows.take().is_none());
    }
}
