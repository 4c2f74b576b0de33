//! `ringprobe bench` before and after it measures: what it refuses, and what it leaves behind.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Looks, [`LOOK_EVERY`] apart, before what should happen is taken for lost.
const LOOKS: usize = 3000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A run that lasts until it is ended.
const LONG: &[&str] = &["--embedded", "--check", "dns", "--duration", "1h", "--quiet"];

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringprobe"));
    command.arg("bench").args(arguments).env("NO_COLOR", "1");
    command
}

fn output(arguments: &[&str]) -> Output {
    bench(arguments).output().expect("the program starts")
}

/// What `look` finds, or a panic when it finds nothing for too long.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        thread::park_timeout(LOOK_EVERY);
    }
    panic!("waited in vain: {what}")
}

/// A bench at work, killed where a test fails.
struct Bench(Child);

impl Bench {
    fn start(arguments: &[&str]) -> Bench {
        let mut command = bench(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Bench(command.spawn().expect("the program starts"))
    }

    fn signal(&self, signal: Signal) {
        // It has not been waited for, so the number is still its own.
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it is ours");
    }

    /// Its embedded fleet, if that has been started.
    fn fleet(&self) -> Option<Fleet> {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().find_map(|child| Fleet::of(child.parse().ok()?))
    }

    fn code(&mut self) -> Option<i32> {
        wait_for("the end of the bench", || self.0.try_wait().expect("it is ours")).code()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Fleet {
    pid: i32,
    port: u16,
}

impl Fleet {
    /// `None` for what is no `ringprobe respond`, or none any more.
    fn of(pid: i32) -> Option<Fleet> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&str> =
            line.split(|byte| *byte == 0).map_while(|word| str::from_utf8(word).ok()).collect();
        let port = words.iter().skip_while(|word| **word != "--port").nth(1)?.parse().ok()?;
        (words.get(1) == Some(&"respond")).then_some(Fleet { pid, port })
    }

    fn is_serving(&self) -> bool {
        let bound = TcpListener::bind(("0.0.0.0", self.port));
        bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    }

    /// Whether another test has its port now.
    fn is_followed(&self) -> bool {
        let processes = fs::read_dir("/proc").expect("procfs").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Fleet::of).any(|fleet| fleet.port == self.port)
    }

    fn assert_is_gone(&self) {
        wait_for("the end of the fleet", || {
            (Fleet::of(self.pid).as_ref() != Some(self)).then_some(())
        });
        wait_for("its port", || (!self.is_serving() || self.is_followed()).then_some(()));
    }
}

#[test]
fn no_fleet_survives_its_bench_however_that_ends() {
    for (signals, code) in
        [(&[Signal::SIGTERM, Signal::SIGTERM][..], Some(130)), (&[Signal::SIGKILL], None)]
    {
        let mut bench = Bench::start(LONG);
        let fleet = wait_for("the fleet", || bench.fleet().filter(Fleet::is_serving));
        signals.iter().for_each(|signal| bench.signal(*signal));
        assert_eq!(bench.code(), code, "{signals:?}");
        fleet.assert_is_gone();
    }
}

#[test]
fn a_fleet_that_hangs_while_it_starts_is_interrupted_with_its_bench() {
    let mut bench = Bench::start(LONG);
    // As early as possible: mostly before it says that it serves.
    let fleet = (0..u32::MAX).find_map(|_| bench.fleet()).expect("it is started");
    kill(Pid::from_raw(fleet.pid), Signal::SIGSTOP).expect("it is there");
    thread::park_timeout(Duration::from_millis(300));
    bench.signal(Signal::SIGINT);
    assert_eq!(bench.code(), Some(130));
    fleet.assert_is_gone();
}

/// A server that counts what it is sent and never answers.
struct Mute {
    address: String,
    stop: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Mute {
    fn start() -> Mute {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(LOOK_EVERY)).expect("a socket");
        let address = socket.local_addr().expect("bound").to_string();
        let (stop, received) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&received));
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let is_one = socket.recv(&mut [0; 512]).is_ok();
                count.fetch_add(u64::from(is_one), Ordering::Relaxed);
            }
        });
        Mute { address, stop, received, thread: Some(thread) }
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Of what a busy machine may keep from happening.
const TRIES: u32 = 5;

