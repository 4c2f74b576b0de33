"""From the runs that a campaign kept to the tables of PERFORMANCE.md.

A table stands between `<!-- perf:begin NAME -->` and `<!-- perf:end NAME -->`; what is around it is
written by hand. Runs with a fault count for nothing and are named below their table.
"""

import argparse
import difflib
import json
import os
import re
import statistics
import sys
from typing import Callable, NamedTuple, Optional

import growth

LEAST_ROUNDS = 5
DOCUMENT = os.path.normpath(os.path.join(os.path.abspath(__file__), "../../../PERFORMANCE.md"))

DNS_RUNS = ["floor dns_ring", "ringprobe dns", "ringprobe dns+ndjson", "floor dns_mmsg", "floor tokio_uring"]
TCP_RUNS = [
    "floor tcp_ring",
    "floor tcp_syscalls",
    "ringprobe tcp",
    "ringprobe tcp+ndjson",
    "floor tokio_uring_tcp",
    "ringprobe tcp+orderly",
]
SHARD_RUNS = ["ringprobe one shard", "ringprobe two shards"]
SCRIPT_RUNS = [(f"{name} {mib} MiB", mib) for mib in (1, 1024) for name in ("floor posix_spawn", "ringprobe scripts")]
GROWTH_RUNS = [name for name, _ in growth.runs()]
HAPROXYS = "ringprobe as haproxy"
HAPROXYS_RATE = "ringprobe at haproxy's rate"

# peer, ringprobe doing the same, the floor of that
PEERS = [
    ("dnsperf", "ringprobe dns", "floor dns_ring"),
    ("nmap", "ringprobe tcp+orderly", "floor tokio_uring_tcp"),
    ("haproxy", HAPROXYS, "floor tcp_ring"),
    (HAPROXYS_RATE, HAPROXYS, "floor tcp_ring"),
    ("keepalived tcp, here", "ringprobe tcp, here", "floor tcp_ring"),
    ("keepalived dns, here", "ringprobe dns, here", "floor dns_ring"),
    ("keepalived tcp, in the guest", "ringprobe tcp, in the guest", None),
    ("keepalived dns, in the guest", "ringprobe dns, in the guest", None),
    ("fping", None, None),
]

COST = "cpu_us_per_check"
COLLECTED = "collected_us_p50"
RATE = "checks_per_s"
# Of 64 cores feeder and aggregator have one each.
MODEL_SHARDS = 62
MODEL_GBIT = 100
# Packets a second of a usual card for that, and how long an answer takes.
MODEL_MILLION_PACKETS = 100
MODEL_ANSWER_MS = [1, 10]
# What is grown, its words, and of the busier direction the bytes, with preamble, frame, checksum and gap, and
# the packets: an answer of 50 bytes over UDP; SYN and RST.
MODEL_WIRE = {
    "list dns": ("DNS from a list", 50 + 8 + 20 + 38, 1),
    "keepalived.conf dns": ("DNS from keepalived.conf", 50 + 8 + 20 + 38, 1),
    "keepalived.conf tcp": ("TCP half from keepalived.conf", 60 + 38 + 64 + 20, 2),
}
# A probe may cost so many times as much with a million targets as with a thousand.
FLAT = 1.15

MIB = 1 << 20


