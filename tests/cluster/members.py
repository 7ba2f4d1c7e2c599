"""members.py -- a cluster of real servers whose members change: it grows from 1 to 5 and
shrinks to 3 while it is written to all the time, its leader is removed, a wiped server is
replaced, and servers that do not belong are kept out.

Method: writers set a node of their own to 1, 2, 3, ... all the time. Steady ones hold one
connection, without a session, to a server that stays, and nothing is ever repeated: an error
or a closed connection is a request that failed by the change. Roving ones have a session and
follow the cluster around. At the end every acknowledged write is there once.
"""
import json
import os
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Server, Session, begin,
                      free_port, make_folder, refusal, rule, run, same, wait_for)

STEPS = 20

begin(110)
cluster = Cluster(1)


class Writer(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.done, self.failure, self.go_on = path, 0, None, True

    def run(self):
        try:
            while self.go_on:
                stat = self.set(b"%d" % (self.done + 1))["stat"]
                same(stat["version"], self.done + 1, "version of " + self.path)
                self.done += 1
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def stop(self):
        self.go_on = False
        self.join(30)
        if self.failure:
            raise self.failure


class Steady(Writer):
    """One connection to one server; nothing is repeated."""

    def __init__(self, node):
        super().__init__("/w/steady-%d-%d" % (node, len(writers)))
        self.connection = cluster.connect(node, 30)
        self.connection.call("create", self.path, b"0")
        self.start()

    def set(self, data):
        return self.connection.call("set", self.path, data)


class Roving(Writer):
    """A session that goes where it is served."""

    def __init__(self, number):
        super().__init__("/w/roving-%d" % number)
        self.session = Session(list(cluster.addresses), 60000, first=number, patience=40)
        self.session.write("create", self.path, b"0")
        self.start()

    def set(self, data):
        return self.session.write("set", self.path, data)

    def look(self):
        self.session.addresses = list(cluster.addresses)


writers = []
with cluster.connect(1) as setup:
    setup.call("create", "/w", None)


def get_on():
    """Every writer gets on by some steps, and none has failed."""
    marks = [(w, w.done + STEPS) for w in writers if w.go_on]

    def passed():
        for w, _ in marks:
            if w.failure:
                raise w.failure
        return all(w.done >= m for w, m in marks)
    wait_for(passed, "every writer gets on", 30)


def rove():
    for w in writers:
        if isinstance(w, Roving):
            w.look()


def tidelock(*words):
    return subprocess.run([TIDELOCK, *words, "--servers", cluster.servers], text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


def member(*words):
    done = tidelock("member", *words, "-o", "json")
    assert done.returncode == 0, "member %s: %s" % (" ".join(words), done.stderr)
    return json.loads(done.stdout)


def kinds():
    return {m["id"]: m["kind"] for m in member("list")["members"]}


def wait_kind(node, kind):
    wait_for(lambda: kinds().get(node) == kind, "server %d is a %s" % (node, kind))


def add(*flags, kind="voter"):
    node = cluster.add(*flags)
    wait_kind(node, kind)
    rove()
    return node


def log_of(node):
    with open(os.path.join(cluster.dir, "node-%d.log" % node), errors="replace") as file:
        return file.read()


def data_of(node):
    return os.path.join(cluster.dir, "node-%d" % node)


def let_lead(node):
    """Moves the leadership there: who is killed while it leads refuses requests for as long
    as an election takes, and here none may be refused."""
    def leads():
        if cluster.leader() == node:
            return True
        tidelock("transfer", "--node", str(node))
        return False
    wait_for(leads, "server %d leads" % node)


def wait_gone(node):
    wait_for(lambda: cluster.pid(node) is None, "server %d ends" % node)


def remove(node):
    member("remove", str(node))
    wait_gone(node)
    assert "it was removed from the cluster" in log_of(node), log_of(node)[-500:]


def flags_of(node):
    """The command line of a server that runs."""
    with open("/proc/%d/cmdline" % cluster.pid(node), "rb") as file:
        return [word.decode() for word in file.read().split(b"\0")[1:-1]]


def start_without_dev(node, flags, log):
    return Server(*flags, log=os.path.join(cluster.dir, "extra-%d-%s" % (node, log)))


def wait_end(server, text):
    wait_for(lambda: server.process.poll() is not None, "the server ends")
    assert server.process.returncode == 1, server.process.returncode
    assert text in server.text(), server.text()[-800:]


@rule
def a_cluster_grows_from_1_to_5_under_writes_that_never_fail():
    writers.append(Steady(1))
    for node in (2, 3, 4, 5):
        same(add(), node, "the id of the new server")
        get_on()
        writers.append(Roving(node))
        if node == 3:
            writers.append(Steady(3))
    same(kinds(), {i: "voter" for i in (1, 2, 3, 4, 5)}, "members")
    get_on()


@rule
def it_can_lose_two_of_five_then():
    let_lead(1)
    for node in (4, 5):
        cluster.kill(node)
    get_on()
    for node in (4, 5):
        cluster.restart(node)
    cluster.leader()
    get_on()


@rule
def a_follower_and_the_leader_are_removed_and_no_request_fails():
    leader = cluster.leader()
    if leader in (1, 3):  # steady writers hang there
        leader = 4
        let_lead(4)
    remove(next(i for i in (2, 4, 5) if i != leader))
    get_on()
    remove(leader)
    get_on()
    same(len(kinds()), 3, "members")
    assert cluster.leader() != leader


@rule
def a_steady_writer_survives_the_leader_being_demoted_below_it():
    let_lead(1)
    member("demote", "1")
    same(kinds()[1], "learner", "the kind of server 1")
    assert cluster.leader() != 1
    get_on()
    member("promote", "1")
    wait_kind(1, "voter")
    get_on()


@rule
def who_was_removed_stays_out_until_it_joins_anew():
    gone = next(i for i in (2, 4, 5) if i not in kinds())
    before = len(log_of(gone))
    done = subprocess.run([TIDELOCK, "dev", "restart", "--dir", cluster.dir, "--node",
                           str(gone)], capture_output=True, text=True, timeout=60)
    same(done.returncode, 1, "exit status of a start")
    assert "--rejoin" in log_of(gone)[before:], log_of(gone)[before:]
    pids = {i: cluster.pid(i) for i in kinds()}
    cluster.dev("add", "--node", str(gone))
    wait_kind(gone, "voter")
    same({i: cluster.pid(i) for i in pids}, pids, "the others' processes")
    get_on()


def wipe(node):
    """Kills the server and moves its data out of the way."""
    flags = flags_of(node)
    let_lead(3)
    cluster.kill(node)
    old = os.path.join(make_folder(), "old")
    os.rename(data_of(node), old)
    return flags, old


def wipeable():
    return next(i for i in sorted(kinds()) if i not in (1, 3, cluster.leader()))


@rule
def a_wiped_server_comes_back_as_a_learner_and_votes_again():
    node = wipeable()
    number = member("list")["number"]
    flags, old = wipe(node)
    assert "--join" in flags or "--members" in flags
    get_on()
    cluster.restart(node)  # with --join, as dev starts who joined
    wait_kind(node, "voter")
    same(member("list")["number"], number + 2, "changes: its loss, and its vote")
    assert "joined" in log_of(node)
    get_on()
    zombies.append((node, old))


zombies = []


@rule
def its_old_directory_is_a_zombie_that_is_refused():
    node, old = zombies[0]
    number = member("list")["number"]
    let_lead(3)
    cluster.kill(node)
    shutil.rmtree(data_of(node))
    os.rename(old, data_of(node))
    done = subprocess.run([TIDELOCK, "dev", "restart", "--dir", cluster.dir, "--node",
                           str(node)], capture_output=True, text=True, timeout=60)
    wait_gone(node)
    assert "knows it by another data directory" in log_of(node), done.stderr
    same(member("list")["number"], number, "the configuration")
    get_on()
    cluster.dev("add", "--node", str(node))
    wait_kind(node, "voter")
    get_on()


@rule
def a_wiped_founder_with_its_old_flags_is_told_to_join():
    """Server 1 founded the cluster alone: with the same flags it would found another."""
    for w in writers:
        if isinstance(w, Steady) and w.connection.hello["node"] == 1:
            w.stop()
    flags, _ = wipe(1)
    assert "--members" in flags, flags
    lone = start_without_dev(1, flags, "lone")
    wait_end(lone, "another cluster has a member at this address")
    assert "--join" in lone.text()
    get_on()
    cluster.dev("add", "--node", "1")
    wait_kind(1, "voter")
    get_on()


@rule
def a_learner_learns_for_good_and_votes_when_it_is_promoted():
    node = cluster.add("--learner")
    wait_kind(node, "learner")
    wait_for(lambda: cluster.told(node) and
             cluster.told(node)["applied"] >= cluster.told(3)["applied"] - 500,
             "it has caught up")
    same(kinds()[node], "learner", "its kind")
    same(cluster.told(node)["role"], "learner", "its role")
    with cluster.connect(node) as c:
        c.call("get", "/w")  # it serves as any other
    member("promote", str(node))
    wait_kind(node, "voter")
    get_on()
    remove(node)


@rule
def replace_waits_for_the_new_one_and_removes_the_old():
    old = wipeable()
    new = add(kind="voter")
    same({m["id"] for m in member("replace", str(old), str(new))["members"]} & {old, new},
         {new}, "the two")
    wait_gone(old)
    get_on()
    done = tidelock("member", "replace", str(new))
    same(done.returncode, 4, "exit status when nobody joins")
    assert "no server is joining" in done.stderr, done.stderr


@rule
def a_place_is_kept_for_a_server_that_will_join():
    peer = "127.0.0.1:%d" % free_port()
    kept = member("add", peer, "--id", "12")
    same(kept["id"], 12, "its id")
    same(member("add", peer)["number"], kept["number"], "the configuration, asked again")
    client = "127.0.0.1:%d" % free_port()
    flags = ("--data", os.path.join(make_folder(), "d"), "--peer", peer, "--client", client,
             "--join", "127.0.0.1:1," + cluster.nodes[3])
    server = start_without_dev(12, flags, "kept")
    wait_kind(12, "voter")
    same(Cluster.told_at(client)["node"], 12, "who it is")
    server.end()
    server = start_without_dev(12, flags, "again")  # --join counts no more
    wait_for(lambda: Cluster.told_at(client), "it answers")
    member("remove", "12")
    wait_end(server, "removed from the cluster")
    get_on()


@rule
def what_makes_no_sense_is_refused_and_changes_nothing():
    number = member("list")["number"]
    with cluster.connect(3) as c:
        same(refusal(c, "member.remove", 16), "no_member")
        same(refusal(c, "member.promote", 16), "no_member")
        same(refusal(c, "member.remove", 0), "bad_params")
        same(refusal(c, "member.remove", 99), "bad_params")
        same(refusal(c, "member.add", "nonsense"), "bad_params")
        same(refusal(c, "member.join", "h:1", "", 0), "bad_params")
        same(refusal(c, "member.remove", 3, incarnation=7), "no_member")
        taken = c.call("member.list")["members"][0]
        same(refusal(c, "member.add", taken["peer"]), "member_exists")
        same(refusal(c, "member.add", "127.0.0.1:1", id=taken["id"]), "member_exists")
    same(tidelock("member", "remove", "x").returncode, 2, "exit status for no id")
    same(tidelock("member", "remove", "16").returncode, 4, "exit status for no member")
    same(member("list")["number"], number, "the configuration")


@rule
def who_asks_to_join_another_cluster_is_refused():
    flags = ("--data", os.path.join(make_folder(), "d"), "--peer",
             "127.0.0.1:%d" % free_port(), "--client", "127.0.0.1:%d" % free_port(),
             "--join", cluster.nodes[3], "--cluster", "other")
    wait_end(start_without_dev(0, flags, "wrong"), "wrong_cluster")


@rule
def a_change_that_would_leave_no_living_majority_is_refused():
    for node in sorted(kinds()):  # down to three
        if len(kinds()) > 3 and node not in (3, cluster.leader()):
            remove(node)
    down = next(i for i in sorted(kinds()) if i not in (3, cluster.leader()))
    alive = [i for i in sorted(kinds()) if i != down]
    cluster.kill(down)

    def refused():
        with cluster.connect(3) as c:
            return refusal(c, "member.remove", alive[0] if alive[0] != 3 else alive[1])
    wait_for(lambda: refused() == "unsafe_change", "the removal is refused")
    get_on()
    cluster.restart(down)
    get_on()


@rule
def every_acknowledged_write_is_there_and_all_members_are_alike():
    for w in writers:
        w.stop()
    members = sorted(kinds())

    def equal():
        told = [cluster.told(i) for i in members]
        return None not in told and len({(t["applied"], t["digest"]) for t in told}) == 1
    wait_for(equal, "all members have applied the same")
    for node in members:
        with cluster.connect(node) as c:
            for w in writers:
                got = c.call("get", w.path, consistency="any")
                same((int(got["data"]), got["stat"]["version"]), (w.done, w.done), w.path)
    print("# %d writes, configuration %d" % (sum(w.done for w in writers),
                                             member("list")["number"]))


run(cluster.log_tails)
