"""watch_tree.py -- watches of trees, their snapshots, and very many watches.

Method: a Map of what a watcher was told must be the tree, at every zxid from the one on at
which its snapshot was whole. Counted are events: one missing or doubled shows as a number.
"""
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Connection, adopt, begin, memory_kb, refusal, rule,
                      run, same, wait_for)
from watcher import Map, Watcher

begin(200)
cluster = Cluster(3)
cluster.wait_equal()
_next = iter(range(1, 10**6))


def fresh():
    path = "/t%d" % next(_next)
    with Connection(cluster.addresses[0]) as c:
        c.call("create", path, b"")
    return path


def plant(paths, data=b"0"):
    with Connection(cluster.addresses[0]) as c:
        for i in range(0, len(paths), 500):
            c.call("multi", [["create", path, data] for path in paths[i:i + 500]])


def snapshot(address, top):
    """What stands below `top`, read in one piece when nothing changes."""
    with Watcher(address) as w:
        w.call("watch", top, 1, recursive=True, snapshot=True, value=True)
        found = Map(w, 1)
        while found.follow() is None:
            w.receive()
        return found.nodes


@rule
def a_recursive_watch_hears_of_its_node_and_of_all_below_it():
    for address in cluster.addresses:
        top = fresh()
        with Watcher(address) as w, Connection(cluster.addresses[0]) as c:
            w.call("watch", top, 1, recursive=True, value=True)
            w.call("watch", top + "/a", 2, recursive=True, once=True)
            c.call("create", top + "/a", b"1")
            c.call("create", top + "/a/b", b"2")
            c.call("set", top, b"3")
            c.call("create", top + "x", b"not below it")
            c.call("delete", top + "/a/b")
            same(w.wait_events(5),
                 [[1, "created", top + "/a", b"1"], [2, "created", top + "/a"],
                  [1, "created", top + "/a/b", b"2"], [1, "changed", top, b"3"],
                  [1, "deleted", top + "/a/b"]], "events")
            w.call("watch", top, 3, recursive=True, since=1)
            same(len([e for e in w.take() if e[0] == 3]), 5, "events replayed")


@rule
def what_makes_no_sense_is_refused():
    with Watcher(cluster.addresses[0]) as w:
        for options in ({"recursive": True, "children": True}, {"recursive": True, "data": False},
                        {"snapshot": True, "since": 1}, {"snapshot": True, "once": True},
                        {"snapshot": True, "children": True}):
            same(refusal(w, "watch", "/", 1, **options), "bad_option", options)
        same(refusal(w, "watch.many", []), "bad_params", "no watch")
        same(refusal(w, "watch.many", [[1, "/"]] * 1001), "too_large", "too many")
        same(refusal(w, "watch.many", [[1]]), "bad_params", "no path")
        same(refusal(w, "watch.many", [[1, "/", {"sideways": True}]]), "bad_params", "a flag")
        same([r[0] for r in w.call("watch.many", [[1, "/"]], since=1 << 60)["refused"]], [1],
             "of the future")


class Writer(threading.Thread):
    """Changes a tree without end; each transaction leaves `left` and `right` alike."""

    def __init__(self, top, names):
        super().__init__()
        self.top, self.names, self.going, self.count = top, names, True, 0

    def run(self):
        with Connection(cluster.addresses[0]) as c:
            while self.going:
                self.count += 1
                data = b"%d" % self.count
                path = self.names[self.count * 7919 % len(self.names)]
                c.call("multi", [["set", self.top + "/left", data],
                                 ["set", self.top + "/right", data], ["set", path, data]])
                extra = path + "/x"
                c.call("create", extra, data)
                if self.count % 3:
                    c.call("delete", extra)
                else:
                    c.call("multi", [["delete", extra], ["create", extra, b"again"],
                                     ["delete", extra]])


