"""The fleet that is probed: one responder on addresses of the loopback, and lists of them."""

import ipaddress
import socket
import subprocess
import time

import measure

PORT = 5300
# Of the responder with a million addresses.
GROWN_PORT = 5310
NET = "127.64.0.0"
FIRST = int(ipaddress.ip_address(NET)) + 1
# It ends by itself after this time, whatever becomes of us.
LIFE = "14400s"


def address(number):
    return str(ipaddress.ip_address(FIRST + number))


def write_targets(path, checks, addresses):
    """`checks` lines: the addresses one after another, and again from the first."""
    lines = [address(number) + "\n" for number in range(addresses)]
    with open(path, "w") as file:
        for start in range(0, checks, addresses):
            file.writelines(lines[: checks - start])


class Responder:
    """`ringprobe respond`: answers DNS and TCP for every address."""

    def __init__(self, prober, addresses, port=PORT, core=measure.OTHER_CORE):
        net = f"{NET}/16" if addresses < 1 << 16 else f"{NET}/12"
        self.command = [prober, "respond", "--net", net, "--servers", str(addresses)]
        self.command += ["--seed", "1", "--port", str(port), "--for", LIFE]
        self.port, self.core = port, core

    def __enter__(self):
        self.child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=measure.pinned(self.core),
        )
        try:
            self.wait_for_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_for_answers(self):
        for _ in range(100):
            if self.child.poll() is not None:
                raise RuntimeError(f"the responder ended: {self.child.stderr.read().strip()}")
            if answers_tcp(self.port) and answers_dns(self.port):
                return
            time.sleep(0.1)
        raise RuntimeError("the responder does not answer")

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()


def answers_tcp(port):
    try:
        socket.create_connection((address(0), port), timeout=0.2).close()
    except OSError:
        return False
    return True


def answers_dns(port):
    query = bytes.fromhex("1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 0474657374 00 0001 0001")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.2)
        try:
            asker.sendto(query, (address(0), port))
            return asker.recv(512)[:2] == query[:2]
        except OSError:
            return False
