"""lease.py -- strong reads of real servers that answer within a lease are never stale: not
when the leader is killed, not when it is paused for longer than its lease, not when it hands
over.

Method: one register that is set to 1, 2, 3, ... by a session that follows the cluster around.
Readers on every server note the highest number that was acknowledged before they ask; an
answer below it is stale, however late it comes. The servers' connections go through relays, so
that a leader can be cut off, or goes on after a pause without hearing of its successor: only
the end of its lease keeps it from answering then.
"""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from relay import Cut, Relay
from tidelock import (Closed, Connection, Refused, Server, Session, begin, free_port,
                      make_folder, rule, run, same, wait_for)

LEASE_MS, ROUNDS, STEPS, NODES = 100, 3, 10, (1, 2, 3)

begin(110)


class Relayed:
    """A cluster whose servers hear each other through relays."""

    def __init__(self):
        self.cut, self.folder, self.servers = Cut(), make_folder(), {}
        self.nodes = {i: "127.0.0.1:%d" % free_port() for i in NODES}
        self.peers = {i: "127.0.0.1:%d" % free_port() for i in NODES}
        self.relays = {i: Relay(i, self.peers[i], self.cut) for i in NODES}
        self.addresses = list(self.nodes.values())
        for node in NODES:
            self.start(node)

    def start(self, node):
        members = ",".join("%d=%s" % (i, r.address) for i, r in self.relays.items())
        self.servers[node] = Server(
            "--id", str(node), "--members", members, "--peer", self.peers[node], "--client",
            self.nodes[node], "--data", os.path.join(self.folder, "node-%d" % node),
            "--lease-ms", str(LEASE_MS), log=os.path.join(self.folder, "log-%d" % node))

    def kill(self, node):
        self.servers.pop(node).end(signal.SIGKILL)

    def pid(self, node):
        return self.servers[node].pid

    def leader(self, *among):
        """The id of one that serves, of these."""
        def find():
            for node in among or NODES:
                try:
                    with Connection(self.nodes[node], 0.5) as c:
                        told = c.call("status")
                        if told["role"] == "leader" and told["serving"]:
                            return node
                except (Closed, Refused):
                    pass
            return None
        return wait_for(find, "a server leads")

    def others(self, node):
        return [i for i in NODES if i != node]


cluster = Relayed()


class Writer(threading.Thread):
    """`done` is the highest number that was acknowledged."""

    def __init__(self):
        super().__init__(daemon=True)
        cluster.leader()
        self.session = Session(cluster.addresses, 60000)
        self.session.write("create", "/register", b"0")
        self.done, self.go_on, self.failure = 0, True, None
        self.start()

    def run(self):
        try:
            while self.go_on:
                self.session.write("set", "/register", b"%d" % (self.done + 1))
                self.done += 1
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def get_on(self, steps=STEPS):
        mark = self.done + steps

        def passed():
            assert self.failure is None, self.failure
            return self.done >= mark
        wait_for(passed, "writes go on", 30)


class Reader(threading.Thread):
    """Reads at one server all the time, wherever the leadership is."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.count, self.stale, self.go_on = node, 0, [], True
        self.connection = None
        self.start()

    def read(self):
        if self.connection is None:
            self.connection = Connection(cluster.nodes[self.node], 5)
        floor = writer.done
        got = int(self.connection.call("get", "/register")["data"])
        if got < floor:
            self.stale.append((got, floor))
        self.count += 1

    def run(self):
        while self.go_on:
            try:
                self.read()
            except Refused:
                time.sleep(0.002)
            except Closed:
                self.connection = None
                time.sleep(0.01)


writer = Writer()
readers = [Reader(node) for node in cluster.nodes]


def check(done):
    """All have read since then, and nobody read the past."""
    marks = [r.count for r in readers]
    writer.get_on()
    wait_for(lambda: all(r.count >= m + STEPS for r, m in zip(readers, marks)),
             "every server answers reads", 30)
    for r in readers:
        same(r.stale, [], "stale reads at server %d after %s" % (r.node, done))


@rule
def a_leader_answers_reads_without_the_others_for_a_while():
    """So there is something to test."""
    def alone():
        leader = cluster.leader()
        others = [cluster.pid(n) for n in cluster.others(leader)]
        with Connection(cluster.nodes[leader], 0.03) as c:
            try:
                for pid in others:
                    os.kill(pid, signal.SIGSTOP)
                c.call("get", "/")
                return True
            except Closed:
                return False
            finally:
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
    writer.get_on()
    wait_for(alone, "a read is answered while all others are paused")
    check("a pause of the followers")


@rule
def no_read_is_stale_when_the_leader_is_killed():
    for _ in range(ROUNDS):
        leader = cluster.leader()
        cluster.kill(leader)
        writer.get_on()
        cluster.start(leader)
        check("kill -9 of server %d" % leader)


@rule
def no_read_is_stale_when_the_leader_is_cut_off():
    for _ in range(ROUNDS):
        leader = cluster.leader()
        try:
            cluster.cut.set(leader)
            cluster.leader(*cluster.others(leader))
            writer.get_on()
        finally:
            cluster.cut.set()
        check("server %d was cut off" % leader)


def check_late(connection, asked, floor):
    for msgid in asked:
        try:
            got = int(connection.answer(msgid)["data"])
            assert got >= floor, "%d was read, %d was acknowledged" % (got, floor)
        except Refused as e:
            same(e.name, "no_quorum", "a refusal")


@rule
def no_read_is_stale_when_the_leader_was_paused_and_hears_nothing_when_it_goes_on():
    for _ in range(ROUNDS):
        leader = cluster.leader()
        pid = cluster.pid(leader)
        with Connection(cluster.nodes[leader], 10) as c:
            os.kill(pid, signal.SIGSTOP)
            try:
                cluster.cut.set(leader)
                cluster.leader(*cluster.others(leader))
                writer.get_on()
                floor = writer.done
                asked = [c.send("get", "/register") for _ in range(20)]
                os.kill(pid, signal.SIGCONT)
                check_late(c, asked, floor)
            finally:
                os.kill(pid, signal.SIGCONT)
                cluster.cut.set()
        check("a pause of server %d" % leader)


@rule
def no_read_is_stale_when_the_leader_is_paused_for_about_its_lease():
    for i in range(4 * ROUNDS):
        pid = cluster.pid(cluster.leader())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(LEASE_MS / 1000 * (0.5 + i / (2 * ROUNDS)))  # what is tested, no waiting
        os.kill(pid, signal.SIGCONT)
    check("short pauses")


@rule
def no_read_is_stale_when_the_leader_hands_over():
    for _ in range(2 * ROUNDS):
        leader = cluster.leader()
        other = cluster.others(leader)[0]
        with Connection(cluster.nodes[leader]) as c:
            try:
                c.call("transfer", node=other)
            except Refused as e:
                assert e.name in ("timeout", "not_leader"), e
        check("a hand-over from %d" % leader)


@rule
def the_register_ends_with_the_last_number():
    writer.go_on = False
    writer.join(30)
    for r in readers:
        r.go_on = False
        r.join(10)
    for node in cluster.nodes:
        with Connection(cluster.nodes[node]) as c:
            same(c.call("get", "/register")["data"], b"%d" % writer.done, "the register")
    print("# %d writes, %d reads" % (writer.done, sum(r.count for r in readers)))


run()
