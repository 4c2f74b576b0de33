//! Every keyword of every block that is read, and what its values look like.

use super::globals;
use super::value::MICROS_MAX;
use crate::conf::blocks::{BlockKind, CHECKERS_PROBED, CHECKERS_READ, ROOT_NAMED, ROOT_OPAQUE};

/// What the values of a keyword look like.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) enum Shape {
    /// The block's own code looks at them.
    Own,
    /// None.
    Flag,
    /// One, anything.
    Text,
    /// At most one, anything.
    OptionalText,
    /// One time, in microseconds.
    Timer(u64, u64),
}

use Shape::{Flag, OptionalText, Own, Text, Timer};

/// Root keywords without a block.
const ROOT: &[(&str, Shape)] = &[
    ("child_wait_time", Timer(0, MICROS_MAX)),
    ("instance", Text),
    ("linkbeat_use_polling", Flag),
    ("namespace_with_ipsets", Flag),
    ("net_namespace", Text),
    ("net_namespace_ipvs", OptionalText),
    ("use_pid_dir", Flag),
];

const VIRTUAL_SERVER: &[(&str, Shape)] = &[
    ("alpha", Own),
    ("connect_timeout", Own),
    ("delay_before_retry", Own),
    ("delay_loop", Own),
    ("flag-1", Own),
    ("flag-2", Own),
    ("flag-3", Own),
    ("ha_suspend", Own),
    ("hashed", Own),
    ("hysteresis", Own),
    ("inhibit_on_failure", Own),
    ("ip_family", Own),
    ("lb_algo", Own),
    ("lb_kind", Own),
    ("lvs_method", Own),
    ("lvs_sched", Own),
    ("mh-fallback", Own),
    ("mh-port", Own),
    ("omega", Own),
    ("ops", Own),
    ("persistence_engine", Own),
    ("persistence_granularity", Own),
    ("persistence_timeout", Own),
    ("protocol", Own),
    ("quorum", Own),
    ("quorum_down", Own),
    ("quorum_up", Own),
    ("real_server", Own),
    ("retry", Own),
    ("sh-fallback", Own),
    ("sh-port", Own),
    ("smtp_alert", Own),
    ("snmp_name", Own),
    ("sorry_server", Own),
    ("sorry_server_inhibit", Own),
    ("sorry_server_lvs_method", Own),
    ("virtualhost", Own),
    ("warmup", Own),
    ("weight", Own),
];

const REAL_SERVER: &[(&str, Shape)] = &[
    ("alpha", Own),
    ("connect_timeout", Own),
    ("delay_before_retry", Own),
    ("delay_loop", Own),
    ("inhibit_on_failure", Own),
    ("lthreshold", Own),
    ("lvs_method", Own),
    ("notify_down", Own),
    ("notify_up", Own),
    ("retry", Own),
    ("smtp_alert", Own),
    ("snmp_name", Own),
    ("uthreshold", Own),
    ("virtualhost", Own),
    ("warmup", Own),
    ("weight", Own),
];

/// Of every checker that runs by itself.
const TIMERS: &[(&str, Shape)] = &[
    ("alpha", Own),
    ("delay_before_retry", Own),
    ("delay_loop", Own),
    ("log_all_failures", Own),
    ("retry", Own),
    ("warmup", Own),
];

/// Of every checker that contacts the real server itself.
const CONNECTION: &[(&str, Shape)] = &[
    ("bind_if", Own),
    ("bind_port", Own),
    ("bindto", Own),
    ("connect_ip", Own),
    ("connect_port", Own),
    ("connect_timeout", Own),
    ("fwmark", Own),
];

const BFD_CHECK: &[(&str, Shape)] = &[("alpha", Own), ("name", Own)];

const DNS_CHECK: &[(&str, Shape)] = &[("name", Own), ("type", Own)];

const FILE_CHECK: &[(&str, Shape)] = &[("track_file", Own), ("weight", Own)];

const FTP_CHECK: &[(&str, Shape)] = &[("ftp_password", Own), ("ftp_user", Own)];

/// `HTTP_GET` and `SSL_GET`.
const HTTP: &[(&str, Shape)] = &[
    ("enable_sni", Own),
    ("fast_recovery", Own),
    ("http_protocol", Own),
    ("nb_get_retry", Own),
    ("sni_name", Own),
    ("tls_compliant", Own),
    ("virtualhost", Own),
];

const MISC_CHECK: &[(&str, Shape)] =
    &[("misc_dynamic", Own), ("misc_path", Own), ("misc_timeout", Own), ("user", Own)];

const SMTP_CHECK: &[(&str, Shape)] = &[("helo_name", Own)];

const SSL: &[(&str, Shape)] = &[("ca", Own), ("certificate", Own), ("key", Own), ("password", Own)];

const TLS_CHECK: &[(&str, Shape)] =
    &[("tls_ca", Own), ("tls_min_days", Own), ("tls_name", Own), ("tls_verify", Own)];

