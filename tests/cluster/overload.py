"""overload.py -- real servers under clients that ask for more than they can get, or that do not
behave: each of them harms only itself.

Method: the bad one does its worst, and a good one goes on meanwhile, at the same server. What
is judged is the order of answers, the number of connections, and the server's memory, never
how long something took.
"""
import os
import select
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Closed, Cluster, Connection, Refused, Server, begin, free_port,
                      make_folder, memory_kb, pack, refusal, rule, run, same, wait_for)

CALLS, STEPS = 1500, 50000  # at once on one connection; of the loop in each
NODE_BYTES = 500000
MESSAGE_BYTES = 1000000
FILES = 300

BURN = """
local burn = {}
function burn.some(tx, args)
  local n = 0
  for i = 1, args.steps do n = n + i end
  return n
end
return burn
"""

begin(115)
cluster = Cluster(3)
with cluster.connect(1) as setup:
    setup.call("create", "/tidelock/recipes/burn", BURN, parents=True)
    setup.call("create", "/o", None)
    setup.call("create", "/o/big", bytes(NODE_BYTES))


def is_readable(connection):
    return bool(select.select([connection.socket], [], [], 0)[0])


def take_what_is_there(connection):
    """How many answers have come by now."""
    while is_readable(connection):
        connection.fill()
    while True:
        try:
            # One that is there whole is taken without waiting.
            connection.socket.setblocking(False)
            _, number, error, result = connection.receive()
            connection.answers[number] = (error, result)
        except Closed:
            connection.socket.setblocking(True)
            return len(connection.answers)


def requests_at(connection):
    return connection.call("status")["requests"]


def check_others_go_on(bad_node, good_node):
    with cluster.connect(bad_node, 60) as bad, cluster.connect(good_node, 60) as good:
        opened = good.call("session.open", timeout_ms=60000)
        with cluster.connect(bad_node) as look:
            asked = [bad.send("call", "burn.some", {"steps": STEPS}) for _ in range(CALLS)]
            wait_for(lambda: requests_at(look) > CALLS / 2, "they are there")
        for seq in range(1, 6):
            good.call("session.renew", opened["id"])
            good.call("set", "/o", b"good", session=opened["id"], seq=seq)
            good.call("get", "/o")
        done = take_what_is_there(bad)
        assert done < CALLS * 2 / 3, "%d of %d were answered first" % (done, CALLS)
        for msgid in asked:
            bad.answer(msgid)
        good.call("session.close", opened["id"])


@rule
def many_calls_of_one_connection_hold_up_nobody_at_the_leader():
    leader = cluster.leader()
    check_others_go_on(leader, leader)


@rule
def many_calls_of_one_connection_hold_up_nobody_at_a_follower():
    follower = cluster.follower()
    check_others_go_on(follower, follower)


@rule
def many_calls_of_a_follower_hold_up_nobody_at_the_leader():
    check_others_go_on(cluster.follower(), cluster.leader())


@rule
def who_never_reads_costs_little_memory_and_holds_up_nobody():
    node = cluster.leader()
    pid, bad = cluster.pid(node), []
    before = memory_kb(pid)
    with cluster.connect(node) as good:
        for _ in range(40):
            bad.append(cluster.connect(node))
            for _ in range(100):
                bad[-1].send("get", "/o/big")
        for _ in range(200):
            good.call("get", "/o")
            good.call("set", "/o", b"x")
        grown = memory_kb(pid) - before
        assert grown < 200000, "%d kB more" % grown
        for c in bad:
            c.close()
        wait_for(lambda: good.call("status")["connections"] < 10, "they are gone")


def begin_message(connection, size=MESSAGE_BYTES):
    """All but the last bytes of a request."""
    whole = pack([0, 77, "set", ["/o", bytes(size)]])
    connection.send_raw(whole[:-10])
    return whole[-10:]


def is_closed(connection):
    try:
        while is_readable(connection):
            connection.fill()
        return False
    except Closed:
        return True


@rule
def half_messages_cost_bounded_memory_and_hold_up_nobody():
    node = cluster.leader()
    pid, bad = cluster.pid(node), []
    before = memory_kb(pid)
    with cluster.connect(node) as good:
        for _ in range(150):
            bad.append(cluster.connect(node))
            try:
                begin_message(bad[-1])
            except Closed:
                pass
            good.call("set", "/o", b"x")
        wait_for(lambda: sum(is_closed(c) for c in bad) > 50, "the slowest are closed")
        grown = memory_kb(pid) - before
        assert grown < 200000, "%d kB more" % grown
        rest = begin_message(good, MESSAGE_BYTES)
        good.send_raw(rest)
        good.answer(77)  # one that is new gets through
        for c in bad:
            c.close()


@rule
def who_sends_a_byte_at_a_time_is_served_and_holds_up_nobody():
    node = cluster.leader()
    with cluster.connect(node) as bad, cluster.connect(node) as good:
        for byte in pack([0, 5, "get", ["/o"]]):
            bad.send_raw(bytes([byte]))
            good.call("set", "/o", b"slow")
        same(bad.answer(5)["data"], b"slow", "what it read")


class From(Connection):
    """A connection from another address of this machine."""

    source = ("127.0.0.2", 0)


@rule
def connections_without_end_leave_room_for_other_addresses():
    client = "127.0.0.1:%d" % free_port()
    server = Server("--id", "1", "--data", os.path.join(make_folder(), "d"), "--client",
                    client, files=FILES)
    server.wait_serving(client)
    bad = []
    with Connection(client) as good:
        for _ in range(2 * FILES):
            try:
                bad.append(Connection(client))
            except Closed:
                pass
        held = good.call("status")["connections"]
        assert FILES / 4 < held < FILES / 2, "%d connections" % held
        with From(client) as other:
            other.call("create", "/room", bytes(100000))  # the log has files, too
            same(refusal(other, "get", "/room"), "ok", "a read")
        for c in bad:
            c.close()
        wait_for(lambda: good.call("status")["connections"] == 1, "they are gone")
    Connection(client).close()
    assert "its address has too many" in server.text()
    same(server.end(), 0, "exit status")


@rule
def busy_says_when_to_ask_again():
    with cluster.connect(cluster.follower()) as c:
        session = c.call("session.open")["id"]
        try:
            c.call("set", "/o", b"", session=session, seq=10000)
            raise AssertionError("a seq far ahead was taken")
        except Refused as e:
            same(e.name, "busy", "a seq far ahead")
            assert 0 < e.details["retry_ms"] < 1000, e.details
        c.call("set", "/o", b"", session=session, seq=1)
        c.call("session.close", session)


run(cluster.log_tails)
