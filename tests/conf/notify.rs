//! Scripts that keepalived runs at changes: whose they are, and what is said of their files.

use ringprobe::fleet::effective::{Level, Notify, Origin, Setting};
use ringprobe::fleet::{LoadOptions, analyse_text};

use super::scripts::{around, reviewed};

#[test]
fn a_file_of_a_checker_and_of_a_notify_is_named_once() {
    let found = |notify: &str, misc: &str| {
        let body = format!(
            "real_server 127.0.10.11 80 {{\n notify_up {notify}\n MISC_CHECK {{\n misc_path {misc}\n \
             user root\n }}\n }}"
        );
        let text = reviewed(&around(&body, ""), &LoadOptions::default());
        text.lines().filter(|line| line.starts_with("warning[W0")).map(str::to_owned).collect()
    };
    let once: Vec<String> = found("\"/nonexistent/page up\" root", "/nonexistent/page");
    assert_eq!(
        once,
        ["warning[W049]: script `/nonexistent/page` cannot be run: `/nonexistent` does not exist"]
    );
    let others: Vec<String> = found("/nonexistent/page nobody", "/nonexistent/page");
    assert_eq!(others.len(), 2, "another user may not reach it: {others:?}");
    let sh: Vec<String> = found("/bin/sh root", "/bin/sh");
    assert_eq!(sh.len(), 1, "{sh:?}");
}

#[test]
fn scripts_without_a_user_have_the_default_one() {
    let body = "quorum_up /bin/true\n real_server 127.0.10.11 80 {\n notify_up /bin/true nobody\n \
                notify_down /bin/true\n TCP_CHECK {\n }\n }";
    let text = around(body, "script_user root");
    let analysis = analyse_text("test.conf", text.into(), &LoadOptions::default()).expect("small");
    let service = &analysis.effective.virtual_servers[0];
    let user = |notify: &Setting<Option<Notify>>| {
        let notify = notify.value.as_ref().expect("written");
        let name = notify.user.value.as_ref().map(ToString::to_string);
        (name.expect("there is a default"), notify.user.origin)
    };
    let server = &service.real_servers[0];
    for (notify, name, level) in [
        (&service.quorum_up, "root", Level::Global),
        (&server.notify_down, "root", Level::Global),
        (&server.notify_up, "nobody", Level::RealServer),
    ] {
        let (found, origin) = user(notify);
        assert_eq!(found, name);
        assert!(matches!(origin, Origin::Written(of, _) if of == level), "{origin:?}");
    }
}
