"""cli.py -- the command line against a real cluster: what it prints, its exit statuses,
`tidelock lock` with its guardian, and the life of a cluster under `tidelock dev`.

What needs no server is in tests/unit/cli.sh; status 7 is in minority.py. The commands that
run under a lock note the time (CLOCK_MONOTONIC, one for all processes) every few
milliseconds, so that the end of one and the start of the next can be compared.
"""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Connection, adopt, begin, is_alive, make_folder,
                      rule, run, same, wait_for)
from command import (CONFLICT, FAILED, NOT_FOUND, NOT_PERMITTED, OK, UNREACHABLE, USAGE,
                     answers, cli, fails, prints)

begin(80)
cluster = Cluster(3)
folder = make_folder()
os.environ["TIDELOCK_SERVERS"] = cluster.servers


# --- nodes ---


@rule
def each_command_of_nodes_does_what_it_says():
    prints("/n\n", "create", "/n", "one")
    prints("one", "get", "/n")
    prints("", "set", "/n", "two", "--version", "0")
    prints("two", "get", "/n")
    prints("/n/a/b\n", "create", "--parents", "/n/a/b")
    prints("/n/s-0000000001\n", "create", "--sequential", "/n/s-")
    prints("a\ns-0000000001\n", "ls", "/n")
    prints("a\n", "ls", "/n", "--limit", "1")
    prints("s-0000000001\n", "ls", "/n", "--after", "a")
    prints("", "delete", "/n/a/b")
    prints("", "ls", "/n/a")
    status, out, _ = cli("stat", "/n")
    same((status, "version          1\n" in out, out.count("\n")), (OK, True, 13), "stat")


@rule
def whole_subtrees_and_quotas_have_their_commands():
    prints("/w\n", "create", "/w", "--container")
    prints("/w/a/b\n", "create", "--parents", "/w/a/b", "data")
    prints("", "copy", "/w", "/w2")
    prints("data", "get", "/w2/a/b")
    same(answers("delete", "--recursive", "/w2")["deleted"], 3, "nodes deleted")
    prints("", "quota", "/w", "--nodes", "3")
    status, out, _ = cli("quota")
    same((status, out.splitlines()[-1]), (OK, "/w  3 of 3 nodes  4 bytes"), "quota")
    same(cli("create", "/w/c")[0] != OK, True, "a create over the quota fails")
    prints("", "quota", "/w", "--nodes", "0")
    prints("/w/c\n", "create", "/w/c", "--ttl", "60000")
    prints("", "touch", "/w/c")
    prints("", "delete", "--recursive", "/w/a")
    prints("", "delete", "/w/c")
    same(cli("stat", "/w")[0] != OK, True, "the container is gone")


@rule
def json_is_whole_and_parses():
    made = answers("create", "/j", 'quote " back \\ ü')
    same((made["path"], made["stat"]["version"]), ("/j", 0), "create")
    got = answers("get", "/j")
    same((got["data"], got["stat"]["dataLength"]), ('quote " back \\ ü', 17), "get")
    same(answers("set", "/j", "-", data=b"\xff\x00")["stat"]["version"], 1, "set")
    same(answers("get", "/j")["data_base64"], "/wA=", "binary data")
    answers("create", "/j/null")
    same(answers("get", "/j/null")["data"], None, "null data")
    answers("create", "/j/empty", "")
    same(answers("get", "/j/empty")["data"], "", "empty data")
    same(answers("ls", "/j")["children"], ["empty", "null"], "ls")
    same(answers("stat", "/j")["stat"]["numChildren"], 2, "stat")
    assert answers("delete", "/j/null")["zxid"] > made["zxid"], "delete"
    same(answers("call", "lock.holder", '{"path": "/j"}')["value"], None, "call")
    roles = sorted(s["role"] for s in answers("status")["servers"])
    same(roles, ["follower", "follower", "leader"], "status")
    same(len(cluster.status()), 3, "dev status")


