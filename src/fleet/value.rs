//! Values of keywords: numbers, times, booleans, addresses, ports, with everything keepalived lets slip
//! made an error.
//!
//! Every function takes the words of the tree, reports what is wrong with them and then gives `None`.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::keywords::{Shape, nearest};
use super::number::{Decimal, Seconds, decimal, is_zeros, timer};
use crate::conf::{
    Class, Code, Diagnostic, Diagnostics, Directive, Severity, Sources, Span, class,
};

/// Times are kept in microseconds, as keepalived does.
pub(super) type Micros = u64;

/// Longest time that a nanosecond clock of 64 bits can still add up: about 290 years.
pub(super) const MICROS_MAX: Micros = i64::MAX as u64 / 1000;

/// Bytes of an interface's name, IFNAMSIZ less its NUL.
const INTERFACE_BYTES_MAX: usize = 15;

/// Reads words and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    sources: &'s Sources,
    pub(super) diagnostics: Diagnostics,
    /// What is wrong now is only logged by keepalived.
    is_only_logged: bool,
    /// The value is of a keyword that no checker goes by.
    is_foreign: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(sources: &'s Sources) -> Reader<'s> {
        Reader {
            sources,
            diagnostics: Diagnostics::default(),
            is_only_logged: false,
            is_foreign: false,
        }
    }

    pub(super) fn sources(&self) -> &'s Sources {
        self.sources
    }

    pub(super) fn bytes(&self, span: Span) -> &'s [u8] {
        self.sources.bytes(span)
    }

    pub(super) fn text(&self, span: Span) -> std::borrow::Cow<'s, str> {
        self.sources.text(span)
    }

    /// The text of a name that is kept; it must be UTF-8.
    pub(super) fn utf8(&mut self, span: Span) -> Option<&'s str> {
        match std::str::from_utf8(self.bytes(span)) {
            Ok(text) => Some(text),
            Err(_) => {
                self.report(Diagnostic::new(Code::NotUtf8, "not UTF-8 text").at(span, ""));
                None
            }
        }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let mut diagnostic =
            if self.is_only_logged { diagnostic.class(Class::Silent) } else { diagnostic };
        // Without its value keepalived ends, so that is nobody else's matter.
        let stops_nobody = diagnostic.code.severity() == Severity::Error
            && diagnostic.code != Code::MissingArgument;
        if self.is_foreign && stops_nobody {
            diagnostic.code = Code::ForeignValue;
        }
        self.diagnostics.push(diagnostic);
    }

    /// Reads values that no checker goes by: what is wrong with them keeps nobody from probing.
    pub(super) fn foreign<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.is_foreign = true;
        let value = read(self);
        self.is_foreign = false;
        value
    }

    /// Does something of which keepalived only logs what is wrong.
    pub(super) fn only_logged<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        self.is_only_logged = true;
        let value = read(self);
        self.is_only_logged = false;
        value
    }

    /// The first value; `wants` says what it should be.
    pub(super) fn argument(&mut self, directive: Directive<'_>, wants: &str) -> Option<Span> {
        let class = class::of_missing_value(self.bytes(directive.keyword()));
        self.argument_as(directive, wants, class)
    }

    /// The same where keepalived classes a missing one in another way than for most keywords of the name.
    pub(super) fn argument_as(
        &mut self,
        directive: Directive<'_>,
        wants: &str,
        class: Class,
    ) -> Option<Span> {
        let first = directive.arguments().first().copied();
        if first.is_none() {
            let keyword = directive.keyword();
            let message = format!("`{}` needs {wants}", self.text(keyword));
            self.report(
                Diagnostic::new(Code::MissingArgument, message)
                    .class(class)
                    .at(keyword, "nothing follows"),
            );
        }
        first
    }

    /// Warns of values after the first `wanted`.
    pub(super) fn ignored_after(&mut self, directive: Directive<'_>, wanted: usize) {
        let rest = directive.arguments().get(wanted..).unwrap_or(&[]);
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            let message = format!("ignored after `{}`", self.text(directive.keyword()));
            let mut found = Diagnostic::new(Code::IgnoredWords, message).at(first.to(*last), "");
            let words = directive.arguments();
            let before = &words[..words.len() - rest.len()];
            let ends = |span: &Span| self.bytes(*span).ends_with(b";");
            if self.bytes(*first).starts_with(b";") || before.last().is_some_and(ends) {
                found =
                    found.help("`;` separates nothing: write each keyword on a line of its own");
            }
            self.report(found);
        }
    }

    /// Refuses a block behind a keyword that opens none.
    pub(super) fn no_block(&mut self, directive: Directive<'_>) {
        if directive.block().is_some() {
            let message = format!("`{}` opens no block", self.text(directive.keyword()));
            self.report(
                Diagnostic::new(Code::UnexpectedOpenBrace, message)
                    .at(directive.header(), "a `{` follows")
                    .help("what stands in the block was not looked at"),
            );
        }
    }

    /// The only value, a number.
    pub(super) fn number(
        &mut self,
        directive: Directive<'_>,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let span = self.argument(directive, "a number")?;
        self.ignored_after(directive, 1);
        self.number_at(span, range)
    }

    /// A number: decimal digits, nothing else.
    pub(super) fn number_at(&mut self, span: Span, range: RangeInclusive<u64>) -> Option<u64> {
        let value = match decimal(self.bytes(span).trim_ascii_start()) {
            Decimal::Value(value) => value,
            Decimal::Huge => u64::MAX,
            Decimal::Bad => {
                let message = format!("`{}` is not a decimal number", self.text(span));
                let found = Diagnostic::new(Code::BadNumber, message)
                    .class(self.number_class(span, range.contains(&0)));
                self.report(found.at(span, ""));
                return None;
            }
        };
        self.in_range(span, value, range)
    }

    /// keepalived takes nothing between two quotes for 0.
    fn number_class(&self, span: Span, takes_zero: bool) -> Class {
        let is_zero = self.bytes(span).trim_ascii().is_empty();
        if is_zero && takes_zero { Class::Silent } else { Class::General }
    }

    fn in_range(&mut self, span: Span, value: u64, range: RangeInclusive<u64>) -> Option<u64> {
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = range.into_inner();
        let message = format!("`{}` is outside {least} to {most}", self.text(span));
        self.report(Diagnostic::new(Code::OutOfRange, message).at(span, ""));
        None
    }

    /// The only value, a time in seconds.
    pub(super) fn timer(
        &mut self,
        directive: Directive<'_>,
        range: RangeInclusive<Micros>,
    ) -> Option<Micros> {
        let span = self.argument(directive, "a time in seconds")?;
        self.ignored_after(directive, 1);
        self.timer_at(span, range)
    }

    /// A time in seconds.
    pub(super) fn timer_at(&mut self, span: Span, range: RangeInclusive<Micros>) -> Option<Micros> {
        let text = self.bytes(span).trim_ascii_start();
        let Some(timer) = timer(text) else {
            let message = format!("`{}` is not a time in seconds", self.text(span));
            let mut found = Diagnostic::new(Code::BadTimer, message).at(span, "");
            found = found.class(self.number_class(span, range.contains(&0)));
            let number =
                text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
            if number > 0 && text[number..].iter().all(u8::is_ascii_alphabetic) {
                let number = String::from_utf8_lossy(&text[..number]).into_owned();
                found = found.help(format!("times are seconds without a unit, like `{number}`"));
            }
            self.report(found);
            return None;
        };
        if timer.is_rounded {
            let message = format!("`{}` has more than 6 decimals", self.text(span));
            self.report(
                Diagnostic::new(Code::TooManyDecimals, message)
                    .at(span, format!("taken as {}", Seconds(timer.micros))),
            );
        }
        if range.contains(&timer.micros) {
            return Some(timer.micros);
        }
        let message = format!(
            "`{}` is outside {} to {} seconds",
            self.text(span),
            Seconds(*range.start()),
            Seconds(*range.end())
        );
        self.report(Diagnostic::new(Code::OutOfRange, message).at(span, ""));
        None
    }

    /// The only value, a boolean; true where it is left out.
    pub(super) fn boolean(&mut self, directive: Directive<'_>) -> Option<bool> {
        self.ignored_after(directive, 1);
        let Some(span) = directive.arguments().first() else { return Some(true) };
        match self.bytes(*span) {
            b"on" | b"true" | b"yes" => Some(true),
            b"off" | b"false" | b"no" => Some(false),
            _ => {
                let message = format!("`{}` is neither true nor false", self.text(*span));
                self.report(
                    Diagnostic::new(Code::BadBoolean, message)
                        .at(*span, "")
                        .help("write `on`, `true`, `yes`, `off`, `false` or `no`"),
                );
                None
            }
        }
    }

    /// A numeric address; an IPv4-mapped one is the IPv4 address it stands for. keepalived ignores what
    /// follows `/` or `-`, so that is a warning only.
    pub(super) fn address(&mut self, span: Span) -> Option<IpAddr> {
        let bytes = self.bytes(span);
        let slash = memchr::memchr2(b'/', b'-', bytes).unwrap_or(bytes.len());
        let address =
            std::str::from_utf8(&bytes[..slash]).ok().and_then(|text| text.parse::<IpAddr>().ok());
        match address {
            Some(_) if slash < bytes.len() => {
                let suffix = Span::new(
                    span.file,
                    span.start as usize + slash,
                    span.start as usize + bytes.len(),
                );
                self.report(
                    Diagnostic::new(Code::AddressCut, "what follows the address is ignored")
                        .at(suffix, ""),
                );
            }
            Some(_) => {}
            None => {
                let message = format!("`{}` is not a numeric address", self.text(span));
                self.report(Diagnostic::new(Code::BadAddress, message).at(span, ""));
            }
        }
        address.map(|address| address.to_canonical())
    }

    /// A port.
    pub(super) fn port(&mut self, span: Span) -> Option<u16> {
        match decimal(self.bytes(span).trim_ascii_start()) {
            Decimal::Value(value @ 1..=65535) => Some(value as u16),
            Decimal::Bad => self.bad_port(span, "is not a port number"),
            _ => self.bad_port(span, "is outside 1 to 65535"),
        }
    }

    /// The port of a service or server: zeros stand for none, and so does nothing. `empty` is the class of
    /// nothing between two quotes, which keepalived takes for 0.
    pub(super) fn optional_port(&mut self, span: Option<&Span>, empty: Class) -> Option<u16> {
        match span {
            None => Some(0),
            Some(span) if is_zeros(self.bytes(*span)) => Some(0),
            Some(span) if self.bytes(*span).is_empty() => {
                let found = Diagnostic::new(Code::BadPort, "`` is not a port number");
                self.report(found.class(empty).at(*span, "nothing between the quotes"));
                None
            }
            Some(span) => self.port(*span),
        }
    }

    fn bad_port(&mut self, span: Span, what: &str) -> Option<u16> {
        let message = format!("`{}` {what}", self.text(span));
        self.report(Diagnostic::new(Code::BadPort, message).at(span, ""));
        None
    }

    /// The name of an interface as the kernel takes one; it need not be there. keepalived looks at the length
    /// only, and `too_long` is what it makes of one that does not fit.
    pub(super) fn interface(&mut self, span: Span, too_long: Class) -> Option<&'s str> {
        let bytes = self.bytes(span);
        let is_clean = |name: &&str| {
            let is_odd = |byte: u8| matches!(byte, b'/' | b':') || byte.is_ascii_whitespace();
            !matches!(*name, "" | "." | "..") && !name.bytes().any(is_odd)
        };
        let name = std::str::from_utf8(bytes).ok().filter(is_clean);
        let is_long = bytes.len() > INTERFACE_BYTES_MAX;
        if let Some(name) = name.filter(|_| !is_long) {
            return Some(name);
        }
        let message = format!("`{}` is no name of an interface", self.text(span));
        let class = if is_long { too_long } else { Class::Silent };
        let wants = format!("1 to {INTERFACE_BYTES_MAX} bytes, no `/`, `:` or blank");
        self.report(Diagnostic::new(Code::BadInterface, message).class(class).at(span, wants));
        None
    }

    /// One of `known`.
    pub(super) fn choice(&mut self, span: Span, known: &[&'static str]) -> Option<&'static str> {
        let word = self.bytes(span);
        let found = known.iter().find(|known| known.as_bytes() == word);
        if found.is_none() {
            let message = format!("`{}` is none of {}", self.text(span), known.join(", "));
            let mut diagnostic = Diagnostic::new(Code::BadChoice, message).at(span, "");
            if let Some(nearest) = nearest(&self.text(span), known.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{nearest}`?"));
            }
            self.report(diagnostic);
        }
        found.copied()
    }

    /// Checks the values of a keyword that nothing here acts on.
    pub(super) fn check(&mut self, directive: Directive<'_>, shape: Shape) {
        match shape {
            Shape::Flag => self.ignored_after(directive, 0),
            Shape::Text => {
                self.argument(directive, "a value");
                self.ignored_after(directive, 1);
            }
            Shape::OptionalText => self.ignored_after(directive, 1),
            Shape::Own => {}
            Shape::Timer(least, most) => drop(self.timer(directive, least..=most)),
        }
    }

    /// A number that may be negative.
    pub(super) fn signed_at(&mut self, span: Span, least: i64, most: i64) -> Option<i64> {
        let number =
            std::str::from_utf8(self.bytes(span)).ok().and_then(|text| text.parse::<i64>().ok());
        let (code, what) = match number {
            Some(number) if (least..=most).contains(&number) => return Some(number),
            Some(_) => (Code::OutOfRange, format!("is outside {least} to {most}")),
            None => (Code::BadNumber, "is not a decimal number".to_owned()),
        };
        let message = format!("`{}` {what}", self.text(span));
        let class = self.number_class(span, (least..=most).contains(&0));
        self.report(Diagnostic::new(code, message).class(class).at(span, ""));
        None
    }
}
