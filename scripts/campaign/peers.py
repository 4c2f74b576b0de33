"""Programs that Debian packages and that do some of the same work."""

import os
import re

import measure
from loopback import PORT, address


# Run -> what has to be installed for it.
PACKAGES = {
    "dnsperf": ["dnsperf"],
    "nmap": ["nmap"],
    "haproxy": ["haproxy"],
    "fping": ["fping"],
    "keepalived": ["keepalived"],
    "keepalived-guest": ["keepalived", "user-mode-linux", "kmod", "iproute2", "gcc", "libc6-dev"],
}


def haproxy(setup):
    """One thread, `check inter 1s`; handshakes are ended by a reset, and spread over the second."""
    conf = os.path.join(setup.folder, "haproxy.cfg")
    with open(conf, "w") as out:
        out.write("global\n nbthread 1\n maxconn 1000\n spread-checks 50\n")
        out.write("defaults\n mode tcp\n timeout connect 2s\n timeout client 5s\n timeout server 5s\n")
        out.write(" default-server inter 1s\n")
        out.write("frontend f\n bind 127.0.0.1:18080\n default_backend b\nbackend b\n")
        for number in range(setup.size["haproxy"]):
            out.write(f" server s{number} {address(number)}:{PORT} check\n")
    command = ["haproxy", "-db", "-f", conf]
    return measure.for_seconds(
        command,
        lambda child: child.pid,
        setup.warm_up,
        setup.seconds,
        "Tcp:ActiveOpens",
        1,
        per_second=setup.size["haproxy"],
    )


def dnsperf(setup):
    """One server, for it knows no list of them; its sending and its receiving thread share the core."""
    questions = 1000
    path = os.path.join(setup.folder, "questions")
    with open(path, "w") as out:
        out.write("www.example.test A\n" * questions)
    checks = setup.size["dns"] // questions * questions
    command = ["dnsperf", "-s", address(0), "-p", str(PORT), "-d", path, "-n", str(checks // questions)]
    command += ["-q", "1000", "-c", "1", "-T", "1", "-t", "2", "-b", "4096"]

    def lost(output):
        sent = re.search(r"Queries sent: +(\d+)", output)
        done = re.search(r"Queries completed: +(\d+)", output)
        return int(sent[1]) - int(done[1])

    # With the buffer it has without -b it loses some thousandths of its answers itself.
    found, _ = measure.whole_process(command, checks, [("Udp:OutDatagrams", 2, 0.01)], lost=lost, lost_share=0.01)
    return found


def fping(setup):
    """One echo request each, as fast as its least interval allows."""
    checks = setup.size["fping"]
    targets = setup.targets(checks, setup.addresses)
    command = ["fping", "-q", "-c", "1", "-i", "0.01", "-t", "2000", "-f", targets]
    found, _ = measure.whole_process(command, checks, [("Icmp:OutEchos", 1, 0.001), ("Icmp:InEchoReps", 1, 0.001)])
    return found


def nmap(setup):
    """A connect scan of one port of each address, no discovery before it."""
    checks = setup.size["nmap"]
    targets = setup.targets(checks, setup.addresses)
    command = ["nmap", "-sT", "-Pn", "-n", "-p", str(PORT), "-iL", targets, "-oG", "-"]
    command += ["--min-hostgroup", "4096", "--min-parallelism", "256", "--max-retries", "1"]

    def lost(output):
        return checks - output.count(f"{PORT}/open/")

    found, _ = measure.whole_process(command, checks, [("Tcp:ActiveOpens", 1, 0.01)], lost=lost, lost_share=0.01)
    return found
