"""What is ours: the floors of benches/floor/, sweeps, shards, and scripts through the reaper."""

import json
import os

import measure
from loopback import NET, PORT

DNS = [("Udp:OutDatagrams", 2, 0.001)]  # a query and an answer: both sides are in this namespace
TCP = [("Tcp:ActiveOpens", 1, 0.001)]

# Nothing listens there: the kernel refuses on the core of who asks.
CLOSED_PORT = 9


def floor(name, kind):
    def run(setup):
        checks, window = setup.size[kind], setup.window[kind]
        command = [setup.benches[name], "--probes", str(checks), "--addresses", str(setup.addresses)]
        command += ["--net", NET, "--port", str(PORT), "--window", str(window)]
        command += ["--timeout", "2000", "--json"]
        expect = TCP if kind.startswith("tcp") else DNS
        found, _ = measure.whole_process(command, checks, expect, lost=missing)
        return found

    return run


def missing(output):
    said = json.loads(output)
    return said["lost"] + said["refused"]


def sweep(kind, output="text", handshake="half", servers=None):
    """ringprobe over the same addresses, or over the first `servers` of them."""

    def run(setup):
        checks, window = setup.size[kind], setup.window[kind]
        check = kind.split("_")[0]
        question = ["--type", "A", "--name", "www.example.test"]
        how = question if check == "dns" else ["--tcp-handshake", handshake]
        written = os.path.join(setup.folder, "ndjson") if output == "ndjson" else "/dev/null"
        command = [setup.prober, "sweep", "--targets", setup.targets(checks, servers or setup.addresses)]
        command += ["--check", check, *how, "--port", str(PORT), "--shards", "1", "--window", str(window)]
        command += ["--timeout", "2s", "--retries", "0", "-o", output, "--out", written, "-q"]
        found, _ = measure.whole_process(command, checks, TCP if check == "tcp" else DNS)
        if output == "ndjson":
            os.remove(written)
        return found

    return run


def shards(count):
    """A closed port on the loopback: the kernel refuses on the prober's own core, so that every core can
    be given to a shard and there is no target that all have to share."""

    def run(setup):
        checks = setup.size["shards"]
        command = [setup.prober, "sweep", "--targets", setup.targets(checks, setup.addresses)]
        command += ["--check", "tcp", "--port", str(CLOSED_PORT), "--shards", str(count)]
        command += ["--window", "256", "--retries", "0", "-q"]
        found, output = measure.whole_process(command, checks, TCP, core=None, exit_codes=(1,))
        said = {words[0]: words for words in map(str.split, output.splitlines()) if words}
        if not found["fault"] and said["fail"] != ["fail", "connection_refused", f"{checks:,}"]:
            found["fault"] = "not every target refused: " + " ".join(said["fail"])
        if not found["fault"]:
            # Its own clock: starting and reading the list are one thread's work in both.
            found["checks_per_s"] = int(said["rate"][1].replace(",", ""))
        return found

    return run


def scripts(name, mib):
    """/bin/true, one at a time; the floor `posix_spawn` or the reaper. CPU is that of everything together:
    engine, reaper, script."""

    def run(setup):
        checks = setup.size["scripts"]
        command = [setup.benches[name], "--runs", str(checks), "--rss-mib", str(mib), "--json"]
        # Not pinned: waking the other core is part of what the reaper does.
        found, output = measure.whole_process(command, checks, [], core=None)
        if not found["fault"]:
            said = json.loads(output)
            # Of the loop alone: touching a gibibyte before it is not what a script costs.
            found["cpu_us_per_check"] = said["cpu_us_per_run"]
            found["collected_us_p50"] = said["wall_us_p50"]
        return found

    return run


def haproxys_servers(setup):
    return sweep("tcp_haproxy", servers=setup.size["haproxy"])(setup)


def haproxys_rate(setup):
    """The same servers at the same rate, each connect at a moment of its own."""
    servers = setup.size["haproxy"]
    command = [setup.prober, "bench", "--check", "tcp", "--port", str(PORT), "--targets"]
    command += [setup.targets(servers, servers), "--rate", str(servers), "--shards", "1"]
    return bench(command, setup.warm_up, setup.seconds)


def bench(command, warm_up, seconds):
    """`ringprobe bench` once, with its own figures, if the kernel's bear them out."""
    command += ["--warm-up", f"{warm_up}s", "--duration", f"{seconds}s", "--repetitions", "1", "-o", "json", "-q"]
    found, output = measure.whole_process(command, 0, [])
    return found if found["fault"] else judged(found, json.loads(output))


def judged(found, said):
    (run,) = said["runs"]
    passed, cpu = run["probes"]["passed"], run["cpu"]
    found["checks"] = passed
    if cpu["user_us_per_probe"] is None:
        found["fault"] = "no check ended"
        return found
    found["user_us"], found["sys_us"] = cpu["user_us_per_probe"] * passed, cpu["system_us_per_probe"] * passed
    found["cpu_us_per_check"] = cpu["user_us_per_probe"] + cpu["system_us_per_probe"]
    found["cpu_by_role"] = cpu["by_role_us_per_probe"]
    found["checks_per_s"] = run["per_second"]
    found["memory_bytes"] = said["memory_peak_bytes"]
    found["lost"] = run["probes"]["due"] - passed
    packets = found["counters"]
    # A datagram each way, or a connection: of the warm-up, too.
    sent = packets["Udp:OutDatagrams"] // 2 + packets["Tcp:ActiveOpens"]
    if sent < passed:
        found["fault"] = f"{passed} passed, and the kernel sent {sent}"
    elif found["lost"] > 0.001 * run["probes"]["due"]:
        found["fault"] = f"{found['lost']} of {run['probes']['due']} checks without an answer"
    return found
