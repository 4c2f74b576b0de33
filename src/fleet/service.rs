//! What a `virtual_server` is called: the service of its header, and the names inside.

use std::net::SocketAddr;
use std::sync::Arc;

use super::effective::{Level, Setting};
use super::lower::Lowering;
use super::model::Service;
use crate::conf::{Class, Code, Diagnostic, Directive};

impl Lowering<'_> {
    /// `ADDR [PORT]`, `fwmark N` or `group NAME`.
    pub(super) fn service(&mut self, directive: Directive<'_>) -> Option<Service> {
        let first = self.reader.argument(directive, "an address, `fwmark N` or `group NAME`")?;
        let kind = self.reader.bytes(first);
        // What keepalived reports of a service by the mark 0, or on no port.
        let has = |keywords: &[&[u8]]| {
            directive.children().any(|child| keywords.contains(&self.reader.bytes(child.keyword())))
        };
        let is_persistent = has(&[b"persistence_timeout", b"persistence_granularity"]);
        let empty =
            if is_persistent && has(&[b"protocol"]) { Class::Silent } else { Class::General };
        if matches!(kind, b"fwmark" | b"group") {
            let Some(second) = directive.arguments().get(1).copied() else {
                let message = format!("`{}` needs a value", self.reader.text(first));
                self.reader.report(
                    Diagnostic::new(Code::MissingArgument, message).at(first, "nothing follows"),
                );
                return None;
            };
            self.reader.ignored_after(directive, 2);
            if kind == b"group" {
                return Some(Service::Group(self.reader.utf8(second)?.into()));
            }
            let word = self.reader.bytes(second);
            if word.trim_ascii().iter().all(|byte| *byte == b'0') {
                self.reader.report(
                    Diagnostic::new(Code::OutOfRange, "a mark of 0 is no mark")
                        .class(empty)
                        .at(second, "keepalived takes this for a service without an address"),
                );
                return None;
            }
            let mark = self.reader.number_at(second, 1..=u64::from(u32::MAX))?;
            return Some(Service::Fwmark(mark as u32));
        }
        let address = self.reader.address(first);
        let port = self.reader.optional_port(directive.arguments().get(1), empty);
        self.reader.ignored_after(directive, 2);
        Some(Service::Address(SocketAddr::new(address?, port?)))
    }

    /// `snmp_name`: exactly one word, or keepalived does without.
    pub(super) fn snmp_name(
        &mut self,
        child: Directive<'_>,
        level: Level,
        place: &mut Setting<Option<Arc<str>>>,
    ) {
        match child.arguments() {
            [_, first, .., last] | [_, first @ last] => self.reader.report(
                Diagnostic::new(Code::BadChoice, "`snmp_name` has one word")
                    .at(first.to(*last), "and not these as well")
                    .help("put a name with blanks in double quotes"),
            ),
            _ => self.name(child, level, place),
        }
    }

    /// A keyword with one name.
    pub(super) fn name(
        &mut self,
        child: Directive<'_>,
        level: Level,
        place: &mut Setting<Option<Arc<str>>>,
    ) {
        let Some(span) = self.reader.argument(child, "a name") else { return };
        self.reader.ignored_after(child, 1);
        if let Some(name) = self.reader.utf8(span) {
            *place = Setting::written(Some(name.into()), level, child.header());
        }
    }
}
