"""minority.py -- one server of three is left: what needs a majority is refused at once,
`any` reads are answered, nothing hangs, and all goes on when a second server comes back.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Connection, Refused, Session, begin, refusal, rule,
                      run, same, wait_for)

QUICK_S = 2.0  # a refusal must not wait for anything longer than an election

begin(70)
cluster = Cluster(3)
session = Session(cluster.addresses, 60000)
session.write("create", "/m", b"before")
session.write("create", "/m/a", b"")


def cli(*args, node=None, timeout_ms=800):
    """(exit status, what it said, seconds)"""
    servers = cluster.nodes[node] if node else cluster.servers
    start = time.monotonic()
    done = subprocess.run([TIDELOCK, "--servers", servers, "--timeout", str(timeout_ms),
                           *args], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


def refused_quickly(connection, method, *args, **options):
    start = time.monotonic()
    same(refusal(connection, method, *args, **options), "no_quorum", method)
    took = time.monotonic() - start
    assert took < QUICK_S, "%s was refused after %.1f s only" % (method, took)


def wait_alone(node):
    with cluster.connect(node) as c:
        wait_for(lambda: c.call("status")["role"] != "leader", "it leads nobody")
        wait_for(lambda: refusal(c, "get", "/m") == "no_quorum", "it knows")


def check_alone(node):
    session.drop()
    wait_alone(node)
    with cluster.connect(node) as c:
        for method, *args in (("set", "/m", b"x"), ("create", "/n", b""),
                              ("delete", "/m/a"),
                              ("multi", [["set", "/m", b"x"]]), ("get", "/m"),
                              ("stat", "/m"), ("children", "/m"), ("session.open",),
                              ("session.attach", session.id, session.secret),
                              ("call", "lock.holder", {"path": "/l"}),
                              ("query", "lock.holder", {"path": "/l"}),
                              ("call", "lock.acquire", {"path": "/l"})):
            refused_quickly(c, method, *args)
        got = c.call("get", "/m", consistency="any")
        same(got["data"], b"before", "any read")
        same(c.call("children", "/m", consistency="any")["children"], ["a"], "any listing")
        same(c.call("stat", "/m", consistency="any")["stat"]["numChildren"], 1, "any stat")
        same(c.call("query", "lock.holder", {"path": "/l"}, consistency="any")["value"], None,
             "any query")
        zxid = got["zxid"]
        wait_for(lambda: c.call("get", "/m", consistency="any")["age_ms"] > 0, "an age")
        same(c.call("get", "/m", consistency="session", at_least=zxid)["data"], b"before",
             "a session's read of what is here")
        refused_quickly(c, "get", "/m", consistency="session", at_least=zxid + 1)
        wait_for(lambda: refusal(c, "get", "/m", consistency="bounded",
                                 max_lag_ms=500) == "stale", "it lags for too long")
        same(c.call("ping"), None, "ping")
        many = [c.send("set", "/m", b"x") for _ in range(1000)]
        for msgid in many:
            try:
                c.answer(msgid)
                raise AssertionError("a write was done without a majority")
            except Refused as e:
                same(e.name, "no_quorum", "answer")


def rejoin(node):
    cluster.restart(node)
    session.addresses = cluster.addresses
    zxid = session.write("set", "/m", b"before")["zxid"]
    for address in cluster.addresses:
        if not cluster.told_at(address):
            continue
        with Connection(address) as c:
            wait_for(lambda c=c: refusal(c, "get", "/m") == "ok", "strong reads")
            assert c.call("get", "/m")["zxid"] >= zxid, "zxid went back"


@rule
def a_leader_without_followers_refuses_at_once():
    leader = cluster.leader()
    for node in cluster.nodes:
        if node != leader:
            cluster.kill(node)
    check_alone(leader)


@rule
def the_commands_end_with_status_7_within_their_time():
    for args in (("get", "/m"), ("set", "/m", "x"), ("create", "/n"), ("delete", "/m"),
                 ("ls", "/"), ("stat", "/m"), ("call", "lock.holder", '{"path":"/l"}'),
                 ("call", "--read", "lock.holder", '{"path":"/l"}'),
                 ("config", "get", "/m"), ("config", "versions", "/m"),
                 ("lock", "/l", "--", "true")):
        status, text, took = cli(*args)
        assert status == 7, "%s: status %d, wanted 7: %s" % (args[0], status, text)
        assert "no_quorum" in text, text
        assert took < 1.3, "%s took %.1f s of its 0.8" % (args[0], took)
    for args in (("get", "/m"), ("ls", "/"), ("stat", "/m"),
                 ("call", "--read", "lock.holder", '{"path":"/l"}')):
        status, text, took = cli(*args, "--any")
        assert status == 0 and took < 1.3, "%s --any: %d, %.1f s" % (args[0], status, took)
    status, text, took = cli("status")
    assert took < 1.3, "status took %.1f s of its 0.8" % took
    print("# status, with one of three: exit %d, %d lines" % (status, text.count("\n")))


@rule
def a_command_with_a_short_time_limit_ends_in_it():
    status, text, took = cli("set", "/m", "x", timeout_ms=300)
    same(status, 7, "exit status (%s)" % text)
    assert took < 1.5, "it took %.1f s" % took


@rule
def a_command_goes_on_when_a_server_comes_back_within_its_time():
    dead = next(i for i in sorted(cluster.nodes) if not cluster.told(i))
    waiting = subprocess.Popen([TIDELOCK, "--servers", cluster.servers, "--timeout",
                                "20000", "set", "/m", "after"], stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True)
    time.sleep(0.3)
    early = waiting.poll()
    cluster.restart(dead)
    status = waiting.wait(25)
    text = waiting.stderr.read()
    waiting.stderr.close()
    assert status == 0, "status %d (%s): %s" % (status, early, text)
    session.addresses = [cluster.nodes[dead]]
    same(session.insist("get", "/m")["data"], b"after", "data")


@rule
def all_goes_on_when_the_third_comes_back_too():
    dead = next(i for i in sorted(cluster.nodes) if not cluster.told(i))
    rejoin(dead)
    cluster.wait_equal()


@rule
def a_follower_without_its_leader_and_peer_refuses_at_once():
    follower = cluster.follower()
    for node in cluster.nodes:
        if node != follower:
            cluster.kill(node)
    check_alone(follower)
    for node in cluster.nodes:
        if node != follower:
            rejoin(node)
    cluster.wait_equal()


@rule
def a_restarted_server_that_is_alone_answers_any_reads_and_refuses_the_rest():
    alone = cluster.follower()
    for node in cluster.nodes:
        cluster.kill(node)
    cluster.restart(alone)
    check_alone(alone)
    for node in cluster.nodes:
        if node != alone:
            rejoin(node)
    cluster.wait_equal()


run(cluster.log_tails)
