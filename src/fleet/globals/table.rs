//! Every keyword of `global_defs`, and what its values look like.
//!
//! Source: what 2.2.7 says of each value (tests/oracle_globals.rs asks it), the manual page of 9cbce3e2 for what came
//! later.

use super::super::value::Micros;

/// What the values of a keyword look like. Words behind the last that counts are ignored, but where it is
/// said otherwise.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) enum Shape {
    /// What a checker goes by: looked at one by one.
    Own,
    /// None.
    Flag,
    /// At most one: a boolean.
    Switch,
    /// A number without a unit.
    Number(i64, i64),
    /// The same, and it may be left out.
    OptionalNumber(i64, i64),
    /// One number and nothing behind it.
    LoneNumber(i64, i64),
    /// Bytes.
    Size,
    /// Whole microseconds.
    Micros(i64, i64),
    /// Whole seconds.
    WholeSeconds(i64, i64),
    /// Seconds with decimals; the bounds are microseconds.
    Seconds(Micros, Micros),
    /// Anything.
    Word,
    /// Anything, at most this many bytes, or nothing.
    OptionalWord(usize),
    /// One word and nothing behind it.
    LoneWord,
    /// The name of a process, which the kernel cuts.
    ProcessName,
    /// A folder whose name reaches a shell.
    ShellWord,
    /// Any words.
    Words,
    /// One of these, or nothing.
    OptionalChoice(&'static [&'static str]),
    /// An interface.
    Interface,
    /// A multicast address of IPv4.
    Group4,
    /// A multicast address of IPv6.
    Group6,
    /// `CPU...`
    Cpus,
    /// A block of mail addresses.
    Mail,
    /// `HOST [PORT]`
    SmtpServer,
    /// `[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]`
    LvsTimeouts,
    /// `INTERFACE [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]`
    SyncDaemon,
    /// A number of three octal digits in any base, or `BIT [| BIT]...`
    Umask,
    /// `PATH [USER [GROUP]]`
    Fifo,
    /// `CMD [USER [GROUP]]`
    FifoScript,
    /// `CMD`, one word.
    Script,
    /// `MTU`, `ADVERT` or a size.
    BufferPolicy,
    /// `[all] SECONDS`
    ExtraGarp,
    /// `[[+|-]WORD] [+|-WORD]...`
    IncludeCheck,
}

use Shape::*;

const U32: i64 = u32::MAX as i64;
const I32_LEAST: i64 = i32::MIN as i64;
const I32_MOST: i64 = i32::MAX as i64;

/// NFT_TABLE_MAXNAMELEN without its NUL.
const TABLE_NAME_MAX: usize = 255;

/// The longest time that fits its 32 bits of microseconds.
const MICROS_32: Micros = u32::MAX as Micros;