const TRACK_FILE: &[(&str, Shape)] = &[("file", Own), ("init_file", Own), ("weight", Own)];

const UDP_CHECK: &[(&str, Shape)] = &[
    ("max_reply_length", Own),
    ("min_reply_length", Own),
    ("payload", Own),
    ("require_reply", Own),
];

const URL: &[(&str, Shape)] = &[
    ("digest", Own),
    ("path", Own),
    ("regex", Own),
    ("regex_max_offset", Own),
    ("regex_min_offset", Own),
    ("regex_no_match", Own),
    ("regex_options", Own),
    ("regex_stack", Own),
    ("status_code", Own),
    ("tls_compliant", Own),
    ("virtualhost", Own),
];

/// The values of a keyword; `None` where the block does not know it.
pub(super) fn shape(block: BlockKind, keyword: &[u8]) -> Option<Shape> {
    tables(block).iter().find_map(|table| {
        let place = table.binary_search_by(|(known, _)| known.as_bytes().cmp(keyword)).ok()?;
        Some(table[place].1)
    })
}

/// The keywords of a block, in one or more tables, each sorted. `global_defs` has its own table.
fn tables(block: BlockKind) -> &'static [&'static [(&'static str, Shape)]] {
    match block {
        BlockKind::Root => &[ROOT],
        BlockKind::VirtualServer => &[VIRTUAL_SERVER],
        BlockKind::RealServer => &[REAL_SERVER],
        BlockKind::TcpCheck | BlockKind::PingCheck => &[CONNECTION, TIMERS],
        BlockKind::DnsCheck => &[CONNECTION, TIMERS, DNS_CHECK],
        BlockKind::HttpGet | BlockKind::SslGet => &[CONNECTION, TIMERS, HTTP],
        BlockKind::SmtpCheck => &[CONNECTION, TIMERS, SMTP_CHECK],
        BlockKind::UdpCheck => &[CONNECTION, TIMERS, UDP_CHECK],
        BlockKind::FtpCheck => &[CONNECTION, TIMERS, FTP_CHECK],
        BlockKind::TlsCheck => &[CONNECTION, TIMERS, TLS_CHECK],
        BlockKind::MiscCheck => &[TIMERS, MISC_CHECK],
        BlockKind::FileCheck => &[FILE_CHECK],
        BlockKind::BfdCheck => &[BFD_CHECK],
        BlockKind::Url => &[URL],
        BlockKind::Ssl => &[SSL],
        BlockKind::TrackFile => &[TRACK_FILE],
        BlockKind::GlobalDefs | BlockKind::Values | BlockKind::Opaque => &[],
    }
}

/// All keywords of a block, those that open blocks too.
pub(super) fn known(block: BlockKind) -> impl Iterator<Item = &'static str> {
    let blocks: &[&[&'static str]] = match block {
        BlockKind::Root => {
            &[&["global_defs", "virtual_server", "virtual_server_group"], ROOT_NAMED, ROOT_OPAQUE]
        }
        BlockKind::RealServer => &[CHECKERS_PROBED, CHECKERS_READ],
        BlockKind::HttpGet | BlockKind::SslGet => &[&["url"]],
        BlockKind::SmtpCheck => &[&["host"]],
        _ => &[],
    };
    let values = tables(block).iter().flat_map(|table| table.iter().map(|(keyword, _)| *keyword));
    let globals = (block == BlockKind::GlobalDefs).then(globals::table::keywords);
    let blocks = blocks.iter().flat_map(|list| list.iter().copied());
    values.chain(blocks).chain(globals.into_iter().flatten())
}

/// How diagnostics say where.
pub(super) fn place(block: BlockKind) -> &'static str {
    match block {
        BlockKind::Root => "at the top level",
        BlockKind::GlobalDefs => "in `global_defs`",
        BlockKind::VirtualServer => "in `virtual_server`",
        BlockKind::RealServer => "in `real_server`",
        BlockKind::DnsCheck => "in `DNS_CHECK`",
        BlockKind::MiscCheck => "in `MISC_CHECK`",
        BlockKind::TcpCheck => "in `TCP_CHECK`",
        BlockKind::HttpGet => "in `HTTP_GET`",
        BlockKind::SslGet => "in `SSL_GET`",
        BlockKind::Url => "in `url`",
        BlockKind::SmtpCheck => "in `SMTP_CHECK`",
        BlockKind::UdpCheck => "in `UDP_CHECK`",
        BlockKind::PingCheck => "in `PING_CHECK`",
        BlockKind::FileCheck => "in `FILE_CHECK`",
        BlockKind::BfdCheck => "in `BFD_CHECK`",
        BlockKind::FtpCheck => "in `FTP_CHECK`",
        BlockKind::TlsCheck => "in `TLS_CHECK`",
        BlockKind::Ssl => "in `SSL`",
        BlockKind::TrackFile => "in `track_file`",
        BlockKind::Values | BlockKind::Opaque => "in a block",
    }
}