@rule
def data_of_every_kind_goes_in_and_comes_out_unchanged():
    cli("create", "/data")
    for data in (b"", b"-", b"\n\n", bytes(range(256)), os.urandom(65536), b"x" * 1000000):
        status, _, err = cli("set", "/data", "-", data=data)
        same((status, err), (OK, ""), "set")
        got = subprocess.run([TIDELOCK, "get", "/data"], capture_output=True, timeout=30)
        same((got.returncode, got.stdout == data), (OK, True), "get %d bytes" % len(data))
    prints("", "set", "--", "/data", "--5")
    prints("--5", "get", "/data")


@rule
def many_children_are_listed_page_by_page():
    with Connection(cluster.addresses[0]) as c:
        c.call("create", "/many", None)
        for first in range(0, 2500, 500):
            c.call("multi", [["create", "/many/%05d" % i, None]
                             for i in range(first, first + 500)])
    prints("".join("%05d\n" % i for i in range(2500)), "ls", "/many")
    prints("".join("%05d\n" % i for i in range(1100)), "ls", "/many", "--limit", "1100")


@rule
def a_failure_has_its_status_and_says_why_in_one_line():
    cli("create", "/e", "x")
    cli("create", "/e/child")
    fails(FAILED, "too_large", "set", "/e", "-", data=b"x" * (2 << 20))
    fails(CONFLICT, "must be a map", "call", "lock.acquire", "5")
    fails(USAGE, "bad_path", "get", "e")
    fails(USAGE, "bad_path", "create", "/e/../f")
    fails(USAGE, "bad_path", "get", "/e/")
    fails(USAGE, "usage:", "get", "/e", "--frob")
    fails(UNREACHABLE, "unreachable", "get", "/e", "--servers", "127.0.0.1:1")
    for command in ("get", "set", "stat", "ls", "tree", "delete"):
        fails(NOT_FOUND, "no_node: there is no node at this path (/none)", command, "/none",
              *(["y"] if command == "set" else []))
    fails(NOT_FOUND, "no_node: there is no node at this path (/none, the parent of /none/x)",
          "create", "/none/x", "y")
    fails(NOT_FOUND, "no_recipe", "call", "frob.it")
    fails(NOT_FOUND, "no_function", "call", "lock.frob")
    fails(CONFLICT, "node_exists", "create", "/e")
    fails(CONFLICT, "bad_version", "set", "/e", "y", "--version", "7")
    fails(CONFLICT, "not_empty", "delete", "/e")
    fails(CONFLICT, "guard_failed", "set", "/e", "y", "--guard", "/e:1")
    prints("x", "get", "/e")


@rule
def a_recipe_may_not_write_what_is_reserved():
    recipe = 'return { f = function(tx) tx:create("/tidelock/x", "") end }'
    cli("create", "--parents", "/tidelock/recipes/thief", recipe)
    fails(NOT_PERMITTED, "reserved", "call", "thief.f")


@rule
def what_is_written_to_a_full_or_closed_output_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([TIDELOCK, "get", "/e"], stdout=full, stderr=subprocess.PIPE,
                              timeout=30)
    same(done.returncode, FAILED, "status")
    assert b"No space left" in done.stderr, done.stderr


# --- lock ---

# Notes the time until it is told not to; survives SIGTERM; has a child that does the same.
HOLDER = r"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
name = sys.argv[1] + ("-child" if os.fork() == 0 else "")
with open(name + ".pid", "w") as f:
    f.write(str(os.getpid()))
end = time.monotonic() + 30
with open(name, "w") as f:
    while time.monotonic() < end:
        f.seek(0)
        f.write("%20.6f" % time.monotonic())
        f.flush()
        time.sleep(0.002)
