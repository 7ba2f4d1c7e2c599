"""bench.py -- `tidelock bench` against a real cluster: every operation it knows, for a
second, and what it says of them.

It judges no figure: the machine may be slow. What is wrong on the command line alone is in
tests/unit/cli.sh, the arithmetic in tests/unit/t_bench.c.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import Cluster, begin, rule, run, same
from command import FAILED, OK, answers, cli

begin(180)
cluster = Cluster(3)
os.environ["TIDELOCK_SERVERS"] = cluster.servers
KEYS = {"op", "clients", "depth", "size", "seconds", "count", "ops_per_s", "p50_us",
        "p90_us", "p99_us", "p999_us", "max_us", "errors", "errors_by_name",
        "server_cpu_s_per_1000", "server_resident_bytes", "client_cpu_s_per_1000", "servers"}


def bench(op, *flags):
    """What it says of one second; whatever it is, it must make sense."""
    got = answers("bench", "--op", op, "--seconds", "1", "--warmup", "0", *flags)
    same(KEYS - set(got), set(), "missing keys")
    same((got["op"], got["errors"], got["errors_by_name"]), (op, 0, {}), "errors")
    assert got["count"] > 0 and got["ops_per_s"] > 0, got
    latencies = [got[key] for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")]
    same(latencies, sorted(latencies), "latencies")
    return got


def shipped():
    return [r["name"] for r in answers("recipe", "list")["recipes"]]


@rule
def operations_on_nodes():
    for op in ("set", "get", "create", "multi", "mix"):
        bench(op, "--clients", "2", "--keys", "16", "--size", "10")


@rule
def nodes_of_an_earlier_run_may_be_used_again():
    bench("get", "--keys", "16", "--prepared")
    status, out, _ = cli("bench", "--op", "get", "--keys", "1000000", "--prepared",
                         "--seconds", "1", "--warmup", "0", "-o", "json")
    same((status, list(json.loads(out)["errors_by_name"])), (FAILED, ["no_node"]), "others")


@rule
def a_delete_ends_when_all_nodes_are_gone():
    got = bench("delete", "--keys", "50", "--clients", "3", "--depth", "4")
    same(got["count"], 50, "deleted")


@rule
def requests_of_a_client_are_pipelined():
    same(bench("set", "--depth", "20")["depth"], 20, "depth")


@rule
def clients_may_be_spread_over_all_servers():
    bench("mix", "--clients", "6", "--spread", "--read-share", "50")


@rule
def a_watched_change_reaches_all_watchers():
    bench("watch", "--clients", "20", "--spread")


@rule
def sessions_open_and_close():
    bench("session", "--clients", "3", "--depth", "2")


@rule
def an_empty_recipe_is_put_and_removed():
    before = shipped()
    bench("call", "--clients", "3", "--depth", "3")
    same(shipped(), before, "recipes")


@rule
def a_contended_lock_is_handed_over_with_rising_tokens():
    got = bench("lock", "--clients", "5", "--depth", "2")
    assert 0 < got["handover_p50_us"] <= got["handover_p99_us"], got
    bench("lock", "--clients", "5", "--locks", "100")


@rule
def counters_queues_and_barriers():
    bench("counter", "--clients", "4", "--depth", "3")
    bench("queue", "--clients", "4", "--depth", "3")
    bench("barrier", "--clients", "4")


@rule
def in_an_open_loop_operations_come_at_the_rate():
    got = bench("set", "--clients", "4", "--depth", "50", "--rate", "200")
    same((got["rate"], got["count"]), (200, 200), "operations")


@rule
def what_comes_too_fast_is_not_left_out():
    """One client at a time cannot do a million a second: most of them are late."""
    status, out, err = cli("bench", "--op", "set", "--rate", "1000000", "--seconds", "1",
                           "--warmup", "0", "--timeout", "300", "-o", "json")
    got = json.loads(out)
    same((status, got["count"] + got["errors"]), (FAILED, 1000000), "operations")
    same(got["errors_by_name"], {"timeout": got["errors"]}, "failures")
    assert "timeout" in err, err


@rule
def servers_that_run_here_are_looked_at():
    got = bench("set")
    same(sorted(s["pid"] for s in got["servers"]),
         sorted(n["pid"] for n in cluster.status()), "processes")
    same(got["server_resident_bytes"], sum(s["resident_bytes"] for s in got["servers"]), "sum")
    assert got["server_cpu_s_per_1000"] > 0 and got["client_cpu_s_per_1000"] > 0, got


@rule
def the_table_and_its_progress_are_for_people():
    status, out, err = cli("bench", "--op", "get", "--seconds", "2", "--warmup", "0",
                           "--progress")
    same((status, out.split()[:2], "p99.9 us" in out), (OK, ["op", "clients"], True), "table")
    assert "/s, p50 " in err, err


@rule
def a_failure_has_its_name():
    cli("recipe", "put", "-", "counter", data=b"return { add = function() error('no') end }")
    status, out, err = cli("bench", "--op", "counter", "--seconds", "1", "--warmup", "0",
                           "-o", "json")
    cli("recipe", "rm", "counter")
    got = json.loads(out)
    same((status, got["count"], list(got["errors_by_name"])), (FAILED, 0, ["script_failed"]),
         "failures")
    assert "script_failed" in err, err


run(cluster.log_tails)
