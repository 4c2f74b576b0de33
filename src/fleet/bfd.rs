//! `bfd_instance`: its name, which a BFD_CHECK follows, and whether keepalived takes it. What else is in its
//! block is keepalived's matter: it is judged, and kept as it is written.

use std::net::IpAddr;
use std::sync::Arc;

use super::effective::Family;
use super::lower::Lowering;
use super::number::timer;
use crate::conf::{Class, Code, Diagnostic, Directive, Span};

/// Keywords with a number, and its range.
const NUMBERS: &[(&[u8], i64, i64)] = &[
    (b"hoplimit", 1, 255),
    (b"max_hops", -1, 255),
    (b"multiplier", 1, 255),
    (b"ttl", 1, 255),
    (b"weight", -253, 253),
];

/// Keywords with a time in milliseconds, which may have decimals, and its range.
const TIMES: &[(&[u8], u64, u64)] =
    &[(b"idle_tx", 1000, 4_294_967), (b"min_rx", 1, 4_294_967), (b"min_tx", 1, 4_294_967)];

impl Lowering<'_> {
    /// Takes a `bfd_instance` block.
    pub(super) fn bfd_instance(&mut self, directive: Directive<'_>) {
        self.skip(directive);
        if directive.is_doubtful() {
            return;
        }
        let Some(name) = self.text_of(directive, "a name") else { return };
        let header = directive.header();
        match self.named.bfd.get(&name) {
            Some(first) => self.reader.report(
                Diagnostic::new(Code::Repeated, format!("`bfd_instance {name}` is defined twice"))
                    .at(header, "this one is ignored")
                    .also(*first, "first defined here"),
            ),
            None => {
                self.judge_bfd(directive, &name);
                // Also a bad one: that its checkers have none then is no other mistake.
                let block = self.verbatim(directive);
                self.named.bfd_blocks.insert(Arc::clone(&name), block);
                self.named.bfd.insert(name, header);
            }
        }
    }

    /// Reports what makes keepalived do without an instance, and values that it does without.
    fn judge_bfd(&mut self, directive: Directive<'_>, name: &str) {
        let (mut neighbor, mut source) = (None, None);
        let mut is_doubtful = false;
        for child in directive.children() {
            is_doubtful |= child.is_doubtful();
            if child.is_doubtful() {
                continue;
            }
            match self.reader.bytes(child.keyword()) {
                b"neighbor_ip" => match self.bfd_address(child) {
                    Some(address) => neighbor = Some(address),
                    None => is_doubtful = true,
                },
                b"source_ip" => {
                    source = self.bfd_source(child).or(source);
                }
                b"passive" => {}
                _ => self.bfd_value(child),
            }
        }
        if is_doubtful {
            return;
        }
        let found = match (neighbor, source) {
            (None, _) => {
                let message = format!("`bfd_instance {name}` has no `neighbor_ip`");
                Diagnostic::new(Code::BadBfdInstance, message)
                    .at(directive.header(), "keepalived does without it")
            }
            (Some((to, to_span)), Some((from, from_span))) if to.is_ipv4() != from.is_ipv4() => {
                let (to, from) = (Family::of(to), Family::of(from));
                let message = format!("`bfd_instance {name}` would go from {from} to {to}");
                Diagnostic::new(Code::BadBfdInstance, message)
                    .at(from_span, format!("this is {from}"))
                    .also(to_span, format!("this is {to}"))
            }
            _ => return,
        };
        self.reader.report(found);
    }

    /// `neighbor_ip`: with a bad one there is no instance.
    fn bfd_address(&mut self, child: Directive<'_>) -> Option<(IpAddr, Span)> {
        let span = self.reader.argument(child, "an address")?;
        let text = self.reader.text(span).into_owned();
        // As everywhere, what follows is ignored.
        let address = text.split(['/', '-']).next().and_then(|address| address.parse().ok());
        if address.is_none() {
            let message = format!("`{text}` is no address of a neighbor");
            self.reader.report(
                Diagnostic::new(Code::BadBfdInstance, message)
                    .at(span, "keepalived does without the instance"),
            );
        }
        Some((address?, child.header()))
    }

    /// `source_ip`: a bad one is as good as none.
    fn bfd_source(&mut self, child: Directive<'_>) -> Option<(IpAddr, Span)> {
        let span = self.reader.argument(child, "an address")?;
        let address = self.reader.foreign(|reader| reader.address(span))?;
        Some((address, child.header()))
    }

    /// Any other keyword.
    fn bfd_value(&mut self, child: Directive<'_>) {
        let keyword = self.reader.bytes(child.keyword());
        let number = NUMBERS.iter().find(|(known, ..)| *known == keyword);
        let time = TIMES.iter().find(|(known, ..)| *known == keyword);
        if number.is_none() && time.is_none() {
            let message = format!(
                "unknown keyword `{}` in a `bfd_instance`",
                self.reader.text(child.keyword())
            );
            let found = Diagnostic::new(Code::ForeignValue, message).class(Class::General);
            return self.reader.report(found.at(child.keyword(), "keepalived ignores it"));
        }
        let Some(span) = self.reader.argument(child, "a number") else { return };
        if let Some((_, least, most)) = number {
            self.reader.foreign(|reader| reader.signed_at(span, *least, *most));
        } else if let Some((_, least, most)) = time {
            self.bfd_time(span, *least, *most);
        }
    }

    fn bfd_time(&mut self, span: Span, least: u64, most: u64) {
        let text = self.reader.text(span).into_owned();
        // Read like seconds, so one of them counts a million.
        let range = least * 1_000_000..=most * 1_000_000;
        let is_right = timer(text.as_bytes()).is_some_and(|time| range.contains(&time.micros));
        if !is_right {
            let message = format!("`{text}` is not from {least} to {most} milliseconds");
            self.reader.report(Diagnostic::new(Code::ForeignValue, message).at(span, ""));
        }
    }
}