"""
NEXT = "import time; print('%.6f' % time.monotonic())"


def read_file(name):
    try:
        with open(name) as file:
            return file.read()
    except OSError:
        return ""


def start(*args, **options):
    process = subprocess.Popen([TIDELOCK, *args], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               **options)
    adopt(process.pid)
    return process


def finish(process, limit=20):
    out, err = process.communicate(timeout=limit)
    return process.returncode, out, err


class Holder:
    """`tidelock lock` around a command that only SIGKILL ends."""

    def __init__(self, lock):
        self.name = os.path.join(folder, lock[1:].replace("/", "-"))
        self.main = start("lock", lock, "--session-timeout", "1500", "--",
                          "/usr/bin/python3", "-c", HOLDER, self.name)
        self.names = (self.name, self.name + "-child")
        wait_for(lambda: all(read_file(n) for n in self.names), "the command runs")
        self.pids = [int(read_file(n + ".pid")) for n in self.names]
        for pid in self.pids:
            adopt(pid)

    def guardian(self):
        """The other child of the main process."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            parent = read_file("/proc/%s/stat" % pid).rpartition(")")[2].split()[1:2]
            if parent == [str(self.main.pid)] and int(pid) not in self.pids:
                adopt(int(pid))
                return int(pid)
        raise AssertionError("there is no guardian")

    def last(self):
        return max(float(read_file(n)) for n in self.names)


def queue(lock):
    """Who waits for a lock; its node comes with the first one."""
    return cli("ls", lock + "/queue")[1].split()


def check_hand_over(lock, strike):
    """The next holder starts when the last one and its children are dead, not before."""
    holder = Holder(lock)
    next_one = start("lock", lock, "--", "/usr/bin/python3", "-c", NEXT)
    wait_for(lambda: queue(lock), "the next one waits")
    strike(holder)
    status, out, err = finish(next_one)
    same((status, err), (OK, ""), "the next one")
    assert holder.last() < float(out), "they overlapped for %.3f s" % (holder.last() -
                                                                     float(out))
    for pid in holder.pids:
        assert not is_alive(pid), "%d is alive" % pid
    holder.main.send_signal(signal.SIGCONT)
    return finish(holder.main)


@rule
def a_stopped_holder_loses_its_command_before_the_next_grant():
    status, _, err = check_hand_over("/g/stopped",
                                     lambda h: os.kill(h.main.pid, signal.SIGSTOP))
    same(status, FAILED, "status of the one that was stopped (%s)" % err)
    assert "the command was stopped" in err, err


@rule
def a_killed_holder_loses_its_command_before_the_next_grant():
    status, _, _ = check_hand_over("/g/killed", lambda h: h.main.kill())
    same(status, -signal.SIGKILL, "status")


@rule
def a_killed_guardian_takes_the_command_along():
    status, _, err = check_hand_over("/g/unguarded",
                                     lambda h: os.kill(h.guardian(), signal.SIGKILL))
    same(status, FAILED, "status (%s)" % err)


@rule
def a_stopped_guardian_is_no_danger():
    """Both are stopped in turn; whoever goes on keeps the promise."""
    holder = Holder("/g/both")
    guardian = holder.guardian()
    os.kill(guardian, signal.SIGSTOP)
    time.sleep(2)
    same([is_alive(p) for p in holder.pids], [True, True], "the command goes on")
    os.kill(guardian, signal.SIGCONT)
    holder.main.send_signal(signal.SIGSTOP)
    wait_for(lambda: not any(is_alive(p) for p in holder.pids), "the command is killed", 5)
    holder.main.send_signal(signal.SIGCONT)
    same(finish(holder.main)[0], FAILED, "status")


@rule
def lock_runs_its_command_with_the_grant_in_its_environment():
    status, out, err = cli("lock", "/l", "--", "sh", "-c",
                           'echo "$TIDELOCK_LOCK_PATH $TIDELOCK_LOCK_TOKEN"; '
                           'echo "$TIDELOCK_SERVERS"; cat')
    same((status, err), (OK, ""), "lock")
    path, token = out.split("\n")[0].split()
    same((path, out.split("\n")[1]), ("/l/holder", cluster.servers), "environment")
    again = cli("lock", "/l", "--", "sh", "-c", 'echo "$TIDELOCK_LOCK_TOKEN"')[1]
    assert int(again) > int(token), "tokens rise"


