"""fifty_kills.py -- a C and a Lua program work on while the leader is killed fifty times: they
show no error, and no work is lost or done twice.

Method: the two workers of the quickstart, run as a user would run them. Each takes a lock,
writes numbered entries under the guard of its grant, gives the lock back and calls a recipe
that counts; they write down what they were told. The leader is killed with -9 as soon as the
one before is back and both programs got on; nothing waits for a time. Then what they were
told is compared with what the service holds.
"""
import collections
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from tidelock import (BIN, Cluster, adopt, begin, make_folder, rule, run, same, wait_for)

KILLS = int(os.environ.get("KILLS", "50"))
STEPS = 4  # entries that each program writes between two kills, at least
BUILD = os.environ["TIDELOCK_BUILD"]
TILL = b"""
local till = {}
function till.move(tx, args)
  for path, amount in pairs { ["/till/sum"] = args.amount, ["/till/" .. args.by] = 1 } do
    local sum = tonumber(tx:get(path) or "0") + amount
    if tx:exists(path) then
      tx:set(path, tostring(sum))
    else
      tx:create(path, tostring(sum), { parents = true })
    end
  end
end
return till
"""

begin(240)
cluster = Cluster(3)
folder = make_folder()
environment = dict(os.environ, TIDELOCK_SERVERS=cluster.servers,
                   LUA_CPATH=os.path.join(BUILD, "lua", "?.so"))
longest_ms = 0


class Program:
    """A worker of the quickstart; its errors go to a file."""

    def __init__(self, name, *command):
        self.name, self.errors = name, os.path.join(folder, name + ".errors")
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*command, "lock", name, folder], env=environment,
                                            stdin=subprocess.DEVNULL, stderr=errors)
        adopt(self.process.pid)

    def lines(self, kind):
        try:
            with open(os.path.join(folder, self.name + "." + kind), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def shown(self):
        with open(self.errors, encoding="utf-8") as file:
            return file.read()

    def done(self):
        assert self.process.poll() is None, "%s ended: %s" % (self.name, self.shown())
        return len(self.lines("acknowledged"))


def get_on():
    """Both programs write some entries."""
    marks = [(p, p.done() + STEPS) for p in programs]
    wait_for(lambda: all(p.done() >= mark for p, mark in marks), "both programs get on")


def new_leader(old):
    """A server other than `old` that leads and serves, as it says itself."""
    def find():
        for node in cluster.nodes:
            told = cluster.told(node) if node != old else None
            if told and told["leader"] == node and told["serving"]:
                return node
        return None
    return wait_for(find, "another server leads")


def kill_the_leader(leader):
    """The server that leads then. Ends when the killed one follows it."""
    global longest_ms
    began = time.monotonic()
    cluster.kill(leader)
    after = new_leader(leader)
    get_on()
    longest_ms = max(longest_ms, (time.monotonic() - began) * 1000)
    cluster.restart(leader)

    def follows():
        told = cluster.told(leader)
        return told and told["leader"] not in (0, leader)
    wait_for(follows, "server %d follows" % leader)
    return after


with cluster.connect(cluster.leader()) as setup:
    setup.call("create", "/tidelock/recipes/till", TILL, parents=True)
programs = [Program("c", os.path.join(BIN, "example-worker")),
            Program("lua", "lua5.4", os.path.join(HERE, "../../examples/quickstart/worker.lua"))]


@rule
def both_programs_get_on_after_each_kill():
    get_on()
    leader = cluster.leader()
    for _ in range(KILLS):
        leader = kill_the_leader(leader)
    print("# from a kill to %d entries of both: %.0f ms at most" % (STEPS, longest_ms))


@rule
def they_end_well_and_show_no_error():
    with open(os.path.join(folder, "stop"), "wb"):
        pass
    for p in programs:
        status = p.process.wait(30)
        same((status, p.shown()), (0, ""), "exit status and errors of " + p.name)


def journal():
    with open(os.path.join(folder, "journal"), encoding="utf-8") as file:
        return [line.split()[1:] for line in file]


@rule
def every_turn_was_whole_and_alone():
    for enter, leave in zip(*[iter(journal())] * 2):
        same((enter[0], leave), ("enter", ["leave", *enter[1:]]), "a turn")
    tokens = [int(token) for what, _, token in journal() if what == "enter"]
    same(tokens, sorted(set(tokens)), "the tokens")
    print("# %d turns" % len(tokens))


@rule
def each_numbered_entry_was_written_once():
    told = dict(line.split(" ", 1) for p in programs for line in p.lines("acknowledged"))
    wanted = ["%s %s %d" % (name, token, n) for what, name, token in journal()
              if what == "enter" for n in (1, 2, 3)]
    with cluster.connect(cluster.leader()) as c:
        names = children(c, "/ledger")
        held = {path: c.call("get", path)["data"].decode() for path in names}
    same(held, told, "the ledger")
    same([held[path] for path in sorted(held)], wanted, "the entries in their order")


def children(connection, path):
    names, more = [], True
    while more:
        options = {"after": names[-1]} if names else {}
        page = connection.call("children", path, **options)
        names, more = names + page["children"], page["more"]
    return [path + "/" + name for name in names]


@rule
def each_call_of_the_recipe_counted_once():
    moves = collections.Counter()
    for p in programs:
        for line in p.lines("moves"):
            outcome, amount = re.fullmatch(r"(\w+) (-?\d+)", line).groups()
            same(outcome, "done")
            moves[p.name] += 1
            moves["sum"] += int(amount)
    with cluster.connect(cluster.leader()) as c:
        held = {name: int(c.call("get", "/till/" + name)["data"]) for name in moves}
    same(held, dict(moves), "the counts")


run(cluster.log_tails)
