"""The campaign: every program in turn, round after round, each run a line of JSON.

The rounds are what makes figures comparable: a slow minute of the machine hits all of a round, and
ratios are taken within it.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time

import growth
import keepalived
import measure
import own
import peers
from loopback import GROWN_PORT, Responder, write_targets

FLOORS = ["dns_ring", "dns_mmsg", "tokio_uring", "tcp_ring", "tcp_syscalls", "tokio_uring_tcp"]
BENCHES = [*FLOORS, "posix_spawn", "scripts", "load"]

# name, what else selects it (a peer brings along what it is held against), the run; neighbours in time are
# what is compared.
RUNS = [
    ("floor dns_ring", "floors dns peers", own.floor("dns_ring", "dns")),
    ("ringprobe dns", "ringprobe dns dnsperf peers", own.sweep("dns")),
    ("dnsperf", "peers", peers.dnsperf),
    ("floor dns_mmsg", "floors dns", own.floor("dns_mmsg", "dns")),
    ("ringprobe dns+ndjson", "ringprobe dns", own.sweep("dns", "ndjson")),
    ("floor tokio_uring", "floors dns", own.floor("tokio_uring", "dns")),
    ("floor tcp_ring", "floors tcp peers", own.floor("tcp_ring", "tcp")),
    ("ringprobe tcp", "ringprobe tcp", own.sweep("tcp")),
    ("floor tcp_syscalls", "floors tcp", own.floor("tcp_syscalls", "tcp")),
    ("ringprobe tcp+ndjson", "ringprobe tcp", own.sweep("tcp", "ndjson")),
    ("floor tokio_uring_tcp", "floors tcp", own.floor("tokio_uring_tcp", "tcp_whole")),
    ("ringprobe tcp+orderly", "ringprobe tcp nmap peers", own.sweep("tcp_whole", handshake="orderly")),
    ("nmap", "peers", peers.nmap),
    ("haproxy", "peers", peers.haproxy),
    ("ringprobe as haproxy", "ringprobe haproxy peers", own.haproxys_servers),
    ("ringprobe at haproxy's rate", "ringprobe haproxy peers", own.haproxys_rate),
    ("fping", "peers", peers.fping),
    ("ringprobe one shard", "ringprobe shards", own.shards(1)),
    ("ringprobe two shards", "ringprobe shards", own.shards(2)),
    ("floor posix_spawn 1 MiB", "floors scripts", own.scripts("posix_spawn", 1)),
    ("ringprobe scripts 1 MiB", "ringprobe scripts", own.scripts("scripts", 1)),
    ("floor posix_spawn 1024 MiB", "floors scripts", own.scripts("posix_spawn", 1024)),
    ("ringprobe scripts 1024 MiB", "ringprobe scripts", own.scripts("scripts", 1024)),
    *((name, "growth", run) for name, run in growth.runs()),
    (growth.LOAD, "growth", growth.loading),
]
# Several runs each, so not a line of the table above.
KEPT_APART = ["keepalived", "keepalived-guest"]
NAMES = sorted({word for name, words, _ in RUNS for word in [name, *words.split()]} | set(KEPT_APART))

SIZES = {
    "dns": 1_000_000,
    "tcp": 200_000,
    "tcp_whole": 100_000,  # each leaves a socket in TIME_WAIT
    "tcp_haproxy": 100_000,
    "haproxy": 10_000,
    "nmap": 20_000,
    "fping": 60_000,
    "shards": 600_000,
    "scripts": 4_000,
    "growth": 1_000_000,
    "keepalived": 5_000,
    "keepalived_sweep": 20_000,
}
QUICK_SIZES = {
    "dns": 20_000,
    "tcp": 5_000,
    "tcp_whole": 5_000,
    "tcp_haproxy": 2_000,
    "haproxy": 500,
    "nmap": 1_000,
    "fping": 2_000,
    "shards": 20_000,
    "scripts": 100,
    "growth": 20_000,
    "keepalived": 200,
    "keepalived_sweep": 2_000,
}
LEAST_ROUNDS = 5


class Setup:
    """What every run is given."""

    addresses = 60_000
    # On the loopback a connect is answered at once, and each socket more that is in flight is one more that
    # the caches have lost by the time it is used again.
    window = {"dns": 1024, "tcp": 128, "tcp_whole": 128, "tcp_haproxy": 128}

    def __init__(self, built, folder, quick):
        self.prober, self.benches, self.folder = built["prober"], built["benches"], folder
        self.size = QUICK_SIZES if quick else SIZES
        self.warm_up, self.seconds = (2, 2) if quick else (5, 10)
        self.growth_warm_up = 1
        self.growth_seconds = 1 if quick else 3
        # Long enough for each of a million targets to have its turn.
        self.growth_seconds_most = {"dns": 1, "tcp": 1} if quick else {"dns": 7, "tcp": 18}

    def targets(self, checks, addresses):
        path = os.path.join(self.folder, f"targets-{checks}-{addresses}")
        if not os.path.exists(path):
            write_targets(path, checks, addresses)
        return path


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/perf",
        description="Measures floors, ringprobe and peers in turn, and keeps every run as a line of JSON. "
        "scripts/perf-table makes the tables of PERFORMANCE.md of it.",
        epilog="Exit status: 0 measured, 1 a run failed or lost probes, 2 usage or something is missing. "
        "Names: " + " | ".join(NAMES) + ".",
    )
    parser.add_argument("--rounds", type=int, help=f"how often each runs, at least {LEAST_ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="one small round of a debug build: does it work?")
    parser.add_argument("--only", metavar="NAME,...", help="these runs or groups of runs")
    parser.add_argument("--loaded", action="store_true", help="with the other core kept busy")
    parser.add_argument("--raw", metavar="FILE", help="where runs are kept [target/perf/DATE.jsonl]")
    parser.add_argument("--prober", metavar="FILE", help="measure another build of ringprobe")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    least = 1 if args.quick else LEAST_ROUNDS
    if args.rounds is None:
        args.rounds = least
    if args.rounds < least:
        parser.error(f"fewer than {LEAST_ROUNDS} rounds say nothing; --quick only tries whether all works")
    chosen = args.only.split(",") if args.only else NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f"no run is called {name!r}; there are {' | '.join(NAMES)}")
    runs = [(name, run) for name, words, run in RUNS if {name, *words.split()} & set(chosen)]
    apart = [name for name in KEPT_APART if {name, "peers", "keepalived"} & set(chosen)]
    return args, runs, apart


def give_up(why):
    print(f"perf: {why}", file=sys.stderr)
    sys.exit(2)


def build(args, runs, apart):
    """Outside the namespace, for inside there is no registry to build from."""
    needs = {"iproute2", "util-linux", "time"}
    for name in [*apart, *(name for name, _ in runs)]:
        needs |= set(peers.PACKAGES.get(name, []))
    if subprocess.run(["scripts/install-needs", *sorted(needs)]).returncode != 0:
        give_up("what it needs could not be installed")
    # A quick round takes what `cargo test` has built anyway.
    how = ["cargo", "test", "--features", "sim"] if args.quick else ["cargo", "bench"]
    how += ["--locked", "--no-run", "--message-format=json"]
    for name in BENCHES:
        how += ["--bench", name]
    benches = {}
    built = subprocess.run(how, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        give_up("the floors do not build")
    for line in built.stdout.splitlines():
        unit = json.loads(line)
        if unit.get("executable") and "bench" in unit["target"]["kind"]:
            benches[unit["target"]["name"]] = unit["executable"]
    prober = args.prober
    if not prober:
        profile = ["--features", "sim"] if args.quick else ["--release"]
        if subprocess.run(["cargo", "build", "--locked", "--quiet", "--bins", *profile]).returncode != 0:
            give_up("ringprobe does not build")
        target = os.environ.get("CARGO_TARGET_DIR", "target")
        prober = os.path.join(target, "debug" if args.quick else "release", "ringprobe")
    return {"prober": os.path.abspath(prober), "benches": benches}


def enter_namespace(args, built):
    """Runs this again in a network of its own, where the counters are of this traffic alone."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        give_up("no network namespace of its own to be had; run it as root")
    inside = ["--inside", json.dumps(built), "--rounds", str(args.rounds), "--raw", args.raw]
    inside += ["--quick"] * args.quick + ["--loaded"] * args.loaded
    if args.only:
        inside += ["--only", args.only]
    os.execvp("unshare", [*command, sys.executable, "-B", os.path.dirname(os.path.abspath(__file__)), *inside])


