//! `bfd_instance`: its name, which a BFD_CHECK follows. What is in its block is keepalived's matter.

use std::sync::Arc;

use super::lower::Lowering;
use crate::conf::{Code, Diagnostic, Directive};

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
                let block = self.verbatim(directive);
                self.named.bfd_blocks.insert(Arc::clone(&name), block);
                self.named.bfd.insert(name, header);
            }
        }
    }
}
