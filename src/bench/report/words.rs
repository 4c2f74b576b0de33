//! What the text and the page say beside the figures.

use super::figures::{latency, rate, share};
use crate::bench::{
    Asked, BenchResult, Cpu, CpuByRole, KernelCounters, Knee, LoadInfo, ProbeCounts, RunResult,
    Spread, Verdict,
};
use crate::sink::{Trouble, counted, grouped, seconds};

/// Of what is said, how it is meant.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Nothing special.
    Plain,
    /// To be known before a figure is used.
    Caution,
    /// The figures are not to be trusted.
    Warning,
}

/// A word and what there is to say about it.
pub(super) struct Fact {
    pub(super) word: &'static str,
    pub(super) text: String,
    pub(super) tone: Tone,
}

fn fact(word: &'static str, text: String) -> Fact {
    Fact { word, text, tone: Tone::Plain }
}

/// What to think of the whole.
pub(super) fn verdict(result: &BenchResult) -> (Tone, &'static str) {
    match result.verdict() {
        Verdict::Measured => (Tone::Good, "MEASURED"),
        Verdict::Interrupted => (Tone::Caution, "INTERRUPTED"),
        Verdict::NothingPassed => (Tone::Caution, "NOTHING PASSED"),
        Verdict::Doubtful => (Tone::Warning, "DOUBTFUL"),
        Verdict::NothingMeasured => (Tone::Warning, "NOTHING MEASURED"),
        Verdict::Incomplete => (Tone::Warning, "INCOMPLETE"),
    }
}

/// The main figures in a sentence.
pub(super) fn headline(result: &BenchResult) -> String {
    let runs = result.runs.len();
    if runs == 0 {
        return "no run was whole".to_owned();
    }
    if result.is_of_no_probe() {
        return format!("no probe was due in {}", counted(runs as u64, noun(result)));
    }
    if let Some(knee) = &result.knee {
        return format!("{} ({})", knee_in_words(knee), counted(runs as u64, "step"));
    }
    let middle = |figure: fn(&RunResult) -> Option<f64>| {
        Spread::median(result.runs.iter().filter_map(figure))
    };
    let mut text = format!("{} probes/s", rate(middle(|run| Some(run.per_second)).unwrap_or(0.0)));
    let p50 = middle(|run| run.latency_us.map(|latency| latency.p50));
    let p99 = middle(|run| run.latency_us.map(|latency| latency.p99));
    if let (Some(p50), Some(p99)) = (p50, p99) {
        text += &format!(", p50 {}, p99 {}", latency(p50), latency(p99));
    }
    let failed = middle(|run| Some(run.probes.failed_share())).unwrap_or(0.0);
    let lost = middle(|run| Some(run.probes.lost_share())).unwrap_or(0.0);
    text += &format!(", {} failed, {} lost", share(failed), share(lost));
    let of =
        if result.load.runs > runs { format!(" of {}", result.load.runs) } else { String::new() };
    match runs {
        1 if of.is_empty() => text,
        1 => text + &format!(" (1{of} runs)"),
        _ => text + &format!(" (medians of {runs}{of} runs)"),
    }
}

/// What was asked for, and of whom.
pub(super) fn load(load: &LoadInfo) -> String {
    let how = match (load.mode, load.rate) {
        ("open", Some(asked)) => format!("open loop of {} probes/s", rate(asked)),
        ("ramp", _) => "open loop, rate by rate".to_owned(),
        _ => "closed loop".to_owned(),
    };
    let shards = match load.shards {
        0 => String::new(),
        shards => format!(", {}", counted(shards as u64, "shard")),
    };
    let warm_up = match load.warm_up_s {
        0.0 => "without warm-up".to_owned(),
        warm_up_s => format!("after {} of warm-up", seconds(warm_up_s)),
    };
    let timeout = match seconds(load.timeout_s) {
        longest if load.timeout_min_s < load.timeout_s => {
            format!("timeouts from {} to {longest}", seconds(load.timeout_min_s))
        }
        timeout => format!("timeout {timeout}"),
    };
    format!(
        "{}{} of {} ({}), {how}, {} in flight at most{shards}, {timeout}, {} of {} each {warm_up}",
        load.check,
        asked(&load.asked),
        load.targets,
        counted(load.target_count as u64, "target"),
        grouped(u64::from(load.window)),
        counted(load.runs as u64, if load.mode == "ramp" { "step" } else { "run" }),
        seconds(load.duration_s),
    )
}

