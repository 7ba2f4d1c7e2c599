"""examples.py -- each example program does what its head says, on three servers.

Method: they are run as a user would run them, two at once where they are made to compete,
each with a limit. quickstart.sh and the workers that it starts have a test of their own,
and so have the programs in event loops: service.py.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from tidelock import BIN, TIDELOCK, Cluster, begin, rule, run, same

BUILD = os.environ["TIDELOCK_BUILD"]
EXAMPLES = os.path.join(HERE, "../../examples")
LIMIT = 40

begin(150)
cluster = Cluster(3)
environment = dict(os.environ, TIDELOCK_SERVERS=cluster.servers,
                   PATH=BIN + os.pathsep + os.environ["PATH"],
                   LUA_CPATH=os.path.join(BUILD, "lua", "?.so"))


def program(name):
    return os.path.join(BIN, name)


def start(*command):
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process):
    """What it printed, once it has ended well."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert process.returncode == 0, "status %d: %s" % (process.returncode, err)
    return out


def tidelock(*words):
    done = subprocess.run([TIDELOCK, *words], env=environment, capture_output=True,
                          text=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, "%r: %s" % (words, done.stderr)
    return done.stdout.rstrip("\n")


@rule
def two_candidates_lead_one_after_the_other():
    both = [start(program("example-election"), name) for name in ("ann", "bob")]
    told = "".join(output(p) for p in both)
    tokens = dict(re.findall(r"^(\w+) leads by token (\d+): /examples/terms/\d{10}$", told,
                             re.M))
    same(sorted(tokens), ["ann", "bob"])
    assert tokens["ann"] != tokens["bob"], told


@rule
def who_holds_a_lock_counts_alone():
    told = "".join(output(p) for p in [start(program("example-lock"), str(i))
                                       for i in range(4)])
    counts = re.findall(r"^[0-3] counted (\d), token (\d+)$", told, re.M)
    same(sorted(n for n, _ in counts), ["1", "2", "3", "4"])
    same([n for n, _ in sorted(counts, key=lambda c: int(c[1]))], ["1", "2", "3", "4"])
    same(tidelock("get", "/examples/counter"), "4")


def in_c_and_lua(name, *arguments):
    """The same program in both, started."""
    return [start(program("example-" + name), *arguments), lua(name, *arguments)]


def lua(name, *arguments):
    return start("lua5.4", os.path.join(EXAMPLES, name + ".lua"), *arguments)


@rule
def each_version_of_a_configuration_is_printed():
    watchers = in_c_and_lua("config_watch", "/examples/config", "3")
    tidelock("config", "put", "/examples/config", "one")
    tidelock("set", "/examples/config", "two")
    tidelock("config", "put", "/examples/config", "three")
    for watcher in watchers:
        same(output(watcher), "1 one\n2 two\n3 three\n")


@rule
def each_change_of_a_node_is_printed():
    watchers = in_c_and_lua("watch", "/examples/watched", "3")
    armed = [w.stdout.readline() for w in watchers]
    tidelock("create", "/examples/watched", "one")
    tidelock("set", "/examples/watched", "two")
    tidelock("delete", "/examples/watched")
    for watcher, first in zip(watchers, armed):
        assert re.fullmatch(r"\d+ armed /examples/watched\n", first), first
        same(re.sub(r"(?m)^\d+ ", "", output(watcher)),
             "created /examples/watched one\nchanged /examples/watched two\n"
             "deleted /examples/watched\n")


@rule
def the_children_of_a_node_are_read():
    for name, data in (("a", "one"), ("b", "two")):
        tidelock("create", "--parents", "/examples/read/" + name, data)
    told = output(start(program("example-read_nodes"), "/examples/read"))
    same(re.sub(r" \d+ ", " ", told), "/examples/read/a 0 one\n/examples/read/b 0 two\n")


@rule
def workers_in_lua_do_each_job_once():
    jobs = ["job-%02d" % i for i in range(25)]
    for job in jobs:
        tidelock("create", "--parents", "/jobs/todo/" + job, "data of " + job)
    both = [lua("worker", name) for name in ("ann", "bob")]
    told = "".join(output(p) for p in both)
    same(sorted(line.split("\t")[1] for line in told.splitlines()), jobs)
    same(tidelock("ls", "/jobs/todo"), "")
    same(tidelock("get", "/jobs/done/job-07"), "DATA OF JOB-07")


@rule
def a_fleet_runs_each_job_once_at_its_time():
    tidelock("recipe", "put", os.path.join(EXAMPLES, "scheduler.lua"))
    tidelock("call", "scheduler.put", '{"path": "/cron", "name": "tick", "every": 1000}')
    fleet = [start("lua5.4", os.path.join(EXAMPLES, "scheduler_worker.lua"), name, "2")
             for name in ("ann", "bob")]
    told = "".join(output(p) for p in fleet)
    times = sorted(int(line.split("\t")[2]) for line in told.splitlines())
    same(len(set(times)), 4, "each time has one run")
    same([time % 1000 for time in times], [0] * 4)
    same(len(tidelock("ls", "/cron-runs").split()), 4, "and one effect")


@rule
def two_shells_lead_one_after_the_other():
    script = os.path.join(EXAMPLES, "leader.sh")
    both = [start("sh", script, name, "3") for name in ("ann", "bob")]
    told = [output(p) for p in both]
    for name, text in zip(("ann", "bob"), told):
        tokens = re.findall(r"^%s beats [123] by token (\d+)$" % name, text, re.M)
        same(len(tokens), 3, "beats of " + name)
        same(len(set(tokens)), 1, "terms of " + name)
    same(tidelock("get", "/examples/pulse").split()[1], "3")


@rule
def a_recipe_of_ones_own_greets():
    tidelock("recipe", "put", os.path.join(EXAMPLES, "greeting.lua"))
    waiting = start(TIDELOCK, "call", "greeting.wait", '{"name": "Ann"}')
    say = ("call", "greeting.say", '{"name": "Ann"}')
    same(tidelock(*say), "hello Ann, for the 1st time")
    same(tidelock(*say), "hello Ann, for the 2nd time")
    assert output(waiting).strip() in ("1", "2")
    refused = start(TIDELOCK, "call", "greeting.say")
    same("name is missing" in refused.communicate(timeout=LIMIT)[1], True)


run(cluster.log_tails)
