#!/usr/bin/env python3
"""scale.py -- how the cost of an operation grows, as short tables.

    export TIDELOCK_BUILD=...
    python3 tests/bench/scale.py payload             16 B to 1 MB, the largest
    python3 tests/bench/scale.py clients             1 to 10,000 connections
    python3 tests/bench/scale.py servers             1, 3, 5 and 7, with and without learners
    python3 tests/bench/scale.py tree --to 1000000   1,000 nodes and more: memory and restarts, too

Every row is `tidelock bench` for --seconds, on a fresh cluster of three unless it says
otherwise. On a machine that does other things beside, look at the CPU time of all servers for
one operation, which stays; throughput and latencies do not. Not a test: it judges nothing.
"""
import argparse
import os
import time

from measure import bench, head, ms, resident_bytes, row, seconds_until_served
from tidelock import Cluster, begin


def us_per_op(got):
    cpu = got["server_cpu_s_per_1000"]
    return "unknown" if cpu is None else "%.1f" % (cpu * 1000)


def measured(name, got):
    row(name, got["op"], "%dx%d" % (got["clients"], got["depth"]), "%.0f" % got["ops_per_s"],
        ms(got["p50_us"]), ms(got["p99_us"]), ms(got["max_us"]), us_per_op(got),
        got["errors_by_name"] or "")


def begin_table(what):
    head(what, "op", "clients x depth", "ops/s", "p50 ms", "p99 ms", "max ms",
         "CPU us of all servers/op", "errors")


def time_flags(args):
    return ["--seconds", args.seconds, "--warmup", 1, "--timeout", 60000]


def payload(args):
    cluster = Cluster(3)
    begin_table("value")
    for size, name in ((16, "16 B"), (100, "100 B"), (1024, "1 KiB"), (10240, "10 KiB"),
                       (102400, "100 KiB"), (1000000, "1 MB")):
        depth = max(1, min(100, 131072 // size))
        keys = max(16, min(1024, (16 << 20) // size))
        for op in ("set", "get"):
            measured(name, bench(cluster.servers, op, "--clients", 12, "--depth", depth,
                                 "--size", size, "--keys", keys, *time_flags(args)))


def clients(args):
    cluster = Cluster(3)
    begin_table("clients")
    for count in (1, 10, 100, 1000, 3000, 9900):
        for op in ("set", "get"):
            measured(count, bench(cluster.servers, op, "--clients", count,
                                  *time_flags(args)))
        print("  resident MB: %s" % ", ".join(
            "%.0f" % (resident_bytes(n["pid"]) / 1e6) for n in cluster.status()))


def servers(args):
    begin_table("servers")
    for voters, learners in ((1, 0), (3, 0), (5, 0), (7, 0), (3, 2)):
        cluster = Cluster(voters)
        for _ in range(learners):
            cluster.add("--learner")
        name = "%d" % voters + (" + %d learners" % learners if learners else "")
        for op in ("set", "get"):
            for shape in ((1, 1), (12, 100)):
                measured(name, bench(cluster.servers, op, "--clients", shape[0], "--depth",
                                     shape[1], *time_flags(args)))
        cluster.dev("stop")


def restarts(cluster):
    """Seconds from the start of one server until it serves: stopped, and killed."""
    took = []
    for end in (lambda: cluster.dev("stop"), lambda: cluster.kill(1)):
        end()
        begun = time.monotonic()
        cluster.dev("start")
        took.append(seconds_until_served(cluster.nodes[1], begun))
    return took


def directory_bytes(folder):
    return sum(os.stat(os.path.join(path, name)).st_size
               for path, _, names in os.walk(folder) for name in names)


def tree(args):
    head("nodes", "set/s", "set p99 ms", "CPU us/set", "get/s", "get p99 ms", "CPU us/get",
         "resident MB after load", "after restart", "after reads", "disk MB",
         "restart s: stopped", "killed")
    count = args.first
    while count <= args.to:
        cluster = Cluster(1)
        shape = ["--clients", 12, "--depth", 100, "--keys", count]
        begun = time.monotonic()
        wrote = bench(cluster.servers, "set", *shape, *time_flags(args))
        print("  loaded in %.0f s" % (time.monotonic() - begun), flush=True)
        loaded = resident_bytes(cluster.pid(1))
        stopped, killed = restarts(cluster)
        fresh = resident_bytes(cluster.pid(1))
        read = bench(cluster.servers, "get", *shape, "--prepared", *time_flags(args))
        row(count, "%.0f" % wrote["ops_per_s"], ms(wrote["p99_us"]), us_per_op(wrote),
            "%.0f" % read["ops_per_s"], ms(read["p99_us"]), us_per_op(read),
            "%.1f" % (loaded / 1e6), "%.1f" % (fresh / 1e6),
            "%.1f" % (resident_bytes(cluster.pid(1)) / 1e6),
            "%.1f" % (directory_bytes(cluster.dir) / 1e6), "%.2f" % stopped, "%.2f" % killed)
        cluster.dev("stop")
        count *= args.step


def main():
    tables = {"payload": payload, "clients": clients, "servers": servers, "tree": tree}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", choices=tables)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--from", type=int, default=1000, dest="first",
                        help="nodes of the smallest tree")
    parser.add_argument("--to", type=int, default=1000000, help="nodes of the largest tree")
    parser.add_argument("--step", type=int, default=10, help="each tree is so much larger")
    args = parser.parse_args()
    begin(7200)
    tables[args.table](args)


if __name__ == "__main__":
    main()
