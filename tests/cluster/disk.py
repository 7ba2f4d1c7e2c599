"""disk.py -- full, failing and damaged disks: reads go on while writes are refused, a server
whose write or sync failed stops, damage that cost nothing is skipped, and nothing that was
acknowledged is ever lost.

Method: servers with small log segments. A full disk is a small file system in memory of its
own, filled with a file (only root may mount one: skipped for others). A failing disk is a
library loaded into the server (bad_disk/). Every wait is for a condition.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCKD, Closed, Connection, Refused, Server, Session, begin,
                      free_port, make_folder, refusal, rule, run, same, wait_for)

SEGMENT = 64 << 10
DISK = 16 << 20
BAD_DISK = os.path.join(os.environ["TIDELOCK_BUILD"], "tests", "libbad_disk.so")

begin(120)
mounted = []


def unmount():
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)
    mounted.clear()


class Nodes:
    """Servers with a data folder each, which the test may make a small file system of."""

    def __init__(self, ids, small_disks=False):
        self.ids, self.folder, self.servers = ids, make_folder(), {}
        self.clients = {i: "127.0.0.1:%d" % free_port() for i in ids}
        members = ",".join("%d=127.0.0.1:%d" % (i, free_port()) for i in ids)
        for i in ids:
            os.mkdir(self.disk(i))
            if small_disks:
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % DISK, "none",
                                self.disk(i)], check=True)
                mounted.append(self.disk(i))
        self.flags = ["--members", members, "--log-segment-bytes", str(SEGMENT)]

    def disk(self, node):
        return os.path.join(self.folder, "disk-%d" % node)

    def data(self, node):
        return os.path.join(self.disk(node), "data")

    def bad_disk(self, node):
        return os.path.join(self.folder, "bad-disk-%d" % node)

    def start(self, node):
        old = os.environ.copy()
        os.environ.update(LD_PRELOAD=BAD_DISK, BAD_DISK=self.bad_disk(node))
        try:
            self.servers[node] = Server(
                "--id", str(node), "--client", self.clients[node], "--data",
                self.data(node), *self.flags, log=os.path.join(self.folder,
                                                               "log-%d" % node))
        finally:
            os.environ.clear()
            os.environ.update(old)

    def start_all(self):
        for node in self.ids:
            self.start(node)

    def end_all(self):
        for node in list(self.servers):
            same(self.servers.pop(node).end(), 0, "the status of server %d" % node)

    def text(self, node):
        return self.servers[node].text()

    def session(self, *nodes):
        return Session([self.clients[i] for i in nodes or self.ids], 60000)

    def leader(self):
        def find():
            for node in self.servers:
                try:
                    with Connection(self.clients[node], 2) as c:
                        if c.call("status")["serving"]:
                            return node
                except (Closed, Refused):
                    pass
            return None
        return wait_for(find, "a server leads")

    def fill(self, node):
        """Leaves no space on its disk."""
        with open(os.path.join(self.disk(node), "filler"), "ab", 0) as file:
            for size in (4096, 512):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    def free(self, node):
        os.remove(os.path.join(self.disk(node), "filler"))


def name_of(number):
    return "/n%05d" % number


def write_until_refused(connection, first):
    """The number of the first write that was refused."""
    for number in range(first, first + 5000):
        if refusal(connection, "create", name_of(number), bytes(1000)) == "disk_full":
            return number
    raise AssertionError("no write was refused")


def check_there(connection, numbers):
    for number in numbers:
        same(refusal(connection, "get", name_of(number)), "ok", name_of(number))


def needs_root():
    return os.geteuid() != 0


@rule
def with_a_full_disk_reads_go_on_and_writes_come_back_with_the_space():
    if needs_root():
        print("# skipped: only root can mount a small disk")
        return
    nodes = Nodes([1], small_disks=True)
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    with Connection(nodes.clients[1]) as c:
        last = 0
        for _ in range(2):
            nodes.fill(1)
            first, last = last, write_until_refused(c, last)
            check_there(c, range(first, last))
            same(refusal(c, "get", name_of(last)), "no_node", "what was refused")
            same(refusal(c, "set", name_of(0), b"x"), "disk_full", "a write")
            if first == 0:
                wait_for(lambda: "component=state" in nodes.text(1), "a flush is due", 15)
            check_there(c, range(first, last))
            nodes.free(1)
            wait_for(lambda: refusal(c, "create", name_of(last), b"") == "ok",
                     "writes are taken again")
            last += 1
        check_there(c, range(last))
    nodes.end_all()
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    with Connection(nodes.clients[1]) as c:
        check_there(c, range(last))
    nodes.end_all()


@rule
def a_server_is_stopped_and_killed_on_a_full_disk_and_nothing_is_lost():
    if needs_root():
        print("# skipped: only root can mount a small disk")
        return
    nodes = Nodes([1], small_disks=True)
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    last = 0
    for signo, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        with Connection(nodes.clients[1]) as c:
            nodes.fill(1)
            last = write_until_refused(c, last)
        same(nodes.servers.pop(1).end(signo), status, "status")
        nodes.free(1)
        nodes.start(1)
        nodes.servers[1].wait_serving(nodes.clients[1])
        with Connection(nodes.clients[1]) as c:
            check_there(c, range(last))
    nodes.end_all()


@rule
def a_server_that_is_started_on_a_full_disk_reads_and_takes_writes_when_there_is_space():
    if needs_root():
        print("# skipped: only root can mount a small disk")
        return
    nodes = Nodes([1], small_disks=True)
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    last = 0
    for signo in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        with Connection(nodes.clients[1]) as c:
            nodes.fill(1)
            last = write_until_refused(c, last)
        nodes.servers.pop(1).end(signo)
        nodes.fill(1)  # what it had for itself is taken too
        nodes.start(1)
        nodes.servers[1].wait_serving(nodes.clients[1])
        with Connection(nodes.clients[1]) as c:
            wait_for(lambda: refusal(c, "delete", "/none") == "disk_full", "it refuses")
            check_there(c, range(last))
            nodes.free(1)
            wait_for(lambda: refusal(c, "create", name_of(last), b"") == "ok",
                     "writes are taken again")
            last += 1
            check_there(c, range(last))
    nodes.end_all()
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    with Connection(nodes.clients[1]) as c:
        check_there(c, range(last))
    nodes.end_all()


@rule
def a_leader_with_a_full_disk_hands_over_to_one_that_has_room():
    if needs_root():
        print("# skipped: only root can mount a small disk")
        return
    nodes = Nodes([1, 2, 3], small_disks=True)
    nodes.start_all()
    session = nodes.session()
    session.write("create", "/before", b"")
    leader = nodes.leader()
    others = [i for i in nodes.ids if i != leader]
    nodes.fill(leader)
    with Connection(nodes.clients[leader]) as c:
        try:
            last = write_until_refused(c, 0)
        except Closed:  # one was on its way when it was full
            last = 0
    wait_for(lambda: nodes.leader() != leader, "another server leads")
    other = nodes.session(*others)
    for number in range(5):
        other.write("create", "/after-%d" % number, b"")
    with Connection(nodes.clients[leader]) as c:
        same(refusal(c, "get", "/before", consistency="any"), "ok", "a read there")
        same(refusal(c, "create", "/no", b""), "disk_full", "a write there")
        nodes.free(leader)
        wait_for(lambda: refusal(c, "create", "/again", b"") == "ok", "it takes writes")
        check_there(c, range(last))
        same(refusal(c, "get", "/after-4"), "ok", "what was written meanwhile")
    nodes.end_all()


@rule
def when_a_majority_is_full_all_refuse_clearly_and_read():
    if needs_root():
        print("# skipped: only root can mount a small disk")
        return
    nodes = Nodes([1, 2, 3], small_disks=True)
    nodes.start_all()
    session = nodes.session()
    session.write("create", "/before", b"")
    leader = nodes.leader()
    full = [i for i in nodes.ids if i != leader]
    for node in full:
        nodes.fill(node)
    # What is in flight when the second is full waits, so nobody waits for its answers.
    with Connection(nodes.clients[leader]) as c, Connection(nodes.clients[leader]) as busy:
        numbers = iter(range(5000))

        def is_full(connection):
            busy.send("create", name_of(next(numbers)), bytes(3000))
            return refusal(connection, "delete", "/none") == "disk_full"
        for node in full:
            with Connection(nodes.clients[node]) as other:
                wait_for(lambda o=other: is_full(o), "server %d is full" % node)
        wait_for(lambda: refusal(c, "delete", "/none") == "disk_full", "the leader refuses")
        same(refusal(c, "get", "/before"), "ok", "a strong read")
        for node in full:
            nodes.free(node)
        wait_for(lambda: refusal(c, "create", "/after", b"") == "ok", "writes are taken")
    nodes.end_all()


@rule
def a_failed_write_or_sync_stops_the_server_and_nothing_is_lost():
    nodes = Nodes([1, 2, 3])
    nodes.start_all()
    session = nodes.session()
    session.write("create", "/count", b"0")
    for turn, what in enumerate(("sync", "write")):
        victim = nodes.leader() if turn == 0 else nodes.ids[0]
        with open(nodes.bad_disk(victim), "w", encoding="ascii") as file:
            file.write(what)
        for i in range(20):
            session.write("set", "/count", b"%d" % (20 * turn + i))
        server = nodes.servers.pop(victim)
        wait_for(lambda: server.process.poll() is not None, "the server has stopped")
        same(server.end(), 70, "its status")
        last = server.text().splitlines()[-1]
        assert "what is on disk is not known" in last and "level=error" in last, last
        os.remove(nodes.bad_disk(victim))
        nodes.start(victim)
        nodes.session(victim).drop()
        with Connection(nodes.clients[victim]) as c:
            wait_for(lambda: refusal(c, "get", "/count") == "ok", "it reads")
            same(c.call("get", "/count")["data"], b"%d" % (20 * turn + 19), "the count")
    nodes.end_all()


def verify(folder):
    done = subprocess.run([TIDELOCKD, "log", "verify", folder], timeout=20,
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def flip_value(folder, value):
    """Changes one byte of this value in the log."""
    log = os.path.join(folder, "log")
    for name in sorted(os.listdir(log)):
        path = os.path.join(log, name)
        with open(path, "rb") as file:
            at = file.read().find(value)
        if at < 0:
            continue
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(bytes([value[0] ^ 1]))
        return
    raise AssertionError("the log does not hold %r" % value)


@rule
def damage_that_cost_nothing_is_skipped_and_other_damage_refused():
    nodes = Nodes([1])
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    with Connection(nodes.clients[1]) as c:
        for number in range(200):
            c.call("create", name_of(number), b"value-%03d" % number)
    nodes.end_all()  # and so the state holds all of it
    folder = nodes.data(1)
    same(verify(folder), (0, "the log is sound\n"), "log verify")
    dumped = subprocess.run([TIDELOCKD, "log", "dump", folder], timeout=20, check=True,
                            capture_output=True, text=True).stdout
    assert "create %s bytes=9" % name_of(77) in dumped, dumped[:2000]
    shutil.copytree(folder, folder + ".copy")

    flip_value(folder, b"value-050")
    status, text = verify(folder)
    assert status == 1 and "harmless for a server whose state holds slot" in text, text
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    with Connection(nodes.clients[1]) as c:
        check_there(c, range(200))
        c.call("create", name_of(200), b"")
        wait_for(lambda: verify(folder)[0] == 0, "the damaged file is gone")
    nodes.end_all()
    nodes.start(1)
    nodes.servers[1].wait_serving(nodes.clients[1])
    said = [s for s in nodes.text(1).splitlines() if "harmless, since the state" in s]
    same(len(said), 1, "lines about it, of two starts")
    with Connection(nodes.clients[1]) as c:
        check_there(c, range(201))
    nodes.end_all()

    shutil.rmtree(folder)
    os.rename(folder + ".copy", folder)
    flip_value(folder, b"value-199")
    nodes.start(1)
    server = nodes.servers.pop(1)
    wait_for(lambda: server.process.poll() is not None, "it refuses to start")
    same(server.end(), 1, "its status")
    last = server.text().splitlines()[-1]
    for part in ("a damaged group at offset", "must not vote", "nothing was changed"):
        assert part in last, last


try:
    run()
finally:
    unmount()
