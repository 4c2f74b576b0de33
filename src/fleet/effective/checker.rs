//! Checkers of every type.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::origin::Setting;
use crate::conf::Span;
use crate::fleet::model::{Connection, ScriptCommand};
use crate::fleet::script::user::UserName;

/// A configured check of one real server.
#[derive(Clone, Debug)]
pub struct Checker {
    /// The keyword.
    pub header: Span,
    /// Timers and counts; `None` for FILE_CHECK and BFD_CHECK, which have none.
    pub timers: Option<Timers>,
    /// `alpha`.
    pub alpha: Setting<bool>,
    /// `log_all_failures`.
    pub log_all_failures: Setting<bool>,
    /// Connection options; `None` for MISC_CHECK, FILE_CHECK and BFD_CHECK, which have none.
    pub network: Option<Network>,
    /// What is checked.
    pub check: Check,
}

/// Timers and counts of a checker, inherited and defaulted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timers {
    /// `delay_loop`.
    pub delay_loop: Setting<Duration>,
    /// `delay_before_retry`.
    pub delay_before_retry: Setting<Duration>,
    /// `warmup`.
    pub warmup: Setting<Duration>,
    /// `retry`.
    pub retry: Setting<u32>,
}

/// Connection options of a network checker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// What is contacted. The port is 0 for PING_CHECK where there is none.
    pub target: SocketAddr,
    /// `connect_ip`; a default is the real server's.
    pub connect_ip: Setting<IpAddr>,
    /// `connect_port`; a default is the real server's.
    pub connect_port: Setting<u16>,
    /// `bindto`.
    pub bindto: Setting<Option<IpAddr>>,
    /// `bind_port`.
    pub bind_port: Setting<Option<u16>>,
    /// `bind_if`.
    pub bind_if: Setting<Option<Arc<str>>>,
    /// `fwmark`; 0 for none.
    pub fwmark: Setting<u32>,
    /// `connect_timeout`.
    pub connect_timeout: Setting<Duration>,
}

/// What a checker checks, by type.
#[derive(Clone, PartialEq, Debug)]
pub enum Check {
    /// `TCP_CHECK`
    Tcp(TcpCheck),
    /// `HTTP_GET` and `SSL_GET`
    Http(Box<HttpCheck>),
    /// `SMTP_CHECK`
    Smtp(SmtpCheck),
    /// `DNS_CHECK`
    Dns(DnsCheck),
    /// `MISC_CHECK`
    Misc(MiscCheck),
    /// `UDP_CHECK`
    Udp(Box<UdpCheck>),
    /// `PING_CHECK`
    Ping(PingCheck),
    /// `FILE_CHECK`
    File(FileCheck),
    /// `BFD_CHECK`
    Bfd(BfdCheck),
    /// `FTP_CHECK`, our own
    Ftp(FtpCheck),
    /// `TLS_CHECK`, our own
    Tls(TlsCheck),
}

impl Check {
    /// The keyword.
    pub fn keyword(&self) -> &'static str {
        match self {
            Check::Tcp(_) => "TCP_CHECK",
            Check::Http(check) if check.is_tls => "SSL_GET",
            Check::Http(_) => "HTTP_GET",
            Check::Smtp(_) => "SMTP_CHECK",
            Check::Dns(_) => "DNS_CHECK",
            Check::Misc(_) => "MISC_CHECK",
            Check::Udp(_) => "UDP_CHECK",
            Check::Ping(_) => "PING_CHECK",
            Check::File(_) => "FILE_CHECK",
            Check::Bfd(_) => "BFD_CHECK",
            Check::Ftp(_) => "FTP_CHECK",
            Check::Tls(_) => "TLS_CHECK",
        }
    }
}

impl Check {
    /// Whether it has connection options.
    pub fn has_network(&self) -> bool {
        !matches!(self, Check::Misc(_) | Check::File(_) | Check::Bfd(_))
    }
}

impl Network {
    /// The same without the target, as a probe needs it.
    pub fn connection(&self) -> Connection {
        Connection {
            timeout: self.connect_timeout.value,
            bindto: self.bindto.value,
            bind_port: self.bind_port.value,
            bind_if: self.bind_if.value.clone(),
            fwmark: self.fwmark.value,
        }
    }
}

/// TCP_CHECK.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TcpCheck {}

/// DNS_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsCheck {
    /// `type`; SOA.
    pub record_type: Setting<RecordType>,
    /// `name`; the root.
    pub name: Setting<Name>,
}

impl DnsCheck {
    /// The name as a configuration writes it: labels between dots, nothing escaped, which is why a label
    /// with a dot in it cannot be written. No dot at the end: keepalived refuses `a.`, but takes `a`.
    pub fn written_name(&self) -> Vec<u8> {
        let labels: Vec<&[u8]> = self.name.value.iter().collect();
        if labels.is_empty() { b".".to_vec() } else { labels.join(&b'.') }
    }
}

