//! Which keywords open a block, and what stands in it: all that the tree must know about meaning.

/// What stands inside a block.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum BlockKind {
    /// The file itself.
    Root,
    /// `global_defs`
    GlobalDefs,
    /// Lines of values without keywords: `virtual_server_group`, `notification_email`.
    Values,
    /// `virtual_server`
    VirtualServer,
    /// `real_server`
    RealServer,
    /// `DNS_CHECK`
    DnsCheck,
    /// `MISC_CHECK`
    MiscCheck,
    /// `TCP_CHECK`
    TcpCheck,
    /// `HTTP_GET`
    HttpGet,
    /// `SSL_GET`
    SslGet,
    /// `url` of `HTTP_GET` and `SSL_GET`
    Url,
    /// `SMTP_CHECK`
    SmtpCheck,
    /// `UDP_CHECK`
    UdpCheck,
    /// `PING_CHECK`
    PingCheck,
    /// `FILE_CHECK`
    FileCheck,
    /// `BFD_CHECK`
    BfdCheck,
    /// `FTP_CHECK`
    FtpCheck,
    /// `TLS_CHECK`
    TlsCheck,
    /// `SSL`
    Ssl,
    /// `track_file`
    TrackFile,
    /// Anything else: skipped by its braces.
    Opaque,
}

/// Root keywords whose block is skipped.
pub const ROOT_OPAQUE: &[&str] = &[
    "garp_group",
    "interface_up_down_delays",
    "linkbeat_interfaces",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_group",
    "track_process",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_process",
];

/// Root keywords of what a checker goes by. The block of `bfd_instance` is skipped: its name is enough.
pub const ROOT_NAMED: &[&str] = &["SSL", "bfd_instance", "track_file", "vrrp_track_file"];

/// Checkers that are probed.
pub const CHECKERS_PROBED: &[&str] = &["DNS_CHECK", "MISC_CHECK", "TCP_CHECK"];

/// Checkers that are read in full and not probed yet.
pub const CHECKERS_READ: &[&str] = &[
    "BFD_CHECK",
    "FILE_CHECK",
    "FTP_CHECK",
    "HTTP_GET",
    "PING_CHECK",
    "SMTP_CHECK",
    "SSL_GET",
    "TLS_CHECK",
    "UDP_CHECK",
];

/// The block that `keyword` opens in a block of kind `parent`; `None` where it opens none there.
pub fn block_of(parent: BlockKind, keyword: &[u8]) -> Option<BlockKind> {
    let is_in = |list: &[&str]| list.iter().any(|known| known.as_bytes() == keyword);
    match (parent, keyword) {
        (BlockKind::Root, b"global_defs") => Some(BlockKind::GlobalDefs),
        (BlockKind::Root, b"virtual_server") => Some(BlockKind::VirtualServer),
        (BlockKind::Root, b"virtual_server_group") => Some(BlockKind::Values),
        (BlockKind::Root, b"SSL") => Some(BlockKind::Ssl),
        (BlockKind::Root, b"track_file" | b"vrrp_track_file") => Some(BlockKind::TrackFile),
        (BlockKind::Root, b"bfd_instance") => Some(BlockKind::Opaque),
        (BlockKind::Root, _) if is_in(ROOT_OPAQUE) => Some(BlockKind::Opaque),
        (BlockKind::GlobalDefs, b"notification_email") => Some(BlockKind::Values),
        (BlockKind::VirtualServer, b"real_server") => Some(BlockKind::RealServer),
        (BlockKind::RealServer, b"BFD_CHECK") => Some(BlockKind::BfdCheck),
        (BlockKind::RealServer, b"DNS_CHECK") => Some(BlockKind::DnsCheck),
        (BlockKind::RealServer, b"FILE_CHECK") => Some(BlockKind::FileCheck),
        (BlockKind::RealServer, b"FTP_CHECK") => Some(BlockKind::FtpCheck),
        (BlockKind::RealServer, b"HTTP_GET") => Some(BlockKind::HttpGet),
        (BlockKind::RealServer, b"MISC_CHECK") => Some(BlockKind::MiscCheck),
        (BlockKind::RealServer, b"PING_CHECK") => Some(BlockKind::PingCheck),
        (BlockKind::RealServer, b"SMTP_CHECK") => Some(BlockKind::SmtpCheck),
        (BlockKind::RealServer, b"SSL_GET") => Some(BlockKind::SslGet),
        (BlockKind::RealServer, b"TCP_CHECK") => Some(BlockKind::TcpCheck),
        (BlockKind::RealServer, b"TLS_CHECK") => Some(BlockKind::TlsCheck),
        (BlockKind::RealServer, b"UDP_CHECK") => Some(BlockKind::UdpCheck),
        (BlockKind::HttpGet | BlockKind::SslGet, b"url") => Some(BlockKind::Url),
        (BlockKind::SmtpCheck, b"host") => Some(BlockKind::Opaque),
        _ => None,
    }
}

/// Whether the words after `keyword` are split like a shell does it: quotes of both kinds, escapes.
pub fn is_split_like_shell(keyword: &[u8]) -> bool {
    matches!(
        keyword,
        b"misc_path"
            | b"quorum_up"
            | b"quorum_down"
            | b"notify_up"
            | b"notify_down"
            | b"startup_script"
            | b"shutdown_script"
            | b"regex"
    ) || keyword.ends_with(b"notify_fifo_script")
}
