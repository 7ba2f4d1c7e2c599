"""rows.py -- what is measured, as one table, and what Tidelock must reach in each row.

A row's figures come under a variant: the name of the system, or CLIENTS for recipes that
the clients build on our servers, as they must on the peers' (ZooKeeper's documentation
gives them). Ours run inside the server."""

CLIENTS = "tidelock, by clients"
VARIANTS = ("tidelock", CLIENTS, "zookeeper", "etcd")


class Row:
    """`figure` is the figure that is compared, a key of what a measurement gives; more of
    them is better if it is a rate. `must`: (figure, bound, text)."""

    def __init__(self, key, group, title, figure="ops_per_s", must=(), **load):
        self.key, self.group, self.title, self.figure = key, group, title, figure
        self.must, self.load = must, load

    @property
    def more_is_better(self):
        return self.figure == "ops_per_s"

    def ratio(self, ours, theirs):
        """How many times better ours is."""
        if not ours or not theirs:
            return None
        return ours / theirs if self.more_is_better else theirs / ours


def rate(bound):
    return ("ops_per_s", bound, "%s/s" % format(bound, ","))


def at_most(figure, bound, text):
    return (figure, bound, text)


LOADS = (
    Row("set-1x1", "set", "durable set, 1 x 1", figure="p50_us", op="set", clients=1,
        depth=1, must=[at_most("p50_us", 350, "p50 0.35 ms")]),
    Row("set-64x1", "set", "durable set, 64 x 1", op="set", clients=64, depth=1,
        must=[rate(50000)]),
    Row("set-12x100", "set", "durable set, 12 x 100", op="set", clients=12, depth=100,
        must=[rate(150000), at_most("p99_us", 20000, "p99 20 ms")]),
    Row("create-12x100", "create", "create, 12 x 100", op="create", clients=12, depth=100,
        must=[rate(120000)]),
    Row("get-64x1", "get", "get, 64 x 1", op="get", clients=64, depth=1,
        must=[rate(75000)]),
    Row("get-12x100", "get", "get, 12 x 100", op="get", clients=12, depth=100,
        must=[rate(500000)]),
    Row("counter-100", "counter", "shared counter, 100 clients", op="counter", clients=100,
        depth=1, must=[rate(40000)]),
    Row("lock-100", "lock", "one contended lock, 100 clients", op="lock", clients=100,
        depth=1, locks=1,
        must=[rate(2500), at_most("handover_p50_us", 450, "hand-over p50 0.45 ms")]),
    Row("locks-100", "lock", "100 locks, 100 clients", op="lock", clients=100, depth=1,
        locks=100, must=[rate(15000)]),
    Row("queue-100", "queue", "shared queue, 100 clients", op="queue", clients=100, depth=1,
        must=[rate(18000)]),
)

OUTAGE = Row("outage", "outage", "write outage after kill -9 of the leader",
             figure="gap_ms", must=[at_most("gap_ms", 150, "150 ms"),
                                    at_most("gap_ms_max", 300, "300 ms at most")])
IDLE = Row("idle-memory", "nodes", "resident memory, idle server", figure="idle_mb",
           must=[at_most("idle_mb", 20, "20 MB")])
IDLE_CPU = Row("idle-cpu", "nodes", "CPU of an idle server", figure="idle_percent",
               must=[at_most("idle_percent", 0.5, "0.5 % of a core")])
FULL = Row("full-memory", "nodes", "resident memory, 1,000,000 nodes", figure="full_mb",
           must=[at_most("full_mb", 150, "150 MB")])
ONE = Row("restart-one", "nodes", "restart of one server to serving", figure="one_s",
          must=[at_most("one_s", 1, "1 s")])
ALL = Row("restart-all", "nodes", "restart of all three to serving", figure="all_s")
BIG = (IDLE, IDLE_CPU, FULL, ONE, ALL)

ROWS = LOADS + (OUTAGE,) + BIG
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))

# etcd has no figures for these: it has a lock of the server's own, and for the rest its
# documentation gives no recipe.
RECIPES = ("counter", "lock", "queue")
