#!/usr/bin/env python3
"""holds.py -- what much that only lies there costs a server: sessions, watches, children.

    export TIDELOCK_BUILD=...
    python3 tests/bench/holds.py idle                        three servers with nothing to do
    python3 tests/bench/holds.py sessions --count 100000     100 on each connection, renewed
    python3 tests/bench/holds.py expiry --count 10000        all closed at once, each with an
                                                             ephemeral node, while others write
    python3 tests/bench/holds.py watches --count 1000000     each of a node of its own
    python3 tests/bench/holds.py fanout --count 10000        one change under so many watchers
    python3 tests/bench/holds.py directory --count 1000000   listed page by page under writes

The clients are Python: their own cost is not counted. CPU time and resident memory are those
of the servers' processes. Not a test: it judges nothing.
"""
import argparse
import json
import subprocess
import threading
import time

from measure import Pipeline, bench, cpu_s, head, ms, resident_bytes, row
from tidelock import TIDELOCK, Cluster, adopt, begin

SESSIONS_EACH = 100       # of one connection
WATCHES_EACH = 100000     # of one connection
ASKED_AT_ONCE = 1000
TIMEOUT_MS = 60000        # of the sessions
RENEWED_EVERY_S = 20      # as our own clients do: a third of the timeout
PAGE = 1000


def pids(cluster):
    return [n["pid"] for n in sorted(cluster.status(), key=lambda n: n["role"] != "leader")]


def use(cluster, seconds, work=lambda: None):
    """Shares of a core that the servers take, the leader's first, while `work` is repeated."""
    before, begun = [cpu_s(pid) for pid in pids(cluster)], time.monotonic()
    while time.monotonic() - begun < seconds:
        work()
    passed = time.monotonic() - begun
    return [(cpu_s(pid) - b) / passed * 100 for pid, b in zip(pids(cluster), before)]


def resident(cluster):
    return [resident_bytes(pid) for pid in pids(cluster)]


def told(values, form="%.1f"):
    return ", ".join(form % v for v in values)


def idle(args):
    cluster = Cluster(3)
    time.sleep(2)
    shares = use(cluster, args.seconds, lambda: time.sleep(1))
    head("server", "resident MB", "% of a core")
    for name, memory, share in zip(("leader", "follower", "follower"), resident(cluster),
                                   shares):
        row(name, "%.1f" % (memory / 1e6), "%.2f" % share)


# --- sessions ---


