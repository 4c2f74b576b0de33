//! Numbers, times and what limited or troubled a sweep, as people read them.

use crate::aggregate::Summary;

pub(super) fn limit_in_words(limit: Option<&str>) -> &'static str {
    match limit {
        Some("input") => "limited by the input",
        Some("tail") => "limited by the last timeouts and retries",
        Some("rate") => "limited by --rate",
        Some("window") => "limited by the window: the targets' round trips (see --window)",
        Some("cpu") => "limited by the CPU",
        Some("sockets") => "limited by the sockets that could be had (ulimit -n, ports)",
        Some("send_queue") => "limited by the send queues of this machine",
        Some("receive_buffer") => "limited by drops of the receive buffer (see --receive-buffer)",
        Some("output") => "limited by the output",
        _ => "not limited",
    }
}

pub(super) fn strange_in_words(summary: &Summary) -> String {
    if summary.strange.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<String> = (summary.strange.iter())
        .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
        .collect();
    words.join(", ")
}

/// What went wrong on this machine, without which a run would have been better.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Probes that ended unknown.
    pub(crate) unknown: u64,
    pub(crate) receive_drops: u64,
    pub(crate) window_min: Option<u32>,
    pub(crate) free_retries: u64,
    pub(crate) soft_send_errors: u64,
    pub(crate) stalled_ms: f64,
}

impl Trouble {
    /// Of a sweep.
    pub(super) fn of(summary: &Summary) -> Trouble {
        Trouble {
            unknown: summary.counts.unknown,
            receive_drops: summary.receive_drops,
            window_min: summary.window_min,
            free_retries: summary.free_retries,
            soft_send_errors: summary.soft_send_errors,
            stalled_ms: summary.stalled_ms,
        }
    }

    /// `none` where there is none.
    pub(crate) fn in_words(&self) -> String {
        let mut words = Vec::new();
        if self.unknown > 0 {
            words.push(format!("{} ended unknown", counted(self.unknown, "probe")));
        }
        if self.receive_drops > 0 {
            let dropped = counted(self.receive_drops, "datagram");
            let window = self.window_min.map_or(String::new(), |window| {
                format!(" (window down to {})", grouped(u64::from(window)))
            });
            words.push(format!("{dropped} dropped by our receive buffers{window}"));
        }
        if self.free_retries > 0 {
            let attempts = counted(self.free_retries, "attempt");
            words.push(format!("{attempts} repeated because of us"));
        }
        if self.soft_send_errors > 0 {
            let sends = counted(self.soft_send_errors, "send");
            words.push(format!("{sends} repeated after another target's ICMP error"));
        }
        // Scheduling hiccups below a millisecond are everybody's.
        if self.stalled_ms >= 1.0 {
            words.push(format!("not running for {}", seconds(self.stalled_ms / 1e3)));
        }
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 target`, `2 targets`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

pub(super) fn microseconds(us: f64) -> String {
    if us < 1e3 {
        format!("{us:.1} µs")
    } else if us < 1e6 {
        format!("{:.1} ms", us / 1e3)
    } else {
        format!("{:.2} s", us / 1e6)
    }
}
