//! The recorded counts, and what new ones mean beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A part may grow by this much.
pub(crate) const GROWTH_MAX: f64 = 0.10;

/// Counts and what they were taken with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) toolchain: String,
    pub(crate) machine: String,
    /// Instructions of one operation, by part.
    pub(crate) instructions: BTreeMap<String, f64>,
}

/// One part, before and now.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) before: Option<f64>,
    pub(crate) now: Option<f64>,
}

impl Recorded {
    /// Of this machine and toolchain; a tenth of an instruction is exact enough.
    pub(crate) fn new(counts: BTreeMap<String, f64>) -> Result<Recorded, String> {
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(compiler).arg("--version").output();
        let version = output.map_err(|error| format!("rustc: {error}"))?.stdout;
        let round = |(name, count): (String, f64)| (name, (count * 10.0).round() / 10.0);
        Ok(Recorded {
            toolchain: String::from_utf8_lossy(&version).trim().to_owned(),
            machine: std::env::consts::ARCH.to_owned(),
            instructions: counts.into_iter().map(round).collect(),
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Recorded, String> {
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let name = path.display();
        let text =
            serde_json::to_string_pretty(self).map_err(|error| format!("{name}: {error}"))?;
        fs::write(path, text + "\n").map_err(|error| format!("{name}: {error}"))
    }

    /// A verdict for each part of either.
    ///
    /// # Errors
    /// Instructions of different machines have nothing in common.
    pub(crate) fn compare(&self, now: &Recorded) -> Result<Vec<Verdict>, String> {
        if self.machine != now.machine {
            return Err(format!("recorded on {}, and this is {}", self.machine, now.machine));
        }
        let mut verdicts: BTreeMap<&String, Verdict> = BTreeMap::new();
        for name in self.instructions.keys().chain(now.instructions.keys()) {
            let count = |recorded: &Recorded| recorded.instructions.get(name).copied();
            let verdict = Verdict { name: name.clone(), before: count(self), now: count(now) };
            verdicts.insert(name, verdict);
        }
        Ok(verdicts.into_values().collect())
    }
}

impl Verdict {
    /// Growth as a part of what was; `None` where one of both is not known.
    pub(crate) fn growth(&self) -> Option<f64> {
        Some(self.now? / self.before? - 1.0)
    }

    /// It did not grow by too much, and is recorded. To shrink is well, but should be recorded.
    pub(crate) fn is_well(&self) -> bool {
        self.growth().is_some_and(|growth| growth <= GROWTH_MAX)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<34}", self.name)?;
        match (self.before, self.now, self.growth()) {
            (Some(before), Some(now), Some(growth)) => {
                write!(f, "{before:>10.1} {now:>10.1} {:>+7.1} %", growth * 100.0)?;
                if growth > GROWTH_MAX {
                    f.write_str("  grew too much")
                } else if growth < -GROWTH_MAX {
                    f.write_str("  shrank: scripts/instructions --record, to hold what was gained")
                } else {
                    Ok(())
                }
            }
            (None, Some(now), _) => write!(f, "{:>10} {now:>10.1}  not recorded", "-"),
            _ => f.write_str("  recorded, but no part any more"),
        }
    }
}
