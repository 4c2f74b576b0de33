//! Blocks of checkers, and what reading them shares.
//!
//! A keyword that is missing or wrong keeps its default, as in keepalived; what is wrong is reported, so
//! nothing is probed. Where keepalived drops the whole checker there is none.

mod bfd;
mod dns;
mod file;
mod ftp;
mod http;
mod pattern;
mod ping;
mod regex;
mod smtp;
mod tls;
mod udp;
mod url;

use std::sync::Arc;

use super::checker::Common;
use super::effective::{Check, Level, Setting};
use super::lower::Lowering;
use super::real_server::Server;
use crate::conf::{Class, Code, Diagnostic, Directive};

/// A text that may be written nowhere.
type OptionalText = Setting<Option<Arc<str>>>;

impl Lowering<'_> {
    /// Reads a checker that is not probed yet. What it shares with other checkers goes into `common`.
    pub(in crate::fleet) fn check(
        &mut self,
        keyword: &[u8],
        directive: Directive<'_>,
        common: &mut Common,
        server: &Server,
    ) -> Option<Check> {
        match keyword {
            b"HTTP_GET" | b"SSL_GET" => {
                let is_tls = keyword == b"SSL_GET";
                let check = self.http_check(is_tls, directive, common, server);
                check.map(|check| Check::Http(Box::new(check)))
            }
            b"SMTP_CHECK" => self.smtp_check(directive, common, server).map(Check::Smtp),
            b"UDP_CHECK" => {
                self.udp_check(directive, common, server).map(|check| Check::Udp(Box::new(check)))
            }
            b"PING_CHECK" => self.ping_check(directive, common, server).map(Check::Ping),
            b"FILE_CHECK" => self.file_check(directive, common, server).map(Check::File),
            b"BFD_CHECK" => self.bfd_check(directive, common, server).map(Check::Bfd),
            b"FTP_CHECK" => self.ftp_check(directive, common, server).map(Check::Ftp),
            b"TLS_CHECK" => self.tls_check(directive, common, server).map(Check::Tls),
            _ => None,
        }
    }

    /// Looks at the words of a checker's keyword: it has no values.
    fn check_header(&mut self, directive: Directive<'_>) {
        if !directive.is_doubtful() {
            self.reader.ignored_after(directive, 0);
        }
    }

    /// Puts a boolean in its place; a wrong one, reported, changes nothing.
    fn flag(&mut self, child: Directive<'_>, place: &mut Setting<bool>) {
        if let Some(value) = self.reader.boolean(child) {
            *place = Setting::written(value, Level::Checker, child.header());
        }
    }

    /// Puts the only value, a text, in its place.
    fn text(&mut self, child: Directive<'_>, wants: &str, place: &mut OptionalText) {
        if let Some(text) = self.text_of(child, wants) {
            *place = Setting::written(Some(text), Level::Checker, child.header());
        }
    }

    /// The only value, a text; `wants` says what it should be.
    pub(in crate::fleet) fn text_of(
        &mut self,
        child: Directive<'_>,
        wants: &str,
    ) -> Option<Arc<str>> {
        // A checker of a session is dropped without its name.
        let span = match self.reader.bytes(child.keyword()) {
            b"name" => self.reader.argument_as(child, wants, Class::General)?,
            _ => self.reader.argument(child, wants)?,
        };
        self.reader.ignored_after(child, 1);
        let text = self.reader.utf8(span)?;
        if text.is_empty() {
            let message = format!("`{}` needs {wants}", self.reader.text(child.keyword()));
            self.reader.report(
                Diagnostic::new(Code::MissingArgument, message)
                    .class(class_of_empty(self.reader.bytes(child.keyword())))
                    .at(child.header(), "nothing between the quotes"),
            );
            return None;
        }
        Some(text.into())
    }

    /// Reports a block without a keyword that it needs.
    pub(in crate::fleet) fn missing(&mut self, block: Directive<'_>, keyword: &str, then: &str) {
        let name = self.reader.text(block.keyword()).into_owned();
        self.reader.report(
            Diagnostic::new(Code::MissingKeyword, format!("`{name}` without `{keyword}`"))
                .at(block.header(), then.to_owned()),
        );
    }
}

/// The class of nothing between two quotes: keepalived takes it for a text like any other, but there is
/// nothing of that name.
fn class_of_empty(keyword: &[u8]) -> Class {
    match keyword {
        b"track_file" | b"name" => Class::General,
        _ => Class::Silent,
    }
}

#[cfg(test)]
pub(in crate::fleet) mod tests;