/// What each target was asked, in brackets behind the checker; nothing where there is nothing to say.
fn asked(asked: &Asked) -> String {
    let mut words: Vec<String> = asked.dns_question.iter().cloned().collect();
    words.extend(asked.dns_require.map(|what| match what {
        "rcode" => "RCODE 0 required".to_owned(),
        _ => format!("{what} required"),
    }));
    words.extend(asked.tcp_handshake.map(|how| format!("{how} handshake")));
    words.extend(asked.bindto.iter().map(|address| format!("from {address}")));
    words.extend(asked.bind_port.map(|port| format!("from port {port}")));
    words.extend(asked.bind_if.iter().map(|name| format!("through {name}")));
    words.extend(asked.fwmark.map(|mark| format!("mark {mark}")));
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// Everything else, in the order it matters.
pub(super) fn facts(result: &BenchResult) -> Vec<Fact> {
    let warning = |text| Fact { word: "WARNING", text, tone: Tone::Warning };
    let mut facts = Vec::new();
    if let Some(error) = &result.error {
        facts.push(warning(format!(
            "{} of {} {}s were made, then: {error}",
            result.runs.len(),
            result.load.runs,
            noun(result),
        )));
    }
    for (run, kernel) in disagreeing(result) {
        let run = run_name(result, run);
        if kernel.has_measured_nobody() {
            facts.push(warning(format!("{run}: {}", decided_alone(kernel))));
        }
        if kernel.has_counted_less() {
            facts.push(warning(format!("{run}: {}", counted_less(kernel))));
        }
    }
    let unknown = total(result).unknown;
    if unknown > 0 {
        facts.push(warning(format!(
            "of {} nothing can be said, as the trouble was ours; they are in no latency",
            counted(unknown, "probe")
        )));
    }
    facts.extend(stalls(result).map(warning));
    let shared = &result.machine.shared_cpus;
    if !shared.is_empty() {
        facts.push(warning(format!(
            "prober and embedded fleet may both run on core {}: they take it from each other, and the figures are \
             of both",
            ranges(shared.iter().copied()),
        )));
    }
    if let Some(knee) = &result.knee {
        facts.push(fact("knee", knee_in_words(knee)));
        facts.extend(left_out(result, knee));
    }
    facts.extend(limits(result).into_iter().map(|text| fact("limited by", text)));
    let total = total(result);
    if total.due > 0 {
        facts.push(fact("probes", probes(total)));
    }
    let how_lost = how_the_lost_count(total, result.load.timeout_min_s);
    if !how_lost.is_empty() {
        facts.push(Fact { word: "latencies", text: how_lost, tone: Tone::Caution });
    }
    facts.push(fact(
        "idle",
        match result.idle_us {
            Some(idle) => format!("{} with one probe at a time (median)", latency(idle)),
            None => "one probe at a time, too few were answered to say".to_owned(),
        },
    ));
    facts.extend(cpu(result));
    facts.extend(threads(result));
    facts.extend(result.memory_peak_bytes.map(|bytes| {
        let mib = bytes as f64 / f64::from(1 << 20);
        fact("memory", format!("{mib:.1} MiB of this process at its peak"))
    }));
    facts.extend(kernel(result));
    let trouble = trouble(result, total);
    if trouble != "none" {
        facts.push(Fact { word: "own trouble", text: trouble, tone: Tone::Caution });
    }
    facts.push(fact("load", load(&result.load)));
    facts.push(fact("machine", machine(result)));
    facts.push(fact("begun", format!("{}, ringprobe {}", result.started_at, result.version)));
    facts
}

/// How many probes ended that were not sent.
fn decided_alone(kernel: KernelCounters) -> String {
    let reason = kernel.never_left_reason;
    format!(
        "of {} that ended {} were decided with nothing sent, for want of a route or by a rule of this \
         machine{}; do not trust these figures.",
        counted(kernel.ended, "probe"),
        grouped(kernel.never_left),
        reason.map_or_else(String::new, |reason| format!(" (most often {reason})")),
    )
}

/// How much less than we the kernel counted.
fn counted_less(kernel: KernelCounters) -> String {
    format!(
        "we say that {} and {} were sent, the kernel counted {} and {}. Some never left this machine; do \
         not trust these figures.",
        counted(kernel.datagrams_sent, "datagram"),
        counted(kernel.connects, "connect"),
        grouped(kernel.udp_out_datagrams),
        grouped(kernel.tcp_active_opens),
    )
}

/// `run` or `step`.
fn noun(result: &BenchResult) -> &'static str {
    if result.load.mode == "ramp" { "step" } else { "run" }
}