/// Of 2.2.7, sorted.
const KEYWORDS: &[(&str, Shape)] = &[
    ("bfd_cpu_affinity", Cpus),
    ("bfd_no_swap", Flag),
    ("bfd_priority", Number(-20, 19)),
    ("bfd_process_name", ProcessName),
    ("bfd_rlimit_rtime", Shape::Micros(1, U32)),
    ("bfd_rlimit_rttime", Shape::Micros(1, U32)),
    ("bfd_rt_priority", Number(1, 99)),
    ("checker_cpu_affinity", Cpus),
    ("checker_log_all_failures", Own),
    ("checker_no_swap", Flag),
    ("checker_priority", Number(-20, 19)),
    ("checker_process_name", ProcessName),
    ("checker_rlimit_rtime", Shape::Micros(1, U32)),
    ("checker_rlimit_rttime", Shape::Micros(1, U32)),
    ("checker_rt_priority", Number(1, 99)),
    ("config_save_dir", ShellWord),
    ("data_use_instance", Switch),
    ("dbus_service_name", Word),
    ("default_interface", Interface),
    ("disable_local_igmp", Flag),
    ("dynamic_interfaces", OptionalChoice(&["allow_if_changes"])),
    ("enable_dbus", Flag),
    ("enable_script_security", Own),
    ("enable_snmp_checker", Flag),
    ("enable_snmp_keepalived", Flag),
    ("enable_snmp_rfc", Flag),
    ("enable_snmp_rfcv2", Flag),
    ("enable_snmp_rfcv3", Flag),
    ("enable_snmp_vrrp", Flag),
    ("enable_traps", Flag),
    ("fifo_write_vrrp_states_on_reload", Flag),
    ("include_check", IncludeCheck),
    ("log_unknown_vrids", Flag),
    ("lvs_flush", Own),
    ("lvs_flush_on_stop", Own),
    ("lvs_flush_onstop", Own),
    ("lvs_netlink_cmd_rcv_bufs", Size),
    ("lvs_netlink_cmd_rcv_bufs_force", Switch),
    ("lvs_netlink_monitor_rcv_bufs", Size),
    ("lvs_netlink_monitor_rcv_bufs_force", Switch),
    ("lvs_notify_fifo", Own),
    ("lvs_notify_fifo_script", FifoScript),
    ("lvs_process_name", ProcessName),
    ("lvs_sync_daemon", SyncDaemon),
    ("lvs_timeouts", LvsTimeouts),
    ("max_auto_priority", OptionalNumber(-1, 99)),
    ("min_auto_priority_delay", Shape::Micros(1, 10_000_000)),
    ("nftables", OptionalWord(TABLE_NAME_MAX)),
    ("nftables_counters", Flag),
    ("nftables_ifindex", Flag),
    ("nftables_ipvs", OptionalWord(TABLE_NAME_MAX)),
    ("nftables_ipvs_priority", Number(I32_LEAST, I32_MOST)),
    ("nftables_ipvs_start_fwmark", Number(1, U32)),
    ("nftables_priority", Number(I32_LEAST, I32_MOST)),
    ("no_checker_emails", Own),
    ("no_email_faults", Flag),
    ("notification_email", Mail),
    ("notification_email_from", Word),
    ("notify_fifo", Fifo),
    ("notify_fifo_script", FifoScript),
    ("process_monitor_rcv_bufs", Size),
    ("process_monitor_rcv_bufs_force", Switch),
    ("process_name", ProcessName),
    ("process_names", Flag),
    ("random_seed", Number(0, U32)),
    ("reload_check_config", OptionalWord(usize::MAX)),
    ("reload_file", OptionalWord(usize::MAX)),
    ("reload_repeat", Flag),
    ("reload_time_file", LoneWord),
    ("router_id", Word),
    ("rs_init_notifies", Own),
    ("script_user", Own),
    ("shutdown_script", Script),
    ("shutdown_script_timeout", WholeSeconds(1, 1000)),
    ("smtp_alert", Own),
    ("smtp_alert_checker", Own),
    ("smtp_alert_vrrp", Switch),
    ("smtp_connect_timeout", WholeSeconds(1, 4294)),
    ("smtp_helo_name", OptionalWord(usize::MAX)),
    ("smtp_server", SmtpServer),
    ("snmp_socket", LoneWord),
    ("startup_script", Script),
    ("startup_script_timeout", WholeSeconds(1, 1000)),
    ("tmp_config_directory", Word),
    ("umask", Umask),
    ("vmac_addr_prefix", Word),
    ("vmac_prefix", Word),
    ("vrrp_check_unicast_src", Flag),
    ("vrrp_cpu_affinity", Cpus),
    ("vrrp_down_timer_adverts", Number(1, 100)),
    ("vrrp_garp_extra_if", ExtraGarp),
    ("vrrp_garp_interval", Seconds(1, MICROS_32)),
    ("vrrp_garp_lower_prio_delay", WholeSeconds(0, 4294)),
    ("vrrp_garp_lower_prio_repeat", Number(0, I32_MOST)),
    ("vrrp_garp_master_delay", WholeSeconds(0, 4294)),
    ("vrrp_garp_master_refresh", WholeSeconds(0, U32)),
    ("vrrp_garp_master_refresh_repeat", Number(1, U32)),
    ("vrrp_garp_master_repeat", Number(1, U32)),
    ("vrrp_gna_interval", Seconds(1, MICROS_32)),
    ("vrrp_higher_prio_send_advert", Switch),
    ("vrrp_iptables", Words),
    ("vrrp_lower_prio_no_advert", Switch),
    ("vrrp_mcast_group4", Group4),
    ("vrrp_mcast_group6", Group6),
    ("vrrp_min_garp", Switch),
    ("vrrp_netlink_cmd_rcv_bufs", Size),
    ("vrrp_netlink_cmd_rcv_bufs_force", Switch),
    ("vrrp_netlink_monitor_rcv_bufs", Size),
    ("vrrp_netlink_monitor_rcv_bufs_force", Switch),
    ("vrrp_no_swap", Flag),
    ("vrrp_notify_fifo", Fifo),
    ("vrrp_notify_fifo_script", FifoScript),
    ("vrrp_notify_priority_changes", Switch),
    ("vrrp_priority", Number(-20, 19)),
    ("vrrp_process_name", ProcessName),
    ("vrrp_rlimit_rtime", Shape::Micros(1, U32)),
    ("vrrp_rlimit_rttime", Shape::Micros(1, U32)),
    ("vrrp_rt_priority", Number(1, 99)),
    ("vrrp_rx_bufs_multiplier", LoneNumber(1, U32)),
    ("vrrp_rx_bufs_policy", BufferPolicy),
    ("vrrp_skip_check_adv_addr", Flag),
    ("vrrp_startup_delay", Seconds(1_000, MICROS_32)),
    ("vrrp_strict", Flag),
    ("vrrp_version", Number(2, 3)),
    ("vrrp_vmac_garp_intvl", ExtraGarp),
];

