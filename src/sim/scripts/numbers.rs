//! Who has which group number. The lowest free one goes first, so that stale numbers are soon wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::reaper::supervise::RunId;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Script(RunId),
    Innocent,
}

#[derive(Debug, Default)]
pub(super) struct Numbers {
    owners: BTreeMap<u32, Owner>,
    used: BTreeSet<u32>,
    reused: u64,
}

impl Numbers {
    pub(super) fn take(&mut self, owner: Owner) -> u32 {
        let number = (2..).find(|number| !self.owners.contains_key(number)).unwrap_or(u32::MAX);
        self.owners.insert(number, owner);
        self.reused += u64::from(!self.used.insert(number));
        number
    }

    pub(super) fn free(&mut self, number: u32) {
        self.owners.remove(&number);
    }

    pub(super) fn owner(&self, number: u32) -> Option<Owner> {
        self.owners.get(&number).copied()
    }

    pub(super) fn reused(&self) -> u64 {
        self.reused
    }
}
