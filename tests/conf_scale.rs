//! How much memory and time a large configuration and long lists take. One test, so that nothing else
//! of this process counts. RINGPROBE_SCALE sets the number of real servers (default 50,000). Processor
//! times are printed; their bars are for an optimised build, so only gross misses fail here.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use ringprobe::conf::{Problems, Severity};
use ringprobe::fleet::{LoadOptions, TargetList, analyse, load};
use ringprobe::lint;

/// Processor time of this process: what others do at the same time does not count.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("one's own usage can be read");
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// A field of /proc/self/status that counts kilobytes, in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a known field");
    let kilobytes = line.split_ascii_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

/// The checker of each real server.
type Checkers<'a> = &'a dyn Fn(u32) -> String;

/// `servers` real servers with a checker each, `per_service` to a virtual server.
fn write_configuration(path: &Path, servers: u32, per_service: u32, checker: Checkers<'_>) {
    let mut file = BufWriter::new(fs::File::create(path).expect("a temporary file"));
    for server in 0..servers {
        let [_, b, c, d] = server.to_be_bytes();
        if server % per_service == 0 {
            writeln!(
                file,
                "virtual_server 192.168.{c}.{d} 53 {{\n    protocol UDP\n    lvs_sched rr\n    lvs_method NAT\n    delay_loop 10"
            )
            .expect("written");
        }
        writeln!(file, "    real_server 10.{b}.{c}.{d} 53 {{\n        {}\n    }}", checker(server))
            .expect("written");
        if server % per_service == per_service - 1 || server == servers - 1 {
            writeln!(file, "}}").expect("written");
        }
    }
    file.flush().expect("written");
}

const DNS: &str = "DNS_CHECK {\n            type A\n            name www.example.com\n        }";

fn script(arguments: &str) -> String {
    format!(
        "MISC_CHECK {{\n            misc_path \"/bin/sh{arguments}\"\n            user 7 7\n        }}"
    )
}