#[test]
fn no_more_than_the_window_are_in_flight_however_many_shards_there_are() {
    // Nothing is answered, and a timeout is far longer than the run: every probe begun is in flight.
    let load = ["--timeout", "5s", "--warm-up", "0s", "--duration", "300ms", "--repetitions", "1"];
    thread::scope(|scope| {
        for (window, shards) in [("1", "4"), ("10", "4"), ("64", "3")] {
            scope.spawn(move || {
                let most: u64 = window.parse().expect("a number");
                // On a busy machine a shard may begin when the run is over.
                let is_full = (0..TRIES).any(|_| {
                    let server = Mute::start();
                    let flags =
                        ["--check", "dns", "-o", "json", "--window", window, "--shards", shards];
                    let output = output(&[&flags[..], &load, &[&server.address]].concat());
                    let result: Value = serde_json::from_slice(&output.stdout).expect("a document");
                    let run = &result["runs"][0];
                    let due = run["probes"]["due"].as_u64().expect("a number");
                    assert!(due <= most, "{run}");
                    // One more found out how long a single probe takes.
                    let received = server.received();
                    assert!((due..=due + 1).contains(&received), "{received} of {due}");
                    due == most
                });
                assert!(is_full, "{window} were never in flight");
            });
        }
    });
}

#[test]
fn flags_that_would_say_nothing_are_refused_by_name() {
    for (flags, wanted) in [
        (&["--max-lines", "5"][..], "--max-lines has a meaning only with -f"),
        (&["--config-id", "x"], "--config-id has a meaning only with -f"),
        (&["--all-config"], "--all-config has a meaning only with -f"),
        (&["--random-seed", "5"], "--random-seed has a meaning only with -f"),
        (&["--ramp", "10:1:1"], "FROM must not be above TO"),
        (&["--duration", "1ms"], "--duration must be 100ms at least"),
        (&["--servers", "1"], "only with --embedded"),
    ] {
        let output = output(&[&["--check", "dns", "127.0.0.1"][..], flags].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {errors}");
        assert!(errors.contains(wanted), "{wanted}: {errors}");
        assert!(output.stdout.is_empty(), "{flags:?}");
    }
}

#[test]
fn probes_from_one_port_have_one_shard_and_more_are_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let conf = folder.path().join("x.conf");
    let text = "virtual_server 127.0.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                real_server 127.0.0.1 9 {\n TCP_CHECK {\n connect_timeout 1\n }\n }\n \
                real_server 127.0.0.2 9 {\n TCP_CHECK {\n connect_timeout 1\n bindto 127.0.0.3\n \
                bind_port 4055\n }\n }\n}\n";
    fs::write(&conf, text).expect("room");
    let conf = conf.display().to_string();
    let server = Mute::start();
    let list = ["--check", "dns", "--bindto", "127.0.0.7", "--bind-port", "4056", &server.address];
    for (input, wanted) in [
        (&["-f", &conf, "--quiet"][..], format!("{conf}:11: bind_port 4055 gives")),
        (&list, "--bind-port 4056 gives".to_owned()),
    ] {
        let refused = output(&[input, &["--shards", "2"]].concat());
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        assert!(errors.contains(&wanted) && errors.contains("give --shards 1"), "{errors}");
    }
    assert_eq!(server.received(), 0, "nothing was measured");
    let load = ["--window", "8", "--warm-up", "0s", "--duration", "100ms", "--repetitions", "1"];
    let measured = output(&[&list[..], &load, &["--timeout", "1s", "-o", "json"]].concat());
    let result: Value = serde_json::from_slice(&measured.stdout).expect("a document");
    assert_eq!(result["load"]["shards"], 1);
}

