use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};

use super::{conf, json};
use crate::conf::{Source, Sources};
use crate::fleet::effective::{
    BfdCheck, Check, DnsCheck, Effective, FileCheck, ForwardingMethod, FtpCheck, GlobalValue,
    HttpCheck, HttpProtocol, Level, MiscCheck, Notify, Origin, PingCheck, Regex, Setting,
    SmtpCheck, SorryServer, StatusCodes, TlsCheck, TrackFile, Tunnel, UdpCheck, Url,
};
use crate::fleet::{ScriptCommand, UserName};
use crate::lint::testing::{Build, server, service};

const CHECKER: Level = Level::Checker;

/// As many lines as a hand-made configuration has places.
fn sources() -> Sources {
    let sources = Sources::default();
    sources.add(Source::new("made.conf", b"\n".repeat(1000)).expect("small"));
    sources
}

fn name(text: &str) -> Option<Arc<str>> {
    Some(text.into())
}

fn url(build: &mut Build, virtualhost: Setting<Option<Arc<str>>>) -> Url {
    Url {
        header: build.span(),
        path: build.written(CHECKER, Arc::from(&b"/a b"[..])),
        digest: build.written(CHECKER, Some([0xa5; 16])),
        status_codes: build.written(CHECKER, StatusCodes(vec![(200, 299), (404, 404)])),
        virtualhost,
        tls_compliant: Setting::default(),
        regex: Some(Regex {
            pattern: build.written(CHECKER, Arc::from(&b"^\\d \"x\"$"[..])),
            no_match: build.written(CHECKER, true),
            options: build.written(CHECKER, vec!["caseless", "utf"]),
            min_offset: build.written(CHECKER, Some(3)),
            max_offset: Setting::default(),
            stack: build.written(CHECKER, Some((4096, 65536))),
        }),
    }
}

/// One checker of every kind.
fn checks(build: &mut Build) -> Vec<Check> {
    let virtualhost = build.written(CHECKER, name("www.example.com"));
    let sni_name = build.written(CHECKER, name("sni"));
    let http = HttpCheck {
        is_tls: true,
        http_protocol: build.written(CHECKER, HttpProtocol::Http10Close),
        virtualhost: virtualhost.clone(),
        enable_sni: Setting { value: true, origin: sni_name.origin },
        sni_name,
        fast_recovery: build.written(CHECKER, true),
        tls_compliant: build.written(CHECKER, false),
        urls: vec![url(build, virtualhost)],
    };
    let command = ScriptCommand::Argv([&b"/bin/x"[..], b"it's"].into_iter().collect());
    vec![
        Check::Http(Box::new(http)),
        Check::Smtp(SmtpCheck { helo_name: build.written(CHECKER, "probe".into()) }),
        Check::Dns(DnsCheck {
            record_type: build.written(CHECKER, RecordType::AAAA),
            name: build.written(CHECKER, Name::from_ascii("example.com.").expect("a name")),
        }),
        Check::Misc(MiscCheck {
            command: build.written(CHECKER, command),
            timeout: build.written(CHECKER, Duration::from_secs(7)),
            dynamic: build.written(CHECKER, true),
            user: build.written(CHECKER, Some(UserName::from_words("nobody", Some(":adm")))),
        }),
        Check::Udp(Box::new(UdpCheck {
            payload: build.written(CHECKER, Arc::from([1, 0xfe])),
            require_reply: build.written(CHECKER, true),
            pattern: Some(Arc::from([(0x40, 0xf0)])),
            min_reply_length: build.written(CHECKER, 1),
            max_reply_length: Setting::default_of(255),
        })),
        Check::Ping(PingCheck {}),
        Check::File(FileCheck {
            track_file: build.written(CHECKER, "load".into()),
            weight: build.written(CHECKER, -3),
            reverse: build.written(CHECKER, true),
        }),
        Check::Bfd(BfdCheck { name: build.written(CHECKER, "link".into()) }),
        Check::Ftp(FtpCheck {
            user: build.written(CHECKER, name("me")),
            password: build.written(CHECKER, name("pass word")),
        }),
        Check::Tls(TlsCheck {
            name: build.written(CHECKER, name("www.example.com")),
            verify: build.written(CHECKER, true),
            ca: build.written(CHECKER, name("/etc/ca.pem")),
            min_days: build.written(CHECKER, 14),
        }),
    ]
}