def machine(prober):
    def git(*words):
        done = subprocess.run(["git", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip()

    # What a campaign itself writes changes nothing that it measures.
    changed = git("status", "--porcelain", "--", ".", ":!benches/results", ":!PERFORMANCE.md")
    with open(prober, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "commit": git("rev-parse", "--short=12", "HEAD") + ("+" if changed else ""),
        "kernel": platform.release(),
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "prober": digest,
    }


class Load:
    """Something else that the other core is busy with; it ends by itself, too."""

    def __init__(self, wanted):
        self.command = ["timeout", "1800", "yes"] if wanted else None

    def __enter__(self):
        self.child = self.command and subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, preexec_fn=measure.pinned(measure.OTHER_CORE)
        )

    def __exit__(self, *_):
        if self.child:
            self.child.terminate()
            self.child.wait()


class Journal:
    """Writes runs down as they come, with what they ran on."""

    def __init__(self, raw, every):
        self.raw, self.every, self.bad = raw, every, 0

    def add(self, name, round_number, run):
        line = {"run": name, "round": round_number, **self.every, "load1": os.getloadavg()[0], **run}
        if run.get("command"):
            # As it reads on any machine.
            line["command"] = run["command"].replace(os.getcwd() + os.sep, "")
        line["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        measure.write(self.raw, line)
        if run.get("skipped"):
            said = "skipped: " + run["skipped"]
        elif run.get("fault"):
            said = "FAULT: " + run["fault"]
            self.bad += 1
        else:
            said = f"{run['cpu_us_per_check']:.2f} us CPU a check, {run['wall_s']:.1f} s"
        print(f"perf: {name}: {said}", file=sys.stderr)


def attempt(journal, round_number, name, run):
    # A quick round asks whether all works, and a machine that stood still for a moment does not say no.
    for _ in range(3 if journal.every["quick"] else 1):
        try:
            found = run()
        except (RuntimeError, OSError, ValueError, LookupError, TypeError) as why:
            found = {"fault": f"{type(why).__name__}: {why}"}
        if isinstance(found, list) or not found.get("fault"):
            break
    for inner, result in found if isinstance(found, list) else [(name, found)]:
        journal.add(inner, round_number, result)


def keepalived_runs(journal, round_number, setup, apart, is_here):
    servers, checks = setup.size["keepalived"], setup.size["keepalived_sweep"]
    how = (setup.prober, ["tcp", "dns"], servers, setup.warm_up, setup.seconds, checks)

    def guest():
        return [(f"{name}, in the guest", run) for name, run in keepalived.in_guest(*how, limit=240)]

    def here():
        return [(f"{name}, here", run) for name, run in keepalived.runs(*how, measure.PROBER_CORE)]

    if "keepalived-guest" in apart:
        attempt(journal, round_number, "keepalived, in the guest", guest)
    if "keepalived" in apart and is_here:
        attempt(journal, round_number, "keepalived, here", here)
    elif "keepalived" in apart and round_number == 1:
        why = "this kernel has no IPVS (no /proc/net/ip_vs), and without it keepalived checks nothing"
        journal.add("keepalived, here", round_number, {"skipped": why})


def main():
    args, runs, apart = arguments()
    if os.cpu_count() < 2:
        give_up("needs a core for the prober and one for the responder")
    # So that `with` blocks end what they began.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not args.inside:
        suffix = "-loaded" * args.loaded + "-quick" * args.quick
        date = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
        args.raw = os.path.abspath(args.raw or f"target/perf/{date}{suffix}.jsonl")
        enter_namespace(args, build(args, runs, apart))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.makedirs(os.path.dirname(args.raw), exist_ok=True)
    open(args.raw, "w").close()
    built = json.loads(args.inside)
    every = {**machine(built["prober"]), "rounds": args.rounds, "loaded": args.loaded, "quick": args.quick}
    journal = Journal(args.raw, every)
    with tempfile.TemporaryDirectory(prefix="ringprobe-perf-") as folder:
        os.environ["TMPDIR"] = folder
        setup = Setup(built, folder, args.quick)
        is_here = keepalived.has_ipvs()
        with contextlib.ExitStack() as responders:
            responders.enter_context(Responder(setup.prober, setup.addresses))
            if any(name.startswith("growth") for name, _ in runs):
                responders.enter_context(Responder(setup.prober, max(growth.COUNTS), GROWN_PORT))
            for round_number in range(1, args.rounds + 1):
                print(f"perf: round {round_number} of {args.rounds}", file=sys.stderr)
                with Load(args.loaded):
                    # There and back, so that none always runs when another has warmed the machine up.
                    for name, run in runs if round_number % 2 else reversed(runs):
                        attempt(journal, round_number, name, lambda: run(setup))
                    keepalived_runs(journal, round_number, setup, apart, is_here)
    print(args.raw)
    return 1 if journal.bad else 0


if __name__ == "__main__":
    sys.exit(main())
