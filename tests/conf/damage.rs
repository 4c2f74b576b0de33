//! Seeded damage: whatever happens to a file, it ends in a model or in diagnostics.

use nix::sys::resource::{UsageWho, getrusage};
use ringprobe::conf::Severity;
use ringprobe::fleet::{LoadOptions, Rejected, analyse_text, load_text};
use ringprobe::lint;

use super::corrupt::damage;
use super::generate::Random;
use super::model::{spec, timing};

#[test]
// Time is what is measured here.
#[allow(clippy::disallowed_methods)]
fn damaged_files_end_in_diagnostics() {
    let samples = [
        "warnings",
        "keywords",
        "braces",
        "macros",
        "groups",
        "dns",
        "quotes",
        "addresses",
        "scripts",
        "script_files",
        "checks_accepted",
        "checks_http",
        "checks_regex",
        "checks_others",
        "checks_named",
        "language/expansions",
        "language/parameters",
        "language/repetitions",
        "corpus/v15-grammar",
    ];
    let samples: Vec<Vec<u8>> = samples
        .iter()
        .map(|name| {
            let path = format!("{}/tests/conf/{name}.conf", env!("CARGO_MANIFEST_DIR"));
            std::fs::read(path).expect("a file of this repository")
        })
        .collect();
    let seed = match std::env::var("RINGPROBE_SEED") {
        Ok(seed) => seed.parse().expect("RINGPROBE_SEED is a number"),
        Err(_) => 0x5eed_c0de_u64,
    };
    println!("RINGPROBE_SEED={seed}");
    let mut random = Random(seed);
    let (mut rejected, mut slowest) = (0, std::time::Duration::ZERO);
    for _ in 0..6_000 {
        let mut text = samples[random.below(samples.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut text, &mut random);
        }
        let start = std::time::Instant::now();
        let options = LoadOptions { random_seed: Some(seed), ..LoadOptions::default() };
        let shown = String::from_utf8_lossy(&text).into_owned();
        let result = load_text("damaged.conf", text, &options);
        let took = start.elapsed();
        slowest = slowest.max(took);
        assert!(took.as_secs_f64() < 1.0, "{took:?} for\n{shown}");
        match result {
            Ok(loaded) => {
                // What is accepted is whole: every index of the model leads somewhere.
                let fleet = &loaded.fleet;
                for (seq, checker) in fleet.checkers.iter().enumerate() {
                    let server = &fleet.real_servers[checker.real_server.index()];
                    let _ = fleet.virtual_server_label(server.virtual_server).to_string();
                    let _ = (timing(fleet, seq), spec(fleet, seq));
                    let is_script = fleet.checker_keyword(seq as u64) == "MISC_CHECK";
                    assert!(is_script || checker.target.port() != 0);
                }
                loaded.problems.render(false);
            }
            Err(Rejected::Invalid { problems, .. }) => {
                rejected += 1;
                assert!(problems.count(Severity::Error) > 0);
                assert!(problems.render(false).contains("error[E"));
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!("slowest: {slowest:?}");
    assert!(rejected > 3_000, "damage must show: {rejected}");
}

/// What would be quadratic in a careless reader.
#[test]
// Time is what is measured here.
#[allow(clippy::disallowed_methods)]
fn hostile_files_end_quickly() {
    let many = |line: &dyn Fn(usize) -> String| (0..100_000).map(line).collect::<String>();
    let service = |body: String| {
        format!(
            "virtual_server 10.0.0.1 80 {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{body}}}\n"
        )
    };
    let server =
        |place: usize| format!("real_server 10.0.0.{} 80 {{ TCP_CHECK {{ ", place % 250 + 1);
    for (name, text) in [
        ("unknown keywords", many(&|place| format!("keyword{place} x\n"))),
        ("open braces", "{\n".repeat(100_000)),
        ("close braces", "}\n".repeat(100_000)),
        ("unclosed blocks", "virtual_server 10.0.0.1 80 {\n".repeat(100_000)),
        ("quotes", "a \"\n".repeat(100_000)),
        ("definitions", many(&|place| format!("$A{place}=1\nb $A{place}\n"))),
        ("one long line", "a ".repeat(1_000_000)),
        ("turns", "~SEQ(A, 1000) ~SEQ(B, 1000) b $A\n".to_owned()),
        (
            "turns of turns",
            "~SEQ(A, 10000) ~SEQ(B, 10000) ~SEQ(C, 10000) ~SEQ(D, 100) \n".to_owned(),
        ),
        ("blocks of blocks", {
            let block =
                |n: usize| format!("$B{n}= \\\n $B{} \\\n $B{} \\\n $B{}\n", n + 1, n + 1, n + 1);
            (0..40).map(block).collect::<String>() + "$B40= \\\n x \\\n y\n$B0\n"
        }),
        ("values of values", {
            let value = |n: usize| format!("$V{n}={}\n", format!("${{V{}}}", n + 1).repeat(60));
            (0..40).map(value).collect::<String>() + "$V40=\n" + &"x $V0\n".repeat(1000)
        }),
        ("conditions", many(&|place| format!("@id{place} x\n"))),
        (
            "alternatives",
            "include {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\n"
                .repeat(100),
        ),
        ("includes of nothing", many(&|place| format!("include no-such-file-{place}\n"))),
        (
            "comments before a brace",
            format!("virtual_server 10.0.0.1 80\n{}{{\n}}", "# x\n".repeat(100_000)),
        ),
        ("groups", many(&|place| format!("virtual_server_group g{place} {{\n10.0.0.1 80\n}}\n"))),
        (
            "unknown groups",
            many(&|place| {
                format!("virtual_server group g{place} {{\nreal_server 10.0.0.1 80 {{\n}}\n}}\n")
            }),
        ),
        ("duplicates", service(many(&|place| server(place) + "} }\n"))),
        (
            "scripts of one user",
            service(
                "real_server 10.0.0.2 80 {\n".to_owned()
                    + &many(&|_| "notify_up /bin/true root\n".to_owned())
                    + "}\n",
            ),
        ),
        (
            "scripts of nobody",
            service(
                "real_server 10.0.0.2 80 {\n".to_owned()
                    + &many(&|_| "notify_up /bin/true nosuchuser\n".to_owned())
                    + "}\n",
            ),
        ),
        (
            "interfaces",
            service(many(&|place| server(place) + &format!("bind_if e{place} }} }}\n"))),
        ),
    ] {
        let start = std::time::Instant::now();
        let problems = match load_text(name, text.into_bytes(), &LoadOptions::default()) {
            Ok(loaded) => loaded.problems,
            Err(Rejected::Invalid { problems, .. }) => problems,
            Err(error) => panic!("{error}"),
        };
        let text = problems.render(false);
        assert!(text.len() < 20_000_000, "{name}: {} bytes of text", text.len());
        let took = start.elapsed();
        println!("{name}: {took:?}");
        assert!(took.as_secs() < 20, "{name}: {took:?}");
    }
}

/// What was quadratic once, in everything that a linter does; each took many seconds.
#[test]
fn what_is_wrong_many_times_takes_its_time_once() {
    let service = |place: usize, body: &str| {
        format!(
            "virtual_server 10.{}.{}.1 80 {{ protocol TCP\nlvs_sched rr\nlvs_method NAT\n{body} }}\n",
            place / 200,
            place % 200
        )
    };
    let doubling = (0..40).map(|n| format!("$V{n}=${{V{}}}${{V{}}}\n", n + 1, n + 1));
    let chain = (0..9_990).map(|n| format!("$C{n}=${{C{}}}\n", n + 1));
    let long = "g".repeat(33);
    for (name, text) in [
        ("doubling", doubling.collect::<String>() + "$V40=\n" + &"router_id x $V0\n".repeat(8_000)),
        ("chain", chain.collect::<String>() + "$C9990=\n" + &"router_id x$C0\n".repeat(8)),
        ("unknown groups", {
            let groups =
                (0..1_000).map(|n| format!("virtual_server_group {long}{n} {{\n10.0.0.1 80\n}}\n"));
            let uses = (0..10_000).map(|n| {
                format!("virtual_server group {long}x{n} {{ real_server 10.0.0.1 80 {{ }} }}\n")
            });
            groups.chain(uses).collect()
        }),
        ("dropped services", {
            let dropped = (0..20_000).map(|n| {
                format!("virtual_server group no{n} {{ real_server 10.0.0.1 80 {{ }} }}\n")
            });
            let kept = (0..20_000).map(|n| service(n, "real_server 10.0.0.2 80 { }"));
            dropped.chain(kept).collect()
        }),
        ("scripts of nobody", {
            let line = "notify_up /bin/true nosuchuser\n";
            service(0, &format!("real_server 10.0.0.2 80 {{\n{}}}", line.repeat(200_000)))
        }),
        ("scripts of global_defs", {
            let lines = "startup_script /bin/true nosuchuser\n".repeat(200_000);
            format!("global_defs {{\n{lines}}}\n")
        }),
        ("ports without NAT", {
            let server = |n: usize| {
                let (port, [_, b, c, d]) = (n.min(65_534) + 1, (n as u32).to_be_bytes());
                format!("real_server 10.{b}.{c}.{d} {port} {{ }}\n")
            };
            let servers = (0..400_000).map(server).collect::<String>();
            format!(
                "virtual_server_group g {{\n10.0.0.1 80\n}}\nvirtual_server group g {{ protocol TCP\n\
                 lvs_sched rr\nlvs_method DR\n{servers} }}\n"
            )
        }),
        ("duplicates", {
            let twice = "real_server 10.0.0.2 80 { TCP_CHECK { } } real_server 10.0.0.2 80 { }";
            (0..30_000).map(|n| service(n, twice)).collect()
        }),
    ] {
        let before = cpu();
        let mut analysis =
            analyse_text(name, text.into_bytes(), &LoadOptions::default()).expect("small enough");
        lint::check(&analysis.effective, &mut analysis.diagnostics);
        let took = cpu() - before;
        println!("{name}: {took:?}");
        assert!(took.as_secs() < 5, "{name}: {took:?}");
    }
}

/// Processor time of this thread: what others do at the same time does not count.
fn cpu() -> std::time::Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("one's own usage can be read");
    let time = |time: nix::sys::time::TimeVal| {
        std::time::Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}
