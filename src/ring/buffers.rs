//! A group of provided buffers: the kernel picks one for each datagram, we give it back after reading.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

const PAGE_BYTES: usize = 4096;

/// `count` buffers of `size` bytes and the ring that hands them to the kernel.
#[derive(Debug)]
pub(super) struct BufferGroup {
    count: u16,
    size: u32,
    tail: u16,
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
}

impl BufferGroup {
    /// Registers a group of `count` (a power of two, at most 32,768) buffers.
    ///
    /// # Errors
    /// The kernel's refusal: EINVAL before 5.19, ENOMEM past RLIMIT_MEMLOCK from 6.14.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        id: u16,
        count: u16,
        size: u32,
    ) -> io::Result<BufferGroup> {
        assert!(count.is_power_of_two() && count <= 32_768, "the kernel takes powers of two");
        let entries = allocate(Self::entries_layout(count)).cast();
        let memory = allocate(Self::memory_layout(count, size));
        let mut group = BufferGroup { count, size, tail: 0, entries, memory };
        // SAFETY: R1: `entries` is page aligned, holds `count` entries, and lives until drop, which
        // the ring calls after its last CQE (R6).
        unsafe {
            submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, count, id, 0)?;
        }
        for buffer in 0..count {
            group.give_back(buffer);
        }
        group.publish();
        Ok(group)
    }

    /// The first `len` bytes of a buffer the kernel just filled. `None` when the kernel named a buffer
    /// that is not ours, which would be its bug.
    pub(super) fn bytes(&self, buffer: u16, len: usize) -> Option<&[u8]> {
        if buffer >= self.count || len > self.size as usize {
            return None;
        }
        // SAFETY: R3: the kernel does not touch a buffer between its CQE and `give_back`, which takes
        // `&mut self` and so cannot run while this slice lives; the range is inside `memory`.
        Some(unsafe {
            std::slice::from_raw_parts(
                self.memory.as_ptr().add(buffer as usize * self.size as usize),
                len,
            )
        })
    }

    /// Queues a buffer for the kernel; it sees it at the next `publish`.
    pub(super) fn give_back(&mut self, buffer: u16) {
        if buffer >= self.count {
            return;
        }
        let index = (self.tail & (self.count - 1)) as usize;
        // SAFETY: `index` < count, so the entry is inside `entries`; entries beyond the published
        // tail belong to us. The address stays inside `memory` because `buffer` < count.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(index);
            entry.set_addr(self.memory.as_ptr().add(buffer as usize * self.size as usize) as u64);
            entry.set_len(self.size);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given back.
    pub(super) fn publish(&mut self) {
        // SAFETY: `entries` is the registered ring's base; its tail is a u16 the kernel reads with
        // acquire, aligned and never written by it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }

    fn entries_layout(count: u16) -> Layout {
        Layout::from_size_align(count as usize * size_of::<BufRingEntry>(), PAGE_BYTES)
            .expect("at most 512 KiB, page aligned")
    }

    fn memory_layout(count: u16, size: u32) -> Layout {
        Layout::from_size_align(count as usize * size as usize, PAGE_BYTES)
            .expect("at most 2^15 buffers of a few KiB")
    }
}

impl Drop for BufferGroup {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts; the ring drops the group only after it
        // drained (R6), so the kernel holds no buffer of it.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), Self::entries_layout(self.count));
            dealloc(self.memory.as_ptr(), Self::memory_layout(self.count, self.size));
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts above never have size zero: count is a power of two, size is a constant.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
