//! The end of a ring: cancel, drain to zero, then unmap (R6).

use std::mem::ManuallyDrop;
use std::time::Duration;

use io_uring::cqueue;
use io_uring::types::{CancelBuilder, Timespec};

use super::super::message;
use super::super::token::{self, Kind};
use super::{DRAIN_PATIENCE, UringRing};
use crate::tick::monotonic_now;

impl Drop for UringRing {
    fn drop(&mut self) {
        // R6: cancel, drain to zero, then unmap; if draining fails, leak.
        self.give_back_lent();
        let patience = Timespec::from(DRAIN_PATIENCE);
        let submitter = self.ring.0.submitter();
        let _ = submitter.submit();
        let _ = submitter.register_sync_cancel(Some(patience), CancelBuilder::any());
        let give_up = monotonic_now() + DRAIN_PATIENCE;
        while self.in_flight > 0 && monotonic_now() < give_up {
            self.batch.clear();
            if self.enter(1, Duration::from_millis(50)).is_err() {
                break;
            }
            self.reap();
            for entry in &self.batch {
                let is_send = matches!(token::unpack(entry.user_data()), Some((Kind::Send, ..)));
                if !is_send && !cqueue::more(entry.flags()) {
                    self.in_flight -= 1;
                }
            }
        }
        if self.in_flight == 0 {
            // What a ring has registered goes some time after it; a source port may be wanted again at once.
            let _ = self.ring.0.submitter().unregister_files();
            // SAFETY: dropped once, here, and not used after: no op is left that could write into
            // the groups, and the ring goes before its buffers.
            unsafe {
                ManuallyDrop::drop(&mut self.ring.0);
                ManuallyDrop::drop(&mut self.data);
                ManuallyDrop::drop(&mut self.errors);
            }
        } else {
            // SAFETY: dropped once, here, and not used after. The groups and what the ops name are
            // leaked, because the kernel may still write to them.
            unsafe { ManuallyDrop::drop(&mut self.ring.0) };
            std::mem::forget(std::mem::take(&mut self.outgoing));
            std::mem::forget(std::mem::replace(
                &mut self.data_header,
                Box::new(message::header(0)),
            ));
            std::mem::forget(std::mem::replace(
                &mut self.error_header,
                Box::new(message::header(0)),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, UdpSocket};

    use super::super::RingConfig;
    use super::*;
    use crate::ring::{Ring, SocketKind, SocketSpec};
    use crate::tick::Tick;

    #[test]
    fn a_source_port_is_free_again_when_its_ring_is_gone() {
        let source = IpAddr::from(Ipv4Addr::new(127, 0, 77, 9));
        let free = UdpSocket::bind((source, 0)).expect("a free port");
        let spec = SocketSpec {
            kind: SocketKind::Udp,
            is_ipv6: false,
            source: Some(source),
            source_port: Some(free.local_addr().expect("bound").port()),
            interface: None,
            mark: 0,
            receive_buffer: None,
        };
        drop(free);
        for round in 0..20 {
            let mut ring = UringRing::new(&RingConfig { slots: 4 }).expect("a ring");
            let opened = ring.open(&spec);
            assert!(opened.is_ok(), "round {round}: {opened:?}");
            // Its receives are armed.
            let until = ring.now();
            ring.turn(until, 1, Tick::NEVER).expect("a turn");
        }
    }
}