/// What of the kernel's datagrams were not ours, where there are such.
fn local_answers(answers: u64) -> String {
    match answers {
        0 => String::new(),
        _ => {
            format!(", {} of the datagrams answers of this machine's own targets", grouped(answers))
        }
    }
}

fn run_name(result: &BenchResult, run: &RunResult) -> String {
    match run.asked_per_second {
        Some(asked) if result.knee.is_some() => format!("step {} ({}/s)", run.number, rate(asked)),
        _ => format!("run {}", run.number),
    }
}

fn disagreeing(result: &BenchResult) -> impl Iterator<Item = (&RunResult, KernelCounters)> {
    result.runs.iter().filter_map(|run| Some((run, run.has_disagreed()?)))
}

/// Of each run of which too much is ours, for how long this process did not run, and what that says.
fn stalls(result: &BenchResult) -> impl Iterator<Item = String> {
    result.runs.iter().filter_map(|run| {
        let share = result.noted_stall(run)?;
        let whose = match run.asked_per_second {
            Some(_) => format!("latencies above p{:.1} may be its own", 100.0 * (1.0 - share)),
            None => {
                "that much of the rate is missing, and the longest latencies are its own".to_owned()
            }
        };
        Some(format!(
            "{}: this process did not run for {}, {:.1} % of the run: {whose}",
            run_name(result, run),
            seconds(run.trouble.stalled_ms / 1e3),
            100.0 * share,
        ))
    })
}

/// The steps of which the knee says nothing: because what was wrong with them may be ours, or they had too few probes.
fn left_out(result: &BenchResult, knee: &Knee) -> Vec<Fact> {
    let not_judged = |numbers: &[usize], why: String| Fact {
        word: "not judged",
        text: format!(
            "step{} {}: {why}",
            if numbers.len() == 1 { "" } else { "s" },
            ranges(numbers.iter().copied())
        ),
        tone: Tone::Caution,
    };
    let mut facts = Vec::new();
    let runs = result.runs.iter().filter(|run| knee.stalled.contains(&run.number));
    if let Some(stalled_ms) = runs.map(|run| run.trouble.stalled_ms).max_by(f64::total_cmp) {
        let why = format!(
            "this process did not run for up to {}, and that may be what was wrong",
            seconds(stalled_ms / 1e3),
        );
        facts.push(not_judged(&knee.stalled, why));
    }
    if !knee.too_few.is_empty() {
        let why = format!("fewer than {} probes say nothing", Knee::PROBES_MIN);
        facts.push(not_judged(&knee.too_few, why));
    }
    facts
}

fn knee_in_words(knee: &Knee) -> String {
    let why = knee.why.as_deref().unwrap_or("it was not kept");
    let has_gaps = !knee.not_kept_per_second.is_empty();
    let is_of_all = !has_gaps && knee.stalled.is_empty() && knee.too_few.is_empty();
    let mut text = match (knee.per_second, knee.broken_per_second) {
        (Some(kept), None) if is_of_all => {
            format!("every rate up to {} probes/s was kept", rate(kept))
        }
        (Some(kept), None) => format!("the highest rate kept was {} probes/s", rate(kept)),
        (Some(kept), Some(broken)) if has_gaps => {
            format!(
                "the highest rate kept was {} probes/s; at {}/s {why}",
                rate(kept),
                rate(broken)
            )
        }
        (Some(kept), Some(broken)) => {
            format!("{} probes/s were kept; at {}/s {why}", rate(kept), rate(broken))
        }
        (None, Some(broken)) => format!("not even {} probes/s were kept: {why}", rate(broken)),
        (None, None) => format!("no knee: {why}"),
    };
    if has_gaps {
        text += &format!("; below it not kept: {}", some_rates(&knee.not_kept_per_second));
    }
    text
}

