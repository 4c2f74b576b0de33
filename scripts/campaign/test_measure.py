"""Which runs count: `python3 -m unittest discover -s scripts/campaign`."""

import os
import socket
import sys
import tempfile
import time
import unittest

import measure

# Three packets to a port where nobody listens.
ASKS_THREE_TIMES = """
import socket
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3):
    asker.sendto(b"x", ("127.0.0.1", 9))
"""


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = folder.name
        self.addCleanup(lambda: os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before))

    def run_it(self, *command, checks=3, expect=(), **further):
        run, _ = measure.whole_process(list(command), checks, expect, core=None, **further)
        return run

    def test_a_probe_that_was_not_sent_does_not_count(self):
        # So many of them, for other programs of this machine may be sending as well.
        idle = self.run_it("true", checks=100_000, expect=[("Udp:OutDatagrams", 1, 0.001)])
        self.assertRegex(idle["fault"], r"^Udp:OutDatagrams \+\d+ instead of \+100000$")

    def test_what_was_sent_is_counted_by_the_kernel(self):
        run = self.run_it(sys.executable, "-c", ASKS_THREE_TIMES)
        self.assertGreaterEqual(run["counters"]["Udp:OutDatagrams"], 3)
        self.assertIsNone(run["fault"])
        self.assertGreater(run["user_us"] + run["sys_us"], 0)

    def test_an_exit_status_that_was_not_expected_is_told_with_the_last_words(self):
        run = self.run_it("sh", "-c", "echo first; echo last >&2; exit 3")
        self.assertEqual(run["fault"], "exit status 3: first / last")
        self.assertIsNone(self.run_it("sh", "-c", "exit 3", exit_codes=(3,))["fault"])

    def test_a_run_that_does_not_end_is_killed(self):
        start = time.monotonic()
        run = self.run_it("sleep", "60", seconds=0.2)
        self.assertLess(time.monotonic() - start, 30)
        self.assertTrue(run["fault"].startswith("exit status -9"), run["fault"])

    def test_checks_without_an_answer_are_a_fault_beyond_what_is_tolerated(self):
        run = {"checks": 1000, "counters": {"Tcp:ActiveOpens": 1000}, "lost": 1}
        self.assertIsNone(measure.fault_of(run, [("Tcp:ActiveOpens", 1, 0.001)], 0.001))
        self.assertEqual(measure.fault_of(run, []), "1 checks without an answer")
        run["lost"] = 2
        self.assertEqual(
            measure.fault_of(run, [("Tcp:ActiveOpens", 1, 0.001)], 0.001), "2 checks without an answer"
        )

    def test_a_daemon_that_probes_a_dead_fleet_does_not_count(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]
            asking = (
                "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                f"while True:\n    s.sendto(b'x', ('127.0.0.1', {port}))\n    time.sleep(0.0001)\n"
            )
            run = measure.for_seconds(
                [sys.executable, "-c", asking], lambda child: child.pid, 0.3, 0.5, "Udp:OutDatagrams", 1, None,
                reply="Icmp:InEchoReps",
            )
        self.assertRegex(run["fault"], r"^Icmp:InEchoReps \+\d+ where Udp:OutDatagrams was \+\d+$")

    def test_a_daemon_that_checks_less_than_it_was_asked_for_does_not_count(self):
        run = measure.for_seconds(
            ["sleep", "30"], lambda child: child.pid, 0.1, 0.3, "Udp:OutDatagrams", 1, None, per_second=1_000_000
        )
        self.assertRegex(run["fault"], r"^\d+ checks a second instead of 1,000,000$")

    def test_a_daemon_that_ends_by_itself_is_no_run(self):
        with self.assertRaisesRegex(RuntimeError, "false ended by itself with 1"):
            measure.for_seconds(["false"], lambda child: child.pid, 0.2, 0.1, "Udp:OutDatagrams", 1, None)


if __name__ == "__main__":
    unittest.main()
