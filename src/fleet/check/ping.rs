//! `PING_CHECK`: the common options, some of which an echo request has no use for.

use crate::conf::blocks::BlockKind;
use crate::conf::{Code, Diagnostic, Directive};
use crate::fleet::checker::Common;
use crate::fleet::effective::PingCheck;
use crate::fleet::lower::Lowering;
use crate::fleet::real_server::Server;

impl Lowering<'_> {
    /// Takes the block of a PING_CHECK.
    pub(in crate::fleet) fn ping_check(
        &mut self,
        directive: Directive<'_>,
        common: &mut Common,
        _server: &Server,
    ) -> Option<PingCheck> {
        self.check_header(directive);
        for child in directive.children() {
            common.is_doubtful |= child.is_doubtful();
            if self.value(child, BlockKind::PingCheck) {
                continue;
            }
            let why = match self.reader.bytes(child.keyword()) {
                b"connect_port" => Some("an echo request has no port"),
                b"fwmark" => Some("keepalived does not mark echo requests"),
                _ => None,
            };
            if let Some(why) = why {
                let keyword = self.reader.text(child.keyword());
                let message = format!("`{keyword}` has no effect in PING_CHECK");
                self.reader
                    .report(Diagnostic::new(Code::NoEffect, message).at(child.header(), why));
            }
            self.common_option(child, common);
        }
        Some(PingCheck {})
    }
}
