"""successor.py -- how clients find the servers, and how a program that died is followed by
itself, on three servers.

Method: the clients are Lua processes that use the C library; they, and servers, are killed
with SIGKILL.
"""
import os
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from lua_process import Lua
from tidelock import Cluster, Connection, begin, make_folder, rule, run, same, wait_for

begin(90)
cluster = Cluster(3)

CONNECT = """
client, err = tidelock.connect { session = %d, session_file = %s, timeout_ms = 20000 }
return client and "open" or err.code
"""
LOCK = 'held = assert(client:lock("%s")) return held.token'


def start(timeout_ms, session_file=None, servers=None):
    """A process with an open client."""
    process = Lua(servers or cluster.servers)
    same(connect(process, timeout_ms, session_file), "open", "client")
    return process


def connect(process, timeout_ms, session_file=None):
    quoted = '"%s"' % session_file if session_file else "nil"
    return process.do(CONNECT % (timeout_ms, quoted))


def new_session_file():
    return os.path.join(make_folder(), "session")


def seconds(action):
    before = time.monotonic()
    action()
    return time.monotonic() - before


# --- which servers there are ---


def members_of(connection):
    """The next list that the server tells of."""
    kind, method, params = connection.receive()
    same((kind, method), (2, "members"), "notification")
    return params[0]


@rule
def hello_names_where_every_member_serves_clients():
    with cluster.connect(1) as c:
        same(c.hello["members"], cluster.nodes, "members")


@rule
def a_server_tells_its_clients_when_it_hears_of_other_members():
    for node in cluster.nodes:
        cluster.kill(node)
    cluster.restart(1)
    with Connection(cluster.nodes[1], hello=False) as c, cluster.connect(1) as other:
        known = c.call("hello", 1, members=True)["members"]
        for node, address in known.items():  # the roster may name them, or their hello will
            assert address in ("", cluster.nodes[node]), known
        cluster.restart(2)
        cluster.restart(3)
        while known != cluster.nodes:
            known = members_of(c)
        other.send("ping")
        same(other.receive()[0], 1, "what comes first, without having asked for more")


def survives_the_kill_of(node, timeout_ms):
    process = start(timeout_ms, servers=cluster.nodes[node])
    path = '"/alone-%d-%d"' % (node, timeout_ms)
    process.do("assert(client:create(%s, 'a'))" % path)
    cluster.kill(node)
    same(process.do("return (assert(client:get(%s)))" % path), "a", "data")
    process.do("assert(client:set(%s, 'b'))" % path)
    cluster.restart(node)
    process.kill()


@rule
def a_client_that_was_given_one_server_survives_its_death():
    survives_the_kill_of(cluster.follower(), 10000)
    survives_the_kill_of(cluster.leader(), 10000)
    survives_the_kill_of(cluster.leader(), 0)


@rule
def a_client_leaves_a_server_that_has_stopped_answering():
    for node in (cluster.follower(), cluster.leader()):
        process = start(4000, servers=cluster.nodes[node])
        os.kill(cluster.pid(node), signal.SIGSTOP)  # connections to it are still accepted
        try:
            waited = seconds(lambda: process.do('assert(client:create("/stopped"))'))
            assert waited < 4, "it took %.1f s" % waited
        finally:
            os.kill(cluster.pid(node), signal.SIGCONT)
        process.do('assert(client:delete("/stopped"))')
        process.kill()


@rule
def a_client_finds_its_server_again_when_all_have_come_back():
    process = start(30000, servers=cluster.nodes[1])
    for node in cluster.nodes:
        cluster.kill(node)
    process.begin('assert(client:create("/later")) return "created"')
    for node in cluster.nodes:
        cluster.restart(node)
    same(process.answer(), "created", "the write")
    process.kill()


# --- a program that is started again ---


@rule
def one_that_is_started_again_has_its_lock_at_once():
    path = new_session_file()
    first = start(30000, path)
    token = int(first.do(LOCK % "/again"))
    same(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
    first.kill()
    second = start(30000, path)
    assert seconds(lambda: second.do(LOCK % "/again")) < 3, "it waited for the old session"
    assert int(second.do("return held.token")) > token, "the token did not rise"
    second.kill()


@rule
def one_without_a_session_file_waits_until_its_session_has_expired():
    first = start(4000)
    first.do(LOCK % "/waits")
    first.kill()
    second = start(4000)
    assert seconds(lambda: second.do(LOCK % "/waits")) > 1, "who held the lock?"
    second.kill()


@rule
def ephemeral_nodes_are_gone_before_the_successor_is_ready():
    path = new_session_file()
    first = start(30000, path)
    first.do('assert(client:create("/mine", nil, { ephemeral = true }))')
    first.kill()
    second = start(30000, path)
    same(second.do('return (assert(client:create("/mine", nil, { ephemeral = true })))'),
         "/mine", "the node")
    second.do("client:close()")


@rule
def a_takeover_gets_done_while_the_leader_dies():
    path = new_session_file()
    for _ in range(3):
        first = start(30000, path)
        first.do(LOCK % "/dying")
        first.kill()
        second = Lua(cluster.servers)
        leader = cluster.leader()
        cluster.kill(leader)
        same(connect(second, 30000, path), "open", "client")
        assert seconds(lambda: second.do(LOCK % "/dying")) < 5, "it waited"
        second.do("client:close()")
        cluster.restart(leader)


@rule
def a_session_that_has_expired_meanwhile_is_no_hindrance():
    path = new_session_file()
    first = start(1000, path)
    first.do('assert(client:create("/expires", nil, { ephemeral = true }))')
    first.kill()
    with cluster.connect(cluster.leader()) as c:
        wait_for(lambda: not c.call("children", "/").get("children").count("expires"),
                 "the session has expired")
    second = start(1000, path)
    second.do(LOCK % "/expired")
    second.kill()


@rule
def two_living_clients_do_not_share_a_session_file():
    path = new_session_file()
    first = start(10000, path)
    other = Lua(cluster.servers)
    same(connect(other, 10000, path), "in_use", "the second client")
    first.do(LOCK % "/shared")  # the first one was not disturbed
    first.do("client:close()")
    same(connect(other, 10000, path), "open", "the second client then")
    other.kill()


@rule
def closing_a_client_removes_its_session_file():
    path = new_session_file()
    first = start(10000, path)
    assert os.path.getsize(path) > 0, "nothing was noted"
    first.do("client:close()")
    assert not os.path.exists(path), "the file is still there"


@rule
def what_is_no_session_file_is_refused_and_left_alone():
    path = new_session_file()
    with open(path, "w") as file:
        file.write("precious")
    process = Lua(cluster.servers)
    same(connect(process, 10000, path), "config", "the client")
    with open(path) as file:
        same(file.read(), "precious", "the file")
    same(connect(process, 0, path), "config", "a client without a session")


run(cluster.log_tails)
