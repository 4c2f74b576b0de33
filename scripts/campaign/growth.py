"""Growth: what a probe costs, and how much memory is held, with a thousand to a million targets.

`ringprobe bench` in a closed loop over all of them in turn, from a list or from a keepalived.conf. Reading
them is not in the cost of a probe, and what it holds afterwards is in the memory.
"""

import ipaddress
import json
import os

import measure
from loopback import FIRST, GROWN_PORT

COUNTS = [1_000, 10_000, 100_000, 1_000_000]
# What is read, what is asked of each, the window.
KINDS = {
    "list dns": ("list", "dns", 1024),
    "keepalived.conf dns": ("conf", "dns", 1024),
    "keepalived.conf tcp": ("conf", "tcp", 256),
}
SERVERS_PER_SERVICE = 100
CHECKERS = {
    "dns": "DNS_CHECK {\n      type A\n      name www.example.test\n    }",
    "tcp": "TCP_CHECK {\n    }",
}


def name_of(kind, count):
    return f"growth {kind} {count}"


def runs():
    """(name of a run, the run)"""
    return [(name_of(kind, count), run_of(kind, count)) for kind in KINDS for count in COUNTS]


def run_of(kind, count):
    form, check, window = KINDS[kind]

    def run(setup):
        targets = min(count, setup.size["growth"])
        path = os.path.join(setup.folder, f"growth-{form}-{check}-{targets}")
        if not os.path.exists(path):
            WRITERS[form](path, targets, check)
        command = [setup.prober, "bench", "--shards", "1", "--window", str(window), "--repetitions", "1"]
        command += ["--warm-up", "1s", "--duration", f"{setup.growth_seconds}s", "-o", "json", "-q"]
        if form == "list":
            command += ["--check", check, "--port", str(GROWN_PORT), "--targets", path]
            command += ["--type", "A", "--name", "www.example.test"] if check == "dns" else []
        else:
            command += ["-f", path]
        found, output = measure.whole_process(command, 0, [])
        return found if found["fault"] else judged(found, json.loads(output))

    return run


def judged(found, said):
    """The run with the figures that bench gave of its own measurement, if the kernel's bear them out."""
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
