//! NDJSON as DESIGN section 4 says it: a run, every probe, a summary.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A whole report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) run: Value,
    pub(crate) probes: Vec<Probe>,
    pub(crate) summary: Value,
}

/// One probe record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    r#type: String,
    pub(crate) checker: String,
    pub(crate) virtual_server: Option<String>,
    pub(crate) real_server: Option<String>,
    /// Empty for a script, which contacts nobody itself.
    #[serde(deserialize_with = "text_or_null")]
    pub(crate) target: String,
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) detail: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) latency_us: Option<f64>,
    pub(crate) at: String,
    /// Of scripts only.
    #[serde(default)]
    pub(crate) script: Option<ScriptFields>,
}

/// What a record says about the run of a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptFields {
    pub(crate) command: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) queued_us: f64,
    pub(crate) startup_us: Option<f64>,
    pub(crate) run_us: Option<f64>,
    pub(crate) exit_status: Option<u8>,
    pub(crate) signal: Option<String>,
    pub(crate) weight: Option<u8>,
    pub(crate) left_processes: bool,
    pub(crate) is_unkilled: bool,
    pub(crate) stdout: String,
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr: String,
    pub(crate) stderr_bytes: u64,
    pub(crate) explanation: Option<String>,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Probe {
    /// Outcome, reason and detail in one text: `pass ok`, `fail rcode REFUSED`.
    pub(crate) fn verdict(&self) -> String {
        let detail = self.detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
        format!("{} {}{detail}", self.outcome, self.reason)
    }
}

impl Report {
    /// Reads a report, every line of which must be whole.
    pub(crate) fn parse(text: &str) -> Report {
        assert!(text.ends_with('\n'), "ends in half a line: {:?}", text.lines().last());
        let mut lines: Vec<&str> = text.lines().collect();
        let value = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        let summary = value(lines.pop().expect("a summary"));
        assert_eq!(summary["type"], "summary", "{summary}");
        let run = value(lines.first().expect("a run record"));
        assert_eq!(run["type"], "run", "{run}");
        let probes = lines[1..].iter().map(|line| Report::probe(line)).collect();
        let report = Report { run, probes, summary };
        report.check_sums();
        report
    }

    /// One line that must be a probe record.
    pub(crate) fn probe(line: &str) -> Probe {
        let probe: Probe =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(probe.r#type, "probe", "{line}");
        assert!(probe.attempts >= 1, "{line}");
        assert!(probe.at.ends_with('Z') && probe.at.len() == 27, "{line}");
        assert!(probe.latency_us.is_none_or(|us| us >= 0.0), "{line}");
        assert_eq!(probe.script.is_some(), probe.checker == "MISC_CHECK", "{line}");
        assert_eq!(probe.script.is_some(), probe.target.is_empty(), "{line}");
        probe
    }

    /// The summary must say what its own records say.
    fn check_sums(&self) {
        let mut reasons = BTreeMap::<&str, u64>::new();
        for probe in &self.probes {
            *reasons.entry(&probe.reason).or_default() += 1;
        }
        let said: BTreeMap<&str, u64> = self.summary["reasons"]
            .as_object()
            .expect("reasons")
            .iter()
            .map(|(reason, count)| (reason.as_str(), count.as_u64().expect("a count")))
            .collect();
        assert_eq!(said, reasons);
        assert_eq!(self.count("probed"), self.probes.len() as u64);
        for (outcome, field) in [("pass", "passed"), ("fail", "failed"), ("unknown", "unknown")] {
            assert_eq!(self.count(field), self.having(outcome), "{field}");
        }
    }

    /// Records with an outcome.
    fn having(&self, outcome: &str) -> u64 {
        self.probes.iter().filter(|probe| probe.outcome == outcome).count() as u64
    }

    /// A number of the summary.
    pub(crate) fn count(&self, field: &str) -> u64 {
        self.summary[field].as_u64().unwrap_or_else(|| panic!("{field}: {}", self.summary))
    }

    /// Records with a reason.
    pub(crate) fn count_of(&self, reason: &str) -> u64 {
        self.summary["reasons"][reason].as_u64().unwrap_or(0)
    }

    /// How often each verdict was given.
    pub(crate) fn verdicts(&self) -> BTreeMap<String, u64> {
        let mut verdicts = BTreeMap::new();
        for probe in &self.probes {
            *verdicts.entry(probe.verdict()).or_default() += 1;
        }
        verdicts
    }

    /// The verdict on every target; each must have one record only.
    pub(crate) fn by_target(&self) -> BTreeMap<&str, String> {
        let mut targets = BTreeMap::new();
        for probe in &self.probes {
            let before = targets.insert(probe.target.as_str(), probe.verdict());
            assert_eq!(before, None, "two records of {}", probe.target);
        }
        targets
    }
}
