//! Thousands of small files against `keepalived -t`: of these only keepalived's side is a process.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringprobe::conf::Class;
use ringprobe::fleet::{LoadOptions, analyse};
use ringprobe::lint;

use super::judge::{Judgement, keepalived};

const CONFIG_ID: &str = "node";

/// What both make of a text.
pub(crate) struct Both {
    pub(crate) theirs: Judgement,
    /// What `lint --keepalived-exit-codes` ends with.
    pub(crate) ours: i32,
    /// What it says, a line of each problem.
    pub(crate) said: String,
}

impl Both {
    /// Lays the text down as the file `name` of `folder`, and asks both.
    pub(crate) fn of(folder: &Path, name: &str, text: &str) -> Both {
        let file = folder.join(name);
        std::fs::write(&file, text).expect("a temporary file");
        let (ours, said) = ours(&file);
        Both { theirs: keepalived(folder, name, CONFIG_ID), ours, said }
    }

    /// Both exit codes, and all that both say.
    pub(crate) fn shown(&self) -> String {
        let Both { theirs, ours, said } = self;
        format!("keepalived {:?}, here {ours}\n{}{said}", theirs.code, theirs.text)
    }

    /// Whether they agree.
    pub(crate) fn is_same(&self) -> bool {
        self.theirs.code == Some(self.ours)
    }
}

/// What `lint --keepalived-exit-codes` ends with and says, without a process of its own.
fn ours(file: &Path) -> (i32, String) {
    let options = LoadOptions { config_id: Some(CONFIG_ID.into()), ..LoadOptions::default() };
    let mut analysis = analyse(file, &options).expect("a file that was just written");
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    let said = analysis
        .diagnostics
        .iter()
        .map(|found| format!("  {} {}\n", found.code.as_str(), found.message));
    let said = said.collect();
    let classes = analysis.diagnostics.iter().map(|found| found.keepalived);
    (i32::from(Class::exit_code_of(classes)), said)
}

/// What `compare` says of all numbers below `count`, each with the folder and the name for the file of its
/// thread: most of the time is keepalived's.
pub(crate) fn mismatches(
    count: usize,
    compare: impl Fn(usize, &Path, &str) -> String + Sync,
) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let next = AtomicUsize::new(0);
    let work = |worker: usize| {
        let name = format!("{worker}.conf");
        let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let places = places.take_while(|at| *at < count);
        places.map(|at| compare(at, folder.path(), &name)).collect::<String>()
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let work = &work;
                scope.spawn(move || work(worker))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker that ends")).collect()
    })
}