@rule
def a_snapshot_and_what_comes_after_it_are_the_tree_while_it_changes():
    top = fresh()
    names = ["%s/n%04d" % (top, i) for i in range(3000)]
    plant([top + "/left", top + "/right", *names])
    writer = Writer(top, names)
    writer.start()
    try:
        wait_for(lambda: writer.count > 20, "writes go on")
        for address in cluster.addresses:
            with Watcher(address) as w:
                found, whole = Map(w, 1), None
                w.call("watch", top, 1, recursive=True, snapshot=True, value=True)
                while whole is None:
                    whole = found.follow()
                    w.receive()

                def alike(nodes):
                    same(nodes[top + "/left"], nodes[top + "/right"], "one transaction")
                for _ in range(200):
                    w.receive()
                found.follow(alike)
                w.call("stat", "/")
                found.follow(alike)
    finally:
        writer.going = False
        writer.join()
    with Watcher(cluster.addresses[1]) as w:
        w.call("stat", "/")
    # Not a change since then is missing, and none comes twice.
    nodes = snapshot(cluster.addresses[2], top)
    same(sorted(nodes), sorted([top, top + "/left", top + "/right", *names]), "paths")


@rule
def a_snapshot_waits_for_its_reader():
    top, follower = fresh(), cluster.follower()
    plant_big = ["%s/%d" % (top, i) for i in range(150)]
    with Connection(cluster.addresses[0]) as c:
        for path in plant_big:
            c.call("create", path, b"x" * 200000)
    pid = cluster.pid(follower)
    with Watcher(cluster.nodes[follower]) as w:
        before = memory_kb(pid)
        w.send("watch", top, 1, recursive=True, snapshot=True, value=True)
        with cluster.connect(follower) as other:  # 30 MB wait in the tree, not in memory
            for _ in range(200):
                other.call("stat", "/")
        grown = memory_kb(pid) - before
        print("# grown by %d KB" % grown)
        assert grown < 16000, grown
        found = Map(w, 1)
        while found.follow() is None:
            w.receive()
        same(len(found.nodes), 151, "nodes")


@rule
def many_are_armed_in_one_request_and_those_refused_are_named():
    top = fresh()
    with Watcher(cluster.addresses[1]) as w, Connection(cluster.addresses[0]) as c:
        answer = w.call("watch.many", [[1, top], [2, "bad"], [3, top, {"children": True}],
                                       [1, "/again"], [4, top, {"recursive": True,
                                                                "value": True}]])
        same([r[0] for r in answer["refused"]], [2, 1], "refused")
        start = c.call("create", top + "/a", b"x")["zxid"]
        same(w.take(), [[4, "created", top + "/a", b"x"], [3, "children", top]], "events")
        assert answer["zxid"] < start, answer
        w.call("watch.many", [[10, top + "/a"], [11, top, {"once": True, "children": True}]],
               since=start - 1)
        same(w.take(), [[10, "created", top + "/a"], [11, "children", top]], "replayed")
        c.call("delete", top + "/a")
        same(sorted(e[0] for e in w.take()), [3, 4, 10], "live; 11 has fired")


@rule
def only_the_watch_that_is_too_much_lags():
    top, follower = fresh(), cluster.follower()
    plant([top + "/quiet", top + "/noisy"])
    with Watcher(cluster.nodes[follower]) as w, Connection(cluster.addresses[0]) as c:
        w.call("watch", top + "/noisy", 1, value=True)
        w.call("watch", top + "/quiet", 2)
        made = [c.call("set", top + "/noisy", b"x" * 100000)["zxid"] for _ in range(200)]
        with cluster.connect(follower) as other:
            other.call("stat", top)
        quiet = c.call("set", top + "/quiet", b"x")["zxid"]
        w.call("stat", top)
        told = [z for z, e in w.events if e[0][0] == 1]
        same(w.lagged, [[made[len(told)] - 1, [1]]], "one lagged, and how far it was told")
        assert w.events[-1] == (quiet, [[2, "changed", top + "/quiet"]]), w.events[-1]


@rule
def one_that_hears_nothing_is_told_how_far_that_is_everything():
    top = fresh()
    with Watcher(cluster.addresses[2]) as w, Connection(cluster.addresses[0]) as c:
        w.call("watch", top, 1)
        zxid = c.call("create", top + "/else", None)["zxid"]
        while not w.progress or w.progress[-1] < zxid:
            w.receive()
        same(w.events, [], "events")


def many(count, top):
    return [[i + 1, "%s/%05d" % (top, i)] for i in range(count)]


