//! Ten sweeps in one process over the real ring leave nothing behind. Alone in its program, so that
//! no other test opens or closes anything meanwhile.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ringprobe::fleet::{LoadOptions, load_text};
use ringprobe::respond;
use ringprobe::sink::Tee;
use ringprobe::sweep::{Input, SweepRequest, run};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).expect("procfs").count()
}

#[test]
fn ten_sweeps_leave_no_thread_descriptor_or_probe() {
    let options = respond::Options {
        servers: 2_000,
        port: 5870,
        faults: "refuse=1%,silent=1%,servfail=1%".parse().expect("faults"),
        connect_timeout: Duration::from_millis(200),
        script_share: respond::Share::default(),
        ..respond::Options::default()
    };
    let running = respond::start(&options).expect("it serves");
    let mut conf = Vec::new();
    running.fleet().write_conf(&mut conf).expect("to memory");
    let loaded = load_text("fleet.conf", conf, &LoadOptions::default()).expect("a good one");
    let fleet = Arc::new(loaded.fleet);

    let sweep = || {
        let input = Input::Fleet { fleet: Arc::clone(&fleet), path: "fleet.conf".into() };
        let mut request = SweepRequest::new(input);
        request.shards = 2;
        request.retries = Some(0);
        let summary = run(request, Arc::default(), &mut (), &mut Tee::default()).expect("it runs");
        assert_eq!((summary.counts.probed, summary.unfinished), (2_000, 0));
        assert_eq!(Some(summary.counts.probed), summary.total);
        summary.counts
    };
    let first = sweep();
    let (threads, descriptors) = (count("task"), count("fd"));
    for _ in 0..10 {
        let again = sweep();
        assert_eq!((again.passed, again.failed), (first.passed, first.failed));
    }
    assert_eq!(count("task"), threads, "threads leak");
    assert_eq!(count("fd"), descriptors, "descriptors leak");
    drop(running);
}
