//! How `keepalived -t` classes a problem: what its exit code would be if nothing else were wrong.
//!
//! Of version 2.2.7, as it was seen to answer. Other versions say more: what is silent here may be reported there.

use super::blocks::is_split_like_shell;
use super::code::{Code, Severity};

/// What `keepalived -t` makes of a problem.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// It says nothing, or only logs.
    Silent,
    /// A file that is not there, an interface that is not there: the lowest class that counts.
    Fatal,
    /// A configuration error of any other kind; its own warnings and defaults that it chose as well.
    General,
    /// A keyword without its value: it ends at once and reads no further.
    Parameter,
    /// An included file that must be there.
    Include,
    /// A script that is not safe to run.
    Security,
}

impl Class {
    /// The exit code of `keepalived -t` for a configuration with nothing worse in it.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Silent => 0,
            Class::Parameter => 2,
            Class::Fatal => 4,
            Class::General => 5,
            Class::Include | Class::Security => 6,
        }
    }

    /// The exit code of `keepalived -t` for problems of all these classes. A failed include is found by the
    /// process that begins, and a keyword without its value then ends the one that reads checkers; of the
    /// others the highest counts.
    pub fn exit_code_of(classes: impl Iterator<Item = Class>) -> u8 {
        let rank = |class: &Class| match class {
            Class::Silent => 0,
            Class::Fatal => 1,
            Class::General => 2,
            Class::Security => 3,
            Class::Parameter => 4,
            Class::Include => 5,
        };
        classes.max_by_key(rank).map_or(0, Class::exit_code)
    }

    /// A word for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Silent => "silent",
            Class::Fatal => "fatal",
            Class::General => "general",
            Class::Parameter => "parameter",
            Class::Include => "include",
            Class::Security => "security",
        }
    }
}

impl Code {
    /// The class of most problems of this kind; [`Diagnostic::class`](super::Diagnostic::class) says it
    /// of one that differs.
    pub fn class(self) -> Class {
        match self {
            // It reads a line up to its NUL byte.
            Code::NulByte => Class::Silent,
            // It has no limits of its own, and hangs or runs out of memory.
            Code::NestedTooDeep
            | Code::TooManyFiles
            | Code::ExpansionTooDeep
            | Code::TooManyLines => Class::Silent,
            // It leaves the text as it is, which may or may not be noticed later.
            Code::ExpansionTooLong
            | Code::RegexOffsets
            | Code::OpenDefinition
            | Code::ConditionalDefinition => Class::Silent,
            Code::IncludeUnreadable | Code::IncludeMissing => Class::Include,
            // It probes port 0, and takes any bytes.
            Code::NoPort | Code::NotUtf8 => Class::Silent,
            // Only logged: the virtual server is dropped, or another checker is made.
            Code::UnknownGroup | Code::SmtpHost => Class::Silent,
            Code::MissingArgument => Class::Parameter,
            Code::Unreadable => Class::Fatal,
            Code::ScriptAsRoot | Code::ScriptInsecure | Code::NoScriptSecurity => Class::Security,
            Code::NoScheduler
            | Code::NoMethod
            | Code::NoProtocol
            | Code::QuorumTooLarge
            | Code::HysteresisTooLarge
            | Code::DuplicateRealServer
            | Code::WeightsWrap
            | Code::NotPersistent
            | Code::OddGroup
            | Code::TooManyDecimals
            | Code::PortNotTranslated
            | Code::SeveralFiles
            | Code::UnknownScriptUser
            | Code::UnknownScheduler
            | Code::Deprecated
            | Code::Repeated
            | Code::ReplyLengths
            | Code::TrackValue
            | Code::SorryInhibit
            | Code::NameCut
            | Code::ForeignValue
            | Code::NoMailAddress
            | Code::ByteOrderMark
            | Code::LastByteFf => Class::General,
            _ if self.severity() == Severity::Error => Class::General,
            _ => Class::Silent,
        }
    }
}

/// Keywords that look for their values themselves, and only report where there are none.
const SELF_CHECKING: &[&[u8]] = &[
    b"bfd_cpu_affinity",
    b"bfd_priority",
    b"bfd_rt_priority",
    b"ca",
    b"certificate",
    b"checker_cpu_affinity",
    b"checker_priority",
    b"checker_rt_priority",
    b"dbus_service_name",
    b"default_interface",
    b"file",
    b"helo_name",
    b"http_protocol",
    b"instance",
    b"key",
    b"lvs_netlink_cmd_rcv_bufs",
    b"lvs_netlink_monitor_rcv_bufs",
    b"lvs_notify_fifo",
    b"lvs_notify_fifo_script",
    b"lvs_sync_daemon",
    b"lvs_timeouts",
    b"min_auto_priority_delay",
    b"net_namespace",
    b"notification_email_from",
    b"notify_fifo",
    b"notify_fifo_script",
    b"password",
    b"payload",
    b"process_monitor_rcv_bufs",
    b"reload_time_file",
    b"router_id",
    b"script_user",
    b"shutdown_script",
    b"shutdown_script_timeout",
    b"snmp_name",
    b"snmp_socket",
    b"sorry_server_lvs_method",
    b"startup_script",
    b"startup_script_timeout",
    b"tmp_config_directory",
    b"user",
    b"vhost",
    b"virtualhost",
    b"vrrp_cpu_affinity",
    b"vrrp_garp_extra_if",
    b"vrrp_netlink_cmd_rcv_bufs",
    b"vrrp_netlink_monitor_rcv_bufs",
    b"vrrp_notify_fifo",
    b"vrrp_notify_fifo_script",
    b"vrrp_priority",
    b"vrrp_rt_priority",
    b"vrrp_rx_bufs_multiplier",
    b"vrrp_rx_bufs_policy",
    b"vrrp_vmac_garp_intvl",
];