def arm_all(w, entries, **options):
    """A thousand a request, five requests at a time: as the library does, or faster."""
    asked = []
    for i in range(0, len(entries), 1000):
        asked.append(w.send("watch.many", entries[i:i + 1000], **options))
        if len(asked) >= 5:
            same(w.answer(asked.pop(0))["refused"], [], "refused")
    for msgid in asked:
        same(w.answer(msgid)["refused"], [], "refused")


@rule
def cut_off_while_20000_nodes_change_one_hears_of_each_once():
    top = fresh()
    entries = many(20000, top)
    plant([path for _, path in entries])
    with Watcher(cluster.addresses[0]) as w:
        arm_all(w, entries)
        since = w.call("stat", "/")["zxid"]
    made = {}
    with Connection(cluster.addresses[1]) as c:
        for i in range(0, 20000, 500):
            ops = [["set", path, b"1"] for _, path in entries[i:i + 500]]
            zxid = c.call("multi", ops)["zxid"]
            made.update({number: zxid for number, _ in entries[i:i + 500]})
    with Watcher(cluster.addresses[2]) as w:
        start = time.monotonic()
        arm_all(w, entries, since=since)
        print("# armed again in %.1f s" % (time.monotonic() - start))
        heard = {}
        for zxid, events in w.events:
            for number, kind, _ in events:
                assert number not in heard and kind == "changed", (number, kind)
                heard[number] = zxid
        same(w.lagged, [], "lagged")
        same(heard, made, "each change once, at its zxid")


@rule
def a_hundred_thousand_come_back_while_others_are_served():
    top, follower = fresh(), cluster.follower()
    entries, pid = many(100000, top), cluster.pid(follower)
    before, slowest = memory_kb(pid), 0
    with Watcher(cluster.nodes[follower], 60) as w:
        arm_all(w, entries)
        print("# %d bytes of memory each" % ((memory_kb(pid) - before) * 1024 // len(entries)))
        same(refusal(w, "watch", "/", 1 << 40), "too_large", "one more")
        since = w.call("stat", "/")["zxid"]
    with Connection(cluster.addresses[0]) as c:
        for i in range(0, 100000, 1000):
            c.call("create", entries[i][1], None)
    done = threading.Event()
    with Watcher(cluster.nodes[follower], 60) as w, cluster.connect(follower) as other:
        def arm():
            arm_all(w, entries, since=since)
            done.set()
        thread = threading.Thread(target=arm)
        start = time.monotonic()
        thread.start()
        while not done.is_set():
            asked = time.monotonic()
            other.call("stat", "/")
            slowest = max(slowest, time.monotonic() - asked)
        thread.join()
        print("# armed again in %.1f s; the slowest read of another took %.0f ms"
              % (time.monotonic() - start, slowest * 1000))
        same(sorted(e[0] for _, events in w.events for e in events),
             list(range(1, 100001, 1000)), "what was missed")


@rule
def the_command_line_tells_a_tree_and_its_changes():
    top = fresh()
    plant([top + "/a", top + "/a/b"], b"old")
    process = subprocess.Popen([TIDELOCK, "watch", "--servers", cluster.servers, "-o", "json",
                                "--recursive", "--snapshot", "--value", top],
                               stdout=subprocess.PIPE, text=True)
    adopt(process.pid)

    def line():
        told = json.loads(process.stdout.readline())
        return told["kind"], told["path"], told.get("data")
    same([line() for _ in range(5)], [("armed", top, None), ("node", top, ""),
                                      ("node", top + "/a", "old"), ("node", top + "/a/b", "old"),
                                      ("ready", top, None)], "lines")
    with Connection(cluster.addresses[0]) as c:
        zxid = c.call("set", top + "/a/b", b"new")["zxid"]
        same(line(), ("changed", top + "/a/b", "new"), "line")
        process.kill()
        process.wait()
        c.call("delete", top + "/a/b")
    done = subprocess.run([TIDELOCK, "watch", "--servers", cluster.servers, "--recursive",
                           "--once", "--since", str(zxid), top], capture_output=True, text=True,
                          timeout=20, check=True)
    assert "deleted %s/a/b" % top in done.stdout, done.stdout
    done = subprocess.run([TIDELOCK, "watch", "--recursive", "--children", top],
                          capture_output=True, text=True, timeout=20, check=False)
    same(done.returncode, 2, "exit status of what makes no sense")


run(cluster.log_tails)
