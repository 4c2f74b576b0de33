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
    /// `HTTP_GET` and `SSL_GET`: skipped, but `url` must open a block.
    Http,
    /// Anything else: skipped by its braces.
    Opaque,
}

/// Root keywords whose block is skipped.
pub const ROOT_OPAQUE: &[&str] = &[
    "SSL",
    "bfd_instance",
    "garp_group",
    "interface_up_down_delays",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_file",
    "track_group",
    "track_process",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_file",
    "vrrp_track_process",
];

/// Checkers that are read.
pub const CHECKERS_PROBED: &[&str] = &["DNS_CHECK", "MISC_CHECK", "TCP_CHECK"];

/// Checkers that are recognised and skipped.
pub const CHECKERS_OPAQUE: &[&str] =
    &["BFD_CHECK", "FILE_CHECK", "HTTP_GET", "PING_CHECK", "SMTP_CHECK", "SSL_GET", "UDP_CHECK"];

/// The block that `keyword` opens in a block of kind `parent`; `None` where it opens none there.
pub fn block_of(parent: BlockKind, keyword: &[u8]) -> Option<BlockKind> {
    let is_in = |list: &[&str]| list.iter().any(|known| known.as_bytes() == keyword);
    match (parent, keyword) {
        (BlockKind::Root, b"global_defs") => Some(BlockKind::GlobalDefs),
        (BlockKind::Root, b"virtual_server") => Some(BlockKind::VirtualServer),
        (BlockKind::Root, b"virtual_server_group") => Some(BlockKind::Values),
        (BlockKind::Root, _) if is_in(ROOT_OPAQUE) => Some(BlockKind::Opaque),
        (BlockKind::GlobalDefs, b"notification_email") => Some(BlockKind::Values),
        (BlockKind::VirtualServer, b"real_server") => Some(BlockKind::RealServer),
        (BlockKind::RealServer, b"HTTP_GET" | b"SSL_GET") => Some(BlockKind::Http),
        (BlockKind::RealServer, b"DNS_CHECK") => Some(BlockKind::DnsCheck),
        (BlockKind::RealServer, b"MISC_CHECK") => Some(BlockKind::MiscCheck),
        (BlockKind::RealServer, b"TCP_CHECK") => Some(BlockKind::TcpCheck),
        (BlockKind::RealServer, _) if is_in(CHECKERS_OPAQUE) => Some(BlockKind::Opaque),
        (BlockKind::Http, b"url") => Some(BlockKind::Opaque),
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