@rule
def a_guard_with_the_commands_token_holds_as_long_as_the_command():
    cli("create", "/guarded", "0")
    script = ('g="$TIDELOCK_LOCK_PATH:$TIDELOCK_LOCK_TOKEN"; echo "$g"; '
              '"$0" set /guarded 1 --guard "$g"')
    status, out, err = cli("lock", "/l", "--", "sh", "-c", script, TIDELOCK)
    same((status, err), (OK, ""), "lock")
    prints("1", "get", "/guarded")
    fails(CONFLICT, "guard_failed", "set", "/guarded", "2", "--guard", out.strip())


@rule
def the_status_of_lock_is_its_commands():
    for script, want in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255),
                         ("kill -9 $$", 137), ("kill -15 $$", 143)):
        same(cli("lock", "/l", "--", "sh", "-c", script)[0], want, script)
    same(cli("lock", "/l", "--", "/none/such")[0], 127, "no such command")
    same(cli("lock", "/l", "--", folder)[0], 126, "no program")
    same(answers("call", "lock.holder", '{"path":"/l"}')["value"], None, "the lock is free")


@rule
def a_signal_reaches_the_command_and_the_lock_is_released():
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        holder = start("lock", "/s", "--", "sh", "-c",
                       "trap 'exit 33' TERM INT HUP; echo up; while :; do sleep 0.05; done")
        same(holder.stdout.readline(), "up\n", "the command")
        holder.send_signal(signo)
        same(finish(holder)[0], 33, "status")
        same(answers("call", "lock.holder", '{"path":"/s"}')["value"], None, "holder")


@rule
def a_lock_that_is_held_is_refused_or_waited_for_as_long_as_asked():
    holder = start("lock", "/h", "--", "sh", "-c", "echo up; sleep 30")
    same(holder.stdout.readline(), "up\n", "the command")
    fails(CONFLICT, "another one holds the lock", "lock", "/h", "--wait", "0", "--", "true")
    begun = time.monotonic()
    fails(FAILED, "timeout", "lock", "/h", "--wait", "300", "--", "true")
    assert 0.3 <= time.monotonic() - begun < 2, "it waits as long as asked"
    waiter = start("lock", "/h", "--", "true")
    wait_for(lambda: queue("/h"), "it waits")
    waiter.send_signal(signal.SIGTERM)
    same(finish(waiter)[0], 143, "status of a waiter that is told to end")
    wait_for(lambda: not queue("/h"), "it left the queue", 5)
    holder.send_signal(signal.SIGTERM)
    same(finish(holder)[0], 143, "status")


@rule
def many_lock_at_once_and_one_at_a_time():
    shared = os.path.join(folder, "shared")
    with open(shared, "w") as file:
        file.write("0")
    script = 'n=$(cat "$0"); sleep 0.01; echo $((n + 1)) >"$0"'
    all_of_them = [start("lock", "/c", "--", "sh", "-c", script, shared) for _ in range(12)]
    for process in all_of_them:
        same(finish(process), (OK, "", ""), "lock")
    same(int(read_file(shared)), 12, "counted under the lock")


@rule
def a_command_without_any_server_left_is_stopped_in_time():
    """Without a majority the lease cannot be renewed; the command ends before it does."""
    holder = Holder("/g/alone")
    begun = time.monotonic()
    for node in cluster.nodes:
        cluster.kill(node)
    wait_for(lambda: not any(is_alive(p) for p in holder.pids), "the command is killed", 5)
    assert holder.last() - begun < 1.6, "it ran for longer than its lease"
    same(finish(holder.main)[0], FAILED, "status")
    for node in cluster.nodes:
        cluster.restart(node)
    wait_for(lambda: cli("get", "/e")[1] == "x", "the cluster serves again")