/// A few rates, and how many more.
fn some_rates(rates: &[f64]) -> String {
    let (shown, more) = rates.split_at(rates.len().min(RATES_SHOWN));
    let mut words: Vec<String> = shown.iter().map(|each| format!("{}/s", rate(*each))).collect();
    if !more.is_empty() {
        words.push(format!("and {} more", more.len()));
    }
    words.join(", ")
}

/// Rates that a sentence can hold.
const RATES_SHOWN: usize = 5;

/// A line for each thing that limited some runs: which, how often, and how that is known of the first.
fn limits(result: &BenchResult) -> Vec<String> {
    let mut by: Vec<(&str, Vec<&RunResult>)> = Vec::new();
    for run in &result.runs {
        match by.iter_mut().find(|(what, _)| *what == run.limited_by.what) {
            Some((_, runs)) => runs.push(run),
            None => by.push((run.limited_by.what, vec![run])),
        }
    }
    let noun = noun(result);
    by.iter()
        .map(|(what, runs)| {
            let what = what.replace('_', " ");
            let why = &runs[0].limited_by.why;
            if runs.len() == result.runs.len() {
                return format!("{what}: {why}");
            }
            let plural = if runs.len() == 1 { "" } else { "s" };
            let numbers = ranges(runs.iter().map(|run| run.number));
            format!("{what} in {noun}{plural} {numbers}: {why}")
        })
        .collect()
}

/// `1-3, 5` of ascending numbers.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words = ranges.iter().map(|&(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn total(result: &BenchResult) -> ProbeCounts {
    result.runs.iter().fold(ProbeCounts::default(), |sum, run| ProbeCounts {
        due: sum.due + run.probes.due,
        passed: sum.passed + run.probes.passed,
        failed: sum.failed + run.probes.failed,
        timeouts: sum.timeouts + run.probes.timeouts,
        unknown: sum.unknown + run.probes.unknown,
        unsent: sum.unsent + run.probes.unsent,
    })
}

fn probes(total: ProbeCounts) -> String {
    format!(
        "{} due: {} passed, {} failed, {}, {} unknown, {} unsent",
        grouped(total.due),
        grouped(total.passed),
        grouped(total.failed),
        counted(total.timeouts, "timeout"),
        grouped(total.unknown),
        grouped(total.unsent),
    )
}

/// What those who got no answer are in the distribution, of timeouts of `timeout_min_s` seconds at least.
fn how_the_lost_count(total: ProbeCounts, timeout_min_s: f64) -> String {
    let mut words = Vec::new();
    if total.timeouts > 0 {
        words.push(format!(
            "a timeout counts with the time it took to find out, {} at least",
            seconds(timeout_min_s)
        ));
    }
    if total.unsent > 0 {
        words.push(
            "an unsent probe was due and not begun when its run ended: it counts with the time it had \
             waited, and would have taken longer"
                .to_owned(),
        );
    }
    words.join("; ")
}

/// The kernel splits the sum by clock ticks: the split of a few ticks is left out.
fn cpu(result: &BenchResult) -> Option<Fact> {
    let (each, note) = cpu_figure(result, Cpu::us_per_probe)?;
    let in_kernel = cpu_figure(result, |cpu| {
        let used_s = cpu.cores * result.load.duration_s;
        let share = cpu.system_us_per_probe? / cpu.us_per_probe()?;
        (used_s >= SPLIT_MIN_S).then_some(100.0 * share)
    });
    let split = in_kernel.map_or_else(String::new, |(percent, _)| {
        format!(
            ", {percent:.0} % of it in the kernel, {:.0} % in user space",
            100.0 - percent.round()
        )
    });
    Some(fact("CPU", format!("per probe {}{split}{note}", latency(each))))
}

/// Processor time of a run of which the split is told: 100 clock ticks.
const SPLIT_MIN_S: f64 = 1.0;

