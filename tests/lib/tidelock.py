"""tidelock.py -- what tests of real processes stand on: MessagePack, connections, sessions,
clusters on this machine, and TAP.

Only the standard library. It knows the wire from docs/protocol.md and shares no code with
the server or the C client, so that a mistake in theirs is not repeated here. Every process
and file that it makes is gone when the program ends, however it ends (but for SIGKILL).
"""
import atexit
import faulthandler
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

if not os.environ.get("TIDELOCK_BUILD"):
    sys.exit("set TIDELOCK_BUILD to the build directory")
BIN = os.path.join(os.environ["TIDELOCK_BUILD"], "bin")
TIDELOCK = os.path.join(BIN, "tidelock")
TIDELOCKD = os.path.join(BIN, "tidelockd")

# --- MessagePack ---


def pack(value):
    """One value as MessagePack; bytes become bin, str becomes str."""
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        head = bytes([0xa0 | len(text)]) if len(text) < 32 else sized(0xd9, text)
        return head + text
    if isinstance(value, (bytes, bytearray)):
        return sized(0xc4, value) + bytes(value)
    if isinstance(value, dict):
        items = b"".join(pack(k) + pack(v) for k, v in value.items())
        return counted(0x80, 0xde, len(value)) + items
    return counted(0x90, 0xdc, len(value)) + b"".join(pack(v) for v in value)


def pack_int(n):
    if 0 <= n < 128 or -32 <= n < 0:
        return struct.pack(">b" if n < 0 else ">B", n)
    if n < 0:
        return b"\xd3" + struct.pack(">q", n)
    return b"\xcf" + struct.pack(">Q", n)


def sized(code, data):
    """The header of a str or bin: the 8, 16 or 32 bit form of `code`."""
    if len(data) < 1 << 8:
        return struct.pack(">BB", code, len(data))
    if len(data) < 1 << 16:
        return struct.pack(">BH", code + 1, len(data))
    return struct.pack(">BI", code + 2, len(data))


def counted(short, long, count):
    if count < 16:
        return bytes([short | count])
    if count < 1 << 16:
        return struct.pack(">BH", long, count)
    return struct.pack(">BI", long + 1, count)


# The codes with a number behind them: its format, and what it is.
NUMBERS = {0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h",
           0xd2: ">i", 0xd3: ">q", 0xca: ">f", 0xcb: ">d"}
SIZES = {0xc4: (">B", "bin"), 0xc5: (">H", "bin"), 0xc6: (">I", "bin"), 0xd9: (">B", "str"),
         0xda: (">H", "str"), 0xdb: (">I", "str"), 0xdc: (">H", "array"),
         0xdd: (">I", "array"), 0xde: (">H", "map"), 0xdf: (">I", "map")}
SMALL = {0xc0: None, 0xc2: False, 0xc3: True}


class Incomplete(Exception):
    """The bytes end within a value."""


def read_number(data, at, form):
    end = at + struct.calcsize(form)
    if end > len(data):
        raise Incomplete
    return struct.unpack_from(form, data, at)[0], end


def unpack(data, at=0):
    """(value, where it ends); Incomplete when the bytes do not hold it all yet."""
    code, at = read_number(data, at, ">B")
    if code < 0x80 or code >= 0xe0:
        return (code if code < 0x80 else code - 256), at
    if code in SMALL:
        return SMALL[code], at
    if code in NUMBERS:
        return read_number(data, at, NUMBERS[code])
    if code < 0xc0:
        kind = "map" if code < 0x90 else "array" if code < 0xa0 else "str"
        return unpack_body(kind, code & (0x1f if kind == "str" else 0x0f), data, at)
    form, kind = SIZES[code]
    size, at = read_number(data, at, form)
    return unpack_body(kind, size, data, at)


def unpack_body(kind, size, data, at):
    if kind in ("str", "bin"):
        if at + size > len(data):
            raise Incomplete
        raw = bytes(data[at:at + size])
        return (raw.decode() if kind == "str" else raw), at + size
    values = []
    for _ in range(size * 2 if kind == "map" else size):
        value, at = unpack(data, at)
        values.append(value)
    return (dict(zip(values[::2], values[1::2])) if kind == "map" else values), at


# --- connections ---


