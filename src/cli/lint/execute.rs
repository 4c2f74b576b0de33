//! `ringprobe lint`: from flags to configurations, the result, and the exit code.

use std::io::{self, Read};
use std::path::Path;

use super::exit_code;
use super::flags::{Explain, Form, LintArgs};
use crate::cli::files::is_same;
use crate::cli::{Terminal, exit, say};
use crate::conf::{Class, Code, Diagnostic, Diagnostics, Problems, Sources};
use crate::fleet::{Analysis, LoadOptions, Rejected, analyse, analyse_text};
use crate::lint;
use crate::sink::problems::{self, Placed, Review};
use crate::sink::{Output, SinkError, dump};

/// What messages call standard input.
const STDIN: &str = "stdin";

/// Looks at every file, reports, and returns the exit code.
pub(crate) fn lint(args: &LintArgs, terminal: Terminal) -> u8 {
    let result = match args.explain {
        Some(what) => explain(what, args),
        None if args.dump || args.flatten => dumped(args, terminal),
        None => reviewed(args, terminal),
    };
    match result {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => exit::CLOSED_PIPE,
        Err(error) => {
            say(format_args!("ringprobe: {error}"));
            exit::ENGINE
        }
    }
}

fn explain(what: Explain, args: &LintArgs) -> Result<u8, SinkError> {
    let text = match what {
        Explain::One(code) => code.explanation().to_string(),
        Explain::All => {
            let line = |code: &Code| {
                let severity = code.severity().as_str();
                format!("{} {severity:<8} {}", code.as_str(), code.explanation().title)
            };
            Code::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    };
    open(args)?.write_line(&text)?;
    Ok(exit::OK)
}

/// The problems of all files.
fn reviewed(args: &LintArgs, terminal: Terminal) -> Result<u8, SinkError> {
    let (mut reviews, mut is_unread) = (Vec::new(), false);
    for file in &args.files {
        match read(file, args) {
            Ok(analysis) => reviews.push(review(analysis)),
            Err(rejected) => {
                say(format_args!("ringprobe: {rejected}"));
                is_unread = true;
                // A report that others read must not look as if all were well.
                if args.output != Form::Text {
                    reviews.push(unread(file, &rejected));
                }
            }
        }
    }
    let is_coloured = args.out.is_none() && terminal.colours_stdout();
    let text = match args.output {
        Form::Text => problems::text(&reviews, args.rows(), is_coloured),
        Form::Json => problems::json(&reviews, args.rows()),
        Form::Sarif => problems::sarif(&reviews),
        Form::Junit => problems::junit(&reviews, args.deny_warnings),
    };
    // Where no file could be read there is nothing to sum up; a document is complete even then.
    if !reviews.is_empty() || args.output != Form::Text {
        open(args)?.write_line(text.trim_end())?;
    }
    Ok(code(&reviews, is_unread, args))
}

/// The effective configurations of all files, the problems on standard error.
fn dumped(args: &LintArgs, terminal: Terminal) -> Result<u8, SinkError> {
    let mut output = open(args)?;
    let (mut reviews, mut is_unread) = (Vec::new(), false);
    for file in &args.files {
        let analysis = match read(file, args) {
            Ok(analysis) => analysis,
            Err(rejected) => {
                say(format_args!("ringprobe: {rejected}"));
                is_unread = true;
                continue;
            }
        };
        if args.dump {
            for record in dump::json(&analysis.effective, &analysis.sources) {
                output.append(record.as_bytes())?;
                output.append(b"\n")?;
            }
        } else {
            for block in dump::conf(&analysis.effective) {
                output.append(&block)?;
            }
        }
        let review = review_of_language(analysis);
        let text = review.problems.render(terminal.colours_stderr());
        if !text.is_empty() {
            say(text.trim_end());
        }
        reviews.push(review);
    }
    output.end()?;
    Ok(code(&reviews, is_unread, args))
}

fn code(reviews: &[Review], is_unread: bool, args: &LintArgs) -> u8 {
    if args.keepalived_exit_codes {
        let found = reviews.iter().flat_map(|review| review.problems.iter());
        let classes = found.map(|problem| problem.keepalived);
        return Class::exit_code_of(classes.chain(is_unread.then_some(Class::Fatal)));
    }
    if is_unread { exit::USAGE } else { exit_code::own(reviews, args.deny_warnings) }
}

fn open(args: &LintArgs) -> Result<Output, SinkError> {
    let Some(path) = &args.out else { return Output::stdout() };
    if args.files.iter().any(|file| is_same(path, file)) {
        // To open an output empties it.
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is a file to be read");
        return Err(SinkError { name: path.display().to_string(), records: 0, error });
    }
    Output::file(path)
}

fn read(file: &Path, args: &LintArgs) -> Result<Analysis, Rejected> {
    let options = args.language.apply(LoadOptions {
        no_scripts: args.no_scripts,
        script_user: args.script_user.clone(),
        ..LoadOptions::default()
    });
    if file.as_os_str() != "-" {
        return analyse(file, &options);
    }
    let mut text = Vec::new();
    match io::stdin().read_to_end(&mut text) {
        Ok(_) => analyse_text(STDIN, text, &options),
        Err(error) => Err(Rejected::Read { name: STDIN.to_owned(), error }),
    }
}

/// All rules, and the figures.
fn review(mut analysis: Analysis) -> Review {
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    let detection = lint::detection(&analysis.effective);
    let detection = detection.into_iter().map(|one| Placed::new(one, &analysis.sources)).collect();
    let rate = lint::rate(&analysis.effective);
    Review { detection, rate, ..review_of_language(analysis) }
}

/// What is to be said of a file that could not be read.
fn unread(file: &Path, rejected: &Rejected) -> Review {
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(Diagnostic::new(Code::Unreadable, rejected.to_string()));
    Review {
        problems: Problems::new(diagnostics, &Sources::default()),
        name: file.display().to_string(),
        detection: Vec::new(),
        rate: lint::Rate::default(),
    }
}

/// What reading it has found, and no more.
fn review_of_language(analysis: Analysis) -> Review {
    Review {
        problems: Problems::new(analysis.diagnostics, &analysis.sources),
        name: analysis.name,
        detection: Vec::new(),
        rate: lint::Rate::default(),
    }
}