fn one_of_everything() -> Effective {
    let mut build = Build::default();
    let mut server = server(&mut build, 10);
    server.weight = build.written(Level::VirtualServer, 5);
    server.written_port = 0;
    server.alpha = build.written(Level::RealServer, false);
    server.delay_loop = build.written(Level::RealServer, Duration::from_millis(2500));
    for check in checks(&mut build) {
        let mut checker = build.checker(&server, check);
        if let Some(network) = &mut checker.network {
            network.bind_if = build.written(CHECKER, name("eth0"));
        }
        server.checkers.push(checker);
    }
    let mut service = service(&mut build, vec![server]);
    service.scheduler_flags = vec!["flag-1"];
    let tunnel = Tunnel { kind: "gue", port: Some(6080), checksum: Some("csum") };
    service.method = build.written(Level::VirtualServer, ForwardingMethod::Tun(tunnel));
    service.weight = build.written(Level::VirtualServer, 5);
    service.quorum =
        Setting { value: 5, origin: Origin::Adjusted(Level::VirtualServer, build.span()) };
    service.omega = build.written(Level::VirtualServer, true);
    let command = ScriptCommand::Argv([&b"/bin/up"[..], b"", b"#"].into_iter().collect());
    let user = build.written(Level::VirtualServer, Some(UserName::from_words("nobody", None)));
    service.quorum_up = build.written(Level::VirtualServer, Some(Notify { command, user }));
    service.sorry_server = build.written(
        Level::VirtualServer,
        Some(SorryServer {
            address: SocketAddr::from(([10, 0, 0, 99], 80)),
            inhibit: true,
            method: ForwardingMethod::Dr,
        }),
    );
    let track_file = TrackFile {
        header: build.span(),
        file: build.written(Level::Global, "/run/load".into()),
        weight: build.written(Level::Global, -2),
        reverse: build.written(Level::Global, false),
        init_file: build.written(Level::Global, Some((0, true))),
    };
    let mut effective = build.with(vec![service]);
    effective.track_files.insert("load".into(), track_file);
    effective
}

#[test]
fn everything_is_written_where_it_was_written() {
    let text: Vec<u8> = conf(&one_of_everything()).flatten().collect();
    let expected = r#"track_file load {
    file /run/load
    weight -2
    init_file 0 overwrite
}
virtual_server 10.0.0.1 80 {
    protocol TCP
    lvs_sched rr
    flag-1
    lvs_method TUN type gue port 6080 csum
    omega
    weight 5
    quorum 5
    quorum_up "/bin/up '' '#'" nobody
    sorry_server 10.0.0.99 80
    sorry_server_inhibit
    sorry_server_lvs_method DR
    real_server 10.0.0.10 {
        delay_loop 2.5
        alpha off
        SSL_GET {
            bind_if eth0
            http_protocol 1.0C
            virtualhost www.example.com
            sni_name sni
            fast_recovery on
            tls_compliant off
            url {
                path "/a b"
                digest a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
                status_code 200-299 404
                regex "^\\d \042x\042$"
                regex_no_match
                regex_options caseless utf
                regex_min_offset 3
                regex_stack 4096 65536
            }
        }
        SMTP_CHECK {
            bind_if eth0
            helo_name probe
        }
        DNS_CHECK {
            bind_if eth0
            type AAAA
            name example.com
        }
        MISC_CHECK {
            misc_path "/bin/x 'it'"'"'"'"'"'"'s'"
            misc_timeout 7
            misc_dynamic
            user nobody :adm
        }
        UDP_CHECK {
            bind_if eth0
            payload 01fe
            require_reply 4x
            min_reply_length 1
        }
        PING_CHECK {
            bind_if eth0
        }
        FILE_CHECK {
            track_file load
            weight -3 reverse
        }
        BFD_CHECK {
            name link
        }
        FTP_CHECK {
            bind_if eth0
            ftp_user me
            ftp_password "pass word"
        }
        TLS_CHECK {
            bind_if eth0
            tls_name www.example.com
            tls_verify on
            tls_ca /etc/ca.pem
            tls_min_days 14
        }
    }
}
"#;
    assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
}

#[test]
fn every_record_is_an_object_and_knows_its_lines() {
    let (effective, sources) = (one_of_everything(), sources());
    let records: Vec<serde_json::Value> = json(&effective, &sources)
        .map(|record| {
            serde_json::from_str(&record).unwrap_or_else(|error| panic!("{error}: {record}"))
        })
        .collect();
    let types: Vec<_> = records.iter().filter_map(|record| record["type"].as_str()).collect();
    assert_eq!(types[..5], ["globals", "ssl", "track_file", "virtual_server", "real_server"]);
    assert_eq!(types.len(), 15);
    let service = &records[3];
    assert_eq!(service["quorum"], 5);
    assert_eq!(service["from"]["quorum"]["adjusted"], true);
    assert_eq!(service["quorum_up"]["command"][2], "#");
    assert_eq!(service["quorum_up"]["user"][0], "nobody");
    assert_eq!(service["quorum_up"]["from"]["user"]["level"], "virtual_server");
    assert_eq!(service["sorry_server"]["lvs_method"], "DR");
    let server = &records[4];
    assert_eq!(server["from"]["port"]["level"], "virtual_server");
    assert_eq!(server["from"]["weight"]["file"], "made.conf");
    let http = &records[5];
    assert_eq!(http["delay_loop"], 2.5);
    let line = &server["from"]["delay_loop"]["line"];
    assert_eq!(http["from"]["delay_loop"]["line"], *line);
    assert_eq!(http["from"]["delay_loop"]["level"], "real_server");
    assert_eq!(http["url"][0]["regex"]["pattern"], "^\\\\d \"x\"$");
    assert_eq!(http["url"][0]["from"]["virtualhost"]["level"], "checker");
    assert!(http["from"].get("connect_timeout").is_none(), "a default comes from nowhere");
}

