//! Flags of every subcommand that probes addresses: how each is probed.

use std::net::IpAddr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use hickory_proto::rr::{Name, RecordType};

use super::value;
use crate::fleet::{Connection, DnsRequire, DnsSpec, Handshake, ProbeSpec, TcpSpec};
use crate::sweep::ListSpecs;

/// Timeout of one attempt on a list, which has no connect_timeout of its own.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(2);
/// Port of DNS.
const DNS_PORT: u16 = 53;

/// How to probe addresses. The heading of what a configuration may need too is that of the subcommand's own flags
/// about checks.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CheckArgs {
    /// Record type to ask for [default: SOA]
    #[arg(
        long = "type",
        value_name = "TYPE",
        value_parser = value::record_type,
        help_heading = "Checks of a list"
    )]
    pub(crate) record_type: Option<RecordType>,
    /// Name to ask for [default: the root]
    #[arg(long, value_parser = value::name, help_heading = "Checks of a list")]
    pub(crate) name: Option<Name>,
    /// Port of lines that have none [default: 53 for dns; tcp has no default]
    #[arg(
        long,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Checks of a list"
    )]
    pub(crate) port: Option<u16>,
    /// Source address; once per address family of the list
    #[arg(long, value_name = "ADDR", value_parser = value::address, help_heading = "Checks of a list")]
    pub(crate) bindto: Vec<IpAddr>,
    /// Source port
    #[arg(
        long,
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..),
        requires = "bindto",
        help_heading = "Checks of a list"
    )]
    pub(crate) bind_port: Option<u16>,
    /// Interface to send from and receive on
    #[arg(
        long,
        value_name = "NAME",
        value_parser = value::interface,
        help_heading = "Checks of a list"
    )]
    pub(crate) bind_if: Option<String>,
    /// Mark of every packet (SO_MARK; needs CAP_NET_ADMIN)
    #[arg(long, value_name = "MARK", help_heading = "Checks of a list")]
    pub(crate) fwmark: Option<u32>,

    /// What passes a DNS check: RCODE 0 and a record in the answer section, or RCODE 0 alone
    /// [default: answer]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) dns_require: Option<Require>,
    /// What the peer of a TCP check sees: SYN, SYN-ACK, then RST (half), ACK and RST (full), or
    /// ACK and FIN (orderly) [default: half]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) tcp_handshake: Option<HandshakeArg>,
}

/// `--check`: what is done with each address.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Check {
    /// Ask one question over UDP
    Dns,
    /// Connect
    Tcp,
}

/// `--dns-require`.
#[derive(Copy, Clone, Debug, ValueEnum)]
pub(crate) enum Require {
    /// RCODE 0 and at least one record in the answer section
    Answer,
    /// RCODE 0, as keepalived
    Rcode,
}

/// `--tcp-handshake`.
#[derive(Copy, Clone, Debug, ValueEnum)]
pub(crate) enum HandshakeArg {
    /// SYN, SYN-ACK, RST: the application behind the port never wakes
    Half,
    /// SYN, SYN-ACK, ACK, RST
    Full,
    /// SYN, SYN-ACK, ACK, FIN, as keepalived
    Orderly,
}

impl CheckArgs {
    /// What clap's own rules cannot say of `check`.
    ///
    /// # Errors
    /// What kind of usage error it is, and in words.
    pub(crate) fn check(&self, check: Option<Check>) -> Result<(), (ErrorKind, String)> {
        let conflict = |text: &str| Err((ErrorKind::ArgumentConflict, text.to_owned()));
        if check == Some(Check::Tcp) {
            for (is_given, flag) in [
                (self.record_type.is_some(), "--type"),
                (self.name.is_some(), "--name"),
                (self.dns_require.is_some(), "--dns-require"),
            ] {
                if is_given {
                    return conflict(&format!("{flag} has no meaning with --check tcp"));
                }
            }
        }
        if check == Some(Check::Dns) && self.tcp_handshake.is_some() {
            return conflict("--tcp-handshake has no meaning with --check dns");
        }
        if self.bindto.len() > 2 || (self.bindto_of(true) > 1) || (self.bindto_of(false) > 1) {
            return conflict("--bindto may be given once per address family");
        }
        Ok(())
    }

    /// Which of the flags are given that have a meaning for addresses only.
    pub(crate) fn list_flags(&self) -> [(bool, &'static str); 7] {
        [
            (self.name.is_some(), "--name"),
            (self.record_type.is_some(), "--type"),
            (self.port.is_some(), "--port"),
            (!self.bindto.is_empty(), "--bindto"),
            (self.bind_port.is_some(), "--bind-port"),
            (self.bind_if.is_some(), "--bind-if"),
            (self.fwmark.is_some(), "--fwmark"),
        ]
    }

    fn bindto_of(&self, is_ipv4: bool) -> usize {
        self.bindto.iter().filter(|address| address.is_ipv4() == is_ipv4).count()
    }

    /// Port of lines that have none.
    pub(crate) fn default_port(&self, check: Option<Check>) -> Option<u16> {
        self.port.or((check == Some(Check::Dns)).then_some(DNS_PORT))
    }

    /// How to probe the addresses of a list. With --bindto, a family without one cannot be probed.
    pub(crate) fn list_specs(&self, check: Check, timeout: Option<Duration>) -> ListSpecs {
        let of_family = |is_ipv4: bool| {
            let bindto = self.bindto.iter().find(|address| address.is_ipv4() == is_ipv4).copied();
            (self.bindto.is_empty() || bindto.is_some())
                .then(|| self.list_spec(check, timeout, bindto))
        };
        ListSpecs { ipv4: of_family(true), ipv6: of_family(false) }
    }

    fn list_spec(
        &self,
        check: Check,
        timeout: Option<Duration>,
        bindto: Option<IpAddr>,
    ) -> ProbeSpec {
        let connection = Connection {
            timeout: timeout.unwrap_or(LIST_TIMEOUT),
            bindto,
            bind_port: self.bind_port,
            bind_if: self.bind_if.as_deref().map(Into::into),
            fwmark: self.fwmark.unwrap_or(0),
        };
        match check {
            Check::Tcp => ProbeSpec::Tcp(TcpSpec { connection, handshake: self.handshake() }),
            Check::Dns => ProbeSpec::Dns(DnsSpec {
                connection,
                name: self.name.clone().unwrap_or_else(Name::root),
                record_type: self.record_type.unwrap_or(RecordType::SOA),
                require: self.dns_require(),
            }),
        }
    }

    pub(crate) fn dns_require(&self) -> DnsRequire {
        match self.dns_require {
            None | Some(Require::Answer) => DnsRequire::Answer,
            Some(Require::Rcode) => DnsRequire::Rcode,
        }
    }

    pub(crate) fn handshake(&self) -> Handshake {
        match self.tcp_handshake {
            None | Some(HandshakeArg::Half) => Handshake::Half,
            Some(HandshakeArg::Full) => Handshake::Full,
            Some(HandshakeArg::Orderly) => Handshake::Orderly,
        }
    }
}
