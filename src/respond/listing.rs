//! The fleet on paper: its keepalived.conf, and the truth about it.
//!
//! Both list the same checkers in the same order, so line `n` of the truth is about checker `n` of the
//! configuration. Constant memory: servers are drawn again for each.

use std::io::{self, Write};

use serde::Serialize;

use super::fleet::{Fleet, Kind};
use super::scripts::Script;

/// The name every DNS_CHECK asks for; the servers answer any.
const NAME: &str = "www.example.test";

/// One line of the truth. Labels: `ADDR:PORT/proto` for a virtual server, else `ADDR:PORT`.
#[derive(Serialize)]
struct Truth<'a> {
    seq: u64,
    virtual_server: &'a str,
    real_server: &'a str,
    checker: &'static str,
    target: &'a str,
    outcome: &'static str,
    reason: &'static str,
}

impl Fleet {
    /// Writes the fleet as a keepalived.conf.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_conf(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "# {} servers, seed {}", self.len(), self.seed())?;
        writeln!(out, "# faults {}", self.faults())?;
        if self.has_scripts() {
            writeln!(out, "\nglobal_defs {{\n    script_user {}\n}}", self.script_user)?;
        }
        let timeout = decimal_seconds(self.connect_timeout);
        for group in self.virtual_servers() {
            let (address, protocol) = (group.address, protocol(group.kind));
            writeln!(out, "\nvirtual_server {} {} {{", address.ip(), address.port())?;
            writeln!(out, "    delay_loop 6")?;
            writeln!(out, "    lvs_sched rr")?;
            writeln!(out, "    lvs_method NAT")?;
            writeln!(out, "    protocol {}", protocol.to_ascii_uppercase())?;
            for server in group.servers {
                writeln!(out, "\n    real_server {} {} {{", server.address, server.port)?;
                writeln!(out, "        {} {{", server.kind.checker())?;
                match server.script {
                    Some(script) => write_script(out, script)?,
                    None => {
                        if server.kind == Kind::Dns {
                            writeln!(out, "            type A")?;
                            writeln!(out, "            name {NAME}")?;
                        }
                        writeln!(out, "            connect_timeout {timeout}")?;
                    }
                }
                writeln!(out, "        }}\n    }}")?;
            }
            writeln!(out, "}}")?;
        }
        Ok(())
    }

    /// Writes what every checker of the configuration must find, one JSON object a line.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_truth(&self, out: &mut impl Write) -> io::Result<()> {
        let mut seq = 0;
        for group in self.virtual_servers() {
            let virtual_server = format!("{}/{}", group.address, protocol(group.kind));
            for server in group.servers {
                let real_server = server.socket_address().to_string();
                let truth = Truth {
                    seq,
                    virtual_server: &virtual_server,
                    real_server: &real_server,
                    checker: server.kind.checker(),
                    target: &real_server,
                    outcome: server.expected.name(),
                    reason: server.expected.reason(),
                };
                serde_json::to_writer(&mut *out, &truth)?;
                out.write_all(b"\n")?;
                seq += 1;
            }
        }
        Ok(())
    }
}

/// The lines of a MISC_CHECK.
fn write_script(out: &mut impl Write, script: Script) -> io::Result<()> {
    writeln!(out, "            misc_path {}", script.misc_path())?;
    writeln!(out, "            misc_timeout {}", script.timeout().as_secs())?;
    if script.is_dynamic() {
        writeln!(out, "            misc_dynamic")?;
    }
    Ok(())
}

fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Dns => "udp",
        // A script is about a service that nobody contacts here.
        Kind::Tcp | Kind::Script => "tcp",
    }
}