#[test]
fn outputs_are_looked_at_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (one, empty, missing) = (path("one"), path("empty"), path("no/such/page.html"));
    fs::write(&empty, "# nobody\n\n").expect("room");
    let server = Mute::start();
    let one_again = path("./one");
    for (flags, code, wanted) in [
        (&["--html", &missing][..], 4, "cannot write to "),
        (&["--hdr", &missing], 4, "cannot write to "),
        (&["--out", &missing], 4, "cannot write to "),
        (&["--out", &one, "--html", &one_again], 2, "is the file of --out; it would be lost"),
        (&["--out", &one, "--hdr", &one], 2, "is the file of --out; it would be lost"),
        (&["--html", &one_again, "--hdr", &one], 2, "is the file of --html; it would be lost"),
    ] {
        let output = output(&[&["--check", "dns", &server.address][..], flags].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {errors}");
        assert!(errors.contains(wanted), "{wanted}: {errors}");
        assert!(!errors.contains("records"), "a bench writes none: {errors}");
    }
    let nobody = output(&["--check", "dns", "--targets", &empty]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nothing to probe in "));
    assert_eq!(server.received(), 0, "nothing was measured");
    assert!(!Path::new(&one).exists(), "what is refused makes no file");
}

/// Writes the JSON of a bench whose fleet is killed while it is measured, and ends with its exit code.
fn with_fleet_killed(
    flags: &[&str],
    mut is_time: impl FnMut() -> bool,
) -> (Option<i32>, String, String) {
    let mut command = bench(&[&["--embedded", "--check", "dns", "-o", "json"][..], flags].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bench = Bench(command.spawn().expect("the program starts"));
    let fleet = wait_for("the fleet", || bench.fleet().filter(Fleet::is_serving));
    wait_for("the time", || is_time().then_some(()));
    kill(Pid::from_raw(fleet.pid), Signal::SIGKILL).expect("it is there");
    // What is more than a pipe holds is taken off while it works.
    let mut pipe = bench.0.stdout.take().expect("piped");
    let result = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("text");
        text
    });
    let code = bench.code();
    let mut errors = String::new();
    let pipe = bench.0.stderr.as_mut().expect("piped");
    pipe.read_to_string(&mut errors).expect("text");
    (code, result.join().expect("it ends"), errors)
}

#[test]
fn a_fleet_that_was_killed_is_not_measured() {
    let load = ["--rate", "100", "--warm-up", "0s", "--duration", "3s", "--repetitions", "1"];
    let (code, result, errors) = with_fleet_killed(&load, || true);
    assert_eq!((code, result.as_str()), (Some(4), ""), "{errors}");
    assert!(errors.contains("the embedded fleet ended (signal 9)"), "{errors}");
}

#[test]
fn what_a_fleet_answered_before_it_was_killed_is_reported() {
    let mut looks = 0;
    let mut is_time = || {
        looks += 1;
        looks > 200
    };
    // Far more runs than there is time for before.
    let load = ["--rate", "100", "--warm-up", "0s", "--duration", "200ms", "--repetitions", "60"];
    let (code, result, errors) = with_fleet_killed(&load, &mut is_time);
    assert_eq!(code, Some(4), "{errors}");
    let result: Value = serde_json::from_str(&result).expect("a document");
    assert_eq!(result["error"], "the embedded fleet ended (signal 9)");
    let runs = result["runs"].as_array().map_or(0, Vec::len);
    assert!((1..60).contains(&runs), "{runs}");
    assert!(errors.contains("the runs before it are reported"), "{errors}");
}

#[test]
fn a_program_that_cannot_be_run_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (plain, astray) = (path("plain"), path("astray"));
    fs::write(&plain, "no program").expect("room");
    fs::write(&astray, "#!/no/such/interpreter\n").expect("room");
    fs::set_permissions(&astray, fs::Permissions::from_mode(0o755)).expect("ours");
    for (program, wanted) in [
        ("/bin/nonexistent", "bin/nonexistent` does not exist"),
        ("no-such-program-anywhere", "no program `no-such-program-anywhere` that"),
        (&plain, "plain"),
        (&astray, "astray`: `/no` does not exist"),
        ("/bin", "cannot run this program"),
    ] {
        let output = output(&["--check", "script", "--duration", "1h", "--", program]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{program}: {errors}");
        assert!(errors.contains(wanted), "{wanted}: {errors}");
    }
}

#[test]
fn a_bench_that_fails_leaves_the_files_of_the_last_one() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = [path("page"), path("log"), path("out")];
    files.iter().for_each(|file| fs::write(file, "yesterday").expect("room"));
    let [html, hdr, out] = &files;
    let load = ["--rate", "100", "--warm-up", "0s", "--duration", "3s", "--repetitions", "1"];
    let flags = ["--html", html, "--hdr", hdr, "--out", out];
    let (code, _, errors) = with_fleet_killed(&[&load[..], &flags].concat(), || true);
    assert_eq!(code, Some(4), "{errors}");
    for file in &files {
        assert_eq!(fs::read_to_string(file).expect("there"), "yesterday", "{file}");
    }
}

