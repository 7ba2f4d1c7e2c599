"""measure.py -- what the programs of this folder stand on: what a process uses, the bench's
answers, and tables. Clusters and connections are those of tests/lib/tidelock.py."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import TIDELOCK, Closed, Connection, Refused, pack

def cpu_s(pid):
    """To the nanosecond, by the process's CPU clock, where /proc counts in hundredths."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def bench(servers, op, *flags, limit=3600):
    """What `tidelock bench` says; failed operations are no failure of it."""
    done = subprocess.run([TIDELOCK, "bench", "--servers", servers, "--op", op, "-o", "json",
                           *(str(flag) for flag in flags)], capture_output=True, text=True,
                          timeout=limit, stdin=subprocess.DEVNULL)
    if not done.stdout:
        raise AssertionError("bench %s %s: %s" % (op, flags, done.stderr))
    return json.loads(done.stdout)


def ms(us):
    return "%.2f" % (us / 1000)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    row(*cells)
    print("|" + "---|" * len(cells), flush=True)


def strong_read(address, path="/"):
    """True when the server at the address answers one."""
    try:
        with Connection(address, timeout=2) as c:
            c.call("stat", path)
            return True
    except (Closed, Refused):
        return False


def seconds_until_served(address, begun, limit=600):
    while not strong_read(address):
        assert time.monotonic() - begun < limit, "not served within %d s" % limit
        time.sleep(0.002)
    return time.monotonic() - begun


class Pipeline:
    """A connection that asks for much before it reads answers."""

    def __init__(self, address):
        self.connection = Connection(address, timeout=120)

    def ask(self, requests):
        """`requests`: (method, params) each. The results, in the order in which they were asked
        for, which is that of the answers to requests of one kind."""
        base = self.connection.msgid
        parts = [pack([0, base + i + 1, method, params])
                 for i, (method, params) in enumerate(requests)]
        self.connection.msgid += len(parts)
        self.connection.send_raw(b"".join(parts))
        return [self.answer() for _ in parts]

    def answer(self):
        """The next one; what the server tells on its own is passed over."""
        message = self.connection.receive()
        while message[0] != 1:
            message = self.connection.receive()
        if message[2] is not None:
            raise Refused(message[2])
        return message[3]

    def close(self):
        self.connection.close()
