#!/usr/bin/env python3
"""cost.py -- what one operation costs: CPU time of each server and of the generator.

Three servers and `tidelock bench` on this machine. The throughput of a machine that does
other things beside says little; microseconds of CPU an operation say where a change leads.
Compare two builds in turns, some rounds each:

    python3 tests/bench/cost.py BUILD create 12 100          one line a round
    python3 tests/bench/cost.py BUILD set 1 1 --seconds 3
    python3 tests/bench/cost.py BUILD create 12 100 --rounds 5 --keep   the tree grows
    python3 tests/bench/cost.py BUILD lock 100 1 -- --locks 100         flags for the bench

Not a test: it judges nothing.
"""
import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time

TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")
EDGE_S = 0.2  # not measured at either end, where clients start and stop


def cpu_us(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def resident_mb(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20


class Cluster:
    """Three servers in a directory of their own; the leader stands first in `pids`."""

    def __init__(self, build):
        self.program = os.path.join(build, "bin", "tidelock")
        self.dir = tempfile.mkdtemp(prefix="tidelock-cost-")
        self.tell("dev", "start", "--dir", self.dir)
        nodes = json.loads(self.tell("dev", "status", "--dir", self.dir, "-o", "json"))["nodes"]
        nodes.sort(key=lambda node: node["role"] != "leader")
        self.pids = [node["pid"] for node in nodes]
        self.servers = ",".join(node["client"] for node in nodes)

    def tell(self, *words):
        return subprocess.run([self.program, *words], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def end(self):
        subprocess.run([self.program, "dev", "stop", "--dir", self.dir], check=False,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


def one_round(cluster, args):
    bench = subprocess.Popen(
        [cluster.program, "bench", "--op", args.op, "--clients", str(args.clients),
         "--depth", str(args.depth), "--seconds", str(args.seconds), "--warmup",
         str(args.warmup), "--servers", cluster.servers, "-o", "json", *args.flags],
        stdout=subprocess.PIPE, text=True)
    pids = [*cluster.pids, bench.pid]
    time.sleep(args.warmup + EDGE_S)
    before, begun = [cpu_us(pid) for pid in pids], time.monotonic()
    time.sleep(args.seconds - 2 * EDGE_S)
    after, ended = [cpu_us(pid) for pid in pids], time.monotonic()
    result = json.loads(bench.communicate()[0])
    count = result["ops_per_s"] * (ended - begun)
    costs = [(b - a) / count for a, b in zip(before, after)]
    print(f"{args.op} {args.clients}x{args.depth}: {result['ops_per_s']:.0f}/s, "
          f"p50 {result['p50_us'] / 1000:.2f}, p99 {result['p99_us'] / 1000:.2f}, "
          f"max {result['max_us'] / 1000:.1f} ms, errors {result['errors']}; "
          f"CPU us an operation: leader {costs[0]:.2f}, followers {costs[1]:.2f} and "
          f"{costs[2]:.2f}, generator {costs[3]:.2f}, all {sum(costs):.2f}; resident MB "
          f"{', '.join(str(resident_mb(pid)) for pid in cluster.pids)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build")
    parser.add_argument("op", help="as `tidelock bench --op`, but delete")
    parser.add_argument("clients", type=int)
    parser.add_argument("depth", type=int)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="one cluster for all rounds")
    parser.add_argument("flags", nargs="*", help="further flags of the bench, behind --")
    args = parser.parse_args()
    cluster = None
    try:
        for _ in range(args.rounds):
            if cluster is None:
                cluster = Cluster(args.build)
            one_round(cluster, args)
            if not args.keep:
                cluster.end()
                cluster = None
    finally:
        if cluster is not None:
            cluster.end()


if __name__ == "__main__":
    main()
