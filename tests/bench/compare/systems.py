"""systems.py -- what is compared: three servers of each on loopback, started in a directory
of their own and gone when stopped. Every server is a child process, ended by its pid."""
import atexit
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../lib"))
import tidelock as wire  # noqa: E402  (our own wire, as the tests of processes speak it)

SERVERS = 3
START_S = 60
PEERS = os.environ["TIDELOCK_PEERS"]


class Missing(Exception):
    """What is to be measured is not on this machine; the text says what to do."""


def wait_for(condition, what, limit=START_S):
    until = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise RuntimeError("not within %d s: %s" % (limit, what))
        time.sleep(0.02)


class System:
    """Three servers. A subclass says how one is started and which one leads."""
    name = None

    def __init__(self, folder):
        self.dir = tempfile.mkdtemp(prefix="bench-%s-" % self.name, dir=folder)
        self.ports = [wire.free_port() for _ in range(self.ports_each * SERVERS)]
        self.processes = [None] * SERVERS
        atexit.register(self.stop)

    ports_each = 2

    def port(self, server, kind=0):
        return self.ports[server * self.ports_each + kind]

    def address(self, server):
        return "127.0.0.1:%d" % self.port(server)

    @property
    def addresses(self):
        return [self.address(i) for i in range(SERVERS)]

    @property
    def pids(self):
        return [p.pid for p in self.processes if p is not None and p.poll() is None]

    def folder(self, server):
        return os.path.join(self.dir, str(server + 1))

    def start(self):
        for server in range(SERVERS):
            os.makedirs(self.folder(server))
            self.start_one(server)
        wait_for(self.leader_found, "%s has a leader" % self.name)

    def start_one(self, server):
        with open(os.path.join(self.folder(server), "out"), "ab") as out:
            self.processes[server] = subprocess.Popen(
                self.command(server), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def kill(self, server):
        self.processes[server].send_signal(signal.SIGKILL)
        self.processes[server].wait()

    def stop(self):
        """Also called at exit; then again is fine."""
        for server, process in enumerate(self.processes):
            if process is not None and process.poll() is None:
                self.kill(server)
        shutil.rmtree(self.dir, ignore_errors=True)

    def leader(self):
        """Which server leads, or None."""
        for server in range(SERVERS):
            if self.processes[server].poll() is not None:
                continue
            try:
                if self.leads(server):
                    return server
            except (OSError, ValueError, wire.Closed, wire.Refused):
                pass
        return None

    def await_leader(self):
        """There is none for moments, on a busy machine."""
        return wait_for(lambda: [i for i in [self.leader()] if i is not None],
                        "%s has a leader" % self.name)[0]

    def leader_found(self):
        for server, process in enumerate(self.processes):
            if process.poll() is not None:
                path = os.path.join(self.folder(server), "out")
                with open(path, errors="replace") as out:
                    raise RuntimeError("%s: a server ended: %s" % (
                        self.name, out.read()[-500:]))
        return self.leader() is not None

    def command(self, server):
        raise NotImplementedError

    def leads(self, server):
        raise NotImplementedError


class Tidelock(System):
    name = "tidelock"

    def command(self, server):
        members = ",".join("%d=127.0.0.1:%d" % (i + 1, self.port(i, 1))
                           for i in range(SERVERS))
        return [wire.TIDELOCKD, "--id", str(server + 1), "--cluster", "bench", "--data",
                os.path.join(self.folder(server), "data"), "--client", self.address(server),
                "--peer", "127.0.0.1:%d" % self.port(server, 1), "--members", members]

    def leads(self, server):
        with wire.Connection(self.address(server), timeout=2) as c:
            status = c.call("status")
            return status["role"] == "leader" and status["serving"]

    @staticmethod
    def version():
        done = subprocess.run([wire.TIDELOCKD, "--version"], capture_output=True, text=True,
                              check=True)
        return done.stdout.strip()


class ZooKeeper(System):
    name = "zookeeper"
    ports_each = 3
    JARS = ("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-nop", "netty-*",
            "commons-cli", "commons-io", "snappy-java", "metrics-core", "jackson-*")

    @classmethod
    def jars(cls):
        for base in (PEERS, "/"):
            folder = os.path.join(base, "usr/share/java")
            if os.path.exists(os.path.join(folder, "zookeeper.jar")):
                return [jar for name in cls.JARS
                        for jar in sorted(glob.glob(os.path.join(folder, name + ".jar")))]
        raise Missing("ZooKeeper is not here: sh tests/bench/peers.sh fetches it")

    @classmethod
    def version(cls):
        folder = os.path.dirname(cls.jars()[0])
        jars = glob.glob(os.path.join(folder, "zookeeper-[0-9]*.jar"))
        return os.path.basename(jars[0])[:-4] if jars else "unknown"

    def start_one(self, server):
        config = ["tickTime=2000", "initLimit=10", "syncLimit=5",
                  "dataDir=%s/data" % self.folder(server),
                  "clientPort=%d" % self.port(server),
                  "clientPortAddress=127.0.0.1", "admin.enableServer=false",
                  "4lw.commands.whitelist=srvr", "maxClientCnxns=0"]
        config += ["server.%d=127.0.0.1:%d:%d" % (i + 1, self.port(i, 1), self.port(i, 2))
                   for i in range(SERVERS)]
        os.makedirs(os.path.join(self.folder(server), "data"), exist_ok=True)
        with open(os.path.join(self.folder(server), "data/myid"), "w") as file:
            file.write("%d\n" % (server + 1))
        with open(os.path.join(self.folder(server), "zoo.cfg"), "w") as file:
            file.write("\n".join(config) + "\n")
        super().start_one(server)

    def command(self, server):
        return ["java", "-Xmx2g", "-cp", ":".join(self.jars()),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                os.path.join(self.folder(server), "zoo.cfg")]

    def leads(self, server):
        with socket.create_connection(("127.0.0.1", self.port(server)), 2) as s:
            s.sendall(b"srvr")
            return b"Mode: leader" in s.recv(4096)


class Etcd(System):
    name = "etcd"

    @staticmethod
    def program():
        for path in (os.path.join(PEERS, "usr/bin/etcd"), "/usr/bin/etcd"):
            if os.path.exists(path):
                return path
        raise Missing("etcd is not here: sh tests/bench/peers.sh fetches it")

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program(), "--version"], capture_output=True, text=True,
                              check=True)
        return done.stdout.splitlines()[0].replace("Version: ", "")

    def command(self, server):
        peers = ",".join("e%d=http://127.0.0.1:%d" % (i + 1, self.port(i, 1))
                         for i in range(SERVERS))
        client = "http://" + self.address(server)
        peer = "http://127.0.0.1:%d" % self.port(server, 1)
        return [self.program(), "--name", "e%d" % (server + 1), "--data-dir",
                os.path.join(self.folder(server), "data"), "--initial-cluster", peers,
                "--initial-cluster-state", "new", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer,
                # Its default of 2 GiB ends in an alarm that only a person can lift.
                "--quota-backend-bytes", "8589934592", "--logger", "zap", "--log-outputs",
                os.path.join(self.folder(server), "log")]

    def leads(self, server):
        ask = urllib.request.Request(
            "http://%s/v3/maintenance/status" % self.address(server), data=b"{}")
        with urllib.request.urlopen(ask, timeout=2) as answer:
            status = json.load(answer)
        return status.get("leader", "0") == status["header"]["member_id"]


SYSTEMS = {s.name: s for s in (Tidelock, ZooKeeper, Etcd)}
