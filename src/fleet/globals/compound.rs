//! Values of `global_defs` that have parts.

use std::net::{IpAddr, Ipv6Addr};

use super::super::effective::{GlobalValue, LvsTimeouts, SmtpServer, SyncDaemon};
use super::super::number::{c_number, inet_aton};
use super::super::script::argv::{CommandError, command};
use super::super::script::user::UserName;
use super::super::value::Reader;
use super::read::seconds;
use crate::conf::{Class, Code, Diagnostic, Directive, IncludeChecks, Span};

/// SMTP.
const SMTP_PORT: u16 = 25;

/// A month of 31 days, the longest that the kernel takes.
const TIMEOUT_MAX_S: i64 = 2_678_400;

/// A day.
const GARP_MAX_S: i64 = 86_400;

/// What a UDP datagram over IPv4 can hold.
const SYNC_PACKET_MAX: i64 = 65_507;

const SYNC_OPTIONS: &[&str] = &["inst", "id", "maxlen", "port", "ttl", "group"];

/// Every bit that a mask of permissions may have.
const UMASK_MAX: u16 = 0o777;

const UMASK_BITS: &[(&str, u16)] = &[
    ("IRUSR", 0o400),
    ("IWUSR", 0o200),
    ("IXUSR", 0o100),
    ("IRGRP", 0o040),
    ("IWGRP", 0o020),
    ("IXGRP", 0o010),
    ("IROTH", 0o004),
    ("IWOTH", 0o002),
    ("IXOTH", 0o001),
];

