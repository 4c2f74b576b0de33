//! What must hold in a shard between two steps; a simulation looks after every one.

use std::time::Duration;

use crate::ring::Ring;
use crate::schedule::wheel::TICK_NS;

use super::run::Shard;
use super::slot::Phase;

impl<R: Ring> Shard<R> {
    /// Checks that slots, ids, lanes and deadlines agree with each other, and that nothing is past
    /// its deadline that could have been judged.
    ///
    /// # Errors
    /// What does not hold.
    pub fn audit(&self) -> Result<(), String> {
        let core = self.core();
        let in_use = core.slots.in_use();
        let mut counted = 0;
        let mut waiting = 0;
        for (index, slot) in core.slots.iter() {
            if let Phase::Asked(id) = slot.phase {
                if !core.ids.is_taken_by(id, index) {
                    return Err(format!("slot {index} asked as {id}, which is not its id"));
                }
            } else if core.ids.is_asking(index) {
                return Err(format!("slot {index} is {:?} and still has an id", slot.phase));
            }
            counted += u32::from(slot.phase != Phase::Free);
            let (Phase::Asked(_) | Phase::Connecting) = slot.phase else {
                continue;
            };
            waiting += 1;
            let overdue = core.now.since(slot.deadline);
            if self.ring().drained() && overdue >= Duration::from_nanos(TICK_NS) {
                return Err(format!("slot {index} was due {overdue:?} ago and is not judged"));
            }
        }
        if counted != in_use {
            return Err(format!("{in_use} slots are counted in use, {counted} are"));
        }
        if waiting != core.wheel.len() {
            return Err(format!("{waiting} attempts wait, with {} deadlines", core.wheel.len()));
        }
        if in_use != core.lanes.in_use() {
            return Err(format!("{in_use} slots in use, {} sockets lent", core.lanes.in_use()));
        }
        core.lanes.audit()
    }
}
