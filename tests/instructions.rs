//! No part of a probe takes more than a tenth more instructions than `benches/instructions.json` says.

#[path = "../benches/instructions/recorded.rs"]
mod recorded;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use recorded::Recorded;

fn of(machine: &str, instructions: &[(&str, f64)]) -> Recorded {
    let instructions: BTreeMap<String, f64> =
        instructions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Recorded { toolchain: "rustc".into(), machine: machine.into(), instructions }
}

/// What is said about a part that took 100 instructions, and whether that is well.
fn said_of(now: &[(&str, f64)]) -> (String, bool) {
    let verdicts = of("here", &[("part", 100.0)]).compare(&of("here", now)).expect("comparable");
    let texts: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
    (texts.join("\n"), verdicts.iter().all(recorded::Verdict::is_well))
}

#[test]
fn a_tenth_is_allowed_and_more_is_not() {
    let (text, is_well) = said_of(&[("part", 109.0)]);
    assert!(is_well && text.ends_with("+9.0 %"), "{text}");
    let (text, is_well) = said_of(&[("part", 111.0)]);
    assert!(!is_well && text.ends_with("grew too much"), "{text}");
}

#[test]
fn what_was_gained_should_be_recorded() {
    let (text, is_well) = said_of(&[("part", 80.0)]);
    assert!(is_well && text.contains("-20.0 %  shrank: scripts/instructions --record"), "{text}");
}

#[test]
fn a_part_that_is_new_or_gone_must_be_recorded() {
    let (text, is_well) = said_of(&[("part", 100.0), ("new", 5.0)]);
    assert!(!is_well && text.contains("not recorded"), "{text}");
    let (text, is_well) = said_of(&[]);
    assert!(!is_well && text.contains("no part any more"), "{text}");
}

#[test]
fn counts_of_another_machine_are_not_compared() {
    assert!(of("here", &[]).compare(&of("there", &[])).is_err());
}

#[test]
fn what_is_written_is_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("instructions.json");
    let new = Recorded::new(BTreeMap::from([("part".to_owned(), 12.345)])).expect("a compiler");
    new.write(&path).expect("room");
    assert_eq!(Recorded::read(&path).expect("whole"), new);
    assert_eq!(new.instructions["part"], 12.3);
}

#[test]
fn no_part_grew_by_more_than_a_tenth() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/instructions");
    let output = Command::new(script).output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["shard/dns_probe", "shard/tcp_probe"] {
        assert!(said.contains(part), "nothing was counted: {said}");
    }
}
