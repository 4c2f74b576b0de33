//! MISC_CHECK: what is run, as whom, and what the file system says about it today.
//!
//! [`argv`] reads the command, [`user`] the name of a user. A checker's user is known only at the end
//! of the configuration, as `script_user` and `set_supplementary_groups` may stand behind it: until
//! then its spec has no user (`misc`), then it gets one (`settle`), and the file is looked at (`files`).

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::effective::{Level, Setting};
use super::lower::Lowering;
use super::model::{MiscSpec, ProbeSpec, ScriptCommand, ScriptUser};
use crate::conf::{Directive, Span};
use crate::id::SpecId;

pub mod argv;
pub(super) mod events;
mod files;
mod misc;
mod settle;
pub mod user;

use user::{Accounts, UserName};

/// PATH of scripts, where a program without a `/` in its name is looked for.
pub const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where scripts start, and what a relative path to a program is relative to.
pub const SCRIPT_DIRECTORY: &str = "/";

type FastMap<K, V> = HashMap<K, V, FixedState>;

/// What is known of scripts while the configuration is read.
#[derive(Debug)]
pub(super) struct Scripts {
    /// Each different script, once, in the order of their specs.
    drafts: Vec<Draft>,
    /// Hash of a [`Key`] -> position in `drafts`: most scripts have arguments of their own, and the
    /// whole key would cost as much again. Two with one hash are not found, which only costs a spec.
    known: FastMap<u64, u32>,
    /// Each different `user` of a checker, once, and the words that say it first.
    users: Vec<Written>,
    /// Positions in `users`.
    user_places: FastMap<UserName, u32>,
    /// Whom names stand for, as far as somebody asked.
    pub(in crate::fleet) accounts: Accounts,
    /// `script_user`, the last one.
    default_user: Option<Written>,
    /// `set_supplementary_groups`.
    has_groups: bool,
    /// Stands in every spec until the end.
    nobody: Arc<ScriptUser>,
    /// Those of `global_defs`, in the order of their lines, where somebody asks for them.
    globals: Vec<events::GlobalScript>,
    /// The first script of a checker that keepalived takes for one, once all are known.
    first: Option<Span>,
}

/// A script while the configuration is read.
#[derive(Debug)]
struct Draft {
    spec: SpecId,
    /// Position in `users`; `None` for the default user.
    user: Option<u32>,
    /// The command of the first checker that runs it.
    first: Span,
}

/// What makes two scripts one.
#[derive(Hash, Debug)]
pub(in crate::fleet) struct Key {
    command: ScriptCommand,
    timeout: Duration,
    dynamic: bool,
    user: Option<u32>,
}

impl Key {
    fn is(&self, draft: &Draft, spec: &MiscSpec) -> bool {
        self.user == draft.user
            && self.dynamic == spec.dynamic
            && self.timeout == spec.timeout
            && self.command == spec.command
    }
}

/// A user, and where the file names it.
#[derive(Debug)]
struct Written {
    name: UserName,
    user: Span,
    group: Option<Span>,
}

impl Default for Scripts {
    fn default() -> Scripts {
        let nobody = ScriptUser {
            name: Box::default(),
            home: Box::default(),
            uid: u32::MAX,
            gid: u32::MAX,
            groups: Box::default(),
        };
        Scripts {
            drafts: Vec::new(),
            known: FastMap::default(),
            users: Vec::new(),
            user_places: FastMap::default(),
            accounts: Accounts::default(),
            default_user: None,
            has_groups: false,
            nobody: Arc::new(nobody),
            globals: Vec::new(),
            first: None,
        }
    }
}

impl Scripts {
    /// Room for this many different scripts.
    pub(super) fn reserve(&mut self, count: usize) {
        let _ = self.drafts.try_reserve_exact(count);
    }
}

impl Lowering<'_> {
    /// Takes a keyword of `global_defs` that is about scripts.
    pub(in crate::fleet) fn script_global(&mut self, child: Directive<'_>) {
        match self.reader.bytes(child.keyword()) {
            b"script_user" => {
                if let Some(written) = self.user_words(child) {
                    let name = Some(written.name.clone());
                    self.globals.script_user =
                        Setting::written(name, Level::Global, child.header());
                    self.scripts.default_user = Some(written);
                }
            }
            b"set_supplementary_groups" => {
                // 2.2.7 does not know the keyword, so it does not look at the value.
                if let Some(is_on) = self.reader.only_logged(|reader| reader.boolean(child)) {
                    self.scripts.has_groups = is_on;
                    self.globals.set_supplementary_groups =
                        Setting::written(is_on, Level::Global, child.header());
                }
            }
            b"enable_script_security" => {
                self.reader.ignored_after(child, 0);
                self.fleet.script_security = true;
                self.globals.enable_script_security =
                    Setting::written(true, Level::Global, child.header());
            }
            _ => {}
        }
    }

    /// `USER [[:]GROUP]`, as the words say it.
    fn user_words(&mut self, child: Directive<'_>) -> Option<Written> {
        let user = self.reader.argument(child, "a user")?;
        self.reader.ignored_after(child, 2);
        let group = child.arguments().get(1).copied();
        let user_text = self.reader.utf8(user)?;
        let group_text = match group {
            Some(group) => Some(self.reader.utf8(group)?),
            None => None,
        };
        Some(Written { name: UserName::from_words(user_text, group_text), user, group })
    }

    /// Says what there is to say of the scripts that keepalived runs by itself, and gives the first of all
    /// scripts that it takes for one.
    pub(in crate::fleet) fn first_script(&mut self) -> Option<Span> {
        let event = self.look_at_events();
        [event, self.scripts.first].into_iter().flatten().min()
    }

    /// The spec of a script, without its user.
    pub(in crate::fleet) fn intern_script(&mut self, key: Key, first: Span) -> SpecId {
        let hash = FixedState::default().hash_one(&key);
        let known =
            self.scripts.known.get(&hash).map(|place| &self.scripts.drafts[*place as usize]);
        if let Some(draft) = known
            && let ProbeSpec::Misc(spec) = &self.fleet.specs[draft.spec.index()]
            && key.is(draft, spec)
        {
            return draft.spec;
        }
        let spec = SpecId(self.fleet.specs.len() as u32);
        self.scripts.known.insert(hash, self.scripts.drafts.len() as u32);
        self.scripts.drafts.push(Draft { spec, user: key.user, first });
        self.fleet.specs.push(ProbeSpec::Misc(MiscSpec {
            command: key.command,
            timeout: key.timeout,
            dynamic: key.dynamic,
            user: Arc::clone(&self.scripts.nobody),
        }));
        spec
    }

    fn intern_user(&mut self, written: Written) -> u32 {
        if let Some(place) = self.scripts.user_places.get(&written.name) {
            return *place;
        }
        let place = self.scripts.users.len() as u32;
        self.scripts.user_places.insert(written.name.clone(), place);
        self.scripts.users.push(written);
        place
    }
}
