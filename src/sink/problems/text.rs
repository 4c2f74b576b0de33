//! For people: each problem with its line and a caret, then how long a dead server stays undetected, and a
//! summary.

use std::fmt::Write;

use super::{Placed, Review, counts};
use crate::lint::{Rate, seconds};
use crate::sink::counted;

/// The whole text; `rows` of the table of worst cases, `None` for all of it.
pub fn text(reviews: &[Review], rows: Option<usize>, colour: bool) -> String {
    let mut text = String::new();
    for review in reviews {
        text.push_str(&review.problems.render(colour));
        table(&review.detection, rows, &mut text);
        rate(&review.rate, &mut text);
    }
    let [errors, warnings, notes] = counts(reviews);
    let files = counted(reviews.len() as u64, "file");
    let _ = if errors + warnings + notes == 0 {
        writeln!(text, "{files}: nothing to complain about")
    } else {
        let (errors, warnings, notes) =
            (counted(errors, "error"), counted(warnings, "warning"), counted(notes, "note"));
        writeln!(text, "{files}: {errors}, {warnings}, {notes}")
    };
    text
}

fn table(detection: &[Placed], rows: Option<usize>, text: &mut String) {
    let timed: Vec<_> = detection.iter().filter(|one| one.figure.worst.is_some()).collect();
    let shown = rows.unwrap_or(usize::MAX).min(timed.len());
    if shown == 0 {
        return;
    }
    let rows: Vec<[String; 4]> = timed[..shown]
        .iter()
        .map(|one| {
            let worst = one.figure.worst.map(seconds).unwrap_or_default();
            let server = format!("{} of {}", one.figure.real_server, one.figure.virtual_server);
            [worst, one.figure.checker.to_owned(), server, format!("{}:{}", one.file, one.line)]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    text.push_str("A dead server is detected after at most\n");
    for ([worst, checker, server, place], one) in rows.iter().zip(&timed) {
        let _ = writeln!(
            text,
            "  {worst:>0$}  {checker:<1$}  {server:<2$}  {place:<3$}  = {why}",
            widths[0],
            widths[1],
            widths[2],
            widths[3],
            why = one.figure.why,
        );
    }
    if timed.len() > shown {
        let _ = writeln!(text, "  {} more: see --detection", timed.len() - shown);
    }
    let untimed = detection.len() - timed.len();
    if untimed > 0 {
        let _ = writeln!(text, "  no figure for {}", counted(untimed as u64, "checker"));
    }
    text.push('\n');
}

fn rate(rate: &Rate, text: &mut String) {
    if rate.healthy <= 0.0 {
        return;
    }
    let _ = writeln!(
        text,
        "Probes per second: at most {} while servers answer, {} while all begin to fail, {} once all are \
         down\n",
        short(rate.healthy),
        short(rate.failing),
        short(rate.down)
    );
}

/// Three digits that count.
fn short(rate: f64) -> String {
    let decimals = if rate >= 100.0 {
        0
    } else if rate >= 10.0 {
        1
    } else if rate >= 1.0 {
        2
    } else {
        4
    };
    format!("{rate:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conf::{FileId, Span};
    use crate::lint::Detection;
    use crate::sink::problems::testing::{BAD, review};

    #[test]
    fn problems_then_the_table_then_the_summary() {
        let mut review = review(BAD);
        let place = Span::new(FileId(0), 0, 0);
        for (worst, server) in [(Some(86), "10.0.0.2:80"), (Some(7), "10.0.0.100:80"), (None, "x")]
        {
            review.detection.push(Placed {
                figure: Detection {
                    checker: "TCP_CHECK",
                    place,
                    virtual_server: "10.0.0.1:80/tcp".to_owned(),
                    real_server: server.to_owned(),
                    worst: worst.map(Duration::from_secs),
                    why: "1 s + 2 s".to_owned(),
                },
                file: "a.conf".to_owned(),
                line: 9,
            });
        }
        review.rate.healthy = 0.25;
        let all = text(std::slice::from_ref(&review), None, false);
        let (_, table) = all.split_once("A dead").expect("there is a table");
        assert_eq!(
            table,
            " server is detected after at most
  86 s  TCP_CHECK  10.0.0.2:80 of 10.0.0.1:80/tcp    a.conf:9  = 1 s + 2 s
   7 s  TCP_CHECK  10.0.0.100:80 of 10.0.0.1:80/tcp  a.conf:9  = 1 s + 2 s
  no figure for 1 checker

Probes per second: at most 0.2500 while servers answer, 0.0000 while all begin to fail, 0.0000 once all are down

1 file: 2 errors, 1 warning, 1 note
"
        );
        assert!(text(&[review], Some(1), false).contains("  1 more: see --detection\n"));
    }

    #[test]
    fn nothing_is_said_of_a_clean_file() {
        let mut review = review(BAD);
        review.problems = crate::conf::Problems::default();
        assert_eq!(text(&[review], None, false), "1 file: nothing to complain about\n");
    }
}