class Refused(Exception):
    """The server's error to one request."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error["name"], error["message"]))
        self.name, self.message = error["name"], error["message"]
        self.details = error["details"]


class Closed(Exception):
    """The connection ended, was refused, or gave no answer in time."""


class Connection:
    """One blocking connection; requests may be pipelined with send() and answer()."""

    source = None  # the address that it comes from

    def __init__(self, address, timeout=10, hello=True):
        host, port = address.rsplit(":", 1)
        self.buffer, self.msgid, self.answers = bytearray(), 0, {}
        self.notes = []  # notifications that came before an answer
        try:
            self.socket = socket.create_connection((host, int(port)), timeout, self.source)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as e:
            raise Closed("%s: %s" % (address, e)) from e
        self.hello = self.call("hello", 1) if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            raise Closed(str(e)) from e

    def send(self, method, *args, **options):
        self.msgid += 1
        params = list(args) + ([options] if options else [])
        self.send_raw(pack([0, self.msgid, method, params]))
        return self.msgid

    def receive(self):
        """The next message, whatever it is."""
        while True:
            try:
                message, end = unpack(self.buffer)
                del self.buffer[:end]
                return message
            except Incomplete:
                self.fill()

    def fill(self):
        try:
            got = self.socket.recv(1 << 16)
        except OSError as e:
            raise Closed(str(e)) from e
        if not got:
            raise Closed("the server closed the connection")
        self.buffer += got

    def answer(self, msgid):
        while msgid not in self.answers:
            message = self.receive()
            if message[0] == 2:
                self.notes.append(message[1:])
            else:
                self.answers[message[1]] = tuple(message[2:])
        error, result = self.answers.pop(msgid)
        if error is not None:
            raise Refused(error)
        return result

    def call(self, method, *args, **options):
        return self.answer(self.send(method, *args, **options))


def refusal(connection, method, *args, **options):
    """The name of the error that a request gets; "ok" when it gets none."""
    try:
        connection.call(method, *args, **options)
    except Refused as e:
        return e.name
    return "ok"


AGAIN = ("no_quorum", "busy", "stopping", "not_attached")


class Session:
    """A session that follows the cluster around: each write is sent to one server after
    the other, always under the same seq, until one of them has answered it."""

    def __init__(self, addresses, timeout_ms=10000, first=0, patience=30):
        self.addresses, self.next, self.patience = list(addresses), first, patience
        self.connection, self.id, self.seq, self.moves = None, None, 0, 0
        opened = self.insist("session.open", timeout_ms=timeout_ms)
        self.id, self.secret = opened["id"], opened["secret"]

    def connect(self):
        address = self.addresses[self.next % len(self.addresses)]
        self.next += 1
        connection = Connection(address, timeout=3)
        try:
            if self.id is not None:
                connection.call("session.attach", self.id, self.secret)
        except BaseException:
            connection.close()
            raise
        self.connection, self.moves = connection, self.moves + 1

    def drop(self):
        """As if the process had died: the session is left to expire."""
        if self.connection:
            self.connection.close()
        self.connection = None

    def insist(self, method, *args, **options):
        until = time.monotonic() + self.patience
        while True:
            try:
                if self.connection is None:
                    self.connect()
                return self.connection.call(method, *args, **options)
            except Closed:
                self.drop()
            except Refused as e:
                if e.name not in AGAIN:
                    raise
                if e.name != "busy":
                    self.drop()
            if time.monotonic() > until:
                raise Closed("no server answered %s for %d s" % (method, self.patience))
            time.sleep(0.01)

    def write(self, method, *args, **options):
        self.seq += 1
        return self.insist(method, *args, session=self.id, seq=self.seq, ack=self.seq - 1,
                           **options)


# --- processes and files ---

_pids, _folders, _clusters = set(), [], []


def _release():
    for cluster in _clusters:
        try:
            cluster.status()  # notes the servers that an interrupted command started
        except (subprocess.SubprocessError, OSError):
            pass
    for pid in _pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)


def adopt(pid):
    """A process that the test caused to start: killed at the end, if it is still there."""
    _pids.add(pid)


def make_folder():
    folder = tempfile.mkdtemp(prefix="tidelock-test-")
    _folders.append(folder)
    return folder


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_alive(pid):
    """A zombie that nobody reaped counts as gone."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def memory_kb(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


def wait_for(condition, what, limit=20):
    """The first true value of condition(); waits on nothing else."""
    until = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("not within %d s: %s" % (limit, what))
        time.sleep(0.01)