/// MISC_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MiscCheck {
    /// `misc_path`.
    pub command: Setting<ScriptCommand>,
    /// `misc_timeout`; the virtual server's `delay_loop` where it is not written.
    pub timeout: Setting<Duration>,
    /// `misc_dynamic`.
    pub dynamic: Setting<bool>,
    /// `user`; `script_user` where it is not written, `None` where that is not written either.
    pub user: Setting<Option<UserName>>,
}

/// `http_protocol`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum HttpProtocol {
    /// `1.0`
    #[default]
    Http10,
    /// `1.0C`: with `Connection: close`.
    Http10Close,
    /// `1.1`
    Http11,
}

/// HTTP_GET and SSL_GET.
#[derive(Clone, PartialEq, Debug)]
pub struct HttpCheck {
    /// SSL_GET.
    pub is_tls: bool,
    /// `http_protocol`.
    pub http_protocol: Setting<HttpProtocol>,
    /// `virtualhost`, of this block only.
    pub virtualhost: Setting<Option<Arc<str>>>,
    /// `enable_sni`; also by `sni_name`.
    pub enable_sni: Setting<bool>,
    /// `sni_name`.
    pub sni_name: Setting<Option<Arc<str>>>,
    /// `fast_recovery`.
    pub fast_recovery: Setting<bool>,
    /// `tls_compliant`.
    pub tls_compliant: Setting<bool>,
    /// `url`, one or more.
    pub urls: Vec<Url>,
}

/// `url` of HTTP_GET and SSL_GET.
#[derive(Clone, PartialEq, Debug)]
pub struct Url {
    /// The keyword.
    pub header: Span,
    /// `path`, sent as it is.
    pub path: Setting<Arc<[u8]>>,
    /// `digest`: MD5 of the body.
    pub digest: Setting<Option<[u8; 16]>>,
    /// `status_code`; 200 to 299 where none is written.
    pub status_codes: Setting<StatusCodes>,
    /// What the `Host` header says: of the url, the checker, the real server or the virtual server;
    /// `None` for the address.
    pub virtualhost: Setting<Option<Arc<str>>>,
    /// `tls_compliant`.
    pub tls_compliant: Setting<bool>,
    /// `regex` and what belongs to it.
    pub regex: Option<Regex>,
}

/// Ranges of status codes, each from and to, sorted, neither touching nor overlapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusCodes(pub Vec<(u16, u16)>);

/// `regex` of a url.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Regex {
    /// `regex`: the pattern, escapes resolved.
    pub pattern: Setting<Arc<[u8]>>,
    /// `regex_no_match`.
    pub no_match: Setting<bool>,
    /// `regex_options`, as they are spelled.
    pub options: Setting<Vec<&'static str>>,
    /// `regex_min_offset`.
    pub min_offset: Setting<Option<u64>>,
    /// `regex_max_offset`.
    pub max_offset: Setting<Option<u64>>,
    /// `regex_stack START MAX`.
    pub stack: Setting<Option<(u64, u64)>>,
}

/// SMTP_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpCheck {
    /// `helo_name`; smtpchecker.keepalived.org.
    pub helo_name: Setting<Arc<str>>,
}

/// UDP_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpCheck {
    /// `payload`; 32 bytes of filler text.
    pub payload: Setting<Arc<[u8]>>,
    /// `require_reply`.
    pub require_reply: Setting<bool>,
    /// The pattern of `require_reply`: value and mask of each byte.
    pub pattern: Option<Arc<[(u8, u8)]>>,
    /// `min_reply_length`; 0.
    pub min_reply_length: Setting<u16>,
    /// `max_reply_length`; 255.
    pub max_reply_length: Setting<u16>,
}

/// PING_CHECK.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PingCheck {}

/// FILE_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileCheck {
    /// `track_file`: its name.
    pub track_file: Setting<Arc<str>>,
    /// `weight`; that of the track file.
    pub weight: Setting<i64>,
    /// `weight ... reverse`; that of the track file where no `weight` is written here.
    pub reverse: Setting<bool>,
}

/// BFD_CHECK.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BfdCheck {
    /// `name`: that of a `bfd_instance`.
    pub name: Setting<Arc<str>>,
}

/// FTP_CHECK, an extension: the greeting of an FTP server, perhaps a login, QUIT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpCheck {
    /// `ftp_user`; `None` for no login.
    pub user: Setting<Option<Arc<str>>>,
    /// `ftp_password`; goes with a user.
    pub password: Setting<Option<Arc<str>>>,
}

/// TLS_CHECK, an extension: a TLS handshake and the certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsCheck {
    /// `tls_name`: the name for SNI and for verification.
    pub name: Setting<Option<Arc<str>>>,
    /// `tls_verify`; off.
    pub verify: Setting<bool>,
    /// `tls_ca`: the file with the roots; the system's where it is not written.
    pub ca: Setting<Option<Arc<str>>>,
    /// `tls_min_days`: days the certificate must still be valid; 0 asks for none.
    pub min_days: Setting<u32>,
}
