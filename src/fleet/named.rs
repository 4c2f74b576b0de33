//! What checkers go by beside their own block: `SSL`, and the `track_file` and `bfd_instance` blocks they
//! name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::effective::{Ssl, TrackFile, Verbatim};
use super::keywords::{SUGGESTIONS_MAX, nearest};
use super::lower::Lowering;
use crate::conf::{Code, Diagnostic, Span};
use crate::id::RealServerId;

/// Blocks of the top level, by name. A block must stand before the virtual server that names it.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The last `SSL` block and where it is.
    pub(super) ssl: Option<(Span, Ssl)>,
    /// Of two with the same name the first.
    pub(super) track_files: BTreeMap<Arc<str>, TrackFile>,
    /// Of two with the same name the first; where it is.
    pub(super) bfd: BTreeMap<Arc<str>, Span>,
    /// The same, as they are written.
    pub(super) bfd_blocks: BTreeMap<Arc<str>, Verbatim>,
    /// Names that nothing had when a checker wanted them.
    unknown: Vec<(Kind, Arc<str>, Span)>,
    /// The sessions that checkers of `follower` follow.
    followed: HashMap<Arc<str>, Span>,
    /// The real server that was read last of those with a BFD_CHECK.
    follower: Option<RealServerId>,
}

/// What is named.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    TrackFile,
    Bfd,
}

impl Kind {
    fn keyword(self) -> &'static str {
        match self {
            Kind::TrackFile => "track_file",
            Kind::Bfd => "bfd_instance",
        }
    }
}

impl Named {
    /// Notes that a checker of `server` follows a session; gives the place where another one did already.
    pub(super) fn follow(
        &mut self,
        server: RealServerId,
        name: &Arc<str>,
        at: Span,
    ) -> Option<Span> {
        if self.follower.replace(server) != Some(server) {
            self.followed.clear();
        }
        let first = self.followed.get(name).copied();
        if first.is_none() {
            self.followed.insert(Arc::clone(name), at);
        }
        first
    }
}

impl Lowering<'_> {
    /// Notes a name that nothing has so far.
    pub(super) fn unknown_name(&mut self, kind: Kind, name: Arc<str>, span: Span) {
        self.named.unknown.push((kind, name, span));
    }

    /// Reports names that nothing had, now that all blocks are known.
    pub(super) fn settle_names(&mut self) {
        for (place, (kind, name, span)) in
            std::mem::take(&mut self.named.unknown).into_iter().enumerate()
        {
            let keyword = kind.keyword();
            let later = match kind {
                Kind::TrackFile => self.named.track_files.get(&name).map(|file| file.header),
                Kind::Bfd => self.named.bfd.get(&name).copied(),
            };
            let found = match later {
                Some(later) => Diagnostic::new(
                    Code::UnknownName,
                    format!("`{keyword} {name}` is defined too late"),
                )
                .at(span, "not known here yet")
                .also(later, "defined here")
                .help("move the definition before the virtual server"),
                None => {
                    let message = format!("there is no `{keyword} {name}`");
                    let found = Diagnostic::new(Code::UnknownName, message).at(span, "");
                    let nearest = match kind {
                        _ if place >= SUGGESTIONS_MAX => None,
                        Kind::TrackFile => {
                            nearest(&name, self.named.track_files.keys().map(|known| &**known))
                        }
                        Kind::Bfd => nearest(&name, self.named.bfd.keys().map(|known| &**known)),
                    };
                    match nearest {
                        Some(nearest) => found.help(format!("did you mean `{nearest}`?")),
                        None => found,
                    }
                }
            };
            self.reader.report(found);
        }
    }
}