/// Seconds with as many decimals as it takes, six at most: the unit and precision of keepalived.
fn decimal_seconds(duration: std::time::Duration) -> String {
    let text = format!("{}.{:06}", duration.as_secs(), duration.subsec_micros());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::respond::Options;

    #[test]
    fn one_server_of_each_kind_in_full() {
        let options = Options {
            servers: 2,
            seed: 3,
            script_share: "0%".parse().unwrap(),
            tcp_share: "50%".parse().unwrap(),
            faults: "refuse=100%".parse().unwrap(),
            connect_timeout: Duration::from_millis(250),
            ..Options::default()
        };
        // The first seed from 0 that draws DNS first and TCP second.
        let fleet = (0..)
            .map(|seed| Fleet::new(&Options { seed, ..options.clone() }).unwrap())
            .find(|fleet| fleet.server(0).kind == Kind::Dns && fleet.server(1).kind == Kind::Tcp)
            .unwrap();
        let (mut conf, mut truth) = (Vec::new(), Vec::new());
        fleet.write_conf(&mut conf).unwrap();
        fleet.write_truth(&mut truth).unwrap();
        let conf = String::from_utf8(conf).unwrap();
        let (_, blocks) = conf.split_once("\n\n").unwrap();
        assert_eq!(
            blocks,
            "\
virtual_server 127.127.0.1 5300 {
    delay_loop 6
    lvs_sched rr
    lvs_method NAT
    protocol UDP

    real_server 127.64.0.1 5301 {
        DNS_CHECK {
            type A
            name www.example.test
            connect_timeout 0.25
        }
    }
}

virtual_server 127.127.0.2 5300 {
    delay_loop 6
    lvs_sched rr
    lvs_method NAT
    protocol TCP

    real_server 127.64.0.2 5301 {
        TCP_CHECK {
            connect_timeout 0.25
        }
    }
}
"
        );
        assert_eq!(
            String::from_utf8(truth).unwrap(),
            concat!(
                r#"{"seq":0,"virtual_server":"127.127.0.1:5300/udp","#,
                r#""real_server":"127.64.0.1:5301","checker":"DNS_CHECK","#,
                r#""target":"127.64.0.1:5301","outcome":"fail","reason":"connection_refused"}"#,
                "\n",
                r#"{"seq":1,"virtual_server":"127.127.0.2:5300/tcp","#,
                r#""real_server":"127.64.0.2:5301","checker":"TCP_CHECK","#,
                r#""target":"127.64.0.2:5301","outcome":"fail","reason":"connection_refused"}"#,
                "\n",
            )
        );
    }

    /// A fleet of nothing but script servers, on paper.
    fn scripts(servers: u32) -> (String, String) {
        let options = Options {
            servers,
            script_share: "100%".parse().unwrap(),
            script_user: Some("somebody".into()),
            faults: "refuse=1%".parse().unwrap(),
            ..Options::default()
        };
        let fleet = Fleet::new(&options).unwrap();
        let (mut conf, mut truth) = (Vec::new(), Vec::new());
        fleet.write_conf(&mut conf).unwrap();
        fleet.write_truth(&mut truth).unwrap();
        (String::from_utf8(conf).unwrap(), String::from_utf8(truth).unwrap())
    }

    #[test]
    fn script_checks_in_full() {
        let (conf, truth) = scripts(14);
        let (head, blocks) = conf.split_once("virtual_server").unwrap();
        assert!(head.ends_with("\n\nglobal_defs {\n    script_user somebody\n}\n\n"), "{head}");
        let first = "    real_server 127.64.0.1 5300 {
        MISC_CHECK {
            misc_path \"/bin/sh -c 'exit 1'\"
            misc_timeout 10
        }
    }

    real_server 127.64.0.2 5300 {
        MISC_CHECK {
            misc_path \"/bin/sleep 3600\"
            misc_timeout 1
        }
    }
";
        assert!(blocks.contains(&format!("protocol TCP\n\n{first}")), "{blocks}");
        let last = "            misc_path \"/bin/sh -c 'exit 22'\"
            misc_timeout 10
            misc_dynamic
        }
    }
}
";
        assert!(blocks.ends_with(last), "{blocks}");
        let lines: Vec<&str> = truth.lines().collect();
        assert_eq!(
            lines[12],
            concat!(
                r#"{"seq":12,"virtual_server":"127.127.0.1:5300/tcp","#,
                r#""real_server":"127.64.0.13:5300","checker":"MISC_CHECK","#,
                r#""target":"127.64.0.13:5300","outcome":"unknown","reason":"script_not_found"}"#,
            )
        );
    }

    #[test]
    fn conf_and_truth_agree_about_scripts() {
        let (conf, truth) = scripts(200);
        let truth: Vec<serde_json::Value> =
            truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let listed = |keyword: &str| {
            let lines = conf.lines().filter_map(|line| line.trim().strip_prefix(keyword));
            lines.map(str::to_owned).collect::<Vec<String>>()
        };
        let (servers, paths) = (listed("real_server "), listed("misc_path "));
        assert_eq!((servers.len(), paths.len(), truth.len()), (200, 200, 200));
        for ((server, path), truth) in servers.iter().zip(&paths).zip(&truth) {
            assert_eq!(truth["target"], server.trim_end_matches(" {").replace(' ', ":"));
            let all = Script::MISBEHAVIOURS.into_iter().chain([Script::Healthy]);
            let script = all.into_iter().find(|script| script.misc_path() == path).unwrap();
            let expected = script.expected();
            assert_eq!(truth["outcome"], expected.name());
            assert_eq!(truth["reason"], expected.reason());
        }
        let count = |reason: &str| truth.iter().filter(|truth| truth["reason"] == reason).count();
        assert_eq!((count("timeout"), count("signal"), count("script_not_found")), (5, 1, 1));
        assert_eq!((count("exit_status"), count("ok")), (2 + 18, 173));
    }

    #[test]
    fn seconds_are_written_without_needless_decimals() {
        for (ms, text) in [(1_000, "1"), (10_000, "10"), (1_500, "1.5"), (1, "0.001")] {
            assert_eq!(decimal_seconds(Duration::from_millis(ms)), text);
        }
    }
}
