//! The house rules that a compiler does not know: which stage may use which, where `unsafe` may stand,
//! and that every file says what it is.

use std::fs;
use std::path::{Path, PathBuf};

/// Stage, and what it may use beside the shared files `id`, `tick` and `outcome`.
const STAGES: &[(&str, &[&str])] = &[
    ("conf", &[]),
    ("fleet", &["conf"]),
    ("lint", &["conf", "fleet"]),
    ("schedule", &[]),
    ("wire", &[]),
    ("checker", &["fleet", "wire"]),
    ("ring", &[]),
    ("shard", &["fleet", "schedule", "checker", "wire", "ring"]),
    ("reaper", &["fleet", "schedule"]),
    ("aggregate", &["fleet", "ring", "shard", "reaper"]),
    ("sink", &["conf", "fleet", "lint", "shard", "reaper", "aggregate"]),
    ("sim", &["fleet", "schedule", "checker", "wire", "ring", "shard", "reaper"]),
    ("respond", &["ring"]),
    (
        "sweep",
        &[
            "conf",
            "fleet",
            "schedule",
            "checker",
            "wire",
            "ring",
            "shard",
            "reaper",
            "aggregate",
            "sink",
        ],
    ),
    ("bench", &["fleet", "schedule", "reaper", "aggregate", "sink", "sweep"]),
];

const SHARED: &[&str] = &["id", "tick", "outcome"];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of this crate") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `checker` for src/checker/dns.rs and for src/checker.rs.
fn stage_of(file: &Path) -> String {
    let inside = file.strip_prefix(src()).expect("under src");
    let first = inside.components().next().expect("not empty").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of this crate that a source names, tests at the bottom left out.
fn used_stages(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    code.match_indices("crate::")
        .map(|(at, word)| {
            let rest = &code[at + word.len()..];
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn a_stage_uses_earlier_stages_only() {
    let mut wrong = Vec::new();
    for file in rust_files(&src()) {
        let stage = stage_of(&file);
        let Some((_, allowed)) = STAGES.iter().find(|(name, _)| *name == stage) else {
            continue;
        };
        let source = fs::read_to_string(&file).expect("UTF-8");
        for used in used_stages(&source) {
            let is_fine = used == stage
                || SHARED.contains(&used.as_str())
                || allowed.contains(&used.as_str());
            if !is_fine {
                wrong.push(format!("{}: {stage} may not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_stage_of_the_crate_is_in_the_table() {
    let known: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
    for file in rust_files(&src()) {
        let stage = stage_of(&file);
        let is_known = known.contains(&stage.as_str())
            || SHARED.contains(&stage.as_str())
            || ["cli", "main", "lib"].contains(&stage.as_str());
        assert!(is_known, "{stage} is not in the table of stages");
    }
}

#[test]
fn unsafe_stands_in_ring_and_launch_only_and_gives_its_reason() {
    for file in rust_files(&src()) {
        let source = fs::read_to_string(&file).expect("UTF-8");
        let lines: Vec<&str> = source.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let is_unsafe = code.contains("unsafe {") || code.contains("unsafe impl");
            if !is_unsafe {
                continue;
            }
            let may = stage_of(&file) == "ring" || file.starts_with(src().join("reaper/launch"));
            assert!(may, "{}:{}", file.display(), at + 1);
            let above = &lines[at.saturating_sub(8)..at];
            assert!(
                above.iter().any(|line| line.contains("SAFETY")),
                "{}:{}: no SAFETY comment",
                file.display(),
                at + 1
            );
        }
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    for file in rust_files(&src()) {
        let source = fs::read_to_string(&file).expect("UTF-8");
        let first = source.lines().next().unwrap_or("");
        let is_test_part = file.file_name().is_some_and(|name| name == "tests.rs");
        assert!(first.starts_with("//! ") || is_test_part, "{}: {first:?}", file.display());
    }
}

#[test]
fn no_stubs_are_left() {
    let markers = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("FIX", "ME")];
    for file in rust_files(&src()) {
        let source = fs::read_to_string(&file).expect("UTF-8");
        for marker in markers {
            assert!(!source.contains(marker), "{}: {marker}", file.display());
        }
    }
}