/// Who used it, where that is known; those who used nothing are left out.
fn threads(result: &BenchResult) -> Option<Fact> {
    let middle_of = |of: fn(&CpuByRole) -> f64| {
        cpu_figure(result, |cpu| cpu.by_role_us_per_probe.as_ref().map(of))
    };
    let (shards, note) = middle_of(|role| role.shards)?;
    let named = [
        ("shards", shards),
        ("feeder", middle_of(|role| role.feeder)?.0),
        ("aggregator", middle_of(|role| role.aggregator)?.0),
        ("scripts", middle_of(|role| role.scripts)?.0),
    ];
    let words = named.iter().filter(|(_, us)| *us > 0.0);
    let words: Vec<String> = words.map(|(name, us)| format!("{name} {}", latency(*us))).collect();
    Some(fact("CPU by threads", format!("per probe {}{note}", words.join(", "))))
}

/// The middle over the runs in which probes ended, and the note that it is one.
fn cpu_figure(
    result: &BenchResult,
    figure: impl Fn(&Cpu) -> Option<f64>,
) -> Option<(f64, &'static str)> {
    let figures: Vec<f64> = result.runs.iter().filter_map(|run| figure(&run.cpu)).collect();
    let note = if figures.len() > 1 { " (medians)" } else { "" };
    Some((Spread::median(figures)?, note))
}

/// Whether the kernel agrees, or that it cannot tell or was not asked; where it does not there is a warning, too.
/// `None` only where nothing was to be sent.
fn kernel(result: &BenchResult) -> Option<Fact> {
    let counters: Vec<KernelCounters> = result.runs.iter().filter_map(|run| run.kernel).collect();
    if result.runs.is_empty() {
        return None;
    }
    if counters.len() < result.runs.len() {
        return Some(fact("kernel", "its counters could not be read".to_owned()));
    }
    let sum = |of: fn(&KernelCounters) -> u64| counters.iter().map(of).sum::<u64>();
    let is_certain = counters.iter().all(|kernel| kernel.has_counted_answers);
    let mut words = Vec::new();
    let (sent, connects) = (sum(|kernel| kernel.datagrams_sent), sum(|kernel| kernel.connects));
    // Where something should have been sent and nothing was, that is said.
    let is_network = result.load.shards > 0;
    if sent > 0 || is_network && connects == 0 {
        let out = sum(|kernel| kernel.udp_out_datagrams);
        let answers = sum(|kernel| kernel.local_answers);
        let local = if is_certain { local_answers(answers) } else { String::new() };
        words.push(format!("{} sent, {} counted{local}", counted(sent, "datagram"), grouped(out)));
    }
    if connects > 0 {
        let opens = sum(|kernel| kernel.tcp_active_opens);
        words.push(format!("{}, {} counted", counted(connects, "connect"), grouped(opens)));
    }
    if words.is_empty() {
        return None;
    }
    let never_left = sum(|kernel| kernel.never_left);
    if never_left > 0 {
        words.push(format!("{} ended without a packet", counted(never_left, "probe")));
    }
    let (agrees, tone) = match (counters.iter().all(|kernel| kernel.agrees), is_certain) {
        (false, _) => ("disagrees", Tone::Plain),
        (true, true) => ("agrees", Tone::Plain),
        (true, false) => ("cannot tell whether all have left", Tone::Caution),
    };
    let mut text =
        format!("{agrees}: {} (everybody's of this network namespace)", words.join("; "));
    if tone == Tone::Caution {
        text += &format!(
            "; the targets are addresses of this machine, and if their {} were counted too, some of ours were \
             not: unless they come from elsewhere, as those of IPVS or a published port do",
            counted(sum(|kernel| kernel.local_answers), "answer"),
        );
    }
    Some(Fact { word: "kernel", text, tone })
}

fn trouble(result: &BenchResult, total: ProbeCounts) -> String {
    let mut trouble = Trouble { unknown: total.unknown, ..Trouble::default() };
    for run in &result.runs {
        trouble.receive_drops += run.trouble.receive_drops;
        trouble.stalled_ms += run.trouble.stalled_ms;
        trouble.window_min =
            [trouble.window_min, run.trouble.window_min].into_iter().flatten().min();
    }
    trouble.in_words()
}

