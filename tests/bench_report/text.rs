//! The text for people, whole: `RINGPROBE_BLESS=1` writes tests/bench_report/text/*.txt anew.

use std::fs;
use std::path::Path;

use ringprobe::bench::report::text;
use ringprobe::bench::{BenchResult, Cpu, KernelCounters, ProbeCounts};

use crate::made;

/// Of the facts; the headline and the table, which cannot be broken, may be longer by a column.
const LINE_MAX: usize = 100;
const COLUMN: usize = 8;

fn assert_lines(text: &str) {
    let (_, facts) = text.rsplit_once("\n\n").expect("an empty line before the facts");
    for line in facts.lines() {
        assert!(line.chars().count() <= LINE_MAX, "too long: {line}");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= LINE_MAX + COLUMN, "too long: {line}");
        assert_eq!(line, line.trim_end(), "blanks at the end");
    }
}

fn assert_text(name: &str, result: &BenchResult) {
    let text = text(result, false);
    assert_lines(&text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench_report/text").join(name);
    if std::env::var_os("RINGPROBE_BLESS").is_some() {
        fs::write(&path, &text).expect("room");
    }
    let golden = fs::read_to_string(&path).expect("a golden");
    assert!(text == golden, "{name}: now\n{text}");
}

#[test]
fn runs_have_a_row_each_and_what_is_in_the_middle_of_them() {
    assert_text("runs.txt", &made::runs());
}

#[test]
fn a_ramp_has_a_row_per_step_and_its_knee() {
    assert_text("ramp.txt", &made::ramp());
}

#[test]
fn a_million_a_second_fits_on_a_line() {
    let mut result = made::ramp();
    for run in &mut result.runs {
        run.asked_per_second = run.asked_per_second.map(|asked| 100.0 * asked);
        run.per_second *= 100.0;
        run.cpu.user_us_per_probe = Some(99.9);
        run.cpu.cores = 63.99;
        run.probes.unknown = 1;
    }
    let text = text(&result, false);
    assert!(text.contains("\n 1,600,000  1,241,600  0.10 %   22.4 %   978 µs  "), "{text}");
    assert_lines(&text);
}

#[test]
fn without_a_whole_run_there_is_no_figure() {
    assert_text("nothing.txt", &made::nothing());
}

/// The kernel counted less than we say was sent, in a run that drowned in its own buffers.
#[test]
fn what_the_kernel_did_not_count_is_a_warning_before_everything_else() {
    let mut result = made::runs();
    result.interrupted = true;
    result.runs.truncate(2);
    let run = &mut result.runs[1];
    run.limited_by.what = "socket_buffer";
    run.limited_by.why = "buffers overflowed".to_owned();
    run.kernel = Some(KernelCounters {
        datagrams_sent: 110_000,
        udp_out_datagrams: 109_000,
        local_answers: 100_000,
        has_counted_answers: false,
        connects: 7,
        tcp_active_opens: 7,
        ended: 110_000,
        never_left: 0,
        never_left_reason: None,
        agrees: false,
    });
    run.trouble.receive_drops = 1234;
    run.trouble.window_min = Some(64);
    run.trouble.stalled_ms = 12.0;
    assert_text("doubtful.txt", &result);
}

/// One function decides the verdict and the exit code.
#[test]
fn a_result_is_doubtful_where_the_kernel_disagrees_or_a_probe_is_unknown() {
    for (unknown, agrees, is_doubtful) in
        [(0, true, false), (1, true, true), (0, false, true), (9, false, true)]
    {
        let mut result = made::runs();
        result.runs[1].probes.unknown = unknown;
        let kernel = result.runs[2].kernel.as_mut().expect("it was read");
        kernel.agrees = agrees;
        kernel.udp_out_datagrams *= u64::from(agrees);
        assert_eq!(result.is_doubtful(), is_doubtful, "{unknown} unknown, agrees: {agrees}");
        let text = text(&result, false);
        let verdict = if is_doubtful { "DOUBTFUL: " } else { "MEASURED: " };
        assert!(text.starts_with(verdict), "{text}");
        assert_eq!(text.contains("WARNING"), is_doubtful, "it is said why: {text}");
    }
}

/// A verdict that no packet was needed for is no measurement of the servers.
#[test]
fn probes_that_ended_and_never_left_are_a_warning_and_the_kernel_line_stays() {
    let mut result = made::runs();
    result.runs.truncate(1);
    for (datagrams_sent, never_left) in [(0, 110_000), (109_000, 1000)] {
        result.runs[0].kernel = Some(KernelCounters {
            datagrams_sent,
            udp_out_datagrams: datagrams_sent,
            local_answers: 0,
            has_counted_answers: true,
            connects: 0,
            tcp_active_opens: 0,
            ended: 110_000,
            never_left,
            never_left_reason: Some("net_unreachable"),
            agrees: false,
        });
        let text = text(&result, false);
        assert!(text.starts_with("DOUBTFUL: "), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for wanted in [
            "WARNING run 1: of 110,000 probes that ended",
            "were decided with nothing sent, for want of a route",
            "(most often net_unreachable)",
            "kernel disagrees: ",
        ] {
            assert!(words.contains(wanted), "{wanted} in {text}");
        }
        assert_eq!(text.matches("WARNING").count(), 1, "{text}");
        assert_lines(&text);
    }
}

/// As on an LVS director that asks its own virtual server.
#[test]
fn answers_that_may_come_from_elsewhere_are_said_and_nothing_is_doubted() {
    let mut result = made::runs();
    for run in &mut result.runs {
        let kernel = run.kernel.as_mut().expect("it was read");
        (kernel.udp_out_datagrams, kernel.has_counted_answers) = (kernel.datagrams_sent, false);
    }
    assert!(!result.is_doubtful());
    let text = text(&result, false);
    assert!(text.starts_with("MEASURED: ") && !text.contains("WARNING"), "{text}");
    let words = on_one_line(&text);
    for wanted in [
        "kernel cannot tell whether all have left: 330,000 datagrams sent, 330,000 counted",
        "if their 300,000 answers were counted too, some of ours were not",
        "as those of IPVS or a published port do",
    ] {
        assert!(words.contains(wanted), "{wanted} in {text}");
    }
    assert_lines(&text);
}

#[test]
fn cores_that_prober_and_fleet_share_are_a_warning() {
    let mut result = made::runs();
    assert!(!text(&result, false).contains("take it from each other"));
    result.machine.shared_cpus = vec![1, 2];
    let text = text(&result, false);
    let words = on_one_line(&text);
    assert!(
        words.contains("WARNING prober and embedded fleet may both run on core 1-2: "),
        "{text}"
    );
    assert_lines(&text);
}

#[test]
fn what_failed_is_in_the_headline_the_table_and_the_verdict() {
    let mut result = made::runs();
    for run in &mut result.runs {
        run.probes.failed += run.probes.passed - 1;
        run.probes.passed = 1;
    }
    let one = text(&result, false);
    assert!(one.starts_with("MEASURED: 10,000 probes/s, p50 45.0 µs, p99 148 µs, 100 % failed, "));
    assert!(one.contains("\n     run  rate/s  failed     lost  "), "{one}");
    for run in &mut result.runs {
        run.probes.failed += 1;
        run.probes.passed = 0;
    }
    let none = text(&result, false);
    assert!(none.starts_with("NOTHING PASSED: 10,000 probes/s, "), "{none}");
}

#[test]
fn the_split_of_processor_time_is_told_of_runs_that_used_enough_of_it() {
    let mut result = made::runs();
    let line = |result: &BenchResult| {
        let text = text(result, false);
        text.lines().find(|line| line.starts_with(" CPU  ")).expect("a line").to_owned()
    };
    assert_eq!(line(&result), " CPU             per probe 3.5 µs (medians)");
    result.runs.iter_mut().for_each(|run| run.cpu.cores = 0.1);
    assert_eq!(
        line(&result),
        " CPU             per probe 3.5 µs, 74 % of it in the kernel, 26 % in user space (medians)"
    );
}

#[test]
fn processor_time_per_probe_is_of_probes_that_ended() {
    let mut result = made::runs();
    let cpu = Cpu { cores: 0.5, ..Cpu::default() };
    result.runs[0].cpu = cpu;
    let some = text(&result, false);
    let row = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).expect("its row");
        line.split_whitespace().rev().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&some, "1 "), ["0.50", "-"], "{some}");
    assert!(some.contains("per probe 3.5 µs (medians)"), "{some}");
    assert_lines(&some);
    result.runs.iter_mut().for_each(|run| run.cpu = cpu);
    let none = text(&result, false);
    assert_eq!(row(&none, "median"), ["0.50", "-"], "{none}");
    assert!(!none.contains("\n CPU "), "{none}");
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 500 ms of 10 s are 5 %.
#[test]
fn a_run_in_which_this_process_stood_still_says_whose_the_latencies_are() {
    for (stalled_ms, verdict, said) in [
        (100.0, "MEASURED: ", None),
        (500.0, "MEASURED: ", Some("5.0 % of the run: latencies above p95.0 may be its own")),
        (999.0, "MEASURED: ", Some("p90.0")),
        (1_000.0, "DOUBTFUL: ", Some("10.0 %")),
        (99_000.0, "DOUBTFUL: ", Some("100.0 %")),
    ] {
        let mut result = made::runs();
        result.runs[1].trouble.stalled_ms = stalled_ms;
        let text = text(&result, false);
        assert!(text.starts_with(verdict), "{text}");
        assert_eq!(result.is_doubtful(), verdict == "DOUBTFUL: ", "{stalled_ms}");
        let one_line = on_one_line(&text);
        let is_said = one_line.contains("WARNING run 2: this process did not run for");
        assert_eq!(is_said, said.is_some(), "{text}");
        assert!(said.is_none_or(|said| one_line.contains(said)), "{text}");
        assert_lines(&text);
    }
    let mut closed = made::runs();
    closed.runs[1].asked_per_second = None;
    closed.runs[1].trouble.stalled_ms = 500.0;
    let text = on_one_line(&text(&closed, false));
    assert!(text.contains("that much of the rate is missing"), "{text}");
}