def open_sessions(cluster, count):
    """Connections spread over the servers, each with the ids of its sessions."""
    lines = [Pipeline(cluster.addresses[i % len(cluster.addresses)])
             for i in range((count + SESSIONS_EACH - 1) // SESSIONS_EACH)]
    time.sleep(1)
    before = resident(cluster)
    for line in lines:
        asked = [("session.open", [{"timeout_ms": TIMEOUT_MS}])] * SESSIONS_EACH
        line.sessions = [answer["id"] for answer in line.ask(asked)]
    return lines, before


class Renewals:
    """Renews all sessions every RENEWED_EVERY_S, evenly, one connection after the other."""

    def __init__(self, lines):
        self.lines, self.next, self.begun = lines, 0, time.monotonic()

    def step(self):
        due = (time.monotonic() - self.begun) / RENEWED_EVERY_S * len(self.lines)
        if self.next >= due:
            time.sleep(0.005)
            return
        line = self.lines[self.next % len(self.lines)]
        line.ask([("session.renew", [session]) for session in line.sessions])
        self.next += 1

    def behind(self):
        """Connections whose turn is overdue: the generator cannot keep up."""
        return int((time.monotonic() - self.begun) / RENEWED_EVERY_S * len(self.lines) -
                   self.next)


def sessions(args):
    cluster = Cluster(3)
    begun = time.monotonic()
    lines, before = open_sessions(cluster, args.count)
    count = len(lines) * SESSIONS_EACH
    print("%d sessions opened in %.0f s" % (count, time.monotonic() - begun), flush=True)
    renewals = Renewals(lines)
    shares = use(cluster, args.seconds, renewals.step)
    after = resident(cluster)
    head("server", "resident MB before", "after", "bytes a session", "% of a core")
    for i, name in enumerate(("leader", "follower", "follower")):
        row(name, "%.1f" % (before[i] / 1e6), "%.1f" % (after[i] / 1e6),
            "%.0f" % ((after[i] - before[i]) / count), "%.1f" % shares[i])
    print("all servers: %.1f %% of a core, %d renewals a second, %d connections overdue" %
          (sum(shares), count / RENEWED_EVERY_S, renewals.behind()))


def expiry(args):
    """Sessions with an ephemeral node each are closed at once, while other clients write."""
    cluster = Cluster(3)
    lines, _ = open_sessions(cluster, args.count)
    for line in lines:
        line.ask([("create", ["/e/%d" % session, b"",
                              {"session": session, "seq": 1, "ack": 0, "ephemeral": True,
                               "parents": True}]) for session in line.sessions])
    writer = background(cluster, 200, 5)
    time.sleep(2.5)
    begun = time.monotonic()
    threads = [threading.Thread(target=line.ask, args=([("session.close", [s])
                                                        for s in line.sessions],))
               for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    got = json.loads(writer.communicate()[0])
    print("%d sessions closed in %.2f s; 200 sets a second beside: p50 %s, p99 %s, max %s ms,"
          " errors %d" % (len(lines) * SESSIONS_EACH, took, ms(got["p50_us"]),
                          ms(got["p99_us"]), ms(got["max_us"]), got["errors"]))


def background(cluster, rate, seconds, *flags):
    bench_process = subprocess.Popen(
        [TIDELOCK, "bench", "--servers", cluster.servers, "--op", "set", "--rate", str(rate),
         "--clients", "8", "--depth", "32", "--seconds", str(seconds), "--warmup", "1", "-o",
         "json", *flags], stdout=subprocess.PIPE, text=True)
    adopt(bench_process.pid)
    return bench_process


# --- watches ---


def watches(args):
    cluster = Cluster(3)
    node = cluster.leader()
    address, pid = cluster.nodes[node], cluster.pid(node)
    lines = [Pipeline(address) for _ in range((args.count + WATCHES_EACH - 1) // WATCHES_EACH)]
    time.sleep(1)
    before, begun, number = resident_bytes(pid), time.monotonic(), 0
    for line in lines:
        for _ in range(0, WATCHES_EACH, ASKED_AT_ONCE):
            line.ask([("watch", ["/w/%d" % (number + i), number + i + 1, args.options])
                      for i in range(ASKED_AT_ONCE)])
            number += ASKED_AT_ONCE
    print("%d watches in %.0f s" % (number, time.monotonic() - begun))
    after = resident_bytes(pid)
    print("resident MB of their server: %.1f before, %.1f after: %.0f bytes a watch" %
          (before / 1e6, after / 1e6, (after - before) / number))
    for line in lines:
        line.close()

    time.sleep(3)
    print("%.1f when their connections have closed" % (resident_bytes(pid) / 1e6))


def fanout(args):
    cluster = Cluster(3)
    head("watchers", "on", "changes/s", "p50 ms", "p99 ms", "max ms", "errors",
         "CPU ms of all servers/change")
    for count in (100, 1000, args.count):
        for spread in ([], ["--spread"]):
            got = bench(cluster.servers, "watch", "--clients", count, "--seconds",
                        args.seconds, "--warmup", 1, "--timeout", 60000, *spread)
            row(count, "all servers" if spread else "the leader", "%.1f" % got["ops_per_s"],
                ms(got["p50_us"]), ms(got["p99_us"]), ms(got["max_us"]),
                got["errors_by_name"] or 0, "%.1f" % (got["server_cpu_s_per_1000"]))


# --- children ---


def list_pages(address, count):
    """How long the pages of one listing took, sorted; each page is a strong read."""
    line, after, seen, took = Pipeline(address), None, 0, []
    while True:
        begun = time.monotonic()
        options = {"limit": PAGE} if after is None else {"limit": PAGE, "after": after}
        page = line.ask([("children", ["/bench", options])])[0]
        took.append(time.monotonic() - begun)
        seen += len(page["children"])
        if not page["more"]:
            break
        after = page["children"][-1]
    line.close()
    assert seen >= count, "%d names of %d" % (seen, count)
    return sorted(took)


def directory(args):
    cluster = Cluster(3)
    loaded = bench(cluster.servers, "set", "--keys", args.count, "--clients", 12, "--depth",
                   100, "--seconds", 1, "--warmup", 0, "--timeout", 60000)
    assert loaded["count"] > 0
    keys = ["--keys", str(args.count), "--prepared"]
    alone = json.loads(background(cluster, 500, args.seconds, *keys).communicate()[0])
    writer = background(cluster, 500, args.seconds, *keys)
    pages, listings = [], 0
    while writer.poll() is None:
        pages += list_pages(cluster.nodes[cluster.leader()], args.count)
        listings += 1
    beside = json.loads(writer.communicate()[0])
    pages.sort()
    print("%d listings of %d children, pages of %d: p50 %.1f ms, p99 %.1f ms, max %.1f ms" %
          (listings, args.count, PAGE, pages[len(pages) // 2] * 1e3,
           pages[len(pages) * 99 // 100] * 1e3, pages[-1] * 1e3))
    for name, got in (("alone", alone), ("beside the listings", beside)):
        print("500 sets a second %s: p50 %s ms, p99 %s ms, max %s ms, errors %d" %
              (name, ms(got["p50_us"]), ms(got["p99_us"]), ms(got["max_us"]), got["errors"]))


def main():
    figures = {"idle": (idle, 0), "sessions": (sessions, 100000), "expiry": (expiry, 10000),
               "watches": (watches, 1000000), "fanout": (fanout, 10000),
               "directory": (directory, 1000000)}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("figure", choices=figures)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--options", type=json.loads, default={},
                        help="watches: further options of each, as JSON")
    args = parser.parse_args()
    figure, count = figures[args.figure]
    if args.count is None:
        args.count = count
    begin(3600)
    figure(args)


if __name__ == "__main__":
    main()