fn machine(result: &BenchResult) -> String {
    let machine = &result.machine;
    let mut text = format!("{}, Linux {}", machine.cpu, machine.kernel);
    if !machine.cpus.is_empty() {
        let noun = if machine.cpus.len() == 1 { "core" } else { "cores" };
        text += &format!(", {noun} {}", ranges(machine.cpus.iter().copied()));
    }
    if !machine.responder_cpus.is_empty() {
        let cores = ranges(machine.responder_cpus.iter().copied());
        text += &format!("; the embedded fleet on {cores}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_written_as_a_range() {
        assert_eq!(ranges([1, 2, 3, 5, 7, 8].into_iter()), "1-3, 5, 7-8");
        assert_eq!(ranges([].into_iter()), "");
    }

    #[test]
    fn what_there_was_not_is_left_out_of_the_load() {
        let load_info = LoadInfo {
            check: "MISC_CHECK",
            targets: "/bin/true".to_owned(),
            target_count: 1,
            asked: Asked::default(),
            mode: "closed",
            rate: None,
            window: 4,
            shards: 0,
            timeout_s: 10.0,
            timeout_min_s: 10.0,
            warm_up_s: 0.0,
            duration_s: 2.0,
            runs: 1,
            sockets_per_lane: 8,
            receive_buffer: None,
            seed: None,
        };
        assert_eq!(
            load(&load_info),
            "MISC_CHECK of /bin/true (1 target), closed loop, 4 in flight at most, timeout 10.0 s, 1 run of \
             2.0 s each without warm-up"
        );
        let several = load(&LoadInfo { timeout_min_s: 1.0, ..load_info });
        assert!(several.contains(", timeouts from 1.0 s to 10.0 s, "), "{several}");
    }

    #[test]
    fn what_was_asked_stands_behind_the_checker() {
        let dns = Asked {
            dns_question: Some("A www.example.test.".to_owned()),
            dns_require: Some("rcode"),
            ..Asked::default()
        };
        assert_eq!(asked(&dns), " (A www.example.test., RCODE 0 required)");
        let tcp = Asked {
            tcp_handshake: Some("orderly"),
            bindto: vec![std::net::Ipv4Addr::LOCALHOST.into()],
            bind_port: Some(4000),
            bind_if: Some("lo".to_owned()),
            fwmark: Some(7),
            ..Asked::default()
        };
        assert_eq!(
            asked(&tcp),
            " (orderly handshake, from 127.0.0.1, from port 4000, through lo, mark 7)"
        );
        assert_eq!(asked(&Asked::default()), "");
    }

    #[test]
    fn a_knee_may_be_below_or_above_what_was_asked() {
        let knee = |kept, broken: Option<f64>| Knee {
            per_second: kept,
            broken_per_second: broken,
            why: broken.map(|_| "97.0 % of the probes were never begun".to_owned()),
            not_kept_per_second: Vec::new(),
            stalled: Vec::new(),
            too_few: Vec::new(),
        };
        assert_eq!(
            knee_in_words(&knee(Some(1000.0), Some(2000.0))),
            "1,000 probes/s were kept; at 2,000/s 97.0 % of the probes were never begun"
        );
        assert_eq!(
            knee_in_words(&knee(Some(1000.0), None)),
            "every rate up to 1,000 probes/s was kept"
        );
        assert_eq!(
            knee_in_words(&knee(None, Some(1000.0))),
            "not even 1,000 probes/s were kept: 97.0 % of the probes were never begun"
        );
        let left_out = Knee { too_few: vec![1], ..knee(Some(1000.0), None) };
        assert_eq!(knee_in_words(&left_out), "the highest rate kept was 1,000 probes/s");
        let gap =
            |broken| Knee { not_kept_per_second: vec![200.0, 400.0], ..knee(Some(1000.0), broken) };
        assert_eq!(
            knee_in_words(&gap(None)),
            "the highest rate kept was 1,000 probes/s; below it not kept: 200/s, 400/s"
        );
        assert_eq!(
            knee_in_words(&gap(Some(2000.0))),
            "the highest rate kept was 1,000 probes/s; at 2,000/s 97.0 % of the probes were never begun; below it \
             not kept: 200/s, 400/s"
        );
        let many = (1..=7).map(|number| 100.0 * f64::from(number)).collect::<Vec<f64>>();
        assert!(some_rates(&many).ends_with(", 500/s, and 2 more"));
        let nothing = Knee { why: Some("too few".to_owned()), ..knee(None, None) };
        assert_eq!(knee_in_words(&nothing), "no knee: too few");
    }
}