#[test]
fn a_large_fleet_is_cheap() {
    let servers: u32 = match std::env::var("RINGPROBE_SCALE") {
        Ok(servers) => servers.parse().expect("RINGPROBE_SCALE is a number"),
        Err(_) => 50_000,
    };
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    // Smallest first: the peak only ever rises. One service with everything is the worst case, as its
    // whole tree is in memory.
    // Each script with arguments of its own is a spec of its own, with its allocations.
    let cases: [(&str, u32, u32, u64, Checkers<'_>); 4] = [
        ("dns", 20, 1, 400, &|_| DNS.to_owned()),
        ("dns", servers, 1, 400, &|_| DNS.to_owned()),
        ("one script", 20, 1, 400, &|_| script("")),
        ("scripts", 20, servers, 550, &|server| script(&format!(" {server}"))),
    ];
    for (name, per_service, specs, bar, checker) in cases {
        let path = directory.path().join(format!("{name}.{per_service}.conf"));
        write_configuration(&path, servers, per_service, checker);
        let bytes = fs::metadata(&path).expect("just written").len();
        // Writing 5 sets the peak back to what is in use now.
        fs::write("/proc/self/clear_refs", "5").expect("one's own peak can be set back");
        let before = status("VmHWM:");
        let start = cpu();
        let loaded = load(&path, &LoadOptions::default()).expect("valid");
        let took = cpu() - start;
        let peak = (status("VmHWM:") - before) / u64::from(servers);
        println!(
            "{name}: {servers} real servers, {per_service} a service, {} B of text each: {took:?}, peak {peak} B each",
            bytes / u64::from(servers)
        );
        assert_eq!(loaded.fleet.checkers.len(), servers as usize);
        assert_eq!((loaded.fleet.specs.len(), loaded.fleet.timings.len()), (specs as usize, 1));
        assert!(loaded.problems.is_empty());
        assert!(peak <= bar, "{peak} B of memory for each real server");
        assert!(took < Duration::from_secs(1) * (servers / 50_000).max(1), "{took:?}");
    }
    repeated(directory.path(), servers);
    a_known_shape(directory.path());
    lists(directory.path(), servers);
}

/// The same fleet as a block that is repeated: the lines that are made are held in memory as well.
fn repeated(directory: &Path, servers: u32) {
    let path = directory.join("repeated.conf");
    let mut file = BufWriter::new(fs::File::create(&path).expect("a temporary file"));
    let block = "$SERVER= \\\n real_server 10.${A}.${B}.$C 53 { \\\n DNS_CHECK { \\\n type A \\\n name www.example.com \\\n } \\\n }\n";
    write!(
        file,
        "{block}virtual_server 192.168.0.1 53 {{\n protocol UDP\n lvs_sched rr\n lvs_method NAT\n"
    )
    .expect("written");
    for a in 0..servers / 10_000 {
        writeln!(file, "$A={a}\n~SEQ(B, 1, 100) ~SEQ(C, 1, 100) $SERVER").expect("written");
    }
    writeln!(file, "}}").expect("written");
    file.flush().expect("written");
    fs::write("/proc/self/clear_refs", "5").expect("one's own peak can be set back");
    let before = status("VmHWM:");
    let start = cpu();
    // Seven lines a server, and the turns of both repetitions.
    let options =
        LoadOptions { max_lines: Some(u64::from(servers) * 10), ..LoadOptions::default() };
    let loaded = load(&path, &options).expect("valid");
    let took = cpu() - start;
    let made = loaded.fleet.checkers.len() as u64;
    let peak = (status("VmHWM:") - before) / made.max(1);
    println!("repeated: {made} real servers: {took:?}, peak {peak} B each");
    assert_eq!(made, u64::from(servers / 10_000 * 10_000));
    assert!(made == 0 || peak <= 700, "{peak} B of memory for each real server");
    assert!(took < Duration::from_secs(3) * (servers / 50_000).max(1), "{took:?}");
}

/// A fleet of the size of a known one, with checkers of several types: for a sweep, and for a linter.
fn a_known_shape(directory: &Path) {
    const SERVICES: u32 = 2_277;
    const SERVERS: u32 = 37_205;
    const CHECKERS: [&str; 4] = [
        "TCP_CHECK {\n            connect_timeout 3\n        }",
        "HTTP_GET {\n            url {\n                path /status\n                status_code 200\n            }\n        }",
        DNS,
        "SMTP_CHECK {\n        }",
    ];
    let path = directory.join("shape.conf");
    let mut file = BufWriter::new(fs::File::create(&path).expect("a temporary file"));
    let mut server = 0_u32;
    for service in 0..SERVICES {
        let [_, _, c, d] = service.to_be_bytes();
        writeln!(
            file,
            "virtual_server 192.168.{c}.{d} 80 {{\n    protocol TCP\n    lvs_sched wlc\n    lvs_method NAT\n    delay_loop 10"
        )
        .expect("written");
        let last = (u64::from(service + 1) * u64::from(SERVERS) / u64::from(SERVICES)) as u32;
        while server < last {
            let [_, b, c, d] = server.to_be_bytes();
            let checker = CHECKERS[server as usize % CHECKERS.len()];
            writeln!(file, "    real_server 10.{b}.{c}.{d} 80 {{\n        {checker}\n    }}")
                .expect("written");
            server += 1;
        }
        writeln!(file, "}}").expect("written");
    }
    file.flush().expect("written");
    let start = cpu();
    let loaded = load(&path, &LoadOptions::default()).expect("valid");
    let loading = cpu() - start;
    assert_eq!(loaded.fleet.real_servers.len(), SERVERS as usize);
    assert_eq!(loaded.fleet.virtual_servers.len(), SERVICES as usize);
    drop(loaded);
    let start = cpu();
    let mut analysis = analyse(&path, &LoadOptions::default()).expect("valid");
    lint::check(&analysis.effective, &mut analysis.diagnostics);
    let problems = Problems::new(analysis.diagnostics, &analysis.sources);
    let linting = cpu() - start;
    println!(
        "{SERVERS} real servers in {SERVICES} services: {loading:?}; with everything and linted: {linting:?}, {} warnings",
        problems.count(Severity::Warning)
    );
    let checkers: usize = analysis
        .effective
        .virtual_servers
        .iter()
        .flat_map(|service| &service.real_servers)
        .map(|server| server.checkers.len())
        .sum();
    assert_eq!(checkers, SERVERS as usize);
    assert!(loading < Duration::from_secs(1), "{loading:?}");
    assert!(linting < Duration::from_secs(5), "{linting:?}");
}

/// Networks and lines, and that memory does not grow with them.
fn lists(directory: &Path, lines: u32) {
    let path = directory.join("targets.txt");
    let mut file = BufWriter::new(fs::File::create(&path).expect("a temporary file"));
    for line in 0..lines {
        let [_, b, c, d] = line.to_be_bytes();
        writeln!(file, "10.{b}.{c}.{d}:5353").expect("written");
    }
    file.flush().expect("written");
    fs::write("/proc/self/clear_refs", "5").expect("one's own peak can be set back");
    let before = status("VmHWM:");
    let start = cpu();
    let read = TargetList::open(&path, 53).expect("there").filter(Result::is_ok).count();
    let took = cpu() - start;
    println!(
        "{lines} lines: {took:?}, {:.1} million/s",
        f64::from(lines) / took.as_secs_f64() / 1e6
    );
    assert_eq!(read, lines as usize);
    let start = cpu();
    let network = &b"10.0.0.0/8"[..];
    let wanted = lines.saturating_mul(10);
    let read =
        TargetList::new("network", network, 53).take(wanted as usize).filter(Result::is_ok).count();
    let took = cpu() - start;
    println!(
        "{read} of 10.0.0.0/8: {took:?}, {:.1} million/s",
        read as f64 / took.as_secs_f64() / 1e6
    );
    assert!(status("VmHWM:") - before < 4 << 20, "lists are not held");
}
