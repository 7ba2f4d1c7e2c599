"""crowd_kills.py -- a hundred clients contend for a lock, an election and a queue while the
leader is killed fifty times: the shipped recipes keep their word.

Method: each client is a thread with a session of its own, which follows the cluster around
and repeats what was not answered under its number. Who holds the lock adds one to a ledger
under the guard of its grant, and notes its token before it releases; so do leaders. Items
that were added are compared with those that were taken. The leader is killed with -9 as soon
as the one before is back and all kinds got on; nothing waits for a time.
"""
import collections
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from tidelock import Cluster, Session, begin, rule, run, same, wait_for

KILLS = int(os.environ.get("KILLS", "50"))
LOCKERS, CANDIDATES, ADDERS, TAKERS = 40, 20, 20, 20
STEPS = 3  # of each kind, between two kills, at least
END = b"end"

begin(240)
cluster = Cluster(3)
stop = threading.Event()
tokens, terms = [], []
added, taken = collections.Counter(), collections.Counter()
failures = []


def session(first):
    return Session(cluster.servers.split(","), 60000, first, patience=60)


def call(client, function, **args):
    return client.write("call", function, args)["value"]


def locker(client, _):
    while not stop.is_set():
        grant = call(client, "lock.acquire", path="/l")
        count = int(client.insist("get", "/ledger")["data"])
        client.write("set", "/ledger", b"%d" % (count + 1),
                     guard=[[grant["path"], grant["token"]]])
        tokens.append(grant["token"])
        same(call(client, "lock.release", **grant), {"released": True}, "a release")


def candidate(client, number):
    while not stop.is_set():
        term = call(client, "election.campaign", path="/e", value="c%d" % number)
        terms.append(term["token"])
        same(call(client, "election.resign", path="/e", token=term["token"]),
             {"resigned": True}, "a resignation")


def adder(client, number):
    count = 0
    while not stop.is_set():
        count += 1
        value = b"%d-%d" % (number, count)
        call(client, "queue.add", path="/q", value=value)
        added[value] += 1


def taker(client, _):
    while True:
        item = call(client, "queue.take", path="/q")
        if item["value"].encode() == END:
            return
        taken[item["value"].encode()] += 1


def work(kind, number):
    try:
        kind(session(number), number)
    except Exception as e:  # pylint: disable=broad-except
        failures.append("%s %d: %r" % (kind.__name__, number, e))


def crowd(kind, count):
    threads = [threading.Thread(target=work, args=(kind, i), daemon=True)
               for i in range(count)]
    for thread in threads:
        thread.start()
    return threads


def progress():
    return [len(tokens), len(terms), sum(added.values()), sum(taken.values())]


def get_on():
    """Each kind does some of its work."""
    marks = [done + STEPS for done in progress()]
    wait_for(lambda: failures or all(a >= b for a, b in zip(progress(), marks)),
             "all kinds get on: %s of %s" % (progress(), marks), 40)
    same(failures, [])


with cluster.connect(cluster.leader()) as setup:
    setup.call("create", "/ledger", b"0")
lockers, candidates = crowd(locker, LOCKERS), crowd(candidate, CANDIDATES)
adders, takers = crowd(adder, ADDERS), crowd(taker, TAKERS)


@rule
def all_get_on_after_each_kill():
    get_on()
    for _ in range(KILLS):
        leader = cluster.leader()
        cluster.kill(leader)
        get_on()
        cluster.restart(leader)


@rule
def nobody_waits_for_nobody():
    stop.set()
    for thread in [*lockers, *candidates, *adders]:
        thread.join(60)
    with cluster.connect(cluster.leader()) as c:
        for _ in takers:
            c.call("call", "queue.add", {"path": "/q", "value": END})
    for thread in takers:
        thread.join(60)
    same(failures, [])
    waiting = [t for t in lockers + candidates + adders + takers if t.is_alive()]
    same(len(waiting), 0, "clients that wait still")
    print("# %d grants, %d terms, %d items" % (len(tokens), len(terms), len(taken)))


@rule
def one_holds_the_lock_at_a_time_and_tokens_rise():
    same(tokens, sorted(set(tokens)), "the tokens")
    with cluster.connect(cluster.leader()) as c:
        same(int(c.call("get", "/ledger")["data"]), len(tokens), "the ledger")


@rule
def one_leads_at_a_time_and_tokens_rise():
    same(terms, sorted(set(terms)), "the terms")


@rule
def no_item_is_lost_or_taken_twice():
    same(taken, added, "what was taken")


@rule
def nothing_is_left_behind():
    with cluster.connect(cluster.leader()) as c:
        for directory in ("/l/queue", "/l/calls", "/e/queue", "/e/calls", "/q/queue",
                          "/q/calls", "/q/items"):
            same(c.call("children", directory)["children"], [], directory)
        same(c.call("children", "/l")["children"], ["calls", "queue"], "/l")


run(cluster.log_tails)
