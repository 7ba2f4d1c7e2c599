"""kill.py -- three real servers, writers under load, and SIGKILL and SIGSTOP in between.

Method: each writer has a session and a node of its own and sets it to 1, 2, 3, ..., going
to the next server when one fails, always under the same seq; now and then it creates a
sequential node. Each fault strikes when every writer has got on since the last one, and
is over when every writer has got on again. A number that is missing, doubled or read back
lower is a broken promise.
"""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Closed, Cluster, Connection, Refused, Session, begin, rule, run,
                      same, wait_for)

WRITERS, STEPS = 6, 40

begin(100)
cluster = Cluster(3)


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.path, self.done, self.zxid = "/w/%d" % number, 0, 0
        self.names, self.failure, self.go_on = [], None, True
        self.session = Session(cluster.addresses, 60000, first=number, patience=60)
        self.write("create", self.path, b"0")
        self.start()

    def write(self, method, *args, **options):
        answer = self.session.write(method, *args, **options)
        if answer["zxid"] <= self.zxid:
            raise AssertionError("zxid %d after %d" % (answer["zxid"], self.zxid))
        self.zxid = answer["zxid"]
        return answer

    def step(self):
        wanted = self.done + 1
        stat = self.write("set", self.path, b"%d" % wanted)["stat"]
        if stat["version"] != wanted:
            raise AssertionError("set %d made version %d" % (wanted, stat["version"]))
        self.done = wanted
        if wanted % 5 == 0:
            made = self.write("create", "/seq/n-", self.path.encode(), sequential=True)
            self.names.append(made["path"])
        if wanted % 7 == 0:
            self.read(wanted)

    def read(self, wanted):
        got = self.session.insist("get", self.path)
        if got["data"] != b"%d" % wanted or got["zxid"] < self.zxid:
            raise AssertionError("read %r at zxid %d, after %d was acknowledged at %d" %
                                 (got["data"], got["zxid"], wanted, self.zxid))

    def run(self):
        try:
            while self.go_on:
                self.step()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e


with Session(cluster.addresses).connection as setup:
    setup.call("create", "/w", None)
    setup.call("create", "/seq", None)
writers = [Writer(i) for i in range(WRITERS)]


def get_on():
    """Every writer gets on by some steps."""
    marks = [w.done + STEPS for w in writers]

    def passed():
        for w in writers:
            if w.failure:
                raise w.failure
        return all(w.done >= m for w, m in zip(writers, marks))
    wait_for(passed, "every writer gets on", 40)


@rule
def writes_go_on_when_the_leader_is_killed_again_and_again():
    for _ in range(6):
        get_on()
        leader = cluster.leader()
        cluster.kill(leader)
        get_on()
        cluster.restart(leader)
    get_on()


@rule
def writes_go_on_when_a_follower_is_killed():
    follower = cluster.follower()
    cluster.kill(follower)
    get_on()
    cluster.restart(follower)
    get_on()


@rule
def writes_go_on_when_followers_are_killed_in_turn():
    for node in sorted(cluster.nodes):
        if node != cluster.leader():
            cluster.kill(node)
            cluster.restart(node)
    get_on()


@rule
def all_servers_killed_at_once_serve_again_after_a_restart():
    get_on()
    pids = [cluster.pid(node) for node in cluster.nodes]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for node in cluster.nodes:
        cluster.restart(node)
    get_on()


def read_number(connection, path, **options):
    return int(connection.call("get", path, **options)["data"])


@rule
def a_paused_leader_comes_back_as_a_follower_and_reads_nothing_stale():
    get_on()
    old = cluster.leader()
    writer = writers[0]
    with cluster.connect(old, 20) as c:
        read_number(c, writer.path)
        cluster.dev("pause", "--node", str(old))
        try:
            get_on()
            asked_after = writer.done
            asked = c.send("get", writer.path)
            assert cluster.leader() != old, "another one leads"
            get_on()
        finally:
            cluster.dev("resume", "--node", str(old))
        try:
            got = int(c.answer(asked)["data"])
            assert got >= asked_after, "read %d after %d was there" % (got, asked_after)
        except (Refused, Closed) as e:
            print("# the read was answered with: %s" % e)
    wait_for(lambda: (cluster.told(old) or {}).get("role") == "follower",
             "the paused leader follows")
    get_on()


@rule
def a_leader_paused_over_and_over_answers_no_stale_read():
    writer = writers[1]
    for _ in range(3):
        old = cluster.leader()
        pid = cluster.pid(old)
        with cluster.connect(old, 20) as c:
            os.kill(pid, signal.SIGSTOP)
            try:
                get_on()
                least = writer.done
                asked = [c.send("get", writer.path) for _ in range(20)]
            finally:
                os.kill(pid, signal.SIGCONT)
            for number in asked:
                try:
                    got = int(c.answer(number)["data"])
                    assert got >= least, "read %d after %d was there" % (got, least)
                except Refused as e:
                    assert e.name in ("no_quorum", "busy"), e
    get_on()


@rule
def every_acknowledged_write_is_there_exactly_once():
    for w in writers:
        w.go_on = False
    for w in writers:
        w.join(30)
        if w.failure:
            raise w.failure
    told = cluster.wait_equal()
    print("# %d sets, sessions moved %d times, zxid %d, round %d" %
          (sum(w.done for w in writers), sum(w.session.moves for w in writers),
           told[0]["zxid"], told[0]["round"]))
    for address in cluster.addresses:
        with Connection(address) as c:
            for w in writers:
                for level in ("strong", "any"):
                    got = c.call("get", w.path, consistency=level)
                    same(int(got["data"]), w.done, w.path)
                    same(got["stat"]["version"], w.done, "version of " + w.path)


@rule
def sequential_names_are_unique_and_all_there():
    names = [name for w in writers for name in w.names]
    same(len(set(names)), len(names), "number of different names")
    with Connection(cluster.addresses[0]) as c:
        page = c.call("children", "/seq", limit=10000)
    same(page["more"], False, "more")
    same(sorted("/seq/" + n for n in page["children"]), sorted(names), "children of /seq")
    for w in writers:
        same(w.names, sorted(w.names), "order of the names of one writer")


@rule
def the_state_is_the_same_after_an_orderly_restart_of_all():
    before = cluster.wait_equal()[0]
    cluster.dev("stop")
    cluster.dev("start")
    after = cluster.wait_equal()[0]
    assert after["zxid"] >= before["zxid"], "zxid went back"
    with Connection(cluster.addresses[0]) as c:
        for w in writers:
            same(read_number(c, w.path), w.done, w.path)


run(cluster.log_tails)