/// Of later versions, or of a 2.2.7 that is built in another way; sorted.
const LATER: &[(&str, Shape)] = &[
    ("dbus_no_interface_name", Word),
    ("iproute_etc_dir", Word),
    ("iproute_usr_dir", Word),
    ("json_dump_file", Word),
    ("json_version", Number(1, 2)),
    ("set_supplementary_groups", Own),
    ("snmp_rs_stats_update_interval", Seconds(0, 30_000_000)),
    ("snmp_vs_stats_update_interval", Seconds(1_000, 30_000_000)),
    ("state_dump_file", Word),
    ("stats_dump_file", Word),
    ("use_symlink_paths", Switch),
    ("v3_checksum_as_v2", Flag),
    ("vrrp_delay_after_boot", Seconds(1_000, MICROS_32)),
    ("vrrp_ipsets", Words),
    ("vrrp_owner_ignore_adverts", Flag),
];

/// Keywords of which the first line counts, and another one is reported.
const FIRST_COUNTS: &[&str] = &[
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
    "lvs_sync_daemon",
    "nftables",
    "nftables_ipvs",
    "notify_fifo",
    "notify_fifo_script",
    "shutdown_script",
    "snmp_socket",
    "startup_script",
    "vmac_addr_prefix",
    "vmac_prefix",
    "vrrp_notify_fifo",
    "vrrp_notify_fifo_script",
];

/// Keywords that keepalived itself takes for something of the past, and what stands for them now.
const OLD: &[(&str, &str)] =
    &[("vrrp_iptables", "nftables"), ("vrrp_vmac_garp_intvl", "vrrp_garp_extra_if")];

/// A keyword as the table spells it, and its shape; `None` where `global_defs` does not know it.
pub(super) fn row(keyword: &[u8]) -> Option<(&'static str, Shape)> {
    [KEYWORDS, LATER].into_iter().find_map(|table| {
        let place = table.binary_search_by(|(known, _)| known.as_bytes().cmp(keyword)).ok()?;
        Some(table[place])
    })
}

/// Whether keepalived is a later one where it knows the keyword.
pub(super) fn is_later(keyword: &str) -> bool {
    LATER.binary_search_by(|(known, _)| (*known).cmp(keyword)).is_ok()
}

/// Whether the first of several lines counts, and not the last. Of scripts the first that is not dropped.
pub(super) fn first_counts(keyword: &str) -> bool {
    FIRST_COUNTS.contains(&keyword)
}

/// What to write instead of an old keyword.
pub(super) fn successor(keyword: &str) -> Option<&'static str> {
    OLD.iter().find(|(old, _)| *old == keyword).map(|(_, now)| *now)
}

/// Every keyword.
pub(in crate::fleet) fn keywords() -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().chain(LATER).map(|(keyword, _)| *keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_the_search() {
        for table in [KEYWORDS, LATER] {
            assert!(table.is_sorted_by(|one, next| one.0 < next.0), "{:?}", table[0]);
        }
    }

    #[test]
    fn what_is_said_of_a_keyword_is_of_one_that_is_there() {
        let known: Vec<_> = keywords().collect();
        for keyword in FIRST_COUNTS.iter().chain(OLD.iter().flat_map(|(old, now)| [old, now])) {
            assert!(known.contains(keyword), "{keyword}");
        }
    }
}