impl Reader<'_> {
    /// `HOST [PORT]`. keepalived looks a name up when it reads it; here nothing is looked up.
    pub(super) fn smtp_server(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let span = self.argument(child, "a host")?;
        self.ignored_after(child, 2);
        let port = match child.arguments().get(1) {
            Some(port) => {
                self.integer_at(*port, 1, 65_535).and_then(|port| u16::try_from(port).ok())
            }
            None => Some(SMTP_PORT),
        };
        let host = self.utf8(span)?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = host.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
            && host.bytes().all(is_part);
        let unscoped = host.split_once('%').map_or(host, |(address, _)| address);
        if host.parse::<IpAddr>().is_err() {
            if let Some(address) = inet_aton(host.as_bytes()) {
                self.report(
                    Diagnostic::new(Code::ShortAddress, format!("`{host}` is taken for {address}"))
                        .at(span, "write it in full"),
                );
            } else if !is_name && unscoped.parse::<Ipv6Addr>().is_err() {
                let message = format!("`{host}` is neither an address nor the name of a host");
                self.report(Diagnostic::new(Code::BadAddress, message).at(span, ""));
                return None;
            }
        }
        Some(GlobalValue::SmtpServer(SmtpServer { host: host.into(), port: port? }))
    }

    /// `[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]`
    pub(super) fn lvs_timeouts(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        self.argument(child, "`tcp`, `tcpfin` or `udp`")?;
        let mut timeouts = LvsTimeouts::default();
        let mut is_good = true;
        let mut words = child.arguments().iter().copied();
        while let Some(option) = words.next() {
            let name = self.choice(option, &["tcp", "tcpfin", "udp"]);
            let Some(value) = words.next() else {
                if name.is_some() {
                    self.option_without_value(option, Class::General);
                }
                return None;
            };
            let number = name.and_then(|_| self.integer_at(value, 0, TIMEOUT_MAX_S));
            let number = number.and_then(|number| u32::try_from(number).ok());
            is_good &= number.is_some();
            match name {
                Some("tcp") => timeouts.tcp = number,
                Some("tcpfin") => timeouts.tcpfin = number,
                _ => timeouts.udp = number,
            }
        }
        is_good.then_some(GlobalValue::LvsTimeouts(timeouts))
    }

    fn option_without_value(&mut self, option: Span, class: Class) {
        let message = format!("`{}` needs a value", self.text(option));
        let found = Diagnostic::new(Code::MissingArgument, message).class(class);
        self.report(found.at(option, "nothing follows"));
    }

    /// `INTERFACE [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]`
    pub(super) fn sync_daemon(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let span = self.argument(child, "an interface")?;
        let interface = self.interface(span, Class::General);
        let mut is_good = interface.is_some();
        let mut daemon = SyncDaemon {
            interface: interface.unwrap_or_default().into(),
            instance: None,
            id: None,
            maxlen: None,
            port: None,
            ttl: None,
            group: None,
        };
        let mut rest = &child.arguments()[1..];
        // `inst` may be left out, and `id` after it as well, which keepalived reports.
        if let [instance, after @ ..] = rest
            && !self.is_sync_option(*instance)
        {
            daemon.instance = Some(self.word_at(*instance));
            rest = after;
            if let [id, after @ ..] = rest
                && !self.is_sync_option(*id)
            {
                daemon.id = self.integer_at(*id, 0, 255).and_then(|id| u8::try_from(id).ok());
                is_good &= daemon.id.is_some();
                if daemon.id.is_some() {
                    let message = "write `id` before the number of the daemon";
                    self.report(Diagnostic::new(Code::Deprecated, message).at(*id, ""));
                }
                rest = after;
            }
        }
        while let [option, after @ ..] = rest {
            let Some(name) = self.choice(*option, SYNC_OPTIONS) else {
                is_good = false;
                rest = after;
                continue;
            };
            let [value, after @ ..] = after else {
                // The one that keepalived does not look for itself.
                let class = if name == "inst" { Class::Parameter } else { Class::General };
                self.option_without_value(*option, class);
                return None;
            };
            is_good &= self.sync_option(&mut daemon, name, *value).is_some();
            rest = after;
        }
        is_good.then_some(GlobalValue::SyncDaemon(daemon))
    }

    fn is_sync_option(&self, word: Span) -> bool {
        SYNC_OPTIONS.iter().any(|option| option.as_bytes() == self.bytes(word))
    }

    fn sync_option(&mut self, daemon: &mut SyncDaemon, name: &str, value: Span) -> Option<()> {
        let most = match name {
            "inst" => {
                daemon.instance = Some(self.word_at(value));
                return Some(());
            }
            "group" => {
                daemon.group = Some(self.multicast_at(value)?);
                return Some(());
            }
            "maxlen" => SYNC_PACKET_MAX,
            "port" => 65_535,
            _ => 255,
        };
        let number = self.integer_at(value, i64::from(name != "id"), most)?;
        let (wide, narrow) = (u16::try_from(number).ok(), u8::try_from(number).ok());
        match name {
            "maxlen" => daemon.maxlen = wide,
            "port" => daemon.port = wide,
            "ttl" => daemon.ttl = narrow,
            _ => daemon.id = narrow,
        }
        Some(())
    }

    /// A number as C writes one, or `BIT [| BIT]...`
    pub(super) fn umask(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let first = self.argument(child, "permission bits")?;
        let words = child.arguments();
        let all = first.to(words[words.len() - 1]);
        let texts: Vec<_> = words.iter().map(|word| self.text(*word).into_owned()).collect();
        let mask = match &texts[..] {
            [number] if number.starts_with(|first: char| first.is_ascii_digit()) => {
                let mask = c_number(number.as_bytes()).and_then(|mask| u16::try_from(mask).ok());
                mask.filter(|mask| *mask <= UMASK_MAX)
            }
            [number, ..] if number.starts_with(|first: char| first.is_ascii_digit()) => None,
            texts => texts.join(" ").split('|').try_fold(0, |mask, name| {
                let name = name.trim_matches(' ');
                let bit = UMASK_BITS.iter().find(|(known, _)| *known == name)?;
                Some(mask | bit.1)
            }),
        };
        // In the symbolic form blanks separate words and do not belong to them.
        let has_blank = words.iter().any(|word| self.bytes(*word).contains(&b' '));
        let Some(mask) = mask.filter(|_| !has_blank) else {
            let message = format!("`{}` is no mask of permission bits", texts.join(" "));
            let found = Diagnostic::new(Code::ForeignValue, message).at(all, "");
            self.report(found.help("write a number up to 0777, or bits like `IWGRP | IWOTH`"));
            return None;
        };
        Some(GlobalValue::Umask(mask))
    }

    /// `MTU`, `ADVERT` or a size.
    pub(super) fn buffer_policy(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let span = self.argument(child, "`MTU`, `ADVERT` or a size")?;
        let policy = |word: Span| {
            let word = self.bytes(word);
            ["MTU", "ADVERT"].into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(word))
        };
        let Some(first) = policy(span) else {
            self.ignored_after(child, 1);
            let size = self.integer_at(span, 0, u32::MAX.into())?;
            return u32::try_from(size).ok().map(GlobalValue::Bytes);
        };
        if let Some(other) = child.arguments().iter().find(|word| policy(**word) != Some(first)) {
            let message = format!("`{}` behind `{first}`", self.text(*other));
            self.report(Diagnostic::new(Code::ForeignValue, message).at(*other, "only one counts"));
            return None;
        }
        Some(GlobalValue::Word(first.as_bytes().into()))
    }

    /// `[all] SECONDS`
    pub(super) fn extra_garp(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let first = self.argument(child, "a time in seconds")?;
        let all = self.bytes(first) == b"all";
        self.ignored_after(child, 1 + usize::from(all));
        let Some(time) = child.arguments().get(usize::from(all)) else {
            self.option_without_value(first, Class::General);
            return None;
        };
        let delay = seconds(self.integer_at(*time, 1, GARP_MAX_S)?);
        Some(GlobalValue::ExtraGarp { all, delay })
    }

    /// `[[+|-]WORD] [+|-WORD]...`. What it does, it did when the text was read.
    pub(super) fn include_check(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let mut is_good = true;
        for (place, word) in child.arguments().iter().enumerate() {
            let has_sign = matches!(self.bytes(*word).first(), Some(b'+' | b'-'));
            if place > 0 && !has_sign {
                let message = format!("`{}` behind another word needs a sign", self.text(*word));
                let found = Diagnostic::new(Code::ForeignValue, message).at(*word, "ignored");
                self.report(found.help("write `+` or `-` before it"));
                is_good = false;
                continue;
            }
            let begin = word.start as usize;
            let end = begin + self.bytes(*word).len();
            let name = Span::new(word.file, begin + usize::from(has_sign), end);
            is_good &= self.choice(name, &IncludeChecks::WORDS).is_some();
        }
        let words = child.arguments().iter().map(|word| self.word_at(*word)).collect();
        is_good.then_some(GlobalValue::Words(words))
    }

    /// `PATH [USER [GROUP]]`
    pub(super) fn owned_fifo(&mut self, child: Directive<'_>) -> Option<GlobalValue> {
        let path = self.argument(child, "a path")?;
        self.ignored_after(child, 3);
        let owner = self.owner(child)?;
        Some(GlobalValue::Fifo { path: self.word_at(path), owner })
    }

    /// `CMD [USER [GROUP]]`; `of_empty` is what keepalived makes of one without a program.
    pub(super) fn script(&mut self, child: Directive<'_>, of_empty: Class) -> Option<GlobalValue> {
        let span = self.argument(child, "a command")?;
        self.ignored_after(child, 3);
        let user = self.owner(child)?;
        let command = self.command_at(span, of_empty)?;
        Some(GlobalValue::Script { command, user })
    }

    fn command_at(&mut self, span: Span, of_empty: Class) -> Option<super::super::ScriptCommand> {
        let error = match command(self.bytes(span)) {
            Ok(command) => return Some(command),
            Err(error) => error,
        };
        let class = if error == CommandError::Empty { of_empty } else { Class::General };
        let found = Diagnostic::new(Code::BadCommand, "this cannot be run").class(class);
        self.report(found.at(span, error.to_string()));
        None
    }

    /// `USER [GROUP]` behind the first value; `None` where it is no text.
    fn owner(&mut self, child: Directive<'_>) -> Option<Option<UserName>> {
        let mut words = child.arguments().iter().skip(1);
        let Some(user) = words.next() else { return Some(None) };
        let user = self.utf8(*user)?;
        let group = match words.next() {
            Some(group) => Some(self.utf8(*group)?),
            None => None,
        };
        Some(Some(UserName::from_words(user, group)))
    }
}
