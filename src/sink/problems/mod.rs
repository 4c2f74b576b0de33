//! What is wrong with configurations, in the form that somebody wants to read it in.

mod json;
mod junit;
mod sarif;
mod text;

pub use self::json::json;
pub use self::junit::junit;
pub use self::sarif::sarif;
pub use self::text::text;

use crate::conf::{Problems, Severity, Sources};
use crate::lint::{Detection, Rate, file_and_line};

/// One configuration and all that is to be said about it.
#[derive(Clone, Debug)]
pub struct Review {
    /// How it was named on the command line.
    pub name: String,
    /// Errors, warnings and notes.
    pub problems: Problems,
    /// By checker, the worst first.
    pub detection: Vec<Placed>,
    /// Probes a second.
    pub rate: Rate,
}

/// The figure of one checker, and where the checker is.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The figure.
    pub figure: Detection,
    /// Name of the file.
    pub file: String,
    /// From 1.
    pub line: u32,
}

impl Placed {
    /// Looks up where the checker is.
    pub fn new(figure: Detection, sources: &Sources) -> Placed {
        let (file, line) = file_and_line(sources, figure.place);
        Placed { file: file.to_owned(), line, figure }
    }
}

/// How many problems of each severity.
fn counts(reviews: &[Review]) -> [u64; 3] {
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| reviews.iter().map(|review| review.problems.count(severity)).sum())
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::fleet::{LoadOptions, analyse_text};

    /// The review of a text that is called `a b.conf`.
    pub(super) fn review(text: &str) -> Review {
        let analysis = analyse_text("a b.conf", text.into(), &LoadOptions::default());
        let analysis = analysis.expect("small enough");
        Review {
            name: analysis.name,
            problems: Problems::new(analysis.diagnostics, &analysis.sources),
            detection: Vec::new(),
            rate: Rate::default(),
        }
    }

    /// An error with two places, a warning with a remedy, a note.
    pub(super) const BAD: &str = "virtual_server 10.0.0.1 80 {\n    lvs_sched rr\n    lvs_method NAT\n    \
                                  protocol TCP\n    wieght 1\n    real_server 10.0.0.2 80 {\n        TCP_CHECK {\n            \
                                  connect_ip 10.0.0.3\n            bindto ::1\n            bind_port 5\n        }\n        \
                                  TCP_CHECK {\n        bind_port 7\n        }\n    }\n}\nvrrp_instance x {\n}\n";
}
