"""recover.py -- real servers that come back without their memory, and a cluster that goes on
from one survivor of three.

Method: the logs here are small, so that who joins gets the state of another. Logs are damaged
by hand, directories moved away. `tidelockd recover` is also met half done. What was
acknowledged and known to the survivor must be there, what is given out afterwards (zxids, and
so fencing tokens) must be above all that was given out before.
"""
import glob
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, TIDELOCKD, Closed, Cluster, Connection, Refused, Session,
                      begin, is_alive, make_folder, refusal, rule, run, same, wait_for)

NODES, NODE_BYTES = 300, 60000

begin(100)
cluster = Cluster(3, "--log-segment-bytes", "262144", "--log-keep-bytes", "1048576")
session = Session(cluster.addresses, 60000)
session.write("create", "/bulk", None)
newest = 0


def write_much():
    """More than any log here keeps."""
    global newest
    for i in range(NODES):
        path, data = "/bulk/%d" % i, (b"%d " % i).ljust(NODE_BYTES, b".")
        try:
            stat = session.write("create", path, data)["stat"]
        except Refused as e:
            assert e.name == "node_exists", e
            stat = session.write("set", path, data)["stat"]
        newest = max(newest, stat["mzxid"])


def data_of(node):
    return os.path.join(cluster.dir, "node-%d" % node)


def log_of(node):
    with open(os.path.join(cluster.dir, "node-%d.log" % node), errors="replace") as file:
        return file.read()


def members(at):
    with Connection(cluster.nodes[at]) as c:
        return c.call("member.list")


def wait_voters(at, count):
    def there():
        try:
            kinds = [m["kind"] for m in members(at)["members"]]
        except (Closed, Refused):
            return False
        return kinds == ["voter"] * count
    wait_for(there, "%d servers vote" % count)


def dev_fails(verb, node):
    """What the server said that was started and ended."""
    before = len(log_of(node))
    done = subprocess.run([TIDELOCK, "dev", verb, "--dir", cluster.dir, "--node", str(node)],
                          capture_output=True, text=True, timeout=60)
    same(done.returncode, 1, "exit status of " + verb)
    return log_of(node)[before:]


def recover(node, *flags):
    return subprocess.run([TIDELOCKD, "recover", "--data", data_of(node), *flags],
                          capture_output=True, text=True, timeout=60)


def check_all_there(node):
    with Connection(cluster.nodes[node]) as c:
        for i in range(0, NODES, 7):
            data = c.call("get", "/bulk/%d" % i)["data"]
            assert data.startswith(b"%d ." % i), data[:20]


@rule
def who_joins_late_gets_the_state_of_another():
    write_much()
    write_much()
    node = cluster.add()
    wait_voters(1, 4)
    assert "took up a peer's state" in log_of(node), log_of(node)[-500:]
    check_all_there(node)
    with cluster.connect(1) as c:
        c.call("member.remove", node)
    wait_for(lambda: cluster.pid(node) is None, "it ends")
    del cluster.nodes[node]


def damage_log(node):
    """A byte in the middle of the oldest segment is changed, and the state is gone: nothing
    can tell what was lost."""
    shutil.rmtree(os.path.join(data_of(node), "state"))
    segment = sorted(glob.glob(os.path.join(data_of(node), "log", "0*.seg")))[0]
    with open(segment, "r+b") as file:
        file.seek(4000)
        byte = file.read(1)
        file.seek(4000)
        file.write(bytes([byte[0] ^ 1]))


@rule
def a_server_with_a_damaged_log_is_told_how_to_come_back_and_does():
    node = cluster.follower()
    cluster.kill(node)
    damage_log(node)
    said = dev_fails("restart", node)
    assert "must not vote" in said and "--rejoin" in said, said
    number = members(cluster.leader())["number"]
    cluster.dev("add", "--node", str(node))
    wait_voters(node, 3)
    same(members(node)["number"], number + 2, "changes: its loss, and its vote")
    check_all_there(node)
    aside = os.listdir(glob.glob(os.path.join(data_of(node), "aside-*"))[0])
    assert {"identity", "log"} <= set(aside), aside


