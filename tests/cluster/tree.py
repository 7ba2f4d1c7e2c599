"""tree.py -- what the tree offers over the wire, on three servers: containers and TTLs, whole
subtrees, quotas, multis that read.

Method: the protocol itself, asked on a follower, so that every request takes the long way.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import Cluster, Refused, Session, begin, refusal, rule, run, same, wait_for

begin(120)
cluster = Cluster(3)
follower = cluster.connect(cluster.follower())


def exists(path):
    return refusal(follower, "stat", path) == "ok"


def fill(path, count):
    """`count` children, many at a time."""
    follower.call("create", path, None)
    for first in range(0, count, 1000):
        follower.call("multi", [["create", "%s/%05d" % (path, i), b"x"]
                                for i in range(first, min(count, first + 1000))])


def message(method, *args, **options):
    try:
        follower.call(method, *args, **options)
    except Refused as refused:
        return refused.message
    return "ok"


@rule
def a_container_goes_with_its_last_child_and_nobody_sees_it_empty():
    follower.call("create", "/c", None, container=True)
    follower.call("create", "/c/d/e", b"", parents=True)
    same(follower.call("stat", "/c")["stat"]["container"], 1)
    zxid = follower.call("delete", "/c/d/e")["zxid"]
    same(follower.call("stat", "/c/d")["stat"]["pzxid"], zxid)
    follower.call("delete", "/c/d")
    same(exists("/c"), False)


@rule
def a_container_goes_when_its_last_child_goes_with_its_session():
    follower.call("create", "/members", None, container=True)
    session = Session(cluster.addresses)
    session.write("create", "/members/a", b"", ephemeral=True)
    session.insist("session.close", session.id)
    same(exists("/members"), False)


@rule
def a_ttl_node_goes_by_itself_on_every_server():
    follower.call("create", "/t", b"x", ttl_ms=300)
    same(follower.call("stat", "/t")["stat"]["ttl"], 300)
    wait_for(lambda: not exists("/t"), "the node has expired")
    cluster.wait_equal()


@rule
def a_ttl_survives_the_death_of_the_leader():
    leader = cluster.leader()
    other = next(i for i in cluster.nodes if i != leader)
    with cluster.connect(other) as c:
        c.call("create", "/t2", b"x", ttl_ms=2500)
        begun = time.monotonic()
        cluster.kill(leader)
        wait_for(lambda: refusal(c, "stat", "/t2") == "no_node", "the node has expired")
    lived = time.monotonic() - begun
    assert lived > 2.0, "it lived for %.3f s only" % lived
    cluster.restart(leader)
    cluster.wait_equal()


@rule
def a_touch_renews_a_ttl_and_changes_nothing_else():
    before = follower.call("create", "/t3", b"x", ttl_ms=60000)["stat"]
    after = follower.call("touch", "/t3")["stat"]
    assert after["mtime"] >= before["mtime"]
    for name in set(before) - {"mtime"}:
        same(after[name], before[name], name)


@rule
def what_does_not_fit_together_is_refused_with_a_reason():
    assert "TTL" in message("create", "/x", None, ttl_ms=5, container=True)
    assert "lingers" in message("create", "/x", None, linger_ms=5)


@rule
def a_subtree_of_ten_thousand_nodes_goes_in_one_transaction():
    fill("/big", 9999)
    answer = follower.call("delete_tree", "/big")
    same((answer["deleted"], answer["more"]), (10000, False))
    same(exists("/big"), False)


@rule
def a_larger_one_is_refused_and_goes_in_steps():
    fill("/larger", 10500)
    assert "steps" in message("delete_tree", "/larger")
    same(refusal(follower, "delete_tree", "/larger"), "too_large")
    same(follower.call("stat", "/larger")["stat"]["numChildren"], 10500)
    first = follower.call("delete_tree", "/larger", partly=True)
    same((first["deleted"], first["more"]), (10000, True))
    same(follower.call("stat", "/larger")["stat"]["numChildren"], 500)
    last = follower.call("delete_tree", "/larger", partly=True)
    same((last["deleted"], last["more"]), (501, False))


@rule
def a_step_that_is_asked_twice_is_done_once():
    fill("/steps", 10100)
    session = Session(cluster.addresses)
    first = session.insist("delete_tree", "/steps", session=session.id, seq=1, partly=True)
    again = session.insist("delete_tree", "/steps", session=session.id, seq=1, partly=True)
    same(again, first)
    follower.call("delete_tree", "/steps", partly=True)
    session.insist("session.close", session.id)


@rule
def a_copy_keeps_null_data_apart_from_empty_data():
    follower.call("create", "/from", None)
    follower.call("create", "/from/empty", b"")
    follower.call("create", "/from/null", None)
    same(follower.call("copy", "/from", "/to")["copied"], 3)
    same(follower.call("get", "/to/empty")["data"], b"")
    same(follower.call("get", "/to/null")["data"], None)
    same(refusal(follower, "copy", "/from", "/to"), "node_exists")
    assert "/nowhere" in message("copy", "/nowhere", "/to2")


@rule
def a_quota_bounds_a_subtree_and_tells_which_one():
    follower.call("create", "/q", b"")
    follower.call("quota.set", "/q", nodes=3, bytes=10)
    follower.call("create", "/q/a", b"12345")
    same(refusal(follower, "set", "/q/a", b"12345678901"), "over_quota")
    follower.call("create", "/q/b", b"")
    text = message("create", "/q/c", b"")
    assert "/q" in text and "3 of 3 nodes" in text, text
    listed = follower.call("quota.list")
    same(listed["quotas"], [{"path": "/q", "nodes": 3, "bytes": 10, "nodes_used": 3,
                             "bytes_used": 5}])
    assert listed["nodes"] > 3
    follower.call("quota.set", "/q")
    follower.call("create", "/q/c", b"")


@rule
def a_multi_reads_what_it_wrote():
    answer = follower.call("multi", [["create", "/m", b"1"], ["get", "/m"],
                                     ["set", "/m", None], ["get", "/m"], ["stat", "/none"],
                                     ["copy", "/m", "/m2"], ["delete_tree", "/m2"]])
    results = answer["results"]
    same([r["kind"] for r in results],
         ["create", "get", "set", "get", "stat", "copy", "delete_tree"])
    same(results[1]["data"], b"1")
    same(results[3]["data"], None)
    same(results[3]["stat"]["version"], 1)
    same(results[4]["stat"], None)
    same((results[5]["copied"], results[6]["deleted"]), (1, 1))


@rule
def a_write_bound_to_a_session_is_refused_once_that_is_over():
    session = Session(cluster.addresses)
    session.insist("session.renew", session.id)
    follower.call("set", "/m", b"2", alive=session.id)
    session.insist("session.close", session.id)
    same(refusal(follower, "set", "/m", b"3", alive=session.id), "guard_failed")
    same(refusal(follower, "multi", [["alive", session.id], ["set", "/m", b"3"]]),
         "guard_failed")
    same(follower.call("get", "/m")["data"], b"2")


@rule
def a_tree_is_listed_depth_first_page_by_page():
    follower.call("create", "/l/b/d", b"1", parents=True)
    follower.call("create", "/l/a", None)
    follower.call("create", "/l/b!", b"")
    whole = follower.call("tree", "/l", data=True)
    same([(n["path"], n["data"]) for n in whole["nodes"]],
         [("/l", None), ("/l/a", None), ("/l/b", None), ("/l/b/d", b"1"), ("/l/b!", b"")])
    same(whole["more"], False)
    same(whole["nodes"][3]["stat"]["dataLength"], 1)
    same([n["path"] for n in follower.call("tree", "/l", depth=1)["nodes"]],
         ["/l", "/l/a", "/l/b", "/l/b!"])
    page = follower.call("tree", "/l", limit=2)
    same(([n["path"] for n in page["nodes"]], page["more"]), (["/l", "/l/a"], True))
    page = follower.call("tree", "/l", limit=9, after="/l/a")
    same([n["path"] for n in page["nodes"]], ["/l/b", "/l/b/d", "/l/b!"])
    same(refusal(follower, "tree", "/l", after="/m"), "bad_path")
    same(refusal(follower, "tree", "/none"), "no_node")


@rule
def a_session_reads_its_own_writes_on_any_server():
    connections = [cluster.connect(node) for node in cluster.nodes]
    for i in range(200):
        writer, reader = connections[i % 3], connections[(i + 1) % 3]
        zxid = writer.call("set", "/l/a", b"%d" % i)["zxid"]
        got = reader.call("get", "/l/a", consistency="session", at_least=zxid)
        same(got["data"], b"%d" % i, "what was read after the write")
        assert got["zxid"] >= zxid
    same(refusal(connections[0], "get", "/l/a", consistency="session", at_least=zxid + 10000),
         "stale")
    for c in connections:
        c.close()


@rule
def a_bounded_read_is_as_new_as_it_says():
    before = follower.call("status")
    for _ in range(50):
        follower.call("get", "/l/a", consistency="bounded", max_lag_ms=60000)
    after = follower.call("status")
    same(after["chosen"], before["chosen"])
    for options in ({"consistency": "bounded"}, {"consistency": "session"},
                    {"consistency": "bounded", "max_lag_ms": 0}, {"max_lag_ms": 5},
                    {"consistency": "any", "at_least": 5}):
        same(refusal(follower, "get", "/l/a", **options), "bad_option")


@rule
def all_servers_end_with_the_same_state():
    cluster.wait_equal()


run(cluster.log_tails)
