//! What will happen, in order of time; at the same moment, in order of planning.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::tick::Tick;

#[derive(Debug)]
struct Planned<T> {
    at: Tick,
    order: u64,
    what: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Planned<T>) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Planned<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Planned<T>) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

impl<T> Timeline<T> {
    pub(super) fn new() -> Timeline<T> {
        Timeline { heap: BinaryHeap::new(), planned: 0 }
    }

    pub(super) fn plan(&mut self, at: Tick, what: T) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at, order: self.planned, what }));
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<Tick> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }

    /// The next thing that happens by `now`, and when it does.
    pub(super) fn pop_by(&mut self, now: Tick) -> Option<(Tick, T)> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_then_the_order_of_planning() {
        let mut timeline = Timeline::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            timeline.plan(Tick::from_ns(at), what);
        }
        let now = Tick::from_ns(5);
        let order: Vec<char> = std::iter::from_fn(|| timeline.pop_by(now)).map(|at| at.1).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn the_future_stays() {
        let mut timeline = Timeline::new();
        timeline.plan(Tick::from_ns(9), ());
        assert_eq!(timeline.pop_by(Tick::from_ns(8)), None);
        assert_eq!(timeline.next_at(), Some(Tick::from_ns(9)));
    }
}
