use super::*;
use crate::conf::{FileId, LanguageOptions, Parser, Severity, Source, Sources, Tree};
use crate::fleet::effective::HttpCheck;
use crate::fleet::load::LoadOptions;
use crate::fleet::model::RealServer;
use crate::fleet::named::Named;
use crate::id::{RealServerId, VirtualServerId};

/// What stands before the virtual server of every test.
const ROOT: &str = "track_file drain {\n file /tmp/drain\n}\n\
                    track_file boost {\n file /tmp/boost\n weight 5 reverse\n}\n\
                    vrrp_track_file old {\n file /tmp/old\n}\n\
                    bfd_instance peer1 {\n neighbor_ip 10.0.0.1\n}\n";

/// One checker, as it was read.
pub(in crate::fleet) struct Read {
    pub(in crate::fleet) check: Option<Check>,
    pub(in crate::fleet) common: Common,
    /// What was said about it, in the order of the file.
    pub(in crate::fleet) codes: Vec<&'static str>,
}

fn sources(text: &str) -> Sources {
    let sources = Sources::default();
    sources.add(Source::new("test.conf", text.as_bytes().to_vec()).expect("short"));
    sources
}

fn codes(lowering: &Lowering<'_>) -> Vec<&'static str> {
    let mut found: Vec<_> = lowering
        .reader
        .diagnostics
        .iter()
        .filter(|found| found.code.severity() != Severity::Note)
        .collect();
    found.sort_by_key(|found| found.primary.as_ref().map(|label| label.span));
    found.into_iter().map(|found| found.code.as_str()).collect()
}

/// Reads the block of one checker of a real server with the virtualhost rs.test.
pub(in crate::fleet) fn read(checker: &str) -> Read {
    let text = format!(
        "{ROOT}virtual_server 10.0.0.1 80 {{\n real_server 10.0.0.2 80 {{\n {checker}\n }}\n}}\n"
    );
    let sources = sources(&text);
    let mut lowering = Lowering::new(&sources, LoadOptions::default(), true);
    let language = LanguageOptions::default();
    let mut parser = Parser::new(&sources, &[FileId::default()], &language);
    let mut tree = Tree::default();
    let mut found = None;
    while parser.next(&mut tree, &mut lowering.reader.diagnostics) {
        let root = tree.root().expect("a directive");
        if sources.bytes(root.keyword()) != b"virtual_server" {
            lowering.root(root);
            continue;
        }
        let server = root.children().next().expect("the real server");
        let block = server.children().next().expect("the checker");
        lowering.fleet.real_servers.push(RealServer {
            virtual_server: VirtualServerId(0),
            address: "10.0.0.2:80".parse().expect("an address"),
            weight: 1,
            inhibit_on_failure: false,
            line: 1,
        });
        let server = Server {
            group: None,
            id: RealServerId(0),
            address: Some("10.0.0.2:80".parse().expect("an address")),
            header: server.header(),
            settings: Default::default(),
            service_delay_loop: Default::default(),
            virtualhost: Setting::written(
                Some("rs.test".into()),
                Level::RealServer,
                server.header(),
            ),
            checkers: None,
            is_doubtful: false,
        };
        let mut common = Common::default();
        let keyword = lowering.reader.bytes(block.keyword());
        let check = lowering.check(keyword, block, &mut common, &server);
        found = Some((check, common));
    }
    lowering.settle_names();
    let (check, common) = found.expect("a checker");
    Read { check, common, codes: codes(&lowering) }
}

/// An HTTP_GET or SSL_GET that is kept, and what was said about it.
pub(in crate::fleet) fn http(checker: &str) -> (HttpCheck, Vec<&'static str>) {
    let read = read(checker);
    match read.check {
        Some(Check::Http(check)) => (*check, read.codes),
        other => panic!("{other:?}: {:?}", read.codes),
    }
}

/// The blocks of the top level.
pub(in crate::fleet) fn named(text: &str) -> (Named, Vec<&'static str>) {
    let sources = sources(text);
    let mut lowering = Lowering::new(&sources, LoadOptions::default(), true);
    let language = LanguageOptions::default();
    let mut parser = Parser::new(&sources, &[FileId::default()], &language);
    let mut tree = Tree::default();
    while parser.next(&mut tree, &mut lowering.reader.diagnostics) {
        lowering.root(tree.root().expect("a directive"));
    }
    lowering.settle_names();
    let codes = codes(&lowering);
    (std::mem::take(&mut lowering.named), codes)
}

const TIMERS: &str =
    "retry 2\n delay_before_retry 1\n warmup 2\n delay_loop 3\n alpha\n log_all_failures\n";
const CONNECTION: &str = "connect_ip 10.0.0.3\n connect_port 81\n bindto 10.0.0.4\n bind_port 1024\n \
                          bind_if eth0\n connect_timeout 2\n fwmark 5\n";

#[test]
fn every_documented_keyword_is_accepted_in_its_block() {
    let http = "http_protocol 1.1\n virtualhost a.test\n enable_sni\n sni_name b.test\n fast_recovery\n \
                tls_compliant\n url {\n path /\n digest d41d8cd98f00b204e9800998ecf8427e\n \
                status_code 200-299 404\n virtualhost c.test\n tls_compliant\n regex \"a+\"\n \
                regex_no_match\n regex_options caseless\n regex_min_offset 1\n regex_max_offset 2\n \
                regex_stack 1 2\n }\n";
    for (keyword, own) in [
        ("SSL_GET", http),
        ("SMTP_CHECK", "helo_name a.test\n"),
        ("UDP_CHECK", "payload 00\n require_reply 0x\n min_reply_length 1\n max_reply_length 2\n"),
        ("FTP_CHECK", "ftp_user a\n ftp_password b\n"),
        ("TLS_CHECK", "tls_name a.test\n tls_verify\n tls_ca /a\n tls_min_days 1\n"),
    ] {
        let read = read(&format!("{keyword} {{\n {own}{TIMERS}{CONNECTION} }}"));
        assert_eq!(read.codes, Vec::<&str>::new(), "{keyword}");
        assert_eq!(read.check.expect(keyword).keyword(), keyword);
        assert_eq!(read.common.settings.retry.map(|retry| retry.value), Some(2), "{keyword}");
        assert_eq!(read.common.fwmark.value, 5, "{keyword}");
    }
    for block in [
        "FILE_CHECK {\n track_file drain\n weight 1 reverse\n }",
        "BFD_CHECK {\n name peer1\n alpha off\n }",
        "PING_CHECK {\n connect_ip 10.0.0.3\n bindto 10.0.0.4\n bind_if eth0\n connect_timeout 2\n }",
    ] {
        assert_eq!(read(block).codes, Vec::<&str>::new(), "{block}");
    }
    let tls_only = read(&format!("HTTP_GET {{\n {http} nb_get_retry 4\n }}"));
    assert_eq!(tls_only.codes, ["W040", "W040", "W040", "W040", "W065"]);
    assert_eq!(tls_only.common.settings.retry.map(|retry| retry.value), Some(4));
}

#[test]
fn foreign_keywords_are_refused_in_every_block() {
    for keyword in
        ["HTTP_GET", "SSL_GET", "SMTP_CHECK", "UDP_CHECK", "PING_CHECK", "FTP_CHECK", "TLS_CHECK"]
    {
        let own = if keyword.ends_with("_GET") { "url {\n path /\n }\n" } else { "" };
        let read = read(&format!("{keyword} {{\n {own} misc_path /a\n retri 1\n }}"));
        assert_eq!(read.codes, ["E011", "E010"], "{keyword}");
    }
    let file =
        read("FILE_CHECK {\n track_file drain\n retry 1\n alpha\n log_all_failures\n dynamic\n }");
    assert_eq!(file.codes, ["E011", "E011", "E011", "E010"]);
}