@rule
def a_server_without_its_log_is_told_how_to_come_back():
    node = cluster.follower()
    cluster.kill(node)
    shutil.rmtree(os.path.join(data_of(node), "log"))
    said = dev_fails("restart", node)
    assert "must not vote from lost memory" in said and "--rejoin" in said, said
    cluster.dev("add", "--node", str(node))
    wait_voters(node, 3)


@rule
def recovery_must_be_meant_and_its_server_must_be_off():
    node = cluster.follower()
    done = recover(node)
    same(done.returncode, 2, "exit status without the flag")
    assert "--i-lost-the-majority" in done.stderr
    done = recover(node, "--i-lost-the-majority")
    same(done.returncode, 1, "exit status while it runs")
    assert "in use" in done.stderr, done.stderr
    done = subprocess.run([TIDELOCKD, "recover", "--data", make_folder(),
                           "--i-lost-the-majority"], capture_output=True, text=True)
    same(done.returncode, 1, "exit status for an empty directory")


survivor, lost = None, []


@rule
def a_survivor_goes_on_alone_with_all_that_it_knew():
    global survivor
    write_much()
    cluster.wait_equal()
    survivor = cluster.follower()
    for node in sorted(cluster.nodes):
        cluster.kill(node)
        if node != survivor:
            lost.append((node, shutil.copytree(data_of(node),
                                               os.path.join(make_folder(), "old"))))
    done = recover(survivor, "--i-lost-the-majority")
    same(done.returncode, 0, "exit status: " + done.stderr)
    cluster.restart(survivor)
    wait_voters(survivor, 1)
    check_all_there(survivor)
    assert members(survivor)["number"] > 1000


@rule
def what_it_gives_out_is_above_all_that_was_given_out():
    with Connection(cluster.nodes[survivor]) as c:
        assert c.call("create", "/after", None)["zxid"] > newest + (1 << 31)
        assert c.call("status")["round"] > 1 << 32
    session.write("set", "/after", b"the session goes on")


def stop(node):
    pid = cluster.pid(node)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not is_alive(pid), "server %d stops" % node)


@rule
def a_recovery_that_was_cut_short_must_be_done_again():
    stop(survivor)  # so that its state has all that its log has, as after that step
    path = os.path.join(data_of(survivor), "identity")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("joined = yes", "joined = recovering"))
    said = dev_fails("restart", survivor)
    assert "recovery" in said, said
    log = os.path.join(data_of(survivor), "log")
    os.rename(log, os.path.join(make_folder(), "log"))  # as if it had just been put away
    done = recover(survivor, "--i-lost-the-majority")
    same(done.returncode, 0, "exit status: " + done.stderr)
    cluster.restart(survivor)
    wait_voters(survivor, 1)
    check_all_there(survivor)
    session.write("set", "/after", b"and on")


@rule
def a_server_of_the_old_cluster_is_kept_out_with_its_memory():
    node, _ = lost[0]
    cluster.restart(node)
    with Connection(cluster.nodes[node], 30) as c:
        wait_for(lambda: refusal(c, "get", "/after") == "no_quorum", "it has no quorum")
    same([m["id"] for m in members(survivor)["members"]], [survivor], "members")
    cluster.kill(node)


@rule
def the_others_join_anew_and_the_cluster_is_whole():
    for node, _ in lost:
        cluster.dev("add", "--node", str(node))
    wait_voters(survivor, 3)
    cluster.wait_equal()
    cluster.kill(survivor)
    session.write("set", "/after", b"without the survivor")
    cluster.restart(survivor)
    cluster.wait_equal()
    for node in cluster.nodes:
        check_all_there(node)


run(cluster.log_tails)
