"""What the tables say of made-up runs: `python3 -m unittest discover -s scripts/campaign`."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import own
import tables

HERE = os.path.dirname(os.path.abspath(__file__))

DOCUMENT = "# Title\n" + "".join(
    f"words of {block}\n<!-- perf:begin {block} -->\nold\n<!-- perf:end {block} -->\n" for block in tables.BLOCKS
)


def every_run():
    names = [name for _, needed in tables.BLOCKS.values() for name in needed]
    names += [name for peer in tables.PEERS for name in peer if name and ", here" not in name]
    return sorted(set(names))


def campaign(rounds=5, loaded=False, **changes):
    """Every run at 10 µs a check and 1,000 checks a second, but for what `changes` says of a run."""
    lines = []
    for turn in range(1, rounds + 1):
        for name in every_run():
            line = {"run": name, "round": turn, "loaded": loaded, "quick": False, "checks": 1000, "user_us": 1000}
            line |= {"cpu_by_role": {"shards": 8.0, "feeder": 1.0, "aggregator": 1.0}, "memory_bytes": 5 << 20}
            line |= {"sys_us": 9000, "cpu_us_per_check": 10.0, "wall_s": 1.0, "collected_us_p50": 500.0, "lost": 0, "load_s": 0.1}
            line |= {"commit": "abc", "kernel": "6.1", "cpu": "a chip", "cores": 2, "rounds": rounds, "load1": 1.0}
            line |= {"at": f"2026-01-01T00:0{turn}:00Z", "fault": None} | changes.get(name, {})
            lines.append(line)
    return lines


def bars_of(lines):
    rows = tables.tables(lines)["bars"][2:]
    return {words: (quiet.split()[0], verdict) for words, quiet, verdict, *_ in (split(row) for row in rows)}


def split(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


class Bars(unittest.TestCase):
    def test_a_bar_is_met_up_to_its_figure_and_missed_beyond(self):
        words = "DNS sweep ≤ 1.15 × bare ring loop"
        met = campaign(**{"ringprobe dns": {"cpu_us_per_check": 11.5}})
        self.assertEqual(bars_of(met)[words], ("1.150", "met"))
        missed = campaign(**{"ringprobe dns": {"cpu_us_per_check": 11.6}})
        self.assertEqual(bars_of(missed)[words], ("1.160", "**missed**"))

    def test_throughput_of_two_shards_has_to_be_more_not_less(self):
        words = "two shards ≥ 1.8 × throughput of one (loaded: by core time)"
        self.assertEqual(bars_of(campaign())[words], ("1.000", "**missed**"))
        fast = campaign(**{"ringprobe two shards": {"checks_per_s": 1900.0}})
        self.assertEqual(bars_of(fast)[words], ("1.900", "met"))

    def test_of_two_floors_the_cheaper_one_counts(self):
        words = "TCP half handshake ≤ 1.15 × recycled-connect loop, the cheaper of two"
        lines = campaign(**{"floor tcp_syscalls": {"cpu_us_per_check": 8.0}})
        self.assertEqual(bars_of(lines)[words], ("1.250", "**missed**"))

    def test_ratios_are_taken_within_a_round(self):
        lines = campaign()
        for line in lines:
            if line["round"] == 3:  # a slow minute of the machine
                line["cpu_us_per_check"] *= 7
        self.assertEqual(bars_of(lines)["DNS sweep ≤ 1.15 × bare ring loop"], ("1.000", "met"))

    def test_four_good_rounds_meet_nothing(self):
        lines = campaign()
        lines[[line["run"] for line in lines].index("ringprobe dns")]["fault"] = "Udp:OutDatagrams +1 instead of +2"
        self.assertEqual(
            bars_of(lines)["DNS sweep ≤ 1.15 × bare ring loop"], ("1.000", "too few rounds: 4")
        )

    def test_a_loaded_machine_has_columns_of_its_own(self):
        busy = campaign(loaded=True, **{"ringprobe dns": {"cpu_us_per_check": 20.0}})
        row = split(tables.tables(campaign() + busy)["bars"][2])
        self.assertEqual([cell.split()[0] for cell in row[1:5]], ["1.000", "met", "2.000", "**missed**"])

    def test_two_shards_of_a_loaded_machine_are_judged_by_the_time_they_were_given(self):
        dear = {"ringprobe two shards": {"cpu_us_per_check": 12.5, "checks_per_s": 1.0}}
        rows = tables.tables(campaign() + campaign(loaded=True, **dear))["bars"]
        (row,) = [split(row) for row in rows if row.startswith("| two shards")]
        self.assertEqual([cell.split()[0] for cell in row[3:5]], ["1.600", "**missed**"])

    def test_memory_is_that_of_the_list_and_what_each_real_server_adds(self):
        of = "growth sweep of "
        lines = campaign(**{
            f"{of}list 1000000": {"memory_bytes": 65 << 20},
            f"{of}keepalived.conf 1000": {"memory_bytes": 1_000_000},
            f"{of}keepalived.conf 1000000": {"memory_bytes": 1_000_000 + 999_000 * 399},
            tables.growth.LOAD: {"load_s": 0.51},
        })
        found = bars_of(lines)
        self.assertEqual(found["1,000,000 targets of a list: peak ≤ 64 MiB, all of it"], ("65.0", "**missed**"))
        self.assertEqual(found["keepalived.conf: ≤ 400 B per real server, of 1,000,000"], ("399", "met"))
        self.assertEqual(found["parse and lower 100,000 real servers ≤ 0.5 s"], ("0.510", "**missed**"))


class Anew(unittest.TestCase):
    def test_a_part_that_was_measured_anew_takes_the_place_of_the_old_and_is_named(self):
        old = [{**line, "file": 0} for line in campaign()]
        words = "DNS sweep ≤ 1.15 × bare ring loop"
        for names, ratio in ((["ringprobe dns", "floor dns_ring"], "1.100"), (["ringprobe dns"], "not")):
            anew = [line for line in campaign(**{"ringprobe dns": {"cpu_us_per_check": 11.0}}) if line["run"] in names]
            lines = old + [{**line, "file": 1, "commit": "def"} for line in anew]
            made = tables.tables(lines)
            # Of two files there is no ratio.
            self.assertEqual(bars_of(lines)[words][0], ratio)
            self.assertIn("commit def", made["machine"][-1])
            self.assertIn("measured anew", made["machine"][-1])


class Rows(unittest.TestCase):
    def test_a_run_with_a_fault_is_named_and_not_counted(self):
        lines = campaign()
        broken = next(line for line in lines if line["run"] == "floor dns_mmsg")
        broken |= {"fault": "Udp:OutDatagrams +7 instead of +2,000", "cpu_us_per_check": 0.1}
        text = "\n".join(tables.tables(lines)["floors"])
        self.assertIn("| floor dns_mmsg | 1,000 | 10.00 | 10.00–10.00 | 1.00 | 1.00 | 1,000 |", text)
        self.assertIn("- **floor dns_mmsg, round 1, does not count: Udp:OutDatagrams +7 instead of +2,000**", text)

    def test_a_peer_that_could_not_run_is_named(self):
        lines = campaign()
        lines.append({**lines[0], "run": "keepalived, here", "skipped": "this kernel has no IPVS"})
        text = "\n".join(tables.tables(lines)["peers"])
        self.assertIn("- keepalived, here: not run; this kernel has no IPVS", text)
        self.assertIn("| haproxy | 1,000 | 10.00 | 10.00–10.00 | 1.00 | 1.00 | 1,000 | 0 |", text)


class Growth(unittest.TestCase):
    def test_a_cost_that_grows_is_set_off(self):
        most = {"growth list dns 1000000": {"cpu_us_per_check": 11.6, "memory_bytes": 300 << 20}}
        rows = tables.tables(campaign(**most))["growth"]
        of_lists = [split(row) for row in rows if row.startswith("| list")]
        self.assertEqual([row[4] for row in of_lists], ["1.00", "1.00", "1.00", "**1.16**"])
        self.assertEqual(of_lists[3][5:9], ["8.000", "1.000", "1.000", "300 MiB"])


class Model(unittest.TestCase):
    def test_the_narrowest_of_shards_single_threads_and_wire_limits(self):
        # 62 shards of 8 µs that keep half; a core each of 1 µs; 100 Gbit/s of 116 bytes; a packet each way; 62
        # windows of 1,024 for 1 ms and for 10.
        row = split(tables.tables(campaign())["model"][2])
        self.assertEqual(row[1:], ["3.9", "1.0", "1.0", "107.8", "100.0", "63.5", "6.3", "**1.0**, by feeder"])
        cheap = {"cpu_by_role": {"shards": 8.0, "feeder": 0.001, "aggregator": 0.001}}
        row = split(tables.tables(campaign(**{"growth list dns 1000000": cheap}))["model"][2])
        self.assertEqual(row[-1], "**3.9**, by shards")


class Judged(unittest.TestCase):
    def judged(self, passed, sent):
        probes = {"due": 100, "passed": passed}
        cpu = {"user_us_per_probe": 1.0, "system_us_per_probe": 3.0, "by_role_us_per_probe": {}}
        said = {"runs": [{"probes": probes, "cpu": cpu, "per_second": 50.0}], "memory_peak_bytes": 1}
        counters = {"Udp:OutDatagrams": 2 * sent, "Tcp:ActiveOpens": 0}
        return own.judged({"counters": counters, "fault": None}, said)

    def test_what_was_not_sent_or_not_answered_does_not_count(self):
        self.assertEqual((self.judged(100, 120)["fault"], self.judged(100, 120)["cpu_us_per_check"]), (None, 4.0))
        self.assertEqual(self.judged(100, 99)["fault"], "100 passed, and the kernel sent 99")
        self.assertEqual(self.judged(99, 120)["fault"], "1 of 100 checks without an answer")


class Machine(unittest.TestCase):
    def test_it_says_when_the_machine_had_other_work_unless_that_was_ours(self):
        busy = [{**line, "load1": 7.0} for line in campaign()]
        self.assertIn("Something else was running", tables.tables(busy)["machine"][0])
        ours = [{**line, "load1": 3.0} for line in campaign(loaded=True)]
        self.assertNotIn("Something else", "".join(tables.tables(campaign() + ours)["machine"]))


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.document, self.raw = f"{folder.name}/doc.md", f"{folder.name}/raw.jsonl"
        self.write(self.document, DOCUMENT)

    def write(self, path, text):
        with open(path, "w") as file:
            file.write(text)

    def read(self):
        with open(self.document) as file:
            return file.read()

    def run_it(self, lines, *flags):
        self.write(self.raw, "".join(json.dumps(line) + "\n" for line in lines))
        command = [sys.executable, "-B", f"{HERE}/tables.py", "--document", self.document, *flags, self.raw]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    def test_what_was_written_passes_the_check_until_a_figure_is_changed(self):
        self.assertEqual(self.run_it(campaign()), (0, ""))
        self.assertEqual(self.run_it(campaign(), "--check"), (0, ""))
        text = self.read()
        self.assertNotIn("old", text)
        self.assertIn("words of peers", text)
        self.write(self.document, text.replace("| haproxy | 1,000 |", "| haproxy | 2,000 |"))
        status, said = self.run_it(campaign(), "--check")
        self.assertEqual(status, 1)
        self.assertIn("-| haproxy | 2,000 |", said)

    def test_a_table_whose_runs_are_not_all_there_stays_as_it_was_and_fails_the_check(self):
        part = [line for line in campaign() if line["run"] != "nmap"]
        status, said = self.run_it(part)
        self.assertEqual(status, 0)
        # What it was measured on is said of all tables together.
        for block in ("machine", "peers"):
            self.assertIn(f"perf-table: {block}: not all of its runs are there; left as it was\n", said)
        self.assertEqual(said.count("\n"), 2)
        self.assertIn("<!-- perf:begin peers -->\nold\n<!-- perf:end peers -->", self.read())
        self.assertEqual(self.run_it(part, "--check")[0], 1)

    def test_quick_rounds_and_loaded_ones_alone_make_no_table(self):
        for lines, why in (
            ([{**line, "quick": True} for line in campaign()], "its figures belong in no table"),
            (campaign(loaded=True), "no runs of a quiet machine"),
        ):
            status, said = self.run_it(lines)
            self.assertEqual((status, self.read()), (2, DOCUMENT))
            self.assertIn(why, said)

    def test_runs_of_two_builds_and_the_same_run_twice_make_no_table(self):
        other = [{**line, "prober": "another"} if line["round"] == 5 else line for line in campaign()]
        for lines, why in (
            (other, "quiet: runs of prober None and of another"),
            (campaign() + campaign()[:1], "quiet: round 1 of "),
        ):
            status, said = self.run_it(lines)
            self.assertEqual((status, self.read()), (2, DOCUMENT))
            self.assertIn(why, said)

    def test_marks_that_do_not_fit_are_refused_and_nothing_is_written(self):
        for wrong, why in (
            (DOCUMENT.replace("<!-- perf:end bars -->\n", ""), "in another block"),
            (DOCUMENT.replace("perf:begin bars", "perf:begin bar"), "of no known name"),
            (DOCUMENT.replace("<!-- perf:begin peers -->", ""), "ends no block"),
            (DOCUMENT.split("words of scripts")[0], "no block for growth, machine, model, scripts"),
            (DOCUMENT.replace("<!-- perf:end machine -->\n", ""), "the block machine does not end"),
        ):
            self.write(self.document, wrong)
            status, said = self.run_it(campaign())
            self.assertEqual((status, self.read()), (2, wrong))
            self.assertIn(why, said)

    def test_a_line_that_is_no_json_is_named(self):
        self.write(self.raw, "{}\nnot so\n")
        command = [sys.executable, "-B", f"{HERE}/tables.py", "--document", self.document, self.raw]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("raw.jsonl:2: not a run", done.stderr)


class Campaign(unittest.TestCase):
    def test_every_run_that_a_table_names_is_one_that_the_campaign_makes(self):
        with open(f"{HERE}/__main__.py") as file:
            source = file.read()
        for name in every_run():
            if not name.endswith(", in the guest") and not name.startswith(("growth", "load")):
                self.assertIn(f'"{name}"', source)


if __name__ == "__main__":
    unittest.main()
