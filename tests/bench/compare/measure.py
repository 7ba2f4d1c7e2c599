"""measure.py -- one measurement: the load and what it costs the servers, an outage, a
restart."""
import json
import os
import subprocess
import threading
import time

from rows import CLIENTS, RECIPES
from systems import SERVERS, wire

LOAD = os.path.join(wire.BIN, "bench-load")
LIMITS = os.path.join(wire.BIN, "bench-limits")
TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.05
EDGE_S = 0.3       # at the end of a load, where connections close
OUTAGE_S, OUTAGE_WARMUP_S, KILL_AFTER_S = 6, 2, 1
BIG_LIMIT_S = 900
IDLE_S = 10


def cpu_us(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK_US
    except OSError:
        return 0


def resident_mb(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


class Usage(threading.Thread):
    """Notes the CPU time of the servers and of the generator while a load runs."""

    def __init__(self, servers, client):
        super().__init__(daemon=True)
        self.servers, self.client, self.samples = servers, client, []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_S):
            self.samples.append((time.monotonic(), sum(map(cpu_us, self.servers)),
                                 cpu_us(self.client)))

    def cost(self, seconds, ops_per_s):
        """Of an operation, over most of the time measured, which ended about now."""
        self.ended.set()
        end = time.monotonic() - EDGE_S
        inside = [s for s in self.samples if end - seconds + 2 * EDGE_S < s[0] < end]
        if len(inside) < 2 or not ops_per_s:
            return {}
        count = ops_per_s * (inside[-1][0] - inside[0][0])
        return {"server_cpu_us": (inside[-1][1] - inside[0][1]) / count,
                "client_cpu_us": (inside[-1][2] - inside[0][2]) / count}


def run_load(command, system, seconds):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, stdin=subprocess.DEVNULL)
    usage = Usage(system.pids, process.pid)
    usage.start()
    try:
        out, err = process.communicate(timeout=seconds + 120)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if not out:
        raise RuntimeError("%s: %s" % (" ".join(command), err.strip()[-300:]))
    result = {k: v for k, v in json.loads(out).items() if isinstance(v, (int, float, str))}
    result.update(usage.cost(seconds, result["ops_per_s"]))
    return result


def flags_of(load):
    return [word for name in ("clients", "depth", "locks") if name in load
            for word in ("--" + name, str(load[name]))]


def load(system, variant, row, seconds, warmup):
    """The figures of one row; None when this variant has no such row."""
    op = row.load["op"]
    if variant == CLIENTS and op not in RECIPES or variant == "etcd" and op in RECIPES:
        return None
    times = ["--seconds", str(seconds), "--warmup", str(warmup)]
    leader = system.address(system.await_leader())
    if variant == "tidelock":
        command = [wire.TIDELOCK, "bench", "--op", op, "--servers",
                   ",".join(system.addresses), "-o", "json"]
    else:
        command = [LOAD, system.name, op, "--servers", leader]
    return run_load(command + flags_of(row.load) + times, system, seconds)


# --- outage ---

def outage(system):
    """For how long no write succeeds anywhere while the leader is killed."""
    process = subprocess.Popen(
        [LOAD, system.name, "outage", "--servers", ",".join(system.addresses), "--clients",
         str(SERVERS), "--depth", "4096", "--seconds", str(OUTAGE_S), "--warmup",
         str(OUTAGE_WARMUP_S)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stderr.readline()
        if first.strip() != "measuring":
            raise RuntimeError("outage: " + first + process.stderr.read())
        time.sleep(KILL_AFTER_S)  # the gap is found wherever it lies: room around it
        system.kill(system.await_leader())
        out, _ = process.communicate(timeout=OUTAGE_S + 60)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return {"gap_ms": json.loads(out)["gap_us"] / 1000}


# --- many nodes ---

def probe(system, server, since):
    """Seconds until a write through that server succeeds."""
    done = subprocess.run([LOAD, system.name, "probe", "--servers", system.address(server)],
                          capture_output=True, text=True, timeout=BIG_LIMIT_S)
    if done.returncode != 0:
        raise RuntimeError("probe: " + done.stderr)
    return time.monotonic() - since


def restart_one(system):
    follower = (system.await_leader() + 1) % SERVERS
    system.kill(follower)
    since = time.monotonic()
    system.start_one(follower)
    return probe(system, follower, since)


def restart_all(system):
    for server in range(SERVERS):
        system.kill(server)
    since = time.monotonic()
    for server in range(SERVERS):
        system.start_one(server)
    return probe(system, 0, since)


def most_resident(system):
    return max(map(resident_mb, system.pids))


def most_busy(system, seconds):
    """Percent of a core that the server takes which takes most."""
    before = [cpu_us(pid) for pid in system.pids]
    time.sleep(seconds)
    after = [cpu_us(pid) for pid in system.pids]
    return max(b - a for a, b in zip(before, after)) / seconds / 1e4


def nodes(system, count, settle):
    """Memory idle and with `count` nodes of 100 bytes, of the server that uses most; then
    restarts. A result for each row."""
    time.sleep(settle)
    idle, percent = most_resident(system), most_busy(system, IDLE_S)
    leader = system.address(system.await_leader())
    fill = [LOAD, system.name, "create", "--servers", leader, "--clients", "12", "--depth",
            "50", "--warmup", "0", "--count", str(count)]
    filled = run_load(fill, system, BIG_LIMIT_S)
    time.sleep(settle)
    full = most_resident(system)
    one = restart_one(system)
    return {"idle-memory": {"idle_mb": idle},
            "full-memory": {"full_mb": full, "fill_per_s": filled["ops_per_s"]},
            "idle-cpu": {"idle_percent": percent},
            "restart-one": {"one_s": one}, "restart-all": {"all_s": restart_all(system)}}


# --- the machine ---

def machine(folder):
    """What the machine can do at best, now."""
    sync = subprocess.run([LIMITS, "sync", folder], capture_output=True, text=True,
                          check=True)
    found = json.loads(sync.stdout)
    with subprocess.Popen([LIMITS, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as echo:
        port = json.loads(echo.stdout.readline())["port"]

        def run(clients, depth):
            done = subprocess.run(
                [LOAD, "echo", "get", "--servers", "127.0.0.1:%d" % port, "--clients",
                 str(clients), "--depth", str(depth), "--seconds", "1", "--warmup", "0"],
                capture_output=True, text=True, check=True)
            return json.loads(done.stdout)
        found["trip_p50_us"] = run(1, 1)["p50_us"]
        found["echo_64x1_per_s"] = run(64, 1)["ops_per_s"]
        found["echo_12x100_per_s"] = run(12, 100)["ops_per_s"]
        echo.stdin.close()
    return found