class Runs:
    """The good runs of one campaign by name and round, and what is to be said of the others."""

    def __init__(self, lines):
        self.lines, self.good = lines, {}
        for line in lines:
            if line.get("fault") or line.get("skipped"):
                continue
            line.setdefault(RATE, line["checks"] / max(line["wall_s"], 0.001))
            self.good.setdefault(line["run"], {})[line["round"]] = line

    def files(self):
        """The lines of each file that counts, in the order of the files."""
        by_file = {}
        for line in self.lines:
            by_file.setdefault(line.get("file"), []).append(line)
        return [by_file[file] for file in sorted(by_file, key=lambda file: file or 0)]

    def has(self, name):
        return any(line["run"] == name for line in self.lines)

    def values(self, name, key):
        return [run[key] for run in self.good.get(name, {}).values()]

    def median(self, name, key):
        return statistics.median(self.values(name, key))

    def ratios(self, name, base, key=COST):
        """Round by round: neighbours in time, so that a slow minute of the machine is in both."""
        ours, theirs = self.good.get(name, {}), self.good.get(base, {})
        turns = [turn for turn in ours if turn in theirs and ours[turn].get("file") == theirs[turn].get("file")]
        return [ours[turn][key] / theirs[turn][key] for turn in turns if theirs[turn][key]]

    def ratio(self, name, base, key=COST):
        ratios = self.ratios(name, base, key) if base else []
        return f"{statistics.median(ratios):.2f}" if ratios else "–"

    def remarks(self, names):
        """Below a table: which of its runs do not count, and which were not made."""
        said = []
        for line in self.lines:
            # A guest or a host that failed as a whole has the name of no single run.
            checker, _, where = line["run"].partition(", ")
            is_ours = line["run"] in names or any(
                name.startswith(checker + " ") and name.endswith(", " + where) for name in names
            )
            if is_ours and line.get("fault"):
                said.append(f"- **{line['run']}, round {line['round']}, does not count: {line['fault']}**")
            elif is_ours and line.get("skipped"):
                said.append(f"- {line['run']}: not run; {line['skipped']}")
        return ["", *said] if said else []


def spread(values, digits=2):
    return f"{min(values):,.{digits}f}–{max(values):,.{digits}f}"


def machine(runs, loaded):
    said = []
    for of, where in ((runs, "Quiet"), (loaded, "Loaded")):
        for number, lines in enumerate(of.files() if of else []):
            first = lines[0]
            busy = statistics.median(line["load1"] for line in lines)
            names = ", ".join(dict.fromkeys(line["run"] for line in lines))
            what = f"{where}, measured anew ({names})" if number else where
            said.append(
                f"{what}: {first['cpu']}, {first['cores']} cores, Linux {first['kernel']}, {first['rounds']} rounds "
                f"from {first['at']} to {lines[-1]['at']}, commit {first['commit']}; load average {busy:.1f}."
                # Prober and responder make it two.
                + (" **Something else was running.**" if of is runs and busy > 2.5 else "")
            )
    return "\n\n".join(said).split("\n")