#[test]
fn what_is_stopped_before_anything_was_measured_leaves_the_files_as_they_were() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files = [path("page"), path("log"), path("out")];
    files.iter().for_each(|file| fs::write(file, "yesterday").expect("room"));
    let server = Mute::start();
    let load = "bench --check dns --timeout 1s --duration 60s --repetitions 1 --window 1 -q";
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringprobe"));
    command.args(load.split_whitespace()).arg(&server.address);
    for (flag, file) in ["--html", "--hdr", "--out"].into_iter().zip(&files) {
        command.args([flag, file]);
    }
    let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    // One at a time takes three tries of a second; it may be stopped at any moment.
    std::thread::park_timeout(Duration::from_millis(700));
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGINT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("NOTHING MEASURED"), "{errors}");
    for file in &files {
        assert_eq!(fs::read_to_string(file).expect("there"), "yesterday", "{file}");
    }
}

#[test]
fn an_output_that_cannot_be_written_keeps_no_other_from_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = Mute::start();
    let load = "--check dns --timeout 50ms --warm-up 0s --duration 100ms --repetitions 1 --window 1 -o json";
    let load: Vec<&str> = load.split_whitespace().collect();
    let (page, log) = (path("page"), path("log"));
    for full in ["--html", "--hdr", "--out"] {
        let [html, hdr] = [("--html", &page), ("--hdr", &log)]
            .map(|(flag, path)| if flag == full { "/dev/full" } else { path.as_str() });
        let mut flags = vec!["--html", html, "--hdr", hdr];
        if full == "--out" {
            flags.extend(["--out", "/dev/full"]);
        }
        for path in [&page, &log] {
            let _ = fs::remove_file(path);
        }
        let output = output(&[&load[..], &flags, &[&server.address]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{full}: {errors}");
        assert!(errors.contains("cannot write to /dev/full: No space left"), "{full}: {errors}");
        if full != "--out" {
            serde_json::from_slice::<Value>(&output.stdout).expect("a document");
        }
        for (flag, path, begin) in [("--html", &page, "<!DOCTYPE html>"), ("--hdr", &log, "#[Hist")]
        {
            let text = fs::read_to_string(path).unwrap_or_default();
            assert!(flag == full || text.starts_with(begin), "{path} with {full}");
        }
    }
}

/// What is refused is measured; nobody takes it for what the servers can do.
#[test]
fn where_nothing_passed_the_verdict_says_so() {
    let closed = {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.local_addr().expect("bound").to_string()
    };
    let load = ["--check", "dns", "--warm-up", "0s", "--duration", "300ms"];
    for (flags, wanted) in [
        (&["--repetitions", "1", "--window", "4"][..], "NOTHING PASSED: "),
        (&["--ramp", "500:1000:500"], "NOTHING PASSED: no knee: nothing passed"),
    ] {
        let output = output(&[&load[..], flags, &[&closed]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        // Where the machine stands still, of some nothing is known.
        if output.status.code() == Some(3) {
            assert!(text.starts_with("DOUBTFUL: "), "{text}");
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.starts_with(wanted), "{text}");
    }
}

/// In a network of its own that has no way out every verdict is one of ours.
#[test]
fn probes_for_which_there_is_no_route_are_no_measurement() {
    let load = "--warm-up 0s --duration 300ms --repetitions 1 --window 4";
    for check in ["--check dns --type A --name x.test 192.0.2.1", "--check tcp 192.0.2.1:80"] {
        let ringprobe = env!("CARGO_BIN_EXE_ringprobe");
        let line = format!("ip link set lo up && exec {ringprobe} bench {check} {load}");
        let mut command = Command::new("unshare");
        let output = command.args(["-rn", "sh", "-c", &line]).env("NO_COLOR", "1").output();
        let output = output.expect("util-linux is there");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}{errors}");
        assert!(text.starts_with("DOUBTFUL: "), "{text}");
        assert!(text.contains("(most often net_unreachable)"), "{text}");
        assert!(text.contains("\n kernel          disagrees: 0 "), "{text}");
    }
}

#[test]
fn a_rate_and_a_ramp_are_for_scripts_too() {
    let load = ["--check", "script", "--warm-up", "0s", "--duration", "200ms", "-o", "json"];
    for (flags, runs) in [
        (&["--rate", "50", "--repetitions", "1"][..], 1),
        (&["--ramp", "20:40:20"], 2),
        (&["--ramp", "10:10:1"], 1),
    ] {
        let output = output(&[&load[..], flags, &["--", "/bin/true"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        // 3 says that of some nothing is known, as where the machine stands still.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{flags:?}: {errors}");
        let result: Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(result["runs"].as_array().map(Vec::len), Some(runs), "{flags:?}");
        assert!(result["runs"][0]["probes"]["due"].as_u64().is_some_and(|due| due > 0), "{result}");
    }
}