#[test]
fn a_step_that_is_not_judged_is_named() {
    let mut ramp = made::ramp();
    ramp.runs[2].trouble.stalled_ms = 5_000.0;
    assert!(!ramp.is_doubtful() && !text(&ramp, false).contains("not judged"), "it was kept");
    let knee = ramp.knee.as_mut().expect("a ramp");
    (knee.stalled, knee.too_few) = (vec![3], vec![1, 2]);
    let text = text(&ramp, false);
    let few = " not judged      steps 1-2: fewer than 100 probes say nothing\n";
    assert!(text.contains(few), "{text}");
    let wanted =
        "not judged      step 3: this process did not run for up to 5.0 s, and that may be what";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn where_no_probe_was_due_nothing_is_measured() {
    let mut result = made::runs();
    result.runs.truncate(2);
    for run in &mut result.runs {
        run.probes = ProbeCounts::default();
        run.latency_us = None;
    }
    result.runs[0].probes.due = 1;
    assert!(!result.is_doubtful(), "something was");
    result.runs[0].probes.due = 0;
    assert!(result.is_doubtful());
    let text = text(&result, false);
    assert!(text.starts_with("NOTHING MEASURED: no probe was due in 2 runs\n"), "{text}");
}

#[test]
fn an_error_does_not_hide_the_runs_before_it() {
    let mut result = made::runs();
    result.runs.truncate(2);
    result.error = Some("the engine could not run: no ring".to_owned());
    let text = text(&result, false);
    assert!(text.starts_with("INCOMPLETE: 9,999 probes/s"), "{text}");
    assert!(
        text.contains("2 of 3 runs were made, then: the engine could not run: no ring"),
        "{text}"
    );
    assert_lines(&text);
}

#[test]
fn colours_are_there_when_they_are_asked_for_and_change_nothing_else() {
    for result in [made::runs(), made::ramp(), made::nothing()] {
        let coloured = text(&result, true);
        assert!(coloured.starts_with("\x1b[1;3"), "{coloured}");
        let mut bare = coloured;
        for code in ["\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, text(&result, false));
    }
}