@rule
def one_server_is_enough_to_know_even_when_it_dies():
    """The lock is held over its lease, and the command is told of the other servers."""
    one = cluster.follower()
    script = ('echo up; read go; "$0" create /done y '
              '--guard "$TIDELOCK_LOCK_PATH:$TIDELOCK_LOCK_TOKEN"')
    holder = subprocess.Popen([TIDELOCK, "lock", "/one", "--session-timeout", "1500",
                               "--servers", cluster.nodes[one], "--", "sh", "-c", script,
                               TIDELOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    adopt(holder.pid)
    same(holder.stdout.readline(), "up\n", "the command")
    cluster.kill(one)
    try:
        time.sleep(2)
        fails(CONFLICT, "another one holds the lock", "lock", "/one", "--wait", "0", "--",
              "true")
        _, err = holder.communicate("go\n", timeout=20)
        same((holder.returncode, err), (OK, ""), "lock")
    finally:
        cluster.restart(one)
    prints("y", "get", "/done")


@rule
def bench_measures_and_says_so():
    got = answers("bench", "--op", "set", "--seconds", "1", "--warmup", "0",
                  "--clients", "2")
    print("# " + json.dumps(got))
    assert any(isinstance(v, (int, float)) and v > 0 for v in got.values()), got


# --- dev ---


def dev(*args):
    status, out, err = cli("dev", args[0], "--dir", cluster.dir, *args[1:])
    cluster.status()
    return status, out, err


def dev_fails(status, part, *args):
    got, out, err = dev(*args)
    same((got, out, err.count("\n"), part in err), (status, "", 1, True),
         "dev %s says %r:" % (" ".join(args), err))


@rule
def dev_refuses_what_makes_no_sense():
    dev_fails(CONFLICT, "runs already", "start")
    dev_fails(USAGE, "1 to 3", "kill", "--node", "9")
    dev_fails(USAGE, "1 to 3", "kill", "--node", "0")
    dev_fails(USAGE, "'-1'", "pause", "--node", "-1")
    dev_fails(USAGE, "missing", "kill")
    cluster.kill(2)
    dev_fails(NOT_FOUND, "does not run", "kill", "--node", "2")
    dev_fails(NOT_FOUND, "does not run", "pause", "--node", "2")
    dev_fails(NOT_FOUND, "does not run", "resume", "--node", "2")
    same([n["pid"] is None for n in cluster.status()], [False, True, False], "down")
    cluster.restart(2)


@rule
def dev_stop_ends_paused_servers_too_and_keeps_the_data():
    cluster.dev("pause", "--node", "1")
    pids = [n["pid"] for n in cluster.status()]
    same(dev("stop"), (OK, "", ""), "stop")
    for pid in pids:
        assert not is_alive(pid), "%d is alive" % pid
    same(dev("stop"), (OK, "", ""), "stop again")
    dev_fails(USAGE, "has 3 servers", "start", "--nodes", "5")
    same([n["pid"] for n in cluster.status()], [None] * 3, "pids")
    same(dev("start"), (OK, cluster.servers + "\n", ""), "start")
    prints("x", "get", "/e")


@rule
def dev_start_with_a_bad_flag_says_which_and_leaves_nothing_running():
    there = os.path.join(folder, "bad")
    status, out, err = cli("dev", "start", "--dir", there, "--", "--frob", "1")
    same((status, out), (FAILED, ""), "start (%s)" % err)
    assert "frob is not a known flag" in err, err
    nodes = answers("dev", "status", "--dir", there)["nodes"]
    same([n["pid"] for n in nodes], [None] * 3, "pids")


@rule
def dev_needs_a_directory_that_it_can_use():
    name = os.path.join(folder, "file")
    with open(name, "w") as file:
        file.write("mine")
    status, out, err = cli("dev", "start", "--dir", name)
    assert status not in (OK, USAGE) and out == "" and err.count("\n") == 1, (status, err)
    same(read_file(name), "mine", "the file")
    status, out, err = cli("dev", "start", "--dir", os.path.join(folder, "no/such/parent"))
    assert status not in (OK, USAGE) and out == "" and err.count("\n") == 1, (status, err)


run(cluster.log_tails)
