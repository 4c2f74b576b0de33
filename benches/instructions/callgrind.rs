//! Runs this program again inside callgrind and reads what it counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Instructions of one operation, by part.
pub(crate) fn count(argument: &str) -> Result<BTreeMap<String, f64>, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = directory.path().join("out");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--read-inline-info=no", "--quiet"])
        // Counts inside that function only, and writes a file each time it returns.
        .args(["--toggle-collect=*::counted", "--dump-after=*::counted"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&program)
        .arg(argument)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind (Debian package valgrind): {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} under callgrind: {}\n{said}", program.display(), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let (name, operations) = line.split_once(' ').ok_or_else(|| format!("{line:?}"))?;
        let operations: f64 = operations.parse().map_err(|_| format!("{line:?}"))?;
        let total = total(&out.with_extension(number.to_string()))?;
        counts.insert(name.to_owned(), total / operations);
    }
    Ok(counts)
}

/// The sum of one file, which has to be more than nothing: the function was found by its name.
fn total(path: &Path) -> Result<f64, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = totals.and_then(|total| total.trim().parse().ok()).unwrap_or(0.0);
    if total > 0.0 { Ok(total) } else { Err("callgrind counted nothing".into()) }
}
