"""query.py -- a recipe's function run to read only, on the server that is asked: it sees
what a read there sees, changes nothing, and costs nobody more than its budget.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Cluster, Connection, Refused, Session, begin, refusal, rule, run,
                      same)

SOURCE = b"""return {
  read = function(tx, path) return tx:get(path) end,
  seen = function(tx) return { session = tx.session, zxid = tx.zxid, now = tx:now() } end,
  write = function(tx, path) return tx:set(path, "written") end,
  make = function(tx, path) return tx:create(path .. "/n-", "", { sequential = true }) end,
  wait = function(tx, path) return tx:wait(path) end,
  name = function(tx) return tx.id end,
  try = function(tx, path) return { pcall(tx.delete, tx, path) } end,
  refuse = function(tx) tx:fail("not today", { day = 7 }) end,
  spin = function() while true do end end,
}
"""

begin(90)
cluster = Cluster(3)
session = Session(cluster.addresses, 60000)
session.write("create", "/tidelock/recipes/q", SOURCE, parents=True)
session.write("create", "/a", b"0")


def everywhere(function, *args, **options):
    """What each of the servers answers."""
    values = []
    for address in cluster.addresses:
        with Connection(address) as c:
            values.append(c.call("query", function, *args, **options)["value"])
    return values


@rule
def every_server_sees_the_newest_acknowledged_write():
    connections = [Connection(a) for a in cluster.addresses]
    for i in range(100):
        zxid = session.write("set", "/a", b"%d" % i)["zxid"]
        for c in connections:
            answer = c.call("query", "q.read", "/a")
            same(answer["value"], "%d" % i, "value")
            assert answer["zxid"] >= zxid, "the answer's zxid is older than the write"
    for c in connections:
        c.close()


@rule
def a_query_behind_a_write_on_one_connection_sees_it():
    with cluster.connect(cluster.follower()) as c:
        for i in range(50):
            c.send("set", "/a", b"p%d" % i)
            same(c.call("query", "q.read", "/a")["value"], "p%d" % i, "value")


@rule
def it_has_no_session_and_knows_the_state_that_it_sees():
    cluster.wait_equal()
    for seen in everywhere("q.seen", None):
        same(seen["session"], 0, "session")
        same(seen["zxid"], cluster.told(1)["zxid"], "zxid")
        assert abs(seen["now"] / 1000 - time.time()) < 60, "its time is %r" % seen["now"]


@rule
def what_writes_or_waits_is_refused_and_changes_nothing():
    before = [(t["zxid"], t["digest"]) for t in cluster.wait_equal()]
    for address in cluster.addresses:
        with Connection(address) as c:
            for function in ("q.write", "q.make", "q.wait", "q.name", "lock.acquire",
                             "election.campaign", "config.put"):
                args = "/a" if function[:2] == "q." else {"path": "/x"}
                if function == "config.put":
                    args["data"] = "x"
                for level in ("strong", "any"):
                    same(refusal(c, "query", function, args, consistency=level),
                         "read_only", function)
            caught = c.call("query", "q.try", "/a")["value"]
            same((caught[0], caught[1]["name"]), (False, "read_only"), "what was caught")
    same([(t["zxid"], t["digest"]) for t in cluster.wait_equal()], before, "the state")


@rule
def errors_are_those_of_a_call():
    with cluster.connect(cluster.follower()) as c:
        same(refusal(c, "query", "none.read", None), "no_recipe", "recipe")
        same(refusal(c, "query", "q.none", None), "no_function", "function")
        same(refusal(c, "query", "q.read", "a"), "bad_path", "path")
        same(refusal(c, "query", "q", None), "bad_params", "name")
        same(refusal(c, "query", "q.read"), "bad_params", "no args")
        same(refusal(c, "query", "q.read", "/a", session=session.id, seq=1), "bad_option",
             "session")
        same(refusal(c, "query", "q.read", "/a", consistency="weak"), "bad_option", "level")
        try:
            c.call("query", "q.refuse", None)
            raise AssertionError("it was not refused")
        except Refused as e:
            same((e.name, "not today" in e.message), ("refused", True), "refusal")


@rule
def the_shipped_readers_work():
    lock = session.write("call", "lock.acquire", {"path": "/l"})["value"]
    office = session.write("call", "election.campaign", {"path": "/e", "value": "me"})["value"]
    session.write("call", "config.put", {"path": "/c", "data": "one"})
    session.write("call", "config.put", {"path": "/c", "data": "two"})
    for held in everywhere("lock.holder", {"path": "/l"}):
        same((held["token"], held["session"]), (lock["token"], session.id), "holder")
    for leader in everywhere("election.observe", {"path": "/e"}):
        same((leader["token"], leader["value"]), (office["token"], "me"), "leader")
    same(everywhere("election.candidates", {"path": "/e"}), [[], [], []], "candidates")
    for newest in everywhere("config.get", {"path": "/c"}):
        same((newest["version"], newest["data"]), (2, "two"), "newest")
    for kept in everywhere("config.versions", {"path": "/c"}):
        same([v["version"] for v in kept], [1, 2], "versions")
    for page in everywhere("config.history", {"path": "/c", "after": 0}):
        same([v["data"] for v in page["versions"]], ["one", "two"], "history")


@rule
def a_value_written_past_the_recipe_is_called_for_not_queried():
    session.write("set", "/c", b"plain")
    with cluster.connect(cluster.follower()) as c:
        same(refusal(c, "query", "config.get", {"path": "/c"}), "read_only", "query")
        same(c.call("call", "config.get", {"path": "/c"})["value"]["version"], 3, "call")
        same(c.call("query", "config.get", {"path": "/c"})["value"]["data"], "plain", "query")


def spin(node, count):
    """Asks for so many runaways at once and checks that others are served meanwhile."""
    other = cluster.connect(node)
    with cluster.connect(node) as c:
        sent = [c.send("query", "q.spin", None, consistency="any" if i % 2 else "strong")
                for i in range(count)]
        slowest, until = 0.0, time.monotonic() + 1
        while time.monotonic() < until:
            start = time.monotonic()
            other.call("get", "/a")
            slowest = max(slowest, time.monotonic() - start)
        for msgid in sent:
            try:
                c.answer(msgid)
                raise AssertionError("a runaway came to an end")
            except Refused as e:
                same(e.name, "over_budget", "answer")
    other.close()
    return slowest


@rule
def runaways_cost_their_budget_and_no_leader_its_reign():
    leader = cluster.leader()
    before = cluster.told(leader)["round"]
    for node in (leader, cluster.follower()):
        slowest = spin(node, 100)
        print("# the slowest read beside 100 runaways: %.0f ms" % (slowest * 1000))
        assert slowest < 1, "a read took %.1f s beside runaways" % slowest
    same(cluster.told(leader)["round"], before, "round")


@rule
def a_client_that_leaves_takes_its_queries_with_it():
    node = cluster.follower()
    for _ in range(5):
        with cluster.connect(node) as c:
            for _ in range(100):
                c.send("query", "q.spin", None, consistency="any")
    start = time.monotonic()
    with cluster.connect(node) as c:
        same(c.call("query", "q.read", "/a")["value"], c.call("get", "/a")["data"].decode(),
             "value")
    assert time.monotonic() - start < 5, "the queries of the dead were run"
    assert cluster.told(node), "it is gone"


run(cluster.log_tails)
