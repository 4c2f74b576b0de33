"""How one run is measured: CPU of the prober alone, and what the kernel says was sent meanwhile."""

import ctypes
import json
import os
import shlex
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")

# Of the prober; everything that answers it, and what --loaded adds, has the other core.
PROBER_CORE = 0
OTHER_CORE = 1

KEPT = (
    "Udp:OutDatagrams",
    "Udp:InDatagrams",
    "Udp:RcvbufErrors",
    "Tcp:ActiveOpens",
    "Tcp:PassiveOpens",
    "Tcp:RetransSegs",
    "Icmp:OutEchos",
    "Icmp:InEchoReps",
)


def counters():
    """/proc/net/snmp of this network namespace."""
    values = {}
    with open("/proc/net/snmp") as file:
        lines = [line.split() for line in file]
    for names, numbers in zip(lines[::2], lines[1::2]):
        values.update({names[0] + key: int(n) for key, n in zip(names[1:], numbers[1:])})
    return {key: values[key] for key in KEPT if key in values}


def difference(after, before):
    return {key: after[key] - before[key] for key in after}


def cpu_of(pid):
    """User and system microseconds of all threads of a process that still runs."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) * 1_000_000 // TICK, int(fields[12]) * 1_000_000 // TICK


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def pinned(core):
    """What a child does between fork and exec: it takes its core, and will not outlive us."""

    def begin():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return begin


def whole_process(
    command, checks, expect, core=PROBER_CORE, exit_codes=(0,), seconds=300, lost=None, lost_share=0.0
):
    """Runs `command` to its end, with CPU as wait4(2) tells it.

    `expect` has (counter, packets a check, tolerated share) and `lost` finds in the output how many
    checks had no answer, of which this share is tolerated; see `fault_of`.
    """
    before, start = counters(), time.monotonic()
    # Through a file: one that writes more than a pipe holds would wait for us, and we for its end.
    with open(os.path.join(os.environ["TMPDIR"], "said"), "w+") as said:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=pinned(core)
        )
        usage = end_of(child, seconds)
        wall, packets = time.monotonic() - start, difference(counters(), before)
        said.seek(0)
        output = said.read()
    run = result(
        command, checks, round(usage.ru_utime * 1e6), round(usage.ru_stime * 1e6), wall, packets
    )
    run["lost"] = None
    if child.returncode not in exit_codes:
        run["fault"] = f"exit status {child.returncode}: {' / '.join(output.splitlines()[-3:])}"
        return run, output
    run["lost"] = lost(output) if lost else None
    run["fault"] = fault_of(run, expect, lost_share)
    return run, output


def end_of(child, seconds):
    """wait4(2), and a child that runs longer is killed. It is not polled: that would cost it its core."""
    too_long = threading.Timer(seconds, child.kill)
    too_long.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        too_long.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage


def for_seconds(
    command, pid, warm_up, seconds, counter, packets_per_check, core=PROBER_CORE, reply=None, per_second=None
):
    """CPU of a daemon that checks by its own timers; its checks are what the kernel counted.

    `pid` finds, when it is warm, whose CPU counts. `reply` is the counter of answers: that of one which
    probes a dead fleet would be the cost of something else. `per_second` is what it was asked for, where
    less of it, or connects that had to be repeated, are no run.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=pinned(core),
    )
    try:
        time.sleep(warm_up)
        if child.poll() is not None:
            raise RuntimeError(f"{command[0]} ended by itself with {child.returncode}")
        whose = pid(child)
        cpu, before, start = cpu_of(whose), counters(), time.monotonic()
        time.sleep(seconds)
        after = cpu_of(whose)
        wall, packets = time.monotonic() - start, difference(counters(), before)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    checks = packets[counter] // packets_per_check
    run = result(command, checks, after[0] - cpu[0], after[1] - cpu[1], wall, packets)
    run["fault"] = None if checks else f"{counter} did not move"
    if per_second and checks < 0.95 * per_second * wall:
        run["fault"] = f"{checks / wall:,.0f} checks a second instead of {per_second:,}"
    if per_second and packets["Tcp:RetransSegs"] > 0.001 * checks:
        run["fault"] = f"{packets['Tcp:RetransSegs']} segments sent again"
    if reply and packets[reply] < 0.95 * packets[counter]:
        run["fault"] = f"{reply} +{packets[reply]} where {counter} was +{packets[counter]}"
    return run


def result(command, checks, user_us, sys_us, wall, packets):
    return {
        "command": " ".join(map(shlex.quote, command)).replace(os.environ["TMPDIR"], "$TMPDIR"),
        "checks": checks,
        "user_us": user_us,
        "sys_us": sys_us,
        "cpu_us_per_check": (user_us + sys_us) / max(checks, 1),
        "wall_s": round(wall, 3),
        "counters": packets,
    }


def fault_of(run, expect, lost_share=0.0):
    """Why a run does not count, by the kernel's counters or by its own words."""
    for counter, each, tolerated in expect:
        wanted, got = each * run["checks"], run["counters"][counter]
        if abs(got - wanted) > tolerated * wanted:
            return f"{counter} +{got} instead of +{wanted}"
    if (run.get("lost") or 0) > lost_share * run["checks"]:
        return f"{run['lost']} checks without an answer"
    return None


def write(raw, run):
    with open(raw, "a") as file:
        print(json.dumps(run), file=file)