const CHECKERS: &[BlockKind] = &[
    BlockKind::TcpCheck,
    BlockKind::HttpGet,
    BlockKind::SslGet,
    BlockKind::DnsCheck,
    BlockKind::SmtpCheck,
    BlockKind::MiscCheck,
    BlockKind::UdpCheck,
    BlockKind::PingCheck,
    BlockKind::FileCheck,
    BlockKind::BfdCheck,
    BlockKind::FtpCheck,
    BlockKind::TlsCheck,
];

/// Checkers that are named one by one. What belongs in more of them belongs in TCP_CHECK too, which has
/// nothing of its own.
const CHECKERS_NAMED_MAX: usize = 3;

/// The places where a keyword may stand, as diagnostics say them.
pub(super) fn homes(keyword: &str) -> Vec<&'static str> {
    let is_home = |block: &BlockKind| known(*block).any(|known| known == keyword);
    let outer = [
        BlockKind::Root,
        BlockKind::GlobalDefs,
        BlockKind::VirtualServer,
        BlockKind::RealServer,
        BlockKind::Ssl,
        BlockKind::TrackFile,
        BlockKind::Url,
    ];
    let mut homes: Vec<_> = outer.into_iter().filter(is_home).map(place).collect();
    let checkers: Vec<_> = CHECKERS.iter().copied().filter(is_home).map(place).collect();
    if checkers.len() > CHECKERS_NAMED_MAX {
        homes.push("in a checker such as `TCP_CHECK`");
    } else {
        homes.extend(checkers);
    }
    homes
}

/// Letters of a word that is still compared with others, and how many others: typing errors are found
/// in short words, and comparing costs the product of the lengths.
const COMPARED_LETTERS_MAX: usize = 40;
const COMPARED_WORDS_MAX: usize = 1000;

/// Names of a configuration that are each compared with all others of their kind, of those that are unknown.
pub(super) const SUGGESTIONS_MAX: usize = 100;

/// What other programs, and other keywords here, let one expect: a word and the keyword that means it, of
/// which a block takes the first that it knows.
const OF_OTHERS: &[(&str, &str)] = &[
    ("HTTPS_CHECK", "SSL_GET"),
    ("HTTPS_GET", "SSL_GET"),
    ("HTTP_CHECK", "HTTP_GET"),
    ("SSL_CHECK", "SSL_GET"),
    ("interval", "delay_loop"),
    ("timeout", "connect_timeout"),
    ("timeout", "misc_timeout"),
];

/// The keyword of `block` that means what `word` says elsewhere.
pub(super) fn of_others(word: &str, block: BlockKind) -> Option<&'static str> {
    let mut meant = OF_OTHERS.iter().filter(|(other, _)| *other == word);
    meant.find_map(|(_, keyword)| known(block).find(|known| known == keyword))
}

/// The known word that `word` was probably meant to be.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > COMPARED_LETTERS_MAX {
        return None;
    }
    // One slip in three letters is a typing error; more is another word.
    let slips_max = (word.chars().count() / 3).max(1);
    known
        .take(COMPARED_WORDS_MAX)
        .filter(|known| known.len().abs_diff(word.len()) <= slips_max)
        .map(|known| {
            let slips = if known.eq_ignore_ascii_case(word) {
                0
            } else {
                strsim::damerau_levenshtein(word, known)
            };
            (slips, known)
        })
        .filter(|(slips, known)| *slips <= slips_max && *slips < known.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_the_search() {
        for table in [
            ROOT,
            VIRTUAL_SERVER,
            REAL_SERVER,
            TIMERS,
            CONNECTION,
            BFD_CHECK,
            DNS_CHECK,
            FILE_CHECK,
            FTP_CHECK,
            HTTP,
            MISC_CHECK,
            SMTP_CHECK,
            SSL,
            TLS_CHECK,
            TRACK_FILE,
            UDP_CHECK,
            URL,
        ] {
            assert!(table.is_sorted_by(|one, next| one.0 < next.0), "{:?}", table[0]);
        }
    }

    #[test]
    fn words_of_other_programs_are_known() {
        for (word, block, meant) in [
            ("SSL_CHECK", BlockKind::RealServer, Some("SSL_GET")),
            ("HTTPS_GET", BlockKind::RealServer, Some("SSL_GET")),
            ("timeout", BlockKind::TcpCheck, Some("connect_timeout")),
            ("timeout", BlockKind::MiscCheck, Some("misc_timeout")),
            ("interval", BlockKind::TcpCheck, Some("delay_loop")),
            ("interval", BlockKind::BfdCheck, None),
            ("retry", BlockKind::TcpCheck, None),
        ] {
            assert_eq!(of_others(word, block), meant, "{word}");
        }
    }

    #[test]
    fn misspelled_words_find_their_neighbour() {
        for (word, meant) in [
            ("wieght", Some("weight")),
            ("conect_timeout", Some("connect_timeout")),
            ("Retry", Some("retry")),
            ("RETRY", Some("retry")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known(BlockKind::RealServer)), meant, "{word}");
        }
    }
}
