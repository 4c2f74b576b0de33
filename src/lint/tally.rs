//! One report for all that has one cause.

use std::collections::HashMap;
use std::hash::Hash;

use crate::conf::Span;

/// What a rule found, by cause, in the order of the first finding of each.
#[derive(Debug)]
pub(super) struct Tally<K> {
    places: HashMap<K, usize>,
    found: Vec<Found<K>>,
}

/// All findings of one cause.
#[derive(Clone, Debug)]
pub(super) struct Found<K> {
    /// The cause.
    pub(super) cause: K,
    /// Where it was found first.
    pub(super) first: Span,
    /// Where it was found next.
    pub(super) second: Option<Span>,
    /// How often it was found.
    pub(super) count: usize,
}

impl<K: Copy + Eq + Hash> Tally<K> {
    pub(super) fn new() -> Tally<K> {
        Tally { places: HashMap::new(), found: Vec::new() }
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, cause: K, place: Span) {
        let index = *self.places.entry(cause).or_insert(self.found.len());
        match self.found.get_mut(index) {
            Some(found) => {
                found.count += 1;
                found.second.get_or_insert(place);
            }
            None => self.found.push(Found { cause, first: place, second: None, count: 1 }),
        }
    }

    /// One entry for each cause.
    pub(super) fn found(self) -> Vec<Found<K>> {
        self.found
    }
}

impl<K> Found<K> {
    /// `; 41 more checkers like it`, or nothing.
    pub(super) fn others(&self, what: &str) -> String {
        match self.count - 1 {
            0 => String::new(),
            1 => format!("; 1 more {what} like it"),
            more => format!("; {more} more {what}s like it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::FileId;

    #[test]
    fn equal_causes_are_one_finding() {
        let at = |start| Span::new(FileId(0), start, start + 1);
        let mut tally = Tally::new();
        for (cause, place) in [('a', 1), ('b', 2), ('a', 3), ('a', 4)] {
            tally.add(cause, at(place));
        }
        let found = tally.found();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].cause, found[0].count, found[0].second), ('a', 3, Some(at(3))));
        assert_eq!(found[0].others("checker"), "; 2 more checkers like it");
        assert_eq!((found[1].first, found[1].others("checker")), (at(2), String::new()));
    }
}