#[test]
fn a_value_from_a_parameter_names_its_use_and_its_definition() {
    let text = "$T= \\\n delay_loop 7 \\\n retry 3\n$Q=4\nvirtual_server 10.0.0.1 80 {\n $T\n quorum $Q\n weight 5\n real_server 10.0.0.2 80 {\n }\n}\n";
    let analysis = crate::fleet::analyse_text("x", text.into(), &Default::default());
    let analysis = analysis.expect("small enough");
    let record = json(&analysis.effective, &analysis.sources)
        .find(|record| record.contains(r#""type":"virtual_server""#));
    let record: serde_json::Value =
        serde_json::from_str(&record.expect("there is one")).expect("JSON");
    let from = &record["from"];
    for (name, line, defined) in [
        ("delay_loop", 6, Some(2)),
        ("retry", 6, Some(3)),
        ("quorum", 7, Some(4)),
        ("weight", 8, None),
    ] {
        assert_eq!(from[name]["line"], line, "{name}");
        assert_eq!(from[name]["defined"]["line"].as_i64(), defined, "{name}");
    }
}

#[test]
fn a_checker_is_one_line_in_the_order_of_its_keywords() {
    let (effective, sources) = (one_of_everything(), sources());
    let ping = json(&effective, &sources).find(|record| record.contains("PING_CHECK"));
    assert_eq!(
        ping.expect("there is one"),
        concat!(
            r#"{"type":"checker","checker":"PING_CHECK","virtual_server":"10.0.0.1:80/tcp","#,
            r#""real_server":"10.0.0.10:80","delay_loop":2.5,"delay_before_retry":1,"warmup":2.5,"#,
            r#""retry":1,"alpha":false,"log_all_failures":false,"target":"10.0.0.10:80","#,
            r#""connect_ip":"10.0.0.10","connect_port":80,"bindto":null,"bind_port":null,"#,
            r#""bind_if":"eth0","fwmark":0,"connect_timeout":5,"#,
            r#""from":{"delay_loop":{"level":"real_server","file":"made.conf","line":5},"#,
            r#""bind_if":{"level":"checker","file":"made.conf","line":50}}}"#
        )
    );
}

#[test]
fn a_value_that_ends_in_a_backslash_is_left_out_or_quoted() {
    let text = "virtual_server 10.0.0.1 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
                snmp_name \"two\\\\\"\n real_server 10.0.0.2 80 { virtualhost one\\ }\n}\n";
    let flatten = |text: &str| {
        let options = crate::fleet::LoadOptions::default();
        let analysis = crate::fleet::analyse_text("a.conf", text.into(), &options).expect("read");
        let errors = analysis.diagnostics.count(crate::conf::Severity::Error);
        let written = conf(&analysis.effective).flatten().collect();
        (errors, String::from_utf8(written).expect("all of it is ASCII"))
    };
    let (errors, once) = flatten(text);
    assert_eq!(errors, 0);
    assert!(once.contains("    snmp_name \"two\\\\\"\n"), "{once}");
    let comment = "        # left out, its value ends in a backslash: virtualhost\n";
    assert!(once.contains(comment), "{once}");
    let (errors, twice) = flatten(&once);
    assert_eq!(errors, 0, "{once}");
    assert_eq!(twice, once.replace(comment, ""));
}

#[test]
fn a_comment_for_what_is_left_out_ends_in_no_backslash_itself() {
    let text = "global_defs {\n notification_email { one@a\\ }\n notification_email {\n  two@b\n }\n}\n\
                virtual_server 10.0.0.1 80 {\n protocol TCP\n lvs_sched rr\n \
                lvs_method NAT\n real_server 10.0.0.2 80 {\n }\n}\n";
    let analyse = |text: &str| {
        let options = crate::fleet::LoadOptions::default();
        let analysis = crate::fleet::analyse_text("a.conf", text.into(), &options).expect("read");
        assert_eq!(analysis.diagnostics.count(crate::conf::Severity::Error), 0, "{text}");
        analysis
    };
    let flatten = |effective: &Effective| {
        String::from_utf8(conf(effective).flatten().collect()).expect("all of it is ASCII")
    };
    let once = flatten(&analyse(text).effective);
    let comment = "        # left out, as it ends in a backslash\n         two@b\n";
    assert!(once.contains(comment), "{once}");
    assert!(!once.contains("\\\n"), "{once}");
    let again = analyse(&once);
    let Some(GlobalValue::Mail(mail)) =
        again.effective.globals.values.get("notification_email").map(|setting| &setting.value)
    else {
        panic!("{once}");
    };
    assert_eq!(mail[..], [Arc::from(&b"two@b"[..])], "{once}");
}