def floors(runs, _loaded):
    rows = [
        "| run | checks | µs CPU per check | spread | user | ratio to the ring floor | checks/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for names in (DNS_RUNS, TCP_RUNS):
        for name in names:
            if name not in runs.good:
                continue
            costs = runs.values(name, COST)
            user = statistics.median(run["user_us"] / run["checks"] for run in runs.good[name].values())
            rows.append(
                f"| {name} | {runs.median(name, 'checks'):,.0f} | {statistics.median(costs):.2f} | {spread(costs)} "
                f"| {user:.2f} | {runs.ratio(name, names[0])} | {runs.median(name, RATE):,.0f} |"
            )
    return rows + runs.remarks(DNS_RUNS + TCP_RUNS)


class Bar(NamedTuple):
    """A row of DESIGN section 6: what is measured of some runs, and the least or most that it may be."""

    words: str
    # What `scripts/perf --only` makes it of.
    only: str
    runs: list
    # Runs -> a figure a round.
    figures: Callable
    # "<=" or ">="
    how: str
    limit: float
    # The same on a loaded machine, where that asks for another figure.
    figures_loaded: Optional[Callable] = None
    digits: int = 3

    def judged(self, runs, is_loaded=False):
        """The median of the rounds, its spread, and whether the bar is met."""
        figures = (is_loaded and self.figures_loaded or self.figures)(runs)
        if not figures:
            return "not measured | –"
        found = statistics.median(figures)
        if len(figures) < LEAST_ROUNDS:
            verdict = f"too few rounds: {len(figures)}"
        else:
            verdict = "met" if (found <= self.limit if self.how == "<=" else found >= self.limit) else "**missed**"
        return f"{found:,.{self.digits}f} ({spread(figures, max(self.digits - 1, 0))}) | {verdict}"


def against(run, *bases, key=COST):
    """Ratios to a base; of several that do the same work, to the one that makes them greater."""

    def figures(runs):
        found = [runs.ratios(run, base, key) for base in bases]
        return max(found, key=statistics.median) if all(found) else []

    return figures


def per_core_time(runs):
    """How many times the checks that one shard makes in a second two shards would make if each had its core
    for itself: by the processor time that they were given, for half of one core is the load's."""
    return [2 / ratio for ratio in runs.ratios(SHARD_RUNS[1], SHARD_RUNS[0])]


def peak(form):
    """MiB of the whole process, its program included."""
    name = growth.sweep_name(form, growth.SWEPT_COUNTS[-1])
    return lambda runs: [bytes_ / MIB for bytes_ in runs.values(name, "memory_bytes")]


def each_more(form):
    """Bytes that each real server adds."""
    few, many = growth.SWEPT_COUNTS

    def figures(runs):
        small, large = (runs.good.get(growth.sweep_name(form, count), {}) for count in (few, many))
        return [
            (large[turn]["memory_bytes"] - small[turn]["memory_bytes"]) / (many - few) for turn in large if turn in small
        ]

    return figures


RING, RECYCLED = "floor dns_ring", ["floor tcp_ring", "floor tcp_syscalls"]
LIST, CONF = ([growth.sweep_name(form, count) for count in growth.SWEPT_COUNTS] for form in growth.SWEEPS)

BARS = [
    Bar("DNS sweep ≤ 1.15 × bare ring loop", "dns", ["ringprobe dns", RING], against("ringprobe dns", RING), "<=", 1.15),
    Bar(
        "the same with NDJSON to a file ≤ 1.6 ×",
        "dns",
        ["ringprobe dns+ndjson", RING],
        against("ringprobe dns+ndjson", RING),
        "<=",
        1.6,
    ),
    Bar(
        "TCP half handshake ≤ 1.15 × recycled-connect loop, the cheaper of two",
        "tcp",
        ["ringprobe tcp", *RECYCLED],
        against("ringprobe tcp", *RECYCLED),
        "<=",
        1.15,
    ),
    Bar("TCP half handshake ≤ 0.6 × HAProxy", "haproxy", [HAPROXYS, "haproxy"], against(HAPROXYS, "haproxy"), "<=", 0.6),
    Bar(
        "two shards ≥ 1.8 × throughput of one (loaded: by core time)",
        "shards",
        SHARD_RUNS,
        lambda runs: runs.ratios(SHARD_RUNS[1], SHARD_RUNS[0], RATE),
        ">=",
        1.8,
        per_core_time,
    ),
    *(
        Bar(
            f"script collected after ≤ 1.3 × posix_spawn, {size}",
            "scripts",
            [f"ringprobe scripts {mib} MiB", f"floor posix_spawn {mib} MiB"],
            against(f"ringprobe scripts {mib} MiB", f"floor posix_spawn {mib} MiB", key=COLLECTED),
            "<=",
            1.3,
        )
        for size, mib in (("1 MiB", 1), ("1 GiB", 1024))
    ),
    Bar("1,000,000 targets of a list: peak ≤ 64 MiB, all of it", "growth", LIST, peak("list"), "<=", 64, digits=1),
    Bar(
        "keepalived.conf: ≤ 400 B per real server, of 1,000,000",
        "growth",
        CONF,
        each_more("keepalived.conf"),
        "<=",
        400,
        digits=0,
    ),
    Bar(
        "parse and lower 100,000 real servers ≤ 0.5 s",
        "growth",
        [growth.LOAD],
        lambda runs: runs.values(growth.LOAD, "load_s"),
        "<=",
        0.5,
    ),
]


def bars(runs, loaded):
    rows = ["| bar | quiet | | loaded | | of `scripts/perf --only` |", "|---|---|---|---|---|---|"]
    for bar in BARS:
        busy = bar.judged(loaded, is_loaded=True) if loaded else "not measured | –"
        rows.append(f"| {bar.words} | {bar.judged(runs)} | {busy} | `{bar.only}` |")
    return rows


def peers(runs, _loaded):
    rows = [
        "| prober | checks a run | µs CPU per check | spread | × ringprobe | × floor | checks/s | unanswered |",
        "|---|---|---|---|---|---|---|---|",
    ]
    seen, names = set(), []
    for peer, ours, floor in PEERS:
        names.append(peer)
        for name in (ours, peer):
            if name is None or name in seen or name not in runs.good or peer not in runs.good:
                continue
            seen.add(name)
            costs = runs.values(name, COST)
            lost = [run.get("lost") for run in runs.good[name].values()]
            unanswered = f"{statistics.median(lost):,.0f}" if None not in lost else "–"
            rows.append(
                f"| {name} | {runs.median(name, 'checks'):,.0f} | {statistics.median(costs):.2f} | {spread(costs)} "
                f"| {runs.ratio(name, ours)} | {runs.ratio(name, floor)} | {runs.median(name, RATE):,.0f} | {unanswered} |"
            )
    return rows + runs.remarks(names)


def shards(runs, _loaded):
    rows = ["| run | checks/s | spread | ratio to one |", "|---|---|---|---|"]
    for name in SHARD_RUNS:
        if name in runs.good:
            rates = runs.values(name, RATE)
            ratio = runs.ratio(name, SHARD_RUNS[0], RATE)
            rows.append(f"| {name} | {statistics.median(rates):,.0f} | {spread(rates, 0)} | {ratio} |")
    return rows + runs.remarks(SHARD_RUNS)


def scripts(runs, _loaded):
    rows = ["| run | µs to collected (p50) | spread | µs CPU | spread | ratio | CPU ratio |", "|---|---|---|---|---|---|---|"]
    for name, mib in SCRIPT_RUNS:
        if name in runs.good:
            base = f"floor posix_spawn {mib} MiB"
            times, costs = runs.values(name, COLLECTED), runs.values(name, COST)
            rows.append(
                f"| {name} | {statistics.median(times):.0f} | {spread(times, 0)} | {statistics.median(costs):.0f} "
                f"| {spread(costs, 0)} | {runs.ratio(name, base, COLLECTED)} | {runs.ratio(name, base)} |"
            )
    return rows + runs.remarks([name for name, _ in SCRIPT_RUNS])


def grown(runs, _loaded):
    rows = [
        "| targets | number | µs CPU per check | spread | ratio to the fewest | of it shards | feeder | aggregator "
        "| memory | checks/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in growth.KINDS:
        fewest = growth.name_of(kind, growth.COUNTS[0])
        for count in growth.COUNTS:
            name = growth.name_of(kind, count)
            if name not in runs.good:
                continue
            ratios = runs.ratios(name, fewest)
            ratio = statistics.median(ratios) if ratios else None
            verdict = "–" if ratio is None else f"{ratio:.2f}" if ratio <= FLAT else f"**{ratio:.2f}**"
            costs = runs.values(name, COST)
            roles = [
                statistics.median(run["cpu_by_role"][role] for run in runs.good[name].values())
                for role in ("shards", "feeder", "aggregator")
            ]
            rows.append(
                f"| {kind} | {count:,} | {statistics.median(costs):.2f} | {spread(costs)} | {verdict} "
                f"| {' | '.join(f'{role:.3f}' for role in roles)} "
                f"| {runs.median(name, 'memory_bytes') / (1 << 20):,.0f} MiB | {runs.median(name, RATE):,.0f} |"
            )
    return rows + runs.remarks(GROWTH_RUNS)


def model(runs, _loaded):
    """What follows for a larger machine, if all goes on as measured here; see the text around it."""
    two = runs.ratios(SHARD_RUNS[1], SHARD_RUNS[0], RATE)
    if not two:
        return ["Two shards against one did not count, so nothing follows.", *runs.remarks(SHARD_RUNS)]
    kept = statistics.median(two) / 2
    rows = [
        f"| million checks/s | {MODEL_SHARDS} shards, each keeping {kept:.2f} | feeder | aggregator | bytes | packets "
        + "".join(f"| window, answers after {ms} ms " for ms in MODEL_ANSWER_MS)
        + "| so |",
        "|---|---|---|---|---|---|" + "---|" * len(MODEL_ANSWER_MS) + "---|",
    ]
    for kind, (check, wire_bytes, wire_packets) in MODEL_WIRE.items():
        run = growth.name_of(kind, max(growth.COUNTS))
        if run not in runs.good:
            continue
        cost = {
            role: statistics.median(run["cpu_by_role"][role] for run in runs.good[run].values())
            for role in ("shards", "feeder", "aggregator")
        }
        bounds = {
            "shards": MODEL_SHARDS * kept / cost["shards"],
            "feeder": 1 / cost["feeder"],
            "aggregator": 1 / cost["aggregator"],
            "bytes": MODEL_GBIT * 1000 / 8 / wire_bytes,
            "packets": MODEL_MILLION_PACKETS / wire_packets,
        }
        _, _, window = growth.KINDS[kind]
        in_flight = MODEL_SHARDS * window
        bounds |= {f"window at {ms} ms": in_flight / ms / 1000 for ms in MODEL_ANSWER_MS}
        limit = min(bounds, key=bounds.get)
        cells = " | ".join(f"{bound:.1f}" for bound in bounds.values())
        rows.append(f"| {check} | {cells} | **{bounds[limit]:.1f}**, by {limit} |")
    return rows + runs.remarks([growth.name_of(kind, max(growth.COUNTS)) for kind in MODEL_WIRE])


# Block, its table, and the runs without any of which it cannot be made.
BLOCKS = {
    "bars": (bars, [run for bar in BARS for run in bar.runs]),
    "floors": (floors, DNS_RUNS + TCP_RUNS),
    "peers": (peers, [peer for peer, _, _ in PEERS if not peer.endswith(", here")]),
    "shards": (shards, SHARD_RUNS),
    "scripts": (scripts, [name for name, _ in SCRIPT_RUNS]),
    "growth": (grown, GROWTH_RUNS),
    "model": (model, GROWTH_RUNS + SHARD_RUNS),
}

# It speaks for all tables, so that it changes only with all of them.
BLOCKS["machine"] = (machine, [name for _, needed in BLOCKS.values() for name in needed])

MARK = re.compile(r"^<!-- perf:(begin|end) (\S+) -->$")


class Problem(Exception):
    """Said to the user as it is."""


def of_one_campaign(lines, where):
    """Refuses runs of two builds or two machines, and the same run twice: their medians would be of nothing."""
    first, seen = {}, set()
    for line in lines:
        key = (line["run"], line["round"])
        if key in seen:
            raise Problem(f"{where}: round {line['round']} of {line['run']} is there twice")
        seen.add(key)
        for what in ("commit", "prober", "cpu", "kernel"):
            # A guest has a kernel of its own.
            if what == "kernel" and line["run"].endswith(", in the guest"):
                continue
            if first.setdefault(what, line.get(what)) != line.get(what):
                raise Problem(f"{where}: runs of {what} {first[what]} and of {line.get(what)}")


def latest(lines, where):
    """Of each run those of the last file that has it: a part of a campaign may be measured anew. Ratios are of
    runs of one file all the same."""
    newest = {}
    for line in lines:
        newest[line["run"]] = max(newest.get(line["run"], 0), line.get("file", 0))
    for file in set(newest.values()):
        of_one_campaign([line for line in lines if line.get("file", 0) == file], where)
    return [line for line in lines if line.get("file", 0) == newest[line["run"]]]


def tables(lines):
    """Block -> lines of its table, for the blocks of which all runs were made."""
    quiet = [line for line in lines if not line["loaded"]]
    loaded = [line for line in lines if line["loaded"]]
    quiet, loaded = latest(quiet, "quiet"), latest(loaded, "loaded")
    if not quiet:
        raise Problem("no runs of a quiet machine in it: give the file of one without --loaded, too")
    quiet, loaded = Runs(quiet), Runs(loaded) if loaded else None
    return {
        block: make(quiet, loaded)
        for block, (make, needed) in BLOCKS.items()
        if all(quiet.has(name) for name in needed)
    }


def fill(document, made):
    """The document with tables put in, and the blocks for which there was none."""
    out, block, seen = [], None, set()
    for number, line in enumerate(document.split("\n"), 1):
        mark = MARK.match(line)
        if not mark:
            if block is None or block not in made:
                out.append(line)
            continue
        side, name = mark.groups()
        if side == "begin" and (block or name in seen or name not in BLOCKS):
            raise Problem(f"line {number}: {line} in another block, a second time, or of no known name")
        if side == "end" and name != block:
            raise Problem(f"line {number}: {line} ends no block")
        out.append(line)
        if side == "begin":
            block = name
            seen.add(name)
            out += ["", *made[name], ""] if name in made else []
        else:
            block = None
    if block:
        raise Problem(f"the block {block} does not end")
    if missing := BLOCKS.keys() - seen:
        raise Problem(f"no block for {', '.join(sorted(missing))}")
    return "\n".join(out), sorted(BLOCKS.keys() - made.keys())


def read(paths):
    lines = []
    for place, path in enumerate(paths):
        with open(path) as file:
            for number, text in enumerate(file, 1):
                try:
                    lines.append({**json.loads(text), "file": place})
                except ValueError as why:
                    raise Problem(f"{path}:{number}: not a run: {why}") from None
    return lines


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/perf-table",
        description="Writes the tables of PERFORMANCE.md from what scripts/perf kept.",
        epilog="Exit status: 0 done, or the tables are those of the runs; 1 they are not; 2 usage, or no such runs.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the tables are of these runs")
    parser.add_argument("--print", action="store_true", help="to standard output, and nowhere else")
    parser.add_argument("--document", default=DOCUMENT, metavar="FILE")
    parser.add_argument("raw", nargs="+", help="files of runs; those of a later one take the place of the same runs of an earlier one")
    args = parser.parse_args()
    try:
        lines = read(args.raw)
        if args.print:
            # As far as they were made, and loaded ones alone, too.
            quiet = latest([line for line in lines if not line["loaded"]], "quiet")
            loaded = latest([line for line in lines if line["loaded"]], "loaded")
            for make, _ in BLOCKS.values():
                print(*make(Runs(quiet or loaded), Runs(loaded) if loaded else None), "", sep="\n")
            return 0
        if any(line["quick"] for line in lines):
            raise Problem("a quick round only tries whether all works; its figures belong in no table")
        made = tables(lines)
        with open(args.document) as file:
            before = file.read()
        after, missing = fill(before, made)
    except (Problem, OSError) as why:
        print(f"perf-table: {why}", file=sys.stderr)
        return 2
    for block in missing:
        print(f"perf-table: {block}: not all of its runs are there; left as it was", file=sys.stderr)
    if args.check:
        names = (args.document, "the runs")
        sys.stderr.writelines(
            line.rstrip("\n") + "\n" for line in difflib.unified_diff(before.split("\n"), after.split("\n"), *names)
        )
        return 1 if missing or before != after else 0
    with open(args.document, "w") as file:
        file.write(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
