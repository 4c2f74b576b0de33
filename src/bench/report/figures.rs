//! The table of the report: a row per run, then what is in the middle and at the ends of them.

use crate::bench::{BenchResult, RunResult, Spread};
use crate::sink::grouped;

/// Names of the columns.
pub(super) const COLUMNS: [&str; 11] =
    ["rate/s", "failed", "lost", "p50", "p90", "p99", "p99.9", "p99.99", "max", "CPU", "cores"];

/// A line of the table.
pub(super) struct Row {
    /// Number of the run, asked rate of the step, or which figure over all runs.
    pub(super) name: String,
    /// Whether it is over all runs.
    pub(super) is_over_all: bool,
    /// As many as there are [`COLUMNS`].
    pub(super) cells: Vec<String>,
}

/// What the first column has.
pub(super) fn first_column(result: &BenchResult) -> &'static str {
    if is_ramp(result) { "asked/s" } else { "run" }
}

/// All lines.
pub(super) fn rows(result: &BenchResult) -> Vec<Row> {
    let mut rows: Vec<Row> = (result.runs.iter())
        .map(|run| {
            let name = match run.asked_per_second {
                Some(asked) if is_ramp(result) => rate(asked),
                _ => run.number.to_string(),
            };
            let figures = figures(run);
            Row { name, is_over_all: false, cells: cells(|column| figures[column]) }
        })
        .collect();
    if result.runs.len() < 2 || is_ramp(result) {
        return rows;
    }
    let spreads: Vec<Option<Spread>> = (0..COLUMNS.len())
        .map(|column| Spread::of(result.runs.iter().filter_map(|run| figures(run)[column])))
        .collect();
    let names = ["median", "lowest", "highest"].into_iter().enumerate();
    rows.extend(names.map(|(at, name)| Row {
        name: name.to_owned(),
        is_over_all: true,
        cells: cells(|column| spreads[column].map(|of| [of.median, of.min, of.max][at])),
    }));
    rows
}

fn is_ramp(result: &BenchResult) -> bool {
    result.load.mode == "ramp"
}

/// In the order of [`COLUMNS`]; failed and lost as shares, times in microseconds.
fn figures(run: &RunResult) -> [Option<f64>; COLUMNS.len()] {
    let latency = run.latency_us;
    [
        Some(run.per_second),
        Some(run.probes.failed_share()),
        Some(run.probes.lost_share()),
        latency.map(|latency| latency.p50),
        latency.map(|latency| latency.p90),
        latency.map(|latency| latency.p99),
        latency.map(|latency| latency.p99_9),
        latency.map(|latency| latency.p99_99),
        latency.map(|latency| latency.max),
        run.cpu.us_per_probe(),
        Some(run.cpu.cores),
    ]
}

fn cells(figure: impl Fn(usize) -> Option<f64>) -> Vec<String> {
    (0..COLUMNS.len())
        .map(|column| {
            let Some(figure) = figure(column) else { return "-".to_owned() };
            match column {
                0 => rate(figure),
                1 | 2 => share(figure),
                10 => format!("{figure:.2}"),
                _ => latency(figure),
            }
        })
        .collect()
}

/// Per second; below a hundred with a decimal, as of slow scripts.
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 99.95 { format!("{per_second:.1}") } else { grouped(per_second.round() as u64) }
}

/// In percent; what is not nothing does not look like nothing.
pub(super) fn share(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        _ if percent <= 0.0 => "0 %".to_owned(),
        _ if percent < 0.01 => "<0.01 %".to_owned(),
        _ if percent < 9.995 => format!("{percent:.2} %"),
        _ if percent < 99.95 => format!("{percent:.1} %"),
        _ => "100 %".to_owned(),
    }
}

/// Microseconds with three digits, as the histogram keeps no more; tenths of them at least.
pub(super) fn latency(us: f64) -> String {
    let (value, unit) = match us {
        _ if us < 999.5 => (us, "µs"),
        _ if us < 999_500.0 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let decimals = match value {
        _ if value < 9.995 && unit != "µs" => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_three_digits_and_changes_its_unit_in_time() {
        let words = |us| latency(us);
        assert_eq!(
            [0.0, 7.3, 99.9, 99.96, 999.4, 999.5, 9_994.0, 12_345.0, 999_499.0, 999_500.0, 12e6]
                .map(words),
            [
                "0.0 µs", "7.3 µs", "99.9 µs", "100 µs", "999 µs", "1.00 ms", "9.99 ms", "12.3 ms",
                "999 ms", "1.00 s", "12.0 s"
            ]
        );
    }

    #[test]
    fn a_loss_that_is_not_nothing_does_not_look_like_nothing() {
        assert_eq!(
            [0.0, 1e-9, 0.000_1, 0.099_96, 0.5, 1.0].map(share),
            ["0 %", "<0.01 %", "0.01 %", "10.0 %", "50.0 %", "100 %"]
        );
    }

    #[test]
    fn slow_scripts_have_a_decimal() {
        assert_eq!([12.34, 99.96, 1234.5].map(rate), ["12.3", "100", "1,235"]);
    }
}
