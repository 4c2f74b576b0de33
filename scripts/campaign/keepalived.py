"""keepalived: TCP_CHECK and DNS_CHECK of its checker process, and ringprobe doing the same there.

It needs IPVS, which many kernels of containers and small machines lack, so it runs in a guest with
User-Mode Linux (`scripts/uml-run`) and, where there is IPVS, here as well. This file is also the
program that runs in the guest, where it prints its runs as lines of JSON.
"""

import json
import os
import subprocess
import sys
import tempfile

import measure
from loopback import PORT, Responder, address, write_targets

KINDS = {
    # checker, protocol of the service, its further lines, counter, packets a check, counter of answers
    "tcp": ("TCP_CHECK", "TCP", "", "Tcp:ActiveOpens", 1, "Tcp:PassiveOpens"),
    "dns": ("DNS_CHECK", "UDP", "type A\n   name www.example.test\n", "Udp:OutDatagrams", 2, "Udp:InDatagrams"),
}
SERVERS_OF_A_SERVICE = 100


def write_conf(path, kind, servers):
    """Every server once a second: the shortest delay_loop a configuration sensibly has."""
    checker, protocol, further, *_ = KINDS[kind]
    with open(path, "w") as out:
        out.write("global_defs {\n router_id perf\n}\n")
        for first in range(0, servers, SERVERS_OF_A_SERVICE):
            service = first // SERVERS_OF_A_SERVICE
            out.write(f"virtual_server 10.9.{service // 250}.{service % 250 + 1} 80 {{\n delay_loop 1\n")
            out.write(f" lvs_sched rr\n lvs_method NAT\n protocol {protocol}\n")
            for number in range(first, min(first + SERVERS_OF_A_SERVICE, servers)):
                out.write(f" real_server {address(number)} {PORT} {{\n  weight 1\n  {checker} {{\n")
                out.write(f"   connect_timeout 2\n   {further}  }}\n }}\n")
            out.write("}\n")


def has_ipvs():
    return os.path.exists("/proc/net/ip_vs")


def runs(prober, kinds, servers, warm_up, seconds, sweep_checks, core):
    """Per kind: keepalived for `seconds`, then a sweep of the same servers."""
    folder = os.environ["TMPDIR"]
    for kind in kinds:
        *_, counter, each, reply = KINDS[kind]
        conf, pids = f"{folder}/{kind}.conf", f"{folder}/checker.pid"
        write_conf(conf, kind, servers)
        command = ["keepalived", "-n", "-C", "-f", conf, "-p", f"{folder}/parent.pid", "-c", pids]

        def checker(_child):
            with open(pids) as file:
                return int(file.read())

        run = measure.for_seconds(command, checker, warm_up, seconds, counter, each, core, reply)
        run["servers"] = servers
        # Fewer checks a second than there are servers mean that it could not do more: no fault.
        yield f"keepalived {kind}", run
        targets = f"{folder}/targets"
        # A clock of the guest that ticks every 10 ms tells the cost of a DNS check only from many of them.
        checks = sweep_checks * (5 if kind == "dns" else 1)
        write_targets(targets, checks, servers)
        how = ["--tcp-handshake", "orderly"] if kind == "tcp" else ["--type", "A", "--name", "www.example.test"]
        sweep = [prober, "sweep", "--targets", targets, "--check", kind, *how, "--port", str(PORT)]
        sweep += ["--shards", "1", "--window", "256", "-q", "--out", "/dev/null"]
        run, _ = measure.whole_process(sweep, checks, [(counter, each, 0.01)], core)
        run["servers"] = servers
        yield f"ringprobe {kind}", run


def in_guest(prober, kinds, servers, warm_up, seconds, sweep_checks, limit):
    """The same by a guest that has one processor, on our core 0."""
    out = os.path.join(os.environ["TMPDIR"], "guest.jsonl")
    inner = ["python3", "-B", os.path.abspath(__file__), out, prober, ",".join(kinds)]
    inner += [str(number) for number in (servers, warm_up, seconds, sweep_checks)]
    guest = subprocess.Popen(
        ["scripts/uml-run", "-t", str(limit), "--", *inner],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=measure.pinned(measure.PROBER_CORE),
    )
    try:
        said, _ = guest.communicate()
    finally:
        # Asked to end, not killed: the guest is a child of it.
        guest.terminate()
        guest.wait()
    found = []
    if os.path.exists(out):
        with open(out) as file:
            found = [json.loads(line) for line in file]
        os.remove(out)
    if guest.returncode != 0:
        raise RuntimeError(f"the guest ended with {guest.returncode}: {' / '.join(said.splitlines()[-3:])}")
    return [(run.pop("run"), run) for run in found]


def main():
    out, prober, kinds, *numbers = sys.argv[1:]
    servers, warm_up, seconds, sweep_checks = map(int, numbers)
    # In memory of the guest: the host's files are slow from there.
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        os.environ["TMPDIR"] = folder
        with Responder(prober, servers, core=None):
            for name, run in runs(prober, kinds.split(","), servers, warm_up, seconds, sweep_checks, None):
                run["kernel"] = os.uname().release
                run["run"] = name
                measure.write(out, run)


if __name__ == "__main__":
    main()
