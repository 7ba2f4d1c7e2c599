"""watch.py -- watches on real servers: what is told, in which order, and after a kill -9.

Method: watcher.py's connection keeps apart what it was told and what it was answered. Counted are versions and zxids: an event that is missing,
doubled or late shows as a number.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Connection, Session, adopt, begin, refusal, rule,
                      run, same)
from watcher import Watcher

begin(150)
cluster = Cluster(3)
_next = iter(range(1, 10**6))


def fresh():
    path = "/t%d" % next(_next)
    with Connection(cluster.addresses[0]) as c:
        c.call("create", path, b"")
    return path


@rule
def every_kind_of_change_is_told_through_every_server():
    for address in cluster.addresses:
        top = fresh()
        with Watcher(address) as w, Connection(cluster.addresses[0]) as c:
            w.call("watch", top + "/a", 1, value=True)
            w.call("watch", top, 2, data=False, children=True)
            c.call("create", top + "/a", b"one")
            c.call("set", top + "/a", b"two")
            c.call("set", top, b"not told: only children are")
            c.call("delete", top + "/a")
            same(w.wait_events(5), [[1, "created", top + "/a", b"one"], [2, "children", top],
                                    [1, "changed", top + "/a", b"two"],
                                    [1, "deleted", top + "/a"], [2, "children", top]],
                 "events")


@rule
def the_answer_says_from_when_and_what_stands_there():
    top = fresh()
    with Watcher(cluster.addresses[1]) as w:
        there = w.call("watch", top, 1)
        same(there["stat"], w.call("stat", top)["stat"], "stat")
        assert there["zxid"] >= there["stat"]["mzxid"], there
        same(w.call("watch", top + "/none", 2)["stat"], None, "stat of no node")


@rule
def an_event_stands_before_every_answer_that_shows_its_change():
    top = fresh()
    for address in cluster.addresses:
        with Watcher(address) as w:
            w.call("watch", top, 1)
            for _ in range(50):
                told = w.call("set", top, b"x")["zxid"]
                same([z for z, _ in w.events], [told], "told before the own write's answer")
                w.events.clear()
        with Watcher(address) as w, Connection(cluster.addresses[0]) as c:
            w.call("watch", top, 1)
            for _ in range(50):
                zxid = c.call("set", top, b"y")["zxid"]
                w.call("get", top)
                same([z for z, _ in w.events], [zxid], "told before the read's answer")
                w.events.clear()


@rule
def a_watch_armed_once_is_told_of_one_transaction():
    top = fresh()
    with Watcher(cluster.addresses[2]) as w:
        w.call("watch", top, 7, once=True)
        w.call("multi", [["set", top, b"1"], ["set", top, b"2"]])
        w.call("set", top, b"3")
        same(w.take(), [[7, "changed", top]], "events")
        w.call("watch", top, 7, once=True)  # its number is free again
        w.call("set", top, b"4")
        same(w.take(), [[7, "changed", top]], "events")


@rule
def a_transaction_is_told_of_in_one_piece_and_a_refused_one_not_at_all():
    top = fresh()
    with Watcher(cluster.addresses[0]) as w:
        w.call("watch", top, 1, data=False, children=True)
        w.call("watch", top + "/b", 2)
        w.call("multi", [["create", top + "/a", None], ["create", top + "/b", None],
                         ["set", top + "/b", b"x"]])
        same(refusal(w, "multi", [["set", top + "/b", b"y"], ["check", top, 99]]),
             "bad_version", "refusal")
        same(len(w.events), 1, "notifications")
        same(w.take(), [[1, "children", top], [2, "created", top + "/b"]], "events")


@rule
def after_unwatch_nothing_is_told():
    top = fresh()
    with Watcher(cluster.addresses[1]) as w:
        asked = [w.send("watch", top, 1), w.send("unwatch", 1), w.send("set", top, b"x")]
        for number in asked:
            w.answer(number)
        same(w.take(), [], "events")
        same(w.call("unwatch", 12345), None, "of a watch that is not there")


@rule
def what_makes_no_sense_is_refused():
    with Watcher(cluster.addresses[0]) as w:
        w.call("watch", "/", 1)
        same(refusal(w, "watch", "/", 1), "bad_params", "a number in use")
        same(refusal(w, "watch", "a//b", 2), "bad_path", "no path")
        same(refusal(w, "watch", "/", 3, data=False), "bad_option", "of nothing")
        same(refusal(w, "watch", "/", 4, since=1, consistency="any"), "bad_option", "since")
        same(refusal(w, "watch", "/", 5, since=1 << 60), "lagged", "the future")


@rule
def a_session_that_ends_takes_its_ephemerals_in_one_notification():
    top = fresh()
    s = Session(cluster.addresses)
    for i in range(20):
        s.write("create", "%s/e%d" % (top, i), None, ephemeral=True)
    with Watcher(cluster.addresses[1]) as w:
        w.call("watch", top, 1, data=False, children=True)
        for i in range(20):
            w.call("watch", "%s/e%d" % (top, i), 2 + i)
        s.insist("session.close", s.id)
        told = w.wait_events(21)
        same(sorted(e[0] for e in told), list(range(1, 22)), "watches told")
        same({e[1] for e in told}, {"deleted", "children"}, "kinds")


@rule
def since_gives_what_was_missed_once_and_then_what_comes():
    top = fresh()
    with Connection(cluster.addresses[0]) as c:
        start = c.call("set", top, b"0")["zxid"]
        zxids = [c.call("set", top, b"%d" % i)["zxid"] for i in range(1, 600)]
        for address in cluster.addresses:
            with Watcher(address) as w:
                armed = w.call("watch", top, 1, since=start, value=True)
                got = [z for z, _ in w.events]
                same(got, zxids, "zxids replayed before the answer")
                assert armed["zxid"] >= zxids[-1], armed
                w.events.clear()
                w.call("watch", top, 2, since=zxids[-3])
                w.call("watch", top, 3, since=armed["zxid"], once=True)
                w.call("watch", top, 4, since=start, once=True)
                same([z for z, _ in w.events], [zxids[-2], zxids[-1], zxids[0]], "zxids")
                w.events.clear()
                zxids.append(w.call("set", top, b"more")["zxid"])
                told = w.take()
                same([e[0] for e in told], [1, 2, 3], "live ones; 4 fired by replay")


@rule
def replays_while_writes_go_on_leave_no_gap():
    top, going, made = fresh(), [True], []

    def write():
        with Connection(cluster.addresses[0]) as c:
            while going[0]:
                made.append(c.call("set", top, b"x")["zxid"])
    with Connection(cluster.addresses[0]) as c:
        start = c.call("set", top, b"0")["zxid"]
    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.3)
    got = {}
    try:
        for address in cluster.addresses:
            with Watcher(address) as w:
                w.call("watch", top, 1, since=start)
                for _ in range(300):
                    w.receive()
                got[address] = [z for z, _ in w.events]
    finally:
        going[0] = False
        writer.join()
    for zxids in got.values():
        assert len(zxids) > 290, "events and one answer came"
        same(zxids, made[:len(zxids)], "zxids told")


def start_watch(*flags):
    process = subprocess.Popen([TIDELOCK, "watch", "--servers", cluster.servers, "-o",
                                "json", *flags], stdout=subprocess.PIPE, text=True)
    adopt(process.pid)
    same(json.loads(process.stdout.readline())["kind"], "armed", "the first line")
    return process


def signal_all(processes, signo):
    for process in processes:
        process.send_signal(signo)


@rule
def nothing_is_lost_or_doubled_when_servers_are_killed():
    top = fresh()
    watchers = [start_watch("--value", top) for _ in range(6)]
    writer, count = Session(cluster.addresses, 60000, patience=60), 0
    for node in sorted(cluster.nodes):
        for step in range(90):
            count += 1
            if step == 30:
                signal_all(watchers, signal.SIGSTOP)  # so that there is something to miss
                cluster.kill(node)
            if step == 60:
                signal_all(watchers, signal.SIGCONT)
            if step == 75:
                cluster.restart(node)
            same(writer.write("set", top, b"%d" % count)["stat"]["version"], count, "version")
    for process in watchers:
        lines = [json.loads(process.stdout.readline()) for _ in range(count)]
        same([x["data"] for x in lines], ["%d" % i for i in range(1, count + 1)], "values told")
        zxids = [x["zxid"] for x in lines]
        same(zxids, sorted(set(zxids)), "zxids")
        process.send_signal(signal.SIGINT)
        process.wait(10)


@rule
def a_paused_server_is_left_by_a_watcher_that_has_no_session():
    top = fresh()
    process = start_watch(top)
    for node in sorted(cluster.nodes):
        cluster.dev("pause", "--node", str(node))
        try:
            s = Session(cluster.addresses, 10000, first=node, patience=30)
            zxid = s.write("set", top, b"x")["zxid"]
            s.drop()
            line = json.loads(process.stdout.readline())
            same((line["zxid"], line["kind"]), (zxid, "changed"), "told")
        finally:
            cluster.dev("resume", "--node", str(node))
    process.kill()
    process.wait()


@rule
def a_reader_that_does_not_read_is_told_that_it_lags():
    top, follower = fresh(), cluster.follower()
    pid, data = cluster.pid(follower), b"x" * 100000
    with Watcher(cluster.nodes[follower]) as w, Connection(cluster.addresses[0]) as c:
        w.call("watch", top, 1, value=True)
        made = [c.call("set", top, data)["zxid"] for _ in range(300)]
        with cluster.connect(follower) as other:
            other.call("stat", top)
        w.call("stat", top)
        told = [z for z, _ in w.events]
        same(told, made[:len(told)], "told without a gap")
        assert len(told) < len(made), "the budget is less than all"
        same(w.lagged, [[made[len(told)] - 1, [1]]], "told how far it is complete")
        w.events.clear()
        w.call("watch", top, 1, since=w.lagged[0][0])
        same([z for z, _ in w.events], made[len(told):], "and the rest on demand")
        with open("/proc/%d/status" % pid) as file:
            print("# " + next(x for x in file if x.startswith("VmRSS")).strip())


@rule
def what_happened_before_all_servers_restarted_is_told():
    top, process = fresh(), None
    with Connection(cluster.addresses[0]) as c:
        old = c.call("set", top, b"1")["zxid"]
        process = start_watch("--value", top)
        missed = [c.call("set", top, b"2")["zxid"] for _ in range(3)]
    cluster.dev("stop")  # which leaves nothing to be applied again
    cluster.dev("start")
    cluster.leader()
    for address in cluster.addresses:
        with Watcher(address) as w:
            w.call("watch", top, 1, since=old)
            same([z for z, _ in w.events], missed, "told of before")
    with Watcher(cluster.addresses[0]) as w:
        zxid = w.call("set", top, b"3")["zxid"]
    told = [json.loads(process.stdout.readline()) for _ in range(4)]
    same([(e["kind"], e["zxid"]) for e in told], [("changed", z) for z in missed + [zxid]])
    process.kill()
    process.wait()


@rule
def the_command_line_ends_after_one_event_and_runs_commands():
    top = fresh()
    process = start_watch("--once", "--children", "--exec",
                          "echo ran $TIDELOCK_EVENT_KIND $TIDELOCK_EVENT_PATH", top)
    with Connection(cluster.addresses[0]) as c:
        zxid = c.call("create", top + "/a", None)["zxid"]
    out, _ = process.communicate(timeout=20)
    same(process.returncode, 0, "exit status")
    told, ran = out.splitlines()
    same(json.loads(told), {"zxid": zxid, "kind": "children", "path": top}, "told")
    same(ran, "ran children " + top, "what ran")
    done = subprocess.run([TIDELOCK, "watch", "--servers", cluster.servers, "no-path"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and "bad_path" in done.stderr, done


run(cluster.log_tails)