/// Keywords that need no value.
const WITHOUT_VALUE: &[&[u8]] = &[
    b"alpha",
    b"bfd_no_swap",
    b"checker_log_all_failures",
    b"checker_no_swap",
    b"data_use_instance",
    b"disable_local_igmp",
    b"dynamic_interfaces",
    b"enable_dbus",
    b"enable_script_security",
    b"enable_sni",
    b"enable_snmp_checker",
    b"enable_snmp_keepalived",
    b"enable_snmp_rfc",
    b"enable_snmp_rfcv2",
    b"enable_snmp_rfcv3",
    b"enable_snmp_vrrp",
    b"enable_traps",
    b"fast_recovery",
    b"fifo_write_vrrp_states_on_reload",
    b"ha_suspend",
    b"include_check",
    b"inhibit_on_failure",
    b"log_all_failures",
    b"log_unknown_vrids",
    b"lvs_flush",
    b"lvs_flush_on_stop",
    b"lvs_flush_onstop",
    b"lvs_netlink_cmd_rcv_bufs_force",
    b"lvs_netlink_monitor_rcv_bufs_force",
    b"max_auto_priority",
    b"misc_dynamic",
    b"nftables",
    b"nftables_counters",
    b"nftables_ifindex",
    b"nftables_ipvs",
    b"no_checker_emails",
    b"no_email_faults",
    b"notification_email",
    b"omega",
    b"ops",
    b"persistence_timeout",
    b"process_monitor_rcv_bufs_force",
    b"process_names",
    b"regex_no_match",
    b"reload_check_config",
    b"reload_file",
    b"reload_repeat",
    b"require_reply",
    b"rs_init_notifies",
    b"smtp_alert",
    b"smtp_alert_checker",
    b"smtp_alert_vrrp",
    b"smtp_helo_name",
    b"sorry_server_inhibit",
    b"vrrp_check_unicast_src",
    b"vrrp_higher_prio_send_advert",
    b"vrrp_iptables",
    b"vrrp_lower_prio_no_advert",
    b"vrrp_min_garp",
    b"vrrp_netlink_cmd_rcv_bufs_force",
    b"vrrp_netlink_monitor_rcv_bufs_force",
    b"vrrp_no_swap",
    b"vrrp_notify_priority_changes",
    b"vrrp_skip_check_adv_addr",
    b"vrrp_strict",
];

/// Keywords that are passed over, or only logged, without their value.
const PASSED_OVER: &[&[u8]] = &[
    b"misc_path",
    b"regex",
    b"regex_max_offset",
    b"regex_min_offset",
    b"regex_options",
    b"regex_stack",
    b"status_code",
];

/// The class of a keyword without its value.
pub fn of_missing_value(keyword: &[u8]) -> Class {
    if SELF_CHECKING.contains(&keyword) {
        Class::General
    } else if PASSED_OVER.contains(&keyword) {
        Class::Silent
    } else {
        Class::Parameter
    }
}

/// The class of a quote without partner at `quote` of `line`. The word that it begins is lost, and for most
/// keywords a lost first value is the end of the reading.
pub(super) fn of_open_quote(line: &[u8], quote: usize) -> Class {
    let before = &line[..quote.min(line.len())];
    let brace = before.iter().rposition(|byte| matches!(byte, b'{' | b'}'));
    let segment = before[brace.map_or(0, |brace| brace + 1)..].trim_ascii();
    let is_keyword = segment.first().is_some_and(u8::is_ascii_alphabetic)
        && segment.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if is_keyword && !WITHOUT_VALUE.contains(&segment) && !is_split_like_shell(segment) {
        of_missing_value(segment)
    } else {
        Class::General
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_our_own() {
        for code in Code::ALL.iter().filter(|code| code.severity() == Severity::Note) {
            assert_eq!(code.class(), Class::Silent, "{}", code.as_str());
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_test() {
        for (code, exit) in [
            (Code::MissingArgument, 2),
            (Code::UnknownKeyword, 5),
            (Code::NoScheduler, 5),
            (Code::IncludeMissing, 6),
            (Code::ScriptAsRoot, 6),
            (Code::UnknownGroup, 0),
            (Code::ScriptNotFound, 0),
        ] {
            assert_eq!(code.class().exit_code(), exit, "{}", code.as_str());
        }
    }

    #[test]
    fn the_order_of_classes() {
        use Class::{Fatal, General, Include, Parameter, Security, Silent};
        for (classes, code) in [
            (&[][..], 0),
            (&[Silent], 0),
            (&[Fatal, Silent], 4),
            (&[General, Fatal], 5),
            (&[Security, General], 6),
            (&[General, Include], 6),
            (&[Security, Parameter, General], 2),
            (&[Security, Parameter, Include, General], 6),
        ] {
            assert_eq!(Class::exit_code_of(classes.iter().copied()), code, "{classes:?}");
        }
    }

    #[test]
    fn a_lost_value_ends_the_reading() {
        for (line, class) in [
            ("bind_if \"lo", Class::Parameter),
            ("real_server 10.0.0.1 80 { retry \"", Class::Parameter),
            ("virtualhost \"www", Class::General),
            ("regex \"never", Class::General),
            ("lvs_sched rr \"", Class::General),
            ("\"lvs_sched", Class::General),
            ("10.0.0.1 \"80", Class::General),
        ] {
            let quote = line.rfind('"').expect("in every line");
            assert_eq!(of_open_quote(line.as_bytes(), quote), class, "{line}");
        }
    }
}
