"""snapshot.py -- three real servers that keep little log: one that was away for long gets the
state of another, while writes go on, also when either is killed in the middle.

Method: writers with a session each set a node of their own to 1, 2, 3, ... all the time.
While a server is away as many bytes are written as no log here keeps. What the servers say in
their logs tells when a copy begins and ends; kills strike some time after a beginning. At
the end every acknowledged write is there once, and all servers have the same digest.
"""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Closed, Cluster, Connection, Refused, Session, begin, rule, run,
                      same, wait_for)

WRITERS, STEPS, NODES, NODE_BYTES = 3, 20, 400, 60000
BEGINS = "a copy of a peer's state begins"
ENDS = "took up a peer's state"
SENDS = "a peer lags too far: sending the state"

seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
print("# SEED=%d" % seed)
random.seed(seed)
begin(120)
cluster = Cluster(3, "--log-segment-bytes", "262144", "--log-keep-bytes", "1048576")


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.path, self.done, self.go_on, self.failure = "/w/%d" % number, 0, True, None
        self.session = Session(cluster.addresses, 60000, first=number, patience=60)
        self.session.write("create", self.path, b"0")
        self.start()

    def run(self):
        try:
            while self.go_on:
                stat = self.session.write("set", self.path, b"%d" % (self.done + 1))["stat"]
                same(stat["version"], self.done + 1, "version of " + self.path)
                self.done += 1
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e


bulk = Session(cluster.addresses, 60000)
bulk.write("create", "/w", None)
bulk.write("create", "/bulk", None)
writers = [Writer(i) for i in range(WRITERS)]
rounds = 0


def get_on():
    """Every writer gets on by some steps."""
    marks = [w.done + STEPS for w in writers]

    def passed():
        for w in writers:
            if w.failure:
                raise w.failure
        return all(w.done >= m for w, m in zip(writers, marks))
    wait_for(passed, "every writer gets on", 40)


def write_much():
    """More than any log keeps; each round the same nodes, with other data."""
    global rounds
    rounds += 1
    for i in range(NODES):
        path, data = "/bulk/%d" % i, (b"%d %d " % (rounds, i)).ljust(NODE_BYTES, b".")
        if rounds == 1:
            bulk.write("create", path, data)
        else:
            bulk.write("set", path, data)


def told(node):
    with open(os.path.join(cluster.dir, "node-%d.log" % node), errors="replace") as file:
        return file.read()


class Count:
    """How often a server has said something since then."""

    def __init__(self, node, what):
        self.node, self.what = node, what
        self.before = told(node).count(what)

    def more(self):
        return told(self.node).count(self.what) - self.before

    def wait(self, limit=30):
        wait_for(self.more, "server %d says: %s" % (self.node, self.what), limit)


def leave_behind(node):
    """The zxid that no log leads it to any more."""
    cluster.kill(node)
    write_much()
    return cluster.told(cluster.leader())["zxid"]


def has_reached(node, zxid):
    return (cluster.told(node) or {"zxid": 0})["zxid"] >= zxid


@rule
def a_server_that_lags_too_far_gets_the_state_while_writes_go_on():
    node = cluster.follower()
    ends = Count(node, ENDS)
    leave_behind(node)
    get_on()
    cluster.restart(node)
    ends.wait()
    get_on()


@rule
def the_leader_that_was_is_served_like_any_other():
    node = cluster.leader()
    ends = Count(node, ENDS)
    leave_behind(node)
    cluster.restart(node)
    ends.wait()
    get_on()


@rule
def a_receiver_killed_in_the_middle_again_and_again_gets_there_in_the_end():
    node = cluster.follower()
    zxid = leave_behind(node)
    for _ in range(4):
        begins = Count(node, BEGINS)
        cluster.restart(node)
        # A kill while the state was being put in place may have left the new one.
        wait_for(lambda: begins.more() or has_reached(node, zxid), "a copy begins or is there")
        time.sleep(random.random() * 0.3)
        cluster.kill(node)
        get_on()
    cluster.restart(node)
    wait_for(lambda: has_reached(node, zxid), "the copy is there", 30)
    get_on()


@rule
def a_sender_killed_in_the_middle_is_replaced():
    for _ in range(2):
        node = cluster.follower()
        ends = Count(node, ENDS)
        leave_behind(node)
        senders = [Count(i, SENDS) for i in cluster.nodes if i != node]
        cluster.restart(node)
        wait_for(lambda: any(s.more() for s in senders), "somebody sends")
        time.sleep(random.random() * 0.2)
        sender = next(s.node for s in senders if s.more())
        cluster.kill(sender)
        cluster.restart(sender)
        ends.wait()
        get_on()


@rule
def a_client_of_a_server_that_copies_is_told_to_go_elsewhere():
    node = cluster.follower()
    leave_behind(node)
    begins = Count(node, BEGINS)
    cluster.restart(node)
    begins.wait()
    pid = next(cluster.pid(i) for i in cluster.nodes if SENDS in told(i) and i != node)
    names = set()
    os.kill(pid, signal.SIGSTOP)  # the copy waits now, or is over
    try:
        with cluster.connect(node, 3) as c:
            c.call("get", "/w", consistency="any")
    except Refused as e:
        names.add(e.name)
    except Closed:
        names.add("closed")
    finally:
        os.kill(pid, signal.SIGCONT)
    print("# %s" % (names or "answered: the copy was over"))
    assert names <= {"stopping", "closed"}, names
    get_on()


@rule
def every_acknowledged_write_is_there_and_all_servers_have_the_same_state():
    for w in writers:
        w.go_on = False
    for w in writers:
        w.join(30)
        if w.failure:
            raise w.failure
    cluster.wait_equal()
    for address in cluster.addresses:
        with Connection(address) as c:
            for w in writers:
                same(int(c.call("get", w.path, consistency="any")["data"]), w.done, w.path)
            for i in random.sample(range(NODES), 50):
                got = c.call("get", "/bulk/%d" % i, consistency="any")
                assert got["data"].startswith(b"%d %d ." % (rounds, i)), got["data"][:20]
                same(got["stat"]["version"], rounds - 1, "version of node %d" % i)


@rule
def nothing_is_left_of_copies_and_all_is_there_after_a_restart():
    cluster.dev("stop")
    cluster.dev("start")
    cluster.wait_equal()
    for node in cluster.nodes:
        beside = [name for name in os.listdir(os.path.join(cluster.dir, "node-%d" % node))
                  if name.startswith("state")]
        same(beside, ["state"], "what is beside the state of server %d" % node)
    with Connection(cluster.addresses[0]) as c:
        for w in writers:
            same(int(c.call("get", w.path)["data"]), w.done, w.path)


run(cluster.log_tails)
