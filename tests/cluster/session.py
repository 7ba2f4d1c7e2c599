"""session.py -- what a session promises while servers and clients die, on three servers.

Method: the test speaks the protocol itself, so that it can do what a client library never
would: send the same seq twice and elsewhere, lie about the secret, or fall silent.
"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Closed, Cluster, Connection, Refused, Session, begin, refusal, rule,
                      run, same, wait_for)

begin(80)
cluster = Cluster(3)


def others(node):
    return [cluster.nodes[i] for i in sorted(cluster.nodes) if i != node]


def attach(address, session):
    c = Connection(address)
    c.call("session.attach", session.id, session.secret)
    return c


def exists(path):
    with Connection(cluster.nodes[cluster.leader()]) as c:
        return refusal(c, "stat", path) == "ok"


def acquire(connection, session, seq, path, **args):
    """Sends the call; its msgid."""
    return connection.send("call", "lock.acquire", dict(args, path=path),
                           session=session.id, seq=seq)


def survives_the_kill_of(node, name):
    path = "/survives-" + name
    session = Session([cluster.nodes[node]], 5000)
    session.write("create", path, b"x", ephemeral=True)
    cluster.kill(node)
    session.drop()
    session.addresses = others(node)
    for address in others(node):
        with Connection(address) as c:
            wait_for(lambda: refusal(c, "stat", path) != "no_quorum", "a quorum")
            got = c.call("get", path)
            same(got["stat"]["ephemeralOwner"], session.id, "owner")
    answer = session.insist("session.renew", session.id)
    same(answer["timeout_ms"], 5000, "timeout")
    session.write("set", path, b"y")
    cluster.restart(node)
    session.write("delete", path)
    session.insist("session.close", session.id)


@rule
def a_session_survives_the_kill_of_the_follower_it_is_attached_to():
    survives_the_kill_of(cluster.follower(), "follower")


@rule
def a_session_survives_the_kill_of_the_leader_it_is_attached_to():
    survives_the_kill_of(cluster.leader(), "leader")


@rule
def a_session_lives_on_while_it_is_renewed_whichever_leader_comes():
    session = Session(cluster.addresses, 1000)
    session.write("create", "/renewed", b"", ephemeral=True)
    for _ in range(2):
        leader = cluster.leader()
        cluster.kill(leader)
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            session.insist("session.renew", session.id)
            time.sleep(0.1)
        cluster.restart(leader)
        session.insist("session.renew", session.id)
    session.write("delete", "/renewed")


@rule
def a_dead_clients_session_expires_not_before_its_time_and_all_its_nodes_go_at_once():
    watcher = Connection(cluster.addresses[0])
    watcher.call("create", "/dead", None)
    session = Session(cluster.addresses, 1000)
    for i in range(50):
        session.write("create", "/dead/%d" % i, b"", ephemeral=True)
    renewed = time.monotonic()
    session.insist("session.renew", session.id)
    session.drop()

    def gone():
        count = len(watcher.call("children", "/dead")["children"])
        assert count in (0, 50), "%d of 50 ephemeral nodes are left" % count
        return count == 0
    wait_for(gone, "the session expires", 10)
    lived = time.monotonic() - renewed
    assert lived >= 1.0, "expired after %.3f s" % lived
    assert lived < 3.0, "expired after %.3f s only" % lived
    for address in cluster.addresses:
        with Connection(address) as c:
            same(refusal(c, "session.attach", session.id, session.secret),
                 "session_expired", "attach")
            same(refusal(c, "session.renew", session.id), "not_attached", "renew")
    watcher.close()


@rule
def a_closed_session_takes_its_nodes_along_and_is_over_everywhere():
    session = Session(cluster.addresses)
    session.write("create", "/closed", b"", ephemeral=True)
    c = session.connection
    later = c.send("set", "/", b"", session=session.id, seq=3)  # seq 2 never comes
    c.call("session.close", session.id)
    same(exists("/closed"), False, "the ephemeral node is there")
    try:
        c.answer(later)
        raise AssertionError("a write was done after the end")
    except Refused as e:
        same(e.name, "session_expired", "a write that waited")
    same(refusal(c, "session.renew", session.id), "not_attached", "renew")
    for address in cluster.addresses:
        with Connection(address) as other:
            same(refusal(other, "session.attach", session.id, session.secret),
                 "session_expired", "attach")


def check_moved(session, older, address):
    with attach(address, session) as newer:
        wait_for(lambda: older.call("ping") is None and older.notes, "the older one is told")
        same(older.notes, [["moved", [session.id]]], "what it is told")
        same(refusal(older, "set", "/", b"", session=session.id, seq=1000), "not_attached",
             "a write on the older connection")
        same(refusal(older, "session.renew", session.id), "not_attached", "a renewal there")
        newer.call("session.renew", session.id)
        same(newer.notes, [], "what the newer one is told")


@rule
def a_session_that_is_attached_again_is_lost_to_the_older_connection():
    session = Session(cluster.addresses)
    for address in cluster.addresses:  # one of them is the older one's own server
        session.write("set", "/", b"mine")
        older = session.connection
        check_moved(session, older, address)
        session.drop()
    session.insist("session.close", session.id)


@rule
def a_wrong_secret_is_refused_and_renews_nothing():
    session = Session(cluster.addresses, 1000)
    session.write("create", "/secret", b"", ephemeral=True)
    session.drop()
    wrong = bytes([session.secret[0] ^ 1]) + session.secret[1:]
    with Connection(cluster.addresses[1]) as c:
        for secret in (wrong, session.secret[:15], session.secret + b"x", b"", "a" * 16):
            same(refusal(c, "session.attach", session.id, secret), "bad_secret", "attach")
        same(refusal(c, "set", "/secret", b"", session=session.id, seq=2), "not_attached",
             "a write")
        same(refusal(c, "session.close", session.id), "not_attached", "close")

        def expired():
            answer = refusal(c, "session.attach", session.id, wrong)
            assert answer in ("bad_secret", "session_expired"), answer
            return answer == "session_expired"
        wait_for(expired, "the session expires while somebody guesses", 5)


@rule
def a_repeated_write_returns_its_first_result_on_every_server():
    session = Session(cluster.addresses)
    options = {"session": session.id, "seq": 1, "sequential": True}
    first = session.connection.call("create", "/repeat-", b"", **options)
    for address in cluster.addresses:
        with attach(address, session) as c:
            for _ in range(2):
                same(c.call("create", "/repeat-", b"", **options), first, "result")
    refused = {"session": session.id, "seq": 2}
    with attach(cluster.addresses[0], session) as c:
        same(refusal(c, "delete", "/repeat", **refused), "no_node", "delete")
        c.call("create", "/repeat", b"")
    for address in cluster.addresses:
        with attach(address, session) as c:
            same(refusal(c, "delete", "/repeat", **refused), "no_node", "refusal again")
    same(exists("/repeat"), True, "the node is there")


@rule
def a_repeated_write_returns_its_first_result_after_the_leaders_death():
    leader = cluster.leader()
    session = Session(cluster.addresses, first=leader - 1)
    options = {"session": session.id, "seq": 1}
    session.connection.call("create", "/counted", b"0", session=session.id, seq=1)
    sent = session.connection.send("set", "/counted", b"1", session=session.id, seq=2)
    cluster.kill(leader)
    try:
        session.connection.answer(sent)
    except Closed:
        pass
    session.addresses = others(leader)
    session.drop()
    options["seq"] = 2
    first = session.insist("set", "/counted", b"1", **options)
    same(first["stat"]["version"], 1, "version")
    cluster.restart(leader)
    with attach(cluster.nodes[leader], session) as c:
        same(c.call("set", "/counted", b"1", **options), first, "result")


@rule
def an_acknowledged_seq_is_refused_everywhere():
    session = Session(cluster.addresses)
    for seq in (1, 2, 3):
        session.connection.call("set", "/", b"", session=session.id, seq=seq)
    session.connection.call("set", "/", b"", session=session.id, seq=4, ack=2)
    for address in cluster.addresses:
        with attach(address, session) as c:
            for seq, want in ((1, "seq_acknowledged"), (2, "seq_acknowledged"), (3, "ok"),
                              (4, "ok")):
                same(refusal(c, "set", "/", b"", session=session.id, seq=seq), want,
                     "seq %d" % seq)


@rule
def a_gap_in_seq_waits_for_what_is_missing():
    session = Session(cluster.addresses)
    c = session.connection
    later = c.send("create", "/gap", b"second", session=session.id, seq=2)
    with Connection(cluster.addresses[1]) as other:
        other.call("set", "/", b"")
        same(refusal(other, "stat", "/gap"), "no_node", "the node")
    with attach(cluster.addresses[1], session) as other:
        first = other.call("set", "/", b"", session=session.id, seq=1)
    assert c.answer(later)["zxid"] > first["zxid"], "in order of seq"


@rule
def a_waiting_lock_call_moves_on_when_its_holders_session_expires():
    holder, waiter = Session(cluster.addresses, 1000), Session(cluster.addresses, 10000, 1)
    c = holder.connection
    first = c.answer(acquire(c, holder, 1, "/locks/a", delay=0))["value"]
    waiting = acquire(waiter.connection, waiter, 1, "/locks/a")
    holder.drop()
    second = waiter.connection.answer(waiting)["value"]
    assert second["token"] > first["token"], "tokens rise"
    same(second["path"], first["path"], "path of the grant")
    with Connection(cluster.addresses[2]) as other:
        stat = other.call("stat", second["path"])["stat"]
    same((stat["czxid"], stat["ephemeralOwner"]), (second["token"], waiter.id), "holder")


@rule
def a_write_guarded_by_a_stale_holder_is_refused():
    holder, next_one = Session(cluster.addresses, 1000), Session(cluster.addresses)
    c = holder.connection
    c.call("create", "/guarded", b"0")
    grant = c.answer(acquire(c, holder, 1, "/locks/b", delay=0))["value"]
    guard = [[grant["path"], grant["token"]]]
    c.call("set", "/guarded", b"by the holder", guard=guard)
    holder.drop()
    after = next_one.connection.answer(acquire(next_one.connection, next_one, 1,
                                               "/locks/b"))["value"]
    for address in cluster.addresses:
        with Connection(address) as other:
            same(refusal(other, "set", "/guarded", b"stale", guard=guard), "guard_failed",
                 "stale write")
            same(refusal(other, "multi", [["guard", *guard[0]],
                                          ["set", "/guarded", b"stale"]]), "guard_failed",
                 "stale multi")
    with Connection(cluster.addresses[0]) as other:
        other.call("set", "/guarded", b"new", guard=[[after["path"], after["token"]]])
        got = other.call("get", "/guarded")
    same((got["data"], got["stat"]["version"]), (b"new", 2), "node")


@rule
def a_waiting_lock_call_outlives_the_leader_and_is_granted_once():
    holder, waiter = Session(cluster.addresses), Session(cluster.addresses)
    c = holder.connection
    grant = c.answer(acquire(c, holder, 1, "/locks/c"))["value"]
    acquire(waiter.connection, waiter, 1, "/locks/c")
    waiting = {"session": waiter.id, "seq": 1}
    wait_for(lambda: exists("/locks/c/queue"), "it stands in the queue")
    leader = cluster.leader()
    cluster.kill(leader)
    waiter.drop()
    waiter.addresses = holder.addresses = others(leader)
    waiter.connect()
    again = acquire(waiter.connection, waiter, 1, "/locks/c")
    holder.drop()
    holder.seq = 1
    released = holder.write("call", "lock.release",
                            {"path": "/locks/c", "token": grant["token"]})
    same(released["value"], {"released": True}, "release")
    try:
        first = waiter.connection.answer(again)
    except (Refused, Closed):
        waiter.drop()
        first = waiter.insist("call", "lock.acquire", {"path": "/locks/c"}, **waiting)
    cluster.restart(leader)
    with attach(cluster.nodes[leader], waiter) as other:
        same(other.call("call", "lock.acquire", {"path": "/locks/c"}, **waiting), first,
             "the result on a third server")
        same(other.call("children", "/locks/c/queue")["children"], [], "the queue")


@rule
def a_waiting_call_ends_at_its_time_limit_or_when_it_is_cancelled():
    holder, waiter = Session(cluster.addresses), Session(cluster.addresses)
    c = holder.connection
    c.answer(acquire(c, holder, 1, "/locks/d"))
    c = waiter.connection
    same(refusal(c, "call", "lock.acquire", {"path": "/locks/d"}, session=waiter.id, seq=1,
                 timeout_ms=100), "timeout", "limited")
    waiting = acquire(c, waiter, 2, "/locks/d")
    wait_for(lambda: c.call("children", "/locks/d/queue")["children"], "it is in the queue")
    c.call("call.cancel", waiter.id, 2)
    try:
        c.answer(waiting)
        raise AssertionError("a cancelled call was granted")
    except Refused as e:
        same(e.name, "cancelled", "answer")
    same(c.call("children", "/locks/d/queue")["children"], [], "the queue")
    same(refusal(c, "call.cancel", waiter.id, 2), "no_call", "cancelled twice")


@rule
def nobody_expires_while_the_leader_was_stopped_and_goes_on():
    session = Session(cluster.addresses, 1000, first=cluster.leader() - 1)
    session.write("create", "/stopped", b"", ephemeral=True)
    pids = [cluster.pid(i) for i in cluster.nodes]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    session.insist("session.renew", session.id)
    same(exists("/stopped"), True, "the ephemeral node is there")


run(cluster.log_tails)
