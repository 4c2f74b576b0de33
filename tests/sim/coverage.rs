//! What all seeds together made happen: a trouble that never came proves nothing.

use std::collections::BTreeMap;

use ringprobe::outcome::Strange;
use ringprobe::shard::link::Limit;

use crate::drive::Run;

/// Everything a default run of the seeds has to have seen.
const NEEDED: [&str; 34] = [
    "pass ok",
    "fail timeout",
    "fail connection_refused",
    "fail host_unreachable",
    "fail net_unreachable",
    "fail rcode",
    "fail no_answer",
    "fail truncated",
    "unknown local_socket",
    "unknown local_port",
    "unknown local_memory",
    "strange late",
    "strange foreign",
    "strange wrong_port",
    "strange wrong_id",
    "strange wrong_question",
    "strange malformed",
    "strange stale_icmp",
    "limited by input",
    "limited by rate",
    "limited by window",
    "limited by cpu",
    "limited by receive_buffer",
    "free retries",
    "soft send errors",
    "hard send errors",
    "receive drops",
    "ICMP errors lost",
    "opens refused",
    "connects refused",
    "full submission queues",
    "stalls",
    "undrained turns",
    "stale completions",
];

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.0.entry(name.into()).or_default() += count;
    }

    pub(crate) fn take(&mut self, run: &Run) {
        for record in &run.records {
            self.add(format!("{} {}", record.outcome.name(), record.outcome.reason()), 1);
        }
        let (stats, tally) = (&run.stats, &run.tally);
        for (kind, count) in Strange::ALL.iter().zip(stats.strange) {
            self.add(format!("strange {}", kind.name()), count);
        }
        for (limit, count) in Limit::ALL.iter().zip(stats.limited_ns) {
            self.add(format!("limited by {}", limit.name()), count);
        }
        self.add("free retries", stats.free_retries);
        self.add("soft send errors", stats.soft_send_errors);
        self.add("hard send errors", tally.hard_failures);
        self.add("receive drops", stats.receive_drops);
        self.add("ICMP errors lost", tally.errors_lost);
        self.add("opens refused", tally.opens_refused);
        self.add("connects refused", tally.connects_refused);
        self.add("full submission queues", tally.ring_full);
        self.add("stalls", tally.stalls);
        self.add("undrained turns", tally.undrained);
        self.add("stale completions", tally.stale);
        self.add("packets lost", run.lost);
    }

    /// Names of what never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let is_missing = |name: &&str| self.0.get(*name).is_none_or(|count| *count == 0);
        NEEDED.into_iter().filter(is_missing).collect()
    }
}
