"""bad_input.py -- whatever is wrong, on the command line, in the data folder, on the wire
or in a recipe, gets one clear line and costs at most that start, that call or that
connection.

Method: a bystander writes and reads on the leader, the server under attack, all the time.
Behind every case it must have got on, without an error and without a long wait. Memory
is compared with what the server had before.
"""
import glob
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, TIDELOCKD, Closed, Cluster, Connection, Refused, Server,
                      Session, begin, free_port, is_alive, make_folder, memory_kb, pack,
                      refusal, rule, run, same, wait_for)

GROWTH_KB_MAX = 8192
WAIT_S_MAX = 3.0
FAILED, USAGE = 1, 2

begin(140)
random.seed(int(os.environ.get("SEED", "1")))
print("# SEED=%s" % os.environ.get("SEED", "1"))
# Patient followers: an election here means that the leader stood still, not that this
# machine is busy.
cluster = Cluster(3, "--heartbeat-ms", "100", "--election-min-ms", "700",
                  "--election-max-ms", "1000")
target = cluster.leader()
target_pid = cluster.pid(target)
address = cluster.nodes[target]
peer_address = next(n["peer"] for n in cluster.status() if n["id"] == target)


class Bystander(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.session = Session([address], 60000)
        self.session.connection.socket.settimeout(20)
        self.session.write("create", "/bystander", b"")
        self.steps, self.longest, self.failure, self.go_on = 0, 0.0, None, True
        self.start()

    def run(self):
        try:
            while self.go_on:
                begun = time.monotonic()
                self.session.seq += 1
                self.session.connection.call("set", "/bystander", b"%d" % self.steps,
                                             session=self.session.id, seq=self.session.seq,
                                             ack=self.session.seq - 1)
                self.session.connection.call("get", "/bystander")
                self.steps += 1
                self.longest = max(self.longest, time.monotonic() - begun)
                time.sleep(0.002)
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def check(self):
        """It gets on, and never waited for long since the last check."""
        mark = self.steps + 3
        wait_for(lambda: self.failure or self.steps >= mark, "the bystander is served", 10)
        assert self.failure is None, "the bystander was hit: %r" % self.failure
        assert self.longest < WAIT_S_MAX, "the bystander waited %.2f s" % self.longest
        self.longest = 0.0


bystander = Bystander()
time.sleep(0.3)
bystander.check()


def check_unharmed(before_kb):
    assert is_alive(target_pid), "the server died"
    bystander.check()
    grown = memory_kb(target_pid) - before_kb
    assert grown < GROWTH_KB_MAX, "the server grew by %d KiB" % grown


# --- the command line and the data folder ---


def start(*flags, user=None):
    """Runs a server that should not start; (exit status, what it said)."""
    command = [TIDELOCKD, *flags]
    if user:
        command = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] + command
    done = subprocess.run(command, capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def refuses(status, parts, *flags, user=None):
    got, text = start(*flags, user=user)
    same(got, status, "status of %s (%s)" % (" ".join(flags), text))
    same(text.count("\n"), 1, "lines of %r" % text)
    for part in parts:
        assert part in text, "%r is not in: %s" % (part, text)


def alone(folder, *more):
    """The flags of a cluster of one server."""
    port, peer = free_port(), free_port()
    at = "127.0.0.1:%d" % port
    return at, ["--id", "1", "--data", folder, "--client", at, "--members",
                "1=127.0.0.1:%d" % peer, *more]


@rule
def a_wrong_flag_is_named_with_what_is_expected():
    base = ["--id", "1", "--data", make_folder() + "/d"]
    for parts, flags in (
            (("frob", "not a known flag"), base + ["--frob", "1"]),
            (("--id must be a number",), ["--id", "x"]),
            (("--id must be a number",), ["--id", "0"]),
            (("--id must be a number",), ["--id", "-1"]),
            (("--id", "needs a value"), ["--id"]),
            (("id is missing",), ["--data", base[3]]),
            (("data is missing",), ["--id", "1"]),
            (("--client must be host:port",), base + ["--client", "127.0.0.1"]),
            (("--client must be host:port",), base + ["--client", "127.0.0.1:99999"]),
            (("--client must be host:port",), base + ["--client", "[::1:7400"]),
            (("--client must be host:port",), base + ["--client", ":"]),
            (("--members must be",), base + ["--members", "1=a:1,1=b:2"]),
            (("--members must be",), base + ["--members", "1=a:1,2=a:1"]),
            (("--members must be",), base + ["--members", ""]),
            (("does not name this server's id",), base + ["--members", "2=a:1"]),
            (("given twice",), base + ["--id", "2"]),
            (("is not a flag",), base + ["frob"]),
            (("No such file",), ["--config", "/none/such"]),
            (("must hold",), base + ["--election-min-ms", "31"])):
        refuses(USAGE, parts, *flags)
    same(os.path.exists(base[3]), False, "the data folder was made")


@rule
def a_port_in_use_is_named():
    at, flags = alone(make_folder() + "/d")
    flags[flags.index(at)] = address
    refuses(FAILED, (address, "address already in use"), *flags)
    at, flags = alone(make_folder() + "/d")
    flags[-1] = "1=%s,2=127.0.0.1:1" % peer_address
    refuses(FAILED, (peer_address, "address already in use"), *flags)
    at, flags = alone(make_folder() + "/d")
    flags[flags.index(at)] = "192.0.2.1:7400"
    refuses(FAILED, ("192.0.2.1:7400", "address not available"), *flags)
    at, flags = alone(make_folder() + "/d")
    flags[flags.index(at)] = "no-such-host.invalid:7400"
    refuses(FAILED, ("no-such-host.invalid:7400",), *flags)
    bystander.check()


@rule
def a_folder_of_another_server_or_cluster_is_refused_with_both_names():
    folder = make_folder() + "/d"
    at, flags = alone(folder)
    server = Server(*flags)
    server.wait_serving(at)
    refuses(FAILED, (folder, "in use", "pid %d" % server.pid), *alone(folder)[1])
    server.end()
    members = flags[-1]
    refuses(FAILED, (folder, "cluster tidelock", "other"), *flags, "--cluster", "other")
    refuses(FAILED, (folder, "id 1", "id 2"), "--id", "2", *flags[2:-1],
            members + ",2=127.0.0.1:1")
    refuses(FAILED, (folder, "tidelock member", "127.0.0.1:1"), *flags[:-1],
            members + ",2=127.0.0.1:1")
    server = Server(*flags)
    server.wait_serving(at)
    same(server.end(), 0, "status of a server that is told to end")


@rule
def a_folder_without_permission_is_named():
    user = "65534" if os.getuid() == 0 else None
    folder = make_folder()
    os.chmod(os.path.dirname(folder) if user is None else folder, 0o755)
    sealed = os.path.join(folder, "sealed")
    os.mkdir(sealed, 0o755 if user else 0o500)
    refuses(FAILED, (sealed, "ermission denied"), *alone(sealed)[1], user=user)
    refuses(FAILED, (sealed, "ermission denied"), *alone(sealed + "/d")[1], user=user)
    refuses(FAILED, ("/none/such/folder", "No such file"), *alone("/none/such/folder")[1])
    name = os.path.join(folder, "file")
    with open(name, "w") as file:
        file.write("mine")
    refuses(FAILED, (name, "Not a directory"), *alone(name)[1])
    with open(name) as file:
        same(file.read(), "mine", "the file")


# --- a damaged log ---


def make_log(folder):
    """A server's folder with a log of many groups, as a kill leaves it: (flags, its
    address)."""
    at, flags = alone(folder, "--log-segment-bytes", "262144")
    server = Server(*flags)
    server.wait_serving(at)
    with Connection(at) as c:
        for i in range(200):
            c.call("create", "/n%03d" % i, b"value-%03d" % i)
    time.sleep(0.1)  # the mark that follows when the log is idle: see core/log
    server.end(signal.SIGKILL)
    return flags, at


def segments(folder):
    return [s for s in sorted(glob.glob(folder + "/log/*"))
            if "spare" not in os.path.basename(s)]


def patch(name, change):
    with open(name, "rb") as file:
        data = bytearray(file.read())
    data = change(data)
    with open(name, "wb") as file:
        file.write(data)


def flip(data, at):
    data[at] ^= 0x40
    return data


def last_byte(data):
    return len(data.rstrip(b"\0")) - 1


def find_value(folder, value, newer=None):
    """Where the log holds it first; or last, but for so many that are newer."""
    found = []
    for name in segments(folder):
        with open(name, "rb") as file:
            data = file.read()
        found += [(name, m.start()) for m in re.finditer(re.escape(value), data)]
    assert len(found) > (newer or 0), "the log does not hold %r" % value
    return found[0 if newer is None else -1 - newer]


def verify(folder):
    done = subprocess.run([TIDELOCKD, "log", "verify", "--data", folder], timeout=20,
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def damaged(folder, flags, what):
    refuses(FAILED, ("cannot start", folder), *flags)
    status, text = verify(folder)
    same((status, text.count("\n")), (FAILED, 1), "log verify after %s (%s)" % (what, text))
    print("# %s: %s" % (what, text.strip().replace(folder, "DATA")))


@rule
def a_damaged_log_is_refused_and_never_cut():
    origin = make_folder() + "/d"
    flags, _ = make_log(origin)
    same(verify(origin), (0, "the log is sound\n"), "log verify of a sound log")
    name, at = find_value(origin, b"value-050")
    first = segments(origin)[0]
    newest = segments(origin)[-1]

    def cases():
        yield "a byte of an old value", name, lambda d: flip(d, at)
        yield "a byte of a header", first, lambda d: flip(d, 20)
        yield "a byte of the first group", first, lambda d: flip(d, 140)
        yield "a hole of zeros", name, lambda d: d[:at - 100] + bytes(200) + d[at + 100:]
        yield "a cut in the middle", name, lambda d: d[:at]
        yield "an empty file", first, lambda d: d[:0]
        yield "half of what is written is cut", newest, lambda d: d[:last_byte(d) // 2]
    for what, segment, change in cases():
        folder = make_folder() + "/d"
        shutil.copytree(origin, folder)
        segment = segment.replace(origin, folder)
        patch(segment, change)
        with open(segment, "rb") as file:
            before = file.read()
        mine = list(flags)
        mine[mine.index(origin)] = folder
        damaged(folder, mine, what)
        with open(segment, "rb") as file:
            same(file.read() == before, True, "the log is untouched after " + what)
        shutil.rmtree(folder)


@rule
def a_torn_end_is_cut_and_everything_acknowledged_is_there():
    origin = make_folder() + "/d"
    flags, at = make_log(origin)
    newest = segments(origin)[-1]
    for cut in (1, 8, 20):
        folder = make_folder() + "/d"
        shutil.copytree(origin, folder)
        patch(newest.replace(origin, folder),
              lambda d, n=cut: d[:last_byte(d) + 1 - n].ljust(len(d), b"\0"))
        flags[flags.index("--data") + 1] = folder
        server = Server(*flags)
        server.wait_serving(at)
        with Connection(at) as c:
            for i in range(200):
                same(c.call("get", "/n%03d" % i)["data"], b"value-%03d" % i, "data")
        same(server.end(), 0, "status")
        same(verify(folder)[0], 0, "log verify")
        shutil.rmtree(folder)


@rule
def a_cluster_goes_on_beside_a_server_with_a_damaged_log():
    bystander.check()
    victim = cluster.follower()
    cluster.kill(victim)
    log = os.path.join(cluster.dir, "node-%d" % victim)
    # So new that no state holds it yet: nobody can know what else was in there.
    name, at = find_value(log, b"/bystander", newer=5)
    patch(name, lambda d: flip(d, at))
    done = subprocess.run([TIDELOCK, "dev", "restart", "--dir", cluster.dir, "--node",
                           str(victim)], capture_output=True, text=True, timeout=60)
    cluster.status()
    same(done.returncode, FAILED, "status of dev restart (%s)" % done.stderr)
    assert "cannot start" in done.stderr, done.stderr
    bystander.check()
    patch(name, lambda d: flip(d, at))
    cluster.restart(victim)
    cluster.told(victim)
    bystander.check()


# --- the wire ---


def closes(connection, limit=5):
    """The server ends this connection, and says nothing but answers on it."""
    connection.socket.settimeout(limit)
    try:
        while True:
            connection.fill()
    except Closed as e:
        assert "timed out" not in str(e), "the connection stays open"


def deep(depth):
    return b"\x91" * depth


HOSTILE = {
    "a string of 100 MB": (b"\x94\x00\x01\xa3set\x92\xa2/x\xdb" +
                           struct.pack(">I", 100 << 20)),
    "a bin of 4 GB": b"\x94\x00\x01\xa3set\x92\xa2/x\xc6\xff\xff\xff\xff",
    "an array of 4 billion": b"\x94\x00\x01\xa3set\xdd\xff\xff\xff\xff",
    "a map of 4 billion": b"\x94\x00\x01\xa3set\x91\xdf\xff\xff\xff\xff",
    "an array of 4 billion at the top": b"\xdd\xff\xff\xff\xff",
    "nesting 10,000 deep": b"\x94\x00\x01\xa3set" + deep(10000),
    "nesting 10,000 deep at the top": deep(10000),
    "maps 10,000 deep": b"\x94\x00\x01\xa3set\x91" + b"\x81\x01" * 10000,
    "a byte that MessagePack never uses": b"\x94\x00\x01\xa3set\xc1",
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "a number": b"\x05",
    "nil": b"\xc0",
    "an empty array": b"\x90",
    "a map": pack({"method": "get"}),
    "a response": pack([1, 1, None, None]),
    "an unknown type": pack([7, 1, "get", ["/"]]),
    "a request without params": pack([0, 1, "get"]),
    "a request with too many parts": pack([0, 1, "get", ["/"], None]),
    "a msgid below zero": pack([0, -1, "get", ["/"]]),
    "a msgid of 33 bits": pack([0, 1 << 32, "get", ["/"]]),
    "a msgid that is a string": pack([0, "1", "get", ["/"]]),
    "a method that is a number": pack([0, 1, 7, ["/"]]),
    "params that are a map": pack([0, 1, "get", {"path": "/"}]),
}


@rule
def hostile_bytes_close_only_their_own_connection():
    before = memory_kb(target_pid)
    for what, data in HOSTILE.items():
        for hello in (False, True):
            with Connection(address, hello=hello) as c:
                c.send_raw(data)
                try:
                    closes(c)
                except AssertionError as e:
                    raise AssertionError("%s (hello: %s): %s" % (what, hello, e)) from e
        check_unharmed(before)


@rule
def random_bytes_close_only_their_own_connection():
    before = memory_kb(target_pid)
    for _ in range(60):
        with Connection(address, hello=random.random() < 0.5) as c:
            try:
                for _ in range(20):
                    c.send_raw(b"\x94\x00" * random.randrange(2) + random.randbytes(500))
            except Closed:
                pass
    check_unharmed(before)


@rule
def damaged_requests_harm_nobody():
    """Sound requests with a byte changed, and cut short, at random places."""
    before = memory_kb(target_pid)
    sound = [pack([0, 1, "set", ["/h", b"x" * 40, {"version": 3}]]),
             pack([0, 2, "multi", [[["create", "/h", "d", {"parents": True}],
                                    ["check", "/", -1]], {"guard": [["/a", 5]]}]]),
             pack([0, 3, "call", ["lock.acquire", {"path": "/hl", "try": True}]]),
             pack([0, 4, "children", ["/", {"after": "a", "limit": 3}]])]
    for _ in range(300):
        with Connection(address) as c:
            data = bytearray(random.choice(sound))
            for _ in range(random.randrange(1, 4)):
                data[random.randrange(len(data))] = random.randrange(256)
            c.send_raw(bytes(data[:random.randrange(1, len(data) + 1)]))
            if random.random() < 0.3:
                c.socket.shutdown(1)
    check_unharmed(before)


@rule
def hostile_bytes_on_the_peer_port_harm_nobody():
    before = memory_kb(target_pid)
    told = cluster.told(target)
    for data in list(HOSTILE.values()) + [random.randbytes(3000) for _ in range(20)] + [
            b"\xff" * 64, b"\0" * 4096, struct.pack("<I", 100 << 20) + b"x" * 100]:
        with Connection(peer_address, hello=False) as c:
            try:
                c.send_raw(data)
                c.socket.shutdown(1)
            except (Closed, OSError):
                pass
    check_unharmed(before)
    same(cluster.told(target)["round"], told["round"], "round")


@rule
def half_a_message_and_silence_holds_up_nobody():
    before = memory_kb(target_pid)
    half = pack([0, 1, "set", ["/h", b"x" * 1000]])[:500]
    silent = [Connection(address) for _ in range(100)]
    for c in silent:
        c.send_raw(half)
    strangers = [Connection(address, hello=False) for _ in range(100)]
    for c in strangers:
        c.send_raw(half[:10])
    check_unharmed(before)
    for i, c in enumerate(silent + strangers):
        if i % 2 == 0:
            c.send_raw(b"")
        c.close()
    check_unharmed(before)


@rule
def a_message_that_comes_byte_by_byte_is_answered():
    with Connection(address) as c:
        for byte in pack([0, 9, "get", ["/bystander"]]):
            c.send_raw(bytes([byte]))
            time.sleep(0.001)
        same(c.receive()[:3], [1, 9, None], "answer")


@rule
def who_reads_no_answers_is_not_answered_without_bound():
    with Connection(address) as c:
        c.call("create", "/big", b"x" * 1000000)
        before = memory_kb(target_pid)
        c.socket.settimeout(0.5)
        try:
            for _ in range(20000):
                c.send("get", "/big", consistency="any")
        except Closed:
            pass
        grown = memory_kb(target_pid) - before
        assert grown < 100 << 10, "the server grew by %d KiB" % grown
        bystander.check()
    wait_for(lambda: memory_kb(target_pid) - before < 32 << 10, "its memory is free again")


@rule
def a_wrong_request_gets_an_error_and_the_connection_goes_on():
    session = Session([address])
    c = session.connection
    for want, method, args, options in (
            ("unknown_method", "frob", ["/"], {}),
            ("unknown_method", "", [], {}),
            ("unknown_method", "x" * 1000, [], {}),
            ("bad_params", "get", [], {}),
            ("bad_params", "get", [5], {}),
            ("bad_params", "get", [None], {}),
            ("bad_params", "get", [["/"]], {}),
            ("bad_params", "get", [b"/"], {}),
            ("bad_params", "get", ["/", "/"], {}),
            ("bad_params", "set", ["/h"], {}),
            ("bad_params", "set", ["/h", 5], {}),
            ("bad_params", "multi", [5], {}),
            ("bad_params", "multi", [[["frob", "/"]]], {}),
            ("bad_params", "multi", [[["set"]]], {}),
            ("bad_params", "multi", [[[]]], {}),
            ("bad_params", "call", [5, None], {}),
            ("bad_params", "call", ["lock", None], {}),
            ("bad_params", "call", [".", None], {}),
            ("bad_params", "session.renew", [-1], {}),
            ("bad_params", "session.renew", [1.5], {}),
            ("bad_option", "get", ["/"], {"frob": 1}),
            ("bad_option", "get", ["/"], {"consistency": "strange"}),
            ("bad_option", "get", ["/"], {"consistency": 5}),
            ("bad_option", "set", ["/h", b""], {"version": "1"}),
            ("bad_option", "set", ["/h", b""], {"version": 1 << 40}),
            ("bad_option", "set", ["/h", b""], {"session": session.id}),
            ("bad_option", "set", ["/h", b""], {"seq": 1}),
            ("bad_option", "set", ["/h", b""], {"session": session.id, "seq": 0}),
            ("bad_option", "set", ["/h", b""], {"guard": 5}),
            ("bad_option", "set", ["/h", b""], {"guard": [["/", -1]]}),
            ("bad_option", "set", ["/h", b""], {"guard": [["/"]]}),
            ("bad_option", "create", ["/h", b""], {"ephemeral": 1}),
            ("bad_option", "session.open", [], {"timeout_ms": 1}),
            ("bad_option", "session.open", [], {"timeout_ms": 1 << 40}),
            ("bad_path", "get", ["h"], {}),
            ("bad_path", "get", [""], {}),
            ("bad_path", "create", ["/h//x", b""], {}),
            ("bad_path", "create", ["/h/..", b""], {}),
            ("bad_path", "create", ["/h\0x", b""], {}),
            ("too_large", "create", ["/" + "x" * 1024, b""], {}),
            ("no_recipe", "call", ["frob.it", None], {}),
            ("no_function", "call", ["lock.frob", None], {}),
            ("refused", "call", ["lock.acquire", [1, 2]], {}),
            ("not_attached", "set", ["/h", b""], {"session": session.id + 1, "seq": 1}),
            ("session_expired", "session.attach", [1 << 63, b"x" * 16], {}),
            ("no_hello", None, [], {})):
        if want == "no_hello":
            with Connection(address, hello=False) as stranger:
                same(refusal(stranger, "get", "/"), want, "stranger")
                same(refusal(stranger, "hello", 2), "bad_protocol", "hello")
                same(refusal(stranger, "hello", 1, cluster="other"), "wrong_cluster",
                     "hello")
            continue
        got = refusal(c, method, *args, **options)
        same(got, want, "%s %r %r" % (method[:20], args, options))
    same(c.call("set", "/bystander", b"", session=session.id, seq=1)["stat"]["czxid"] > 0,
         True, "the connection goes on")
    c.send_raw(b"\x94\x00\x07\xa3get\x91\xd4\x05\x00")  # an ext type
    same(c.receive()[2]["name"], "bad_params", "an ext type")
    c.send_raw(pack([2, "frob", [1, 2, 3]]))
    same(c.call("ping"), None, "ping after an unknown notification")


@rule
def the_largest_request_is_taken_and_a_larger_one_is_refused():
    before = memory_kb(target_pid)
    with Connection(address) as c:
        c.call("create", "/large", b"")
        for size in ((1 << 20) - 200, 1 << 20, (1 << 20) + 1, (1 << 20) + 4000):
            try:
                c.call("set", "/large", b"x" * size)
                same(len(c.call("get", "/large")["data"]), size, "size")
            except Refused as e:
                same((e.name, size >= 1 << 20), ("too_large", True), "%d bytes" % size)
        many = [["create", "/large/%d" % i, b"x"] for i in range(1025)]
        same(refusal(c, "multi", many), "too_large", "1,025 ops")
        same(refusal(c, "multi", many[:1024]), "ok", "1,024 ops")
    with Connection(address) as c:
        try:
            c.send_raw(pack([0, 1, "set", ["/large", b"x" * (2 << 20)]]))
        except Closed:
            pass
        closes(c)
    assert memory_kb(target_pid) - before < 64 << 10, "memory"
    bystander.check()


# --- recipes ---

UNSOUND = (
    (b"return {{{", "script_failed"), (b"\x1bLua\x54\x00", "script_failed"),
    (b"", "script_failed"), (b"return 5", "script_failed"), (b"return {}", "script_failed"),
    (b"error('no')", "script_failed"), (b"return { f = 5 }", "script_failed"),
    (b"while true do end", "over_budget"),
    (b"local s = {} while true do s[#s + 1] = ('x'):rep(1 << 16) .. #s end", "over_budget"),
)
RECIPES = {
    "endless": ("while true do end", "over_budget"),
    "caught": ("while true do pcall(function() while true do end end) end", "over_budget"),
    "recursive": ("local function f() return 1 + f() end return f()", None),
    "string": ('local s = "x" while true do s = s .. s end', "over_budget"),
    "rep": ('return #string.rep("x", 1 << 40)', None),
    "table": ("local t = {} while true do t[#t + 1] = {} end", "over_budget"),
    "format": ('return string.format("%99999d", 1)', None),
    "nodes": ('for i = 1, 1e9 do tx:create("/r" .. i, "") end', None),
    "error": ('error("mine")', "script_failed"),
    "object": ("error({})", "script_failed"),
    "escape": ('return os.execute("touch /tmp/escaped")', "script_failed"),
    "load": ('return load("\\27Lua")()', "script_failed"),
    "nothing": ("return nosuch.thing", "script_failed"),
}


@rule
def a_hostile_recipe_costs_its_own_call_only():
    before = memory_kb(target_pid)
    with Connection(address) as c:
        c.call("create", "/tidelock/recipes", None, parents=True)
        for name, (body, want) in RECIPES.items():
            c.call("create", "/tidelock/recipes/" + name,
                   "return { f = function(tx, args) %s end }" % body)
        c.call("create", "/tidelock/recipes/null", None)
        for name in [*RECIPES, "null"]:
            for _ in range(3):
                got = refusal(c, "call", name + ".f", None)
                want = RECIPES.get(name, ("", None))[1]
                assert got != "ok" and (want is None or got == want), (name, got)
            bystander.check()
            print("# %s: %s" % (name, got))
        same(refusal(c, "stat", "/r1"), "no_node", "what a failed run wrote")
    grown = memory_kb(target_pid) - before
    assert grown < 64 << 10, "the server grew by %d KiB" % grown


@rule
def a_recipe_that_does_not_load_is_not_stored():
    costly = "for i = 1, 300000 do end return { f = function() end }"
    with Connection(address) as c:
        c.call("create", "/tidelock/recipes/sound", "return { f = function() end }")
        for source, want in UNSOUND:
            for path in ("/tidelock/recipes/unsound", "/tidelock/recipes/sound"):
                write = "set" if path.endswith("/sound") else "create"
                same(refusal(c, write, path, source), want, "%s %r" % (write, source[:40]))
                same(refusal(c, "multi", [[write, path, source]]), want, "in a multi")
            bystander.check()
        for name in ("a.b", "1st", "a b", "x" * 65):
            same(refusal(c, "create", "/tidelock/recipes/" + name, "return {}"), "bad_path",
                 "the name " + name)
        same(refusal(c, "stat", "/tidelock/recipes/unsound"), "no_node", "nothing is stored")
        same(c.call("call", "sound.f", None)["value"], None, "what was there still runs")
        begun = time.monotonic()
        many = [["create", "/tidelock/recipes/m%d" % i, costly] for i in range(500)]
        same(refusal(c, "multi", many), "over_budget", "many costly ones at once")
        assert time.monotonic() - begun < 2, "the leader was busy with them"


@rule
def many_endless_recipes_at_once_cost_no_leader_its_reign():
    """They wait for each other, and others for them, but the server goes on in between."""
    told = cluster.told(target)
    with Connection(address) as c:
        sent = [c.send("call", "endless.f", None) for _ in range(100)]
        for number in sent:
            try:
                c.answer(number)
            except Refused as e:
                assert e.name in ("over_budget", "busy", "resting"), e
    same(cluster.told(target)["round"], told["round"], "round")
    wait_for(lambda: bystander.longest > 0, "the bystander is served")
    print("# the bystander waited %.2f s for 100 endless runs" % bystander.longest)
    bystander.longest = 0.0
    bystander.check()


@rule
def the_server_is_the_same_process_and_in_step_with_the_others():
    bystander.go_on = False
    bystander.join(10)
    same(cluster.pid(target), target_pid, "pid")
    cluster.wait_equal()


run(cluster.log_tails)
