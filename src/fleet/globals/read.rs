//! Values of `global_defs` with one meaning each: numbers with their units, words, addresses.

use std::net::IpAddr;
use std::time::Duration;

use super::super::effective::{GlobalValue, Word};
use super::super::value::{Micros, Reader};
use super::table::Shape;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};

/// CPUs that a mask of the C library has room for.
const CPU_MAX: i64 = 1023;

/// TASK_COMM_LEN without its NUL.
const PROCESS_NAME_MAX: usize = 15;

impl Reader<'_> {
    /// The value of a keyword that no checker goes by; `None` where it is bad, which is reported.
    pub(super) fn global(&mut self, child: Directive<'_>, shape: Shape) -> Option<GlobalValue> {
        let first = child.arguments().first().copied();
        match shape {
            Shape::Own => None,
            Shape::Flag => {
                self.ignored_after(child, 0);
                Some(GlobalValue::Flag)
            }
            Shape::Switch => self.boolean(child).map(GlobalValue::Switch),
            Shape::Number(least, most) => self.whole(child, least, most).map(GlobalValue::Number),
            Shape::OptionalNumber(least, most) => match first {
                Some(_) => self.whole(child, least, most).map(GlobalValue::Number),
                None => Some(GlobalValue::Flag),
            },
            Shape::LoneNumber(least, most) => {
                let span = self.lone(child, "a number")?;
                self.integer_at(span, least, most).map(GlobalValue::Number)
            }
            Shape::Size => {
                let size = self.whole(child, 0, u32::MAX.into())?;
                u32::try_from(size).ok().map(GlobalValue::Bytes)
            }
            Shape::Micros(least, most) => {
                let micros = self.whole(child, least, most)?;
                u32::try_from(micros).ok().map(GlobalValue::Microseconds)
            }
            Shape::WholeSeconds(least, most) => {
                self.whole(child, least, most).map(|number| GlobalValue::Seconds(seconds(number)))
            }
            Shape::Seconds(least, most) => self.decimal_seconds(child, least, most),
            Shape::Word | Shape::ShellWord => self.one_word(child, shape),
            Shape::LoneWord => {
                let span = self.lone(child, "a value")?;
                Some(GlobalValue::Word(self.word_at(span)))
            }
            Shape::OptionalWord(length_max) => self.optional_word(child, length_max),
            Shape::ProcessName => self.process_name(child),
            Shape::Words => {
                let words = child.arguments().iter().map(|word| self.word_at(*word));
                Some(GlobalValue::Words(words.collect()))
            }
            Shape::OptionalChoice(known) => {
                self.ignored_after(child, 1);
                let Some(span) = first else { return Some(GlobalValue::Flag) };
                let choice = self.choice(span, known)?;
                Some(GlobalValue::Word(choice.as_bytes().into()))
            }
            Shape::Interface => {
                let span = self.argument(child, "an interface")?;
                self.ignored_after(child, 1);
                let name = self.interface(span, Class::Silent)?;
                Some(GlobalValue::Word(name.as_bytes().into()))
            }
            Shape::Group4 | Shape::Group6 => {
                let span = self.argument(child, "a multicast address")?;
                self.ignored_after(child, 1);
                let group = self.multicast_at(span)?;
                if group.is_ipv4() != (shape == Shape::Group4) {
                    let family = if shape == Shape::Group4 { "IPv4" } else { "IPv6" };
                    let message = format!("`{group}` is no address of {family}");
                    self.report(Diagnostic::new(Code::FamilyMismatch, message).at(span, ""));
                    return None;
                }
                Some(GlobalValue::Address(group))
            }
            Shape::Cpus => {
                self.argument(child, "the number of a CPU")?;
                let cpus = child.arguments().iter().map(|word| self.integer_at(*word, 0, CPU_MAX));
                // Each is looked at, so that each bad one is reported.
                let cpus: Vec<Option<i64>> = cpus.collect();
                cpus.into_iter()
                    .map(|cpu| u16::try_from(cpu?).ok())
                    .collect::<Option<_>>()
                    .map(GlobalValue::Cpus)
            }
            Shape::Mail => self.mail(child),
            Shape::SmtpServer => self.smtp_server(child),
            Shape::LvsTimeouts => self.lvs_timeouts(child),
            Shape::SyncDaemon => self.sync_daemon(child),
            Shape::Umask => self.umask(child),
            Shape::BufferPolicy => self.buffer_policy(child),
            Shape::ExtraGarp => self.extra_garp(child),
            Shape::IncludeCheck => self.include_check(child),
            Shape::Fifo => self.owned_fifo(child),
            // Nothing between the quotes is no script, which keepalived does not mention.
            Shape::FifoScript => self.script(child, Class::Silent),
            Shape::Script => self.script(child, Class::General),
        }
    }

    pub(super) fn word_at(&self, span: Span) -> Word {
        self.bytes(span).into()
    }

    /// The first word, where another one makes it invalid.
    fn lone(&mut self, child: Directive<'_>, wants: &str) -> Option<Span> {
        let span = self.argument(child, wants)?;
        if let [_, second, ..] = child.arguments() {
            let message = format!("`{}` takes one word", self.text(child.keyword()));
            self.report(
                Diagnostic::new(Code::ForeignValue, message)
                    .at(*second, "one too many")
                    .help("put a value with blanks between double quotes"),
            );
            return None;
        }
        Some(span)
    }

    fn whole(&mut self, child: Directive<'_>, least: i64, most: i64) -> Option<i64> {
        let span = self.argument(child, "a number")?;
        self.ignored_after(child, 1);
        self.integer_at(span, least, most)
    }

    /// A decimal number with or without a sign. keepalived takes nothing between two quotes for 0.
    pub(super) fn integer_at(&mut self, span: Span, least: i64, most: i64) -> Option<i64> {
        let text = self.bytes(span).trim_ascii_start();
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        // What 64 bits do not hold is outside of every range.
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return Some(number);
        }
        let shown = self.text(span);
        let found = if is_number {
            let message = format!("`{shown}` is outside {least} to {most}");
            Diagnostic::new(Code::OutOfRange, message)
        } else {
            let means_zero = text.is_empty() && (least..=most).contains(&0);
            let class = if means_zero { Class::Silent } else { Class::General };
            let message = format!("`{shown}` is not a decimal number");
            Diagnostic::new(Code::BadNumber, message).class(class)
        };
        self.report(found.at(span, ""));
        None
    }

    fn decimal_seconds(
        &mut self,
        child: Directive<'_>,
        least: Micros,
        most: Micros,
    ) -> Option<GlobalValue> {
        let span = self.argument(child, "a time in seconds")?;
        self.ignored_after(child, 1);
        let text = self.bytes(span);
        let is_signed = text.len() > 1 && text[0] == b'+';
        let begin = span.start as usize;
        let span = Span::new(span.file, begin + usize::from(is_signed), begin + text.len());
        self.timer_at(span, least..=most)
            .map(|micros| GlobalValue::Seconds(Duration::from_micros(micros)))
    }

    fn one_word(&mut self, child: Directive<'_>, shape: Shape) -> Option<GlobalValue> {
        let span = self.argument(child, "a value")?;
        self.ignored_after(child, 1);
        let word = self.bytes(span);
        if shape == Shape::ShellWord {
            if word.is_empty() {
                let message = format!("`{}` needs a folder", self.text(child.keyword()));
                self.report(
                    Diagnostic::new(Code::MissingArgument, message)
                        .class(Class::General)
                        .at(span, ""),
                );
                return None;
            }
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(byte);
            if !word.iter().all(is_plain) {
                let message = format!("`{}` reaches a shell", self.text(span));
                self.report(
                    Diagnostic::new(Code::ShellWord, message)
                        .at(span, "keepalived runs what a shell makes of it, even with -t")
                        .help("use letters, digits and `/._-+=:,@%` only"),
                );
            }
        }
        Some(GlobalValue::Word(word.into()))
    }

    fn optional_word(&mut self, child: Directive<'_>, length_max: usize) -> Option<GlobalValue> {
        self.ignored_after(child, 1);
        let Some(span) = child.arguments().first() else { return Some(GlobalValue::Flag) };
        let word = self.bytes(*span);
        if word.len() > length_max {
            let message = format!("a name of {} bytes", word.len());
            let found = Diagnostic::new(Code::ForeignValue, message);
            self.report(found.at(*span, format!("at most {length_max} are possible")));
            return None;
        }
        Some(GlobalValue::Word(word.into()))
    }

    fn process_name(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let span = self.argument(child, "a name")?;
        self.ignored_after(child, 1);
        let mut name = self.bytes(span);
        if name.len() > PROCESS_NAME_MAX {
            name = &name[..PROCESS_NAME_MAX];
            let message = format!("the name of a process has at most {PROCESS_NAME_MAX} bytes");
            let taken = format!("taken as `{}`", String::from_utf8_lossy(name));
            self.report(Diagnostic::new(Code::NameCut, message).at(span, taken));
        }
        Some(GlobalValue::Word(name.into()))
    }

    /// An address that a group of hosts shares.
    pub(super) fn multicast_at(&mut self, span: Span) -> Option<IpAddr> {
        let address = self.address(span)?;
        if !address.is_multicast() {
            let message = format!("`{address}` is not a multicast address");
            let found = Diagnostic::new(Code::ForeignValue, message).at(span, "");
            self.report(found.help("224.0.0.0 to 239.255.255.255, or ff00:: and what follows"));
            return None;
        }
        Some(address)
    }

    fn mail(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        if let Some(first) = child.arguments().first() {
            let message = "`notification_email` has its addresses in a block";
            self.report(
                Diagnostic::new(Code::IgnoredWords, message).class(Class::General).at(*first, ""),
            );
        }
        let words = child.children().flat_map(|line| line.words().iter().copied());
        let addresses: Vec<Word> = words.map(|word| self.word_at(word)).collect();
        if addresses.is_empty() {
            let message = "`notification_email` without an address";
            self.report(Diagnostic::new(Code::NoMailAddress, message).at(child.header(), ""));
            return None;
        }
        Some(GlobalValue::Mail(addresses))
    }
}

pub(super) fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}
