"""watches.py -- what watches cost: the memory of a million of them, and how long one change
takes to reach ten thousand.

    TIDELOCK_BUILD=build python3 tests/bench/watches.py [WATCHES]

One cluster of three servers on this machine; the watches stand on a follower. Half of them
are plain and half are recursive, each on a path of its own of 24 bytes. The time counts from
before the change is sent until the last of 100 connections has read the event of each of its
100 watches; all of them are read by one Python program, whose own time is in it.
"""
import os
import selectors
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import Cluster, Connection, begin, memory_kb, same
from watcher import Watcher

ALL = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
EACH, CHUNK, CHANGES = 100000, 1000, 20

begin(1200)
cluster = Cluster(3)
cluster.wait_equal()
follower = cluster.follower()
pid, address = cluster.pid(follower), cluster.nodes[follower]


def arm(w, entries):
    asked = [w.send("watch.many", entries[i:i + CHUNK]) for i in range(0, len(entries), CHUNK)]
    for msgid in asked:
        same(w.answer(msgid)["refused"], [], "refused")


def memory():
    before, watchers = memory_kb(pid), []
    for first in range(0, ALL, EACH):
        watchers.append(Watcher(address, 120))
        arm(watchers[-1], [[i, "/services/region/%07d" % i, {"recursive": i % 2 == 1}]
                           for i in range(first, min(first + EACH, ALL))])
    grown = memory_kb(pid) - before
    print("%d watches: %d bytes each (%d MB)" % (ALL, grown * 1024 // ALL, grown // 1024))
    with Connection(cluster.addresses[0]) as c:
        c.call("multi", [["create", "/services", None], ["create", "/services/region", None]])
        start = time.monotonic()
        for i in range(200):
            c.call("create", "/services/region/%07d" % (i * 31 % ALL), b"x")
        print("a create among them: %.2f ms" % ((time.monotonic() - start) * 5))
    for w in watchers:
        w.close()


def reach_all(c, watchers, selector):
    """One change: the time until all have heard it, in ms."""
    left = {w: 100 for w in watchers}
    start = time.monotonic()
    c.call("set", "/hot", b"x" * 100)
    while left:
        for key, _ in selector.select():
            w = key.data
            w.receive()
            while w.buffer:
                w.receive()
            for _, events in w.events:
                left[w] -= len(events)
            w.events.clear()
            if w in left and left[w] == 0:
                del left[w]
    return (time.monotonic() - start) * 1000


def speed():
    watchers, selector = [Watcher(address) for _ in range(100)], selectors.DefaultSelector()
    with Connection(cluster.addresses[0]) as c:
        c.call("create", "/hot", b"")
        for w in watchers:
            arm(w, [[i, "/hot", {"value": True, "recursive": i % 2 == 1}] for i in range(100)])
            selector.register(w.socket, selectors.EVENT_READ, w)
        took = sorted(reach_all(c, watchers, selector) for _ in range(CHANGES))
    print("one change to 10000 watches of 100 connections: median %.0f ms, slowest %.0f ms"
          % (took[CHANGES // 2], took[-1]))


speed()
memory()
