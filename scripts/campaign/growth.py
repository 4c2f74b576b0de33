"""Growth: what a probe costs, and how much memory is held, with a thousand to a million targets.

`ringprobe bench` in a closed loop over all of them in turn, from a list or from a keepalived.conf. Reading
them is not in the cost of a probe, and what it holds afterwards is in the memory. And `ringprobe sweep`
over as many, which streams a list and holds a configuration, and what loading one takes.
"""

import ipaddress
import json
import os

import measure
import own
from loopback import FIRST, GROWN_PORT

COUNTS = [1_000, 10_000, 100_000, 1_000_000]
# What is read, what is asked of each, the window.
KINDS = {
    "list dns": ("list", "dns", 1024),
    "keepalived.conf dns": ("conf", "dns", 1024),
    "keepalived.conf tcp": ("conf", "tcp", 128),
}
# What a sweep reads.
SWEEPS = ["list", "keepalived.conf"]
SWEPT_COUNTS = [COUNTS[0], COUNTS[-1]]
# Of a configuration that is only loaded.
LOADED = 100_000
LOAD = f"load keepalived.conf {LOADED}"
SERVERS_PER_SERVICE = 100
CHECKERS = {
    "dns": "DNS_CHECK {\n      type A\n      name www.example.test\n    }",
    "tcp": "TCP_CHECK {\n    }",
}


def name_of(kind, count):
    return f"growth {kind} {count}"


def sweep_name(form, count):
    return f"growth sweep of {form} {count}"


def runs():
    """(name of a run, the run)"""
    grown = [(name_of(kind, count), run_of(kind, count)) for kind in KINDS for count in COUNTS]
    return grown + [(sweep_name(form, count), swept(form, count)) for form in SWEEPS for count in SWEPT_COUNTS]


def run_of(kind, count):
    form, check, window = KINDS[kind]

    def run(setup):
        path, targets = written(setup, form, check, count)
        command = [setup.prober, "bench", "--shards", "1", "--window", str(window)]
        if form == "list":
            command += ["--check", check, "--port", str(GROWN_PORT), "--targets", path]
            command += ["--type", "A", "--name", "www.example.test"] if check == "dns" else []
        else:
            command += ["-f", path]
        is_most = count == COUNTS[-1]
        seconds = setup.growth_seconds_most[check] if is_most else setup.growth_seconds
        found = own.bench(command, setup.growth_warm_up, seconds)
        if not found["fault"] and found["checks"] < targets:
            found["fault"] = f"{found['checks']} checks of {targets} targets"
        return found

    return run


def written(setup, form, check, count):
    """The file of that many targets, or of as many as a quick round has."""
    targets = min(count, setup.size["growth"])
    path = os.path.join(setup.folder, f"growth-{form}-{check}-{targets}")
    if not os.path.exists(path):
        WRITERS[form](path, targets, check)
    return path, targets


def swept(form, count):
    """Each target once, and the most memory that the process had, as time(1) tells it: what wait4(2) tells
    us begins with the memory of this interpreter, of which the process was a copy."""

    def run(setup):
        path, targets = written(setup, "list" if form == "list" else "conf", "dns", count)
        said = os.path.join(setup.folder, "memory")
        command = ["/usr/bin/time", "-f", "%M", "-o", said]
        command += [setup.prober, "sweep", "--shards", "1", "--window", "1024", "--retries", "0", "-q", "--out", "/dev/null"]
        if form == "list":
            command += ["--check", "dns", "--port", str(GROWN_PORT), "--type", "A", "--name", "www.example.test"]
            command += ["--targets", path]
        else:
            command += ["-f", path]
        found, _ = measure.whole_process(command, targets, [("Udp:OutDatagrams", 2, 0.001)])
        if not found["fault"]:
            with open(said) as file:
                found["memory_bytes"] = int(file.read()) << 10
        return found

    return run


def loading(setup):
    """Processor time from the text to the model, as the bench `load` tells it of nothing but that."""
    path, servers = written(setup, "conf", "dns", LOADED)
    found, output = measure.whole_process([setup.benches["load"], "--file", path, "--json"], servers, [])
    if not found["fault"]:
        said = json.loads(output)
        found["load_s"] = said["cpu_s"]
        found["cpu_us_per_check"] = said["cpu_s"] * 1e6 / servers
        if (said["real_servers"], said["problems"]) != (servers, 0):
            found["fault"] = f"{said['real_servers']} of {servers} real servers, {said['problems']} problems"
    return found


def addresses(count):
    return (str(ipaddress.ip_address(FIRST + number)) for number in range(count))


def write_list(path, count, _check):
    with open(path, "w") as file:
        file.writelines(f"{address}\n" for address in addresses(count))


def write_conf(path, count, check):
    with open(path, "w") as file:
        for number, address in enumerate(addresses(count)):
            if number % SERVERS_PER_SERVICE == 0:
                file.write("}\n" * (number > 0))
                service = ipaddress.ip_address("10.0.0.1") + number // SERVERS_PER_SERVICE
                protocol = "UDP" if check == "dns" else "TCP"
                file.write(f"virtual_server {service} {GROWN_PORT} {{\n  lvs_sched rr\n  lvs_method DR\n")
                file.write(f"  protocol {protocol}\n  connect_timeout 2\n")
            file.write(f"  real_server {address} {GROWN_PORT} {{\n    {CHECKERS[check]}\n  }}\n")
        file.write("}\n")


WRITERS = {"list": write_list, "conf": write_conf}
