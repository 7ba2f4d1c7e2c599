"""wiped.py -- a member whose data directory was replaced never votes from lost memory: it
is refused and ends, no quorum is formed with it, and with its old directory all goes on.

Method: three servers started one by one, whose directories the test takes away and puts
back. "Never" cannot be waited for; where nothing may happen, the test looks for several
times the time that an election takes.
"""
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (Closed, Connection, Refused, Server, Session, begin, free_port,
                      make_folder, refusal, rule, run, same, wait_for)

IDS = (1, 2, 3)
NEVER_S = 2.0  # an election takes 0.3 s

begin(60)
folder = make_folder()
clients = {i: "127.0.0.1:%d" % free_port() for i in IDS}
members = ",".join("%d=127.0.0.1:%d" % (i, free_port()) for i in IDS)
servers = {}
acknowledged = []


def data_of(node):
    return os.path.join(folder, "data-%d" % node)


def start(node):
    servers[node] = Server("--id", str(node), "--client", clients[node], "--members",
                           members, "--data", data_of(node),
                           log=os.path.join(folder, "log-%d" % node))


def kill(node):
    servers.pop(node).end(signal.SIGKILL)


def move_away(node):
    os.rename(data_of(node), data_of(node) + ".old")


def put_back(node):
    shutil.rmtree(data_of(node), ignore_errors=True)
    os.rename(data_of(node) + ".old", data_of(node))


def told(node):
    try:
        with Connection(clients[node], 2) as c:
            return c.call("status")
    except (Closed, Refused):
        return None


def log_of(node):
    with open(os.path.join(folder, "log-%d" % node), errors="replace") as file:
        return file.read()


def write(*nodes):
    """One more acknowledged write, by any of these servers."""
    path = "/w%d" % len(acknowledged)
    session = Session([clients[i] for i in nodes], 60000)
    session.write("create", path, b"")
    session.drop()
    acknowledged.append(path)


def check_refuses(node, seconds):
    """It takes no write for so long; and says so rather than nothing."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with Connection(clients[node]) as c:
            same(refusal(c, "create", "/never", b""), "no_quorum", "a write")
        time.sleep(0.05)


def check_all_there(node):
    wait_for(lambda: told(node), "it answers clients")
    with Connection(clients[node]) as c:
        wait_for(lambda: refusal(c, "get", "/") == "ok", "strong reads")
        for path in acknowledged:
            same(refusal(c, "get", path), "ok", path)
        same(refusal(c, "get", "/never"), "no_node", "what was refused")


def check_ends_as_forgetful(node):
    """It has ended by itself, and has said why."""
    ended = servers[node]
    wait_for(lambda: ended.process.poll() is not None, "the wiped server ends")
    same(servers.pop(node).end(), 1, "exit status")
    last = log_of(node).splitlines()[-1]
    assert "level=error" in last and "must not vote from lost memory" in last, last
    assert "put its old data directory back, or let it come back" in last, last


def knows(node, other):
    """Whether the directory of `node` has noted an incarnation of `other`."""
    try:
        with open(os.path.join(data_of(node), "identity")) as file:
            peers = next(line for line in file if line.startswith("peers = "))
    except (OSError, StopIteration):
        return False
    return "%d=" % other in peers


def wipe_all():
    for node in IDS:
        if node in servers:
            kill(node)
        shutil.rmtree(data_of(node), ignore_errors=True)
        os.remove(os.path.join(folder, "log-%d" % node))


@rule
def members_that_met_different_directories_of_a_third_form_no_cluster():
    start(2)
    start(3)
    wait_for(lambda: knows(2, 3) and knows(3, 2), "2 and 3 have met")
    kill(2)
    kill(3)
    shutil.rmtree(data_of(3))
    start(1)
    start(3)
    wait_for(lambda: knows(1, 3) and knows(3, 1), "1 and the new 3 have met")
    start(2)
    check_ends_as_forgetful(3)
    wait_for(lambda: knows(1, 2) and knows(2, 1), "1 and 2 have met")
    check_refuses(1, NEVER_S / 2)
    kill(2)
    start(3)
    wait_for(lambda: told(3), "it answers clients")
    check_refuses(3, NEVER_S / 2)
    check_refuses(1, 0.1)
    for node in IDS:
        assert "all members know each other" not in log_of(node), "%d has joined" % node
    wipe_all()


@rule
def a_first_start_waits_for_every_member():
    start(1)
    start(2)
    for node in (1, 2):
        wait_for(lambda n=node: told(n), "it answers clients")
    for node in (1, 2):
        wait_for(lambda n=node: "waiting for the first contact with members" in log_of(n),
                 "it says what it waits for")
    check_refuses(1, NEVER_S)
    check_refuses(2, 0.1)
    for node in (1, 2):
        status = told(node)
        same((status["role"], status["leader"]), ("follower", 0), "role and leader")
        same((status["round"], status["chosen"]), (0, 0), "round and chosen")


@rule
def a_restart_while_it_waits_changes_nothing():
    kill(2)
    start(2)
    wait_for(lambda: told(2), "it answers clients")
    check_refuses(2, 0.5)


@rule
def with_the_third_it_serves():
    start(3)
    write(1, 2, 3)


@rule
def then_any_two_serve_also_from_a_cold_start():
    for alone in IDS:
        for node in IDS:
            if node in servers:
                kill(node)
        pair = [i for i in IDS if i != alone]
        for node in pair:
            start(node)
        write(*pair)
    for node in IDS:
        if node not in servers:
            start(node)
    write(*IDS)


@rule
def a_wiped_server_is_refused_and_ends_and_the_others_go_on():
    kill(2)
    write(1, 3)  # and so 2 is not needed for it
    move_away(2)
    before = len(log_of(1)), len(log_of(3))
    start(2)
    write(1, 3)
    check_ends_as_forgetful(2)
    new = log_of(1)[before[0]:] + log_of(3)[before[1]:]
    assert "server 2 came back with another data directory" in new, new
    write(1, 3)


@rule
def no_quorum_is_formed_with_a_wiped_server():
    kill(1)
    kill(3)
    start(2)  # the directory that it made at its first wiped start
    wait_for(lambda: told(2), "it answers clients")
    check_refuses(2, 0.5)
    start(3)
    wait_for(lambda: told(3), "it answers clients")
    check_ends_as_forgetful(2)
    for _ in range(3):  # as a supervisor would
        start(2)
        check_refuses(3, NEVER_S / 2)
        check_ends_as_forgetful(2)
    same(told(3)["leader"], 0, "the leader")


@rule
def a_directory_wiped_once_more_is_refused_too():
    shutil.rmtree(data_of(2))
    start(2)
    check_refuses(3, NEVER_S / 2)
    check_ends_as_forgetful(2)


@rule
def with_its_old_directory_all_goes_on_and_nothing_is_lost():
    put_back(2)
    start(2)
    check_all_there(2)
    check_all_there(3)
    write(2, 3)
    start(1)
    wait_for(lambda: told(1) and told(1)["leader"], "it follows")
    check_all_there(1)
    write(1)


@rule
def two_wiped_servers_cannot_outvote_the_third():
    for node in (1, 2):
        kill(node)
        move_away(node)
    wait_for(lambda: told(3)["role"] != "leader", "it leads nobody")
    for node in (1, 2):
        start(node)
    check_refuses(3, NEVER_S)
    for node in (1, 2):
        check_ends_as_forgetful(node)
        put_back(node)
        start(node)
    check_all_there(3)
    write(*IDS)


def tails():
    for node in IDS:
        for line in log_of(node)[-1500:].splitlines():
            print("# server %d: %s" % (node, line))


run(tails)
