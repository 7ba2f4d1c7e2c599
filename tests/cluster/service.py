"""service.py -- example-uv_service, three of them on three servers: clients in event loops,
with an election, a guarded write every 20 ms and a configuration, survive the leader's
death.

Method: each service's lines are read as they come. Servers are killed while versions of the
configuration are stored, by the recipe and by plain writes; then the leading service is
killed, or stopped until its session is over. What was written and what was told is compared
with what must be. Two programs in loops of poll(2), example-poll_lock, count together.
"""
import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (BIN, TIDELOCK, Cluster, adopt, begin, rule, run, same, wait_for)

SETTINGS, WORK = "/uv/settings", "/uv"

begin(200)
cluster = Cluster(3)
environment = dict(os.environ, TIDELOCK_SERVERS=cluster.servers)


class Service(threading.Thread):
    def __init__(self, name):
        super().__init__(daemon=True)
        self.name, self.lines = name, []
        self.errors = open(os.path.join(cluster.dir, name + ".err"), "w+b")
        self.process = subprocess.Popen([os.path.join(BIN, "example-uv_service"), name],
                                        env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        adopt(self.process.pid)
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def token(self):
        """Of its term; 0 when it does not lead."""
        for line in reversed(self.lines):
            if "leads" in line:
                told = re.match(r"\w+ leads by token (\d+)$", line)
                return int(told.group(1)) if told else 0
        return 0

    def versions(self):
        return [tuple(line.split()[2:]) for line in self.lines if " settings " in line]

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.join(20)


def tidelock(*words):
    done = subprocess.run([TIDELOCK, *words], env=environment, capture_output=True,
                          text=True, timeout=40, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, "%r: %s" % (words, done.stderr)
    return done.stdout.rstrip("\n")


def leading():
    found = [s for s in services if s.token()]
    assert len(found) < 2 or any(s.process.poll() is not None for s in found), found
    return found[0] if found else None


stored = []


def store():
    """A plain write becomes a version by the next call at the latest: each second one is
    the recipe's."""
    value = "v%d" % (len(stored) + 1)
    if len(stored) % 2:
        tidelock("set", SETTINGS, value)
    else:
        tidelock("config", "put", SETTINGS, value)
    stored.append((str(len(stored) + 1), value))


def work_done():
    """The numbers of the nodes that leaders wrote."""
    names = [n for n in tidelock("ls", WORK).split("\n") if n.startswith("work-")]
    return [int(n.rpartition("-")[2]) for n in names]


store()
services = [Service(name) for name in ("ann", "bob", "cid")]


@rule
def one_service_leads_and_works():
    wait_for(leading, "a service leads")
    wait_for(work_done, "it works")
    same([bool(s.token()) for s in services].count(True), 1, "leaders")


@rule
def a_killed_server_costs_no_term_no_work_and_no_version():
    first = wait_for(leading, "a service leads")
    token = first.token()
    for _ in range(4):
        server = cluster.leader()
        cluster.kill(server)
        before = len(work_done())
        for _ in range(4):
            store()
        wait_for(lambda: len(work_done()) > before + 5, "work goes on")
        cluster.restart(server)
    same(first.token(), token, "the leader's token")
    for s in services:
        wait_for(lambda s=s: len(s.versions()) >= len(stored), "all versions are told")
        same(s.versions(), stored, "versions that %s was told" % s.name)
        same(s.stderr(), b"", "errors of " + s.name)


@rule
def work_is_numbered_without_a_gap():
    numbers = sorted(work_done())
    same(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "numbers")


@rule
def when_the_leading_service_dies_another_leads():
    first = leading()
    first.process.kill()
    first.process.wait()
    first.join()
    services.remove(first)
    token = int(re.findall(r"token (\d+)$", "\n".join(first.lines), re.M)[-1])
    second = wait_for(leading, "another service leads")
    assert second.token() > token, (second.token(), token)


@rule
def a_service_that_slept_through_its_session_ends_and_another_leads():
    sleeper = leading()
    sleeper.process.send_signal(signal.SIGSTOP)
    other = next(s for s in services if s is not sleeper)
    wait_for(other.token, "the other one leads", 30)
    sleeper.process.send_signal(signal.SIGCONT)
    sleeper.process.wait(20)
    sleeper.join(20)
    same("leads no more" in sleeper.lines[-1], True, "it says so: %r" % sleeper.lines[-1:])
    services.remove(sleeper)


@rule
def a_service_that_is_told_to_stop_gives_up_its_term_at_once():
    last = leading()
    last.end()
    same(last.process.returncode, 0, "exit status")
    same(tidelock("call", "election.observe", '{"path": "/uv/election"}'), "null")


@rule
def counting_under_a_lock_survives_the_leaders_death():
    number, count = "/examples/poll/number", 400
    command = [os.path.join(BIN, "example-poll_lock"), str(count)]
    both = [subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for p in both:
        adopt(p.pid)
    tidelock("create", "--parents", "/examples/poll/ready", "")
    for part in (1, 2, 3):
        wait_for(lambda: number.rpartition("/")[2] in tidelock("ls", "/examples/poll") and
                 int(tidelock("get", number)) > part * count // 4, "counting goes on")
        server = cluster.leader()
        cluster.kill(server)
        cluster.restart(server)
    for p in both:
        same((p.communicate(timeout=60)[1], p.returncode), ("", 0), "errors and status")
    same(int(tidelock("get", number)), 2 * count, "the number")


run(cluster.log_tails)