class Server:
    """One tidelockd that the test starts by itself, with the flags given."""

    def __init__(self, *flags, log=None, files=None):
        """`files`: how many descriptors it may have."""
        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.log = log or os.path.join(make_folder(), "log")
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([TIDELOCKD, *flags], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, preexec_fn=limit)
        self.pid = self.process.pid
        _pids.add(self.pid)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_serving(self, address):
        def serves():
            assert self.process.poll() is None, "it ended: " + self.text()
            try:
                with Connection(address, timeout=2) as c:
                    return c.call("status")["serving"]
            except (Closed, Refused):
                return False
        wait_for(serves, "the server serves")

    def end(self, signo=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signo)
        status = self.process.wait(10)
        _pids.discard(self.pid)
        return status


class Cluster:
    """Servers under `tidelock dev`."""

    def __init__(self, nodes=3, *flags):
        self.dir = os.path.join(make_folder(), "dev")
        _clusters.append(self)
        self.dev("start", "--nodes", str(nodes), "--", *flags)
        self.look()

    def look(self):
        """Notes which servers there are, running or not."""
        self.nodes = {n["id"]: n["client"] for n in self.status()}
        self.addresses = [self.nodes[i] for i in sorted(self.nodes)]
        self.servers = ",".join(self.addresses)

    def dev(self, verb, *args):
        done = subprocess.run([TIDELOCK, "dev", verb, "--dir", self.dir, *args],
                              capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        if verb in ("start", "restart", "add"):
            self.status()
        assert done.returncode == 0, "dev %s: %s" % (verb, done.stderr)
        return done.stdout

    def status(self):
        done = subprocess.run([TIDELOCK, "dev", "status", "--dir", self.dir, "-o", "json"],
                              capture_output=True, text=True, timeout=60, check=True)
        nodes = json.loads(done.stdout)["nodes"]
        _pids.update(n["pid"] for n in nodes if n["pid"])
        _pids.intersection_update({p for p in _pids if is_alive(p)})
        return nodes

    def pid(self, node):
        return next(n["pid"] for n in self.status() if n["id"] == node)

    def leader(self):
        """Its id, once there is one that serves."""
        def find():
            for n in self.status():
                if n["role"] == "leader":
                    return n["id"]
            return None
        return wait_for(find, "a server leads")

    def follower(self):
        leader = self.leader()
        return next(i for i in sorted(self.nodes) if i != leader)

    def kill(self, node):
        self.dev("kill", "--node", str(node))

    def restart(self, node):
        self.dev("restart", "--node", str(node))

    def add(self, *flags):
        """A server that joins; its id."""
        self.dev("add", *flags)
        self.look()
        return max(self.nodes)

    def connect(self, node, timeout=10):
        return Connection(self.nodes[node], timeout)

    def told(self, node):
        """What the server tells of itself; None when it does not answer."""
        return self.told_at(self.nodes[node])

    @staticmethod
    def told_at(address):
        try:
            with Connection(address, 2) as c:
                return c.call("status")
        except (Closed, Refused):
            return None

    def wait_equal(self):
        """All servers have applied the same; what they tell of themselves then."""
        def equal():
            told = [self.told(i) for i in self.nodes]
            if None in told:
                return None
            same = len({(t["applied"], t["zxid"], t["digest"]) for t in told}) == 1
            return told if same else None
        return wait_for(equal, "all servers have applied the same")

    def log_tails(self):
        for node in self.nodes:
            with open(os.path.join(self.dir, "node-%d.log" % node), errors="replace") as f:
                for line in f.read()[-1500:].splitlines():
                    print("# server %d: %s" % (node, line))


# --- TAP ---

_rules = []


def rule(function):
    """Makes a function one TAP test; its name is the rule."""
    _rules.append(function)
    return function


def same(got, want, what="value"):
    assert got == want, "%s is %r, but should be %r" % (what, got, want)


def begin(limit):
    """To be called first. Whatever happens, and after `limit` seconds at the latest, the
    program ends and leaves nothing behind; one that hangs shows where."""
    def give_up():
        print("Bail out! not done within %d s" % limit, flush=True)
        faulthandler.dump_traceback(file=sys.stderr)
        _release()
        os._exit(1)
    timer = threading.Timer(limit, give_up)
    timer.daemon = True
    timer.start()
    atexit.register(_release)
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, lambda number, _: sys.exit(128 + number))


def run(on_failure=None):
    """Runs the rules in order; ends the program."""
    failed = 0
    print("1..%d" % len(_rules), flush=True)
    for number, function in enumerate(_rules, 1):
        start = time.monotonic()
        try:
            function()
            print("ok %d - %s" % (number, function.__name__), end="")
            print(" # %d ms" % ((time.monotonic() - start) * 1000), flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print("not ok %d - %s" % (number, function.__name__))
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
            if on_failure:
                on_failure()
    sys.exit(1 if failed else 0)
