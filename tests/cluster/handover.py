"""handover.py -- three real servers under constant writes; the leadership moves and servers
are told to stop (SIGTERM), one after the other.

Method: writers of two kinds. Those of this file have a session and a node each, set it to
1, 2, 3, ... and go to the next server when one is stopping, under the same seq; `tidelock
bench` does the same with the C client and many writes on their way. A number that is
missing, doubled or refused is a broken promise. How long a write waited is told, not judged,
but for what nobody would call a short wait.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Refused, Session, adopt, begin, is_alive, refusal,
                      rule, run, same, wait_for)

WRITERS, STEPS, ROUNDS = 4, 20, 2
STALL_MS_MAX = 3000

begin(100)
cluster = Cluster(3)


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.path, self.done, self.longest = "/w/%d" % number, 0, 0.0
        self.failure, self.go_on = None, True
        self.session = Session(cluster.addresses, 60000, first=number)
        self.session.write("create", self.path, b"0")
        self.start()

    def step(self):
        wanted, began = self.done + 1, time.monotonic()
        stat = self.session.write("set", self.path, b"%d" % wanted)["stat"]
        same(stat["version"], wanted, "the version that write %d made" % wanted)
        self.done = wanted
        self.longest = max(self.longest, time.monotonic() - began)

    def run(self):
        try:
            while self.go_on:
                self.step()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e


with Session(cluster.addresses).connection as setup:
    setup.call("create", "/w", None)
writers = [Writer(i) for i in range(WRITERS)]


def get_on():
    """Every writer gets on by some steps."""
    marks = [w.done + STEPS for w in writers]

    def passed():
        for w in writers:
            if w.failure:
                raise w.failure
        return all(w.done >= m for w, m in zip(writers, marks))
    wait_for(passed, "every writer gets on", 20)


def forget_stall():
    for w in writers:
        w.longest = 0.0


def tell_stall(what):
    """The longest that a write waited since the last time."""
    longest = max(w.longest for w in writers) * 1000
    forget_stall()
    print("# %s: the longest write took %.0f ms" % (what, longest), flush=True)
    assert longest < STALL_MS_MAX, "a write took %.0f ms" % longest


def stop(node):
    """Ends when the process has ended."""
    pid = cluster.pid(node)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not is_alive(pid), "server %d stops" % node, 5)


def start(node):
    """Ends when the server follows, and has caught up."""
    cluster.restart(node)

    def follows():
        told = cluster.told(node)
        return told and told["leader"] not in (0, node)
    wait_for(follows, "server %d follows" % node)


def stop_one_after_another(what):
    for node in [cluster.leader()] + sorted(cluster.nodes):
        led = cluster.leader() == node
        get_on()
        stop(node)
        get_on()
        tell_stall("server %d, which %s, %s" % (node, "led" if led else "followed", what))
        start(node)
        get_on()
    tell_stall("the last start")


def transfer(*flags):
    return subprocess.run([TIDELOCK, "transfer", "--servers", cluster.servers, *flags],
                          capture_output=True, text=True, timeout=20)


@rule
def a_transfer_under_writes_fails_none():
    for _ in range(3):
        get_on()
        before = cluster.leader()
        done = transfer("-o", "json")
        same(done.returncode, 0, "exit status of transfer: " + done.stderr)
        after = json.loads(done.stdout)["leader"]
        assert after != before, "server %d leads still" % before
        get_on()
        tell_stall("a transfer from %d to %d" % (before, after))


@rule
def a_named_server_gets_the_leadership():
    for node in sorted(cluster.nodes):
        done = transfer("--node", str(node))
        same(done.returncode, 0, "exit status of transfer: " + done.stderr)
        same(cluster.leader(), node, "the leader")


@rule
def only_the_leader_hands_over_and_only_to_another_server():
    leader, follower = cluster.leader(), cluster.follower()
    with cluster.connect(follower) as c:
        try:
            c.call("transfer")
            raise AssertionError("a follower handed over")
        except Refused as e:
            same(e.name, "not_leader")
            assert "server %d leads" % leader in e.message, e
    with cluster.connect(leader) as c:
        same(c.call("transfer", node=leader), {"leader": leader})
        for node in (0, 9, 1 << 40):
            same(refusal(c, "transfer", node=node), "bad_params", "node %d" % node)
    assert "bad_params" in transfer("--node", "9").stderr
    same(transfer("--node", "x").returncode, 2, "exit status for no number")


@rule
def a_hand_over_to_a_server_that_hangs_is_given_up():
    leader, follower = cluster.leader(), cluster.follower()
    cluster.dev("pause", "--node", str(follower))
    try:
        done = transfer("--node", str(follower))
        same(done.returncode, 1, "exit status of transfer")
        assert "timeout" in done.stderr, done.stderr
        get_on()
        same(cluster.leader(), leader, "the leader")
    finally:
        cluster.dev("resume", "--node", str(follower))
    get_on()
    forget_stall()  # who was connected to the server that hung waited for it


@rule
def servers_stopped_one_after_another_fail_no_write():
    for _ in range(ROUNDS):
        stop_one_after_another("stops")


@rule
def the_c_client_fails_no_write_either():
    bench = subprocess.Popen([TIDELOCK, "bench", "--servers", cluster.servers, "--op",
                              "set", "--clients", "4", "--depth", "8", "--spread",
                              "--seconds", "8", "--warmup", "1", "-o", "json"],
                             stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    adopt(bench.pid)
    stop_one_after_another("stops under a bench too")
    told = json.loads(bench.communicate(timeout=40)[0])
    print("# bench: %.0f writes a second, the longest took %.0f ms" %
          (told["ops_per_s"], told["max_us"] / 1000))
    same(told["errors"], 0, "errors of bench")
    assert told["max_us"] < STALL_MS_MAX * 1000, told


@rule
def every_acknowledged_write_is_there_exactly_once():
    for w in writers:
        w.go_on = False
    for w in writers:
        w.join(30)
        if w.failure:
            raise w.failure
    cluster.wait_equal()
    print("# %d writes, sessions moved %d times" %
          (sum(w.done for w in writers), sum(w.session.moves for w in writers)))
    for node in cluster.nodes:
        with cluster.connect(node) as c:
            for w in writers:
                got = c.call("get", w.path)
                same(int(got["data"]), w.done, w.path)
                same(got["stat"]["version"], w.done, "version of " + w.path)


run(cluster.log_tails)
