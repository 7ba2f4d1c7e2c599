"""The program behind tests/bench/compare.sh: options, the order of things, what is kept."""
import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import document  # noqa: E402
import figures   # noqa: E402
import measure   # noqa: E402
from rows import CLIENTS, GROUPS, LOADS, OUTAGE, BIG, RECIPES  # noqa: E402
from systems import SYSTEMS, Missing  # noqa: E402

KEPT = ("systems", "rows", "rounds", "seconds", "warmup", "outages", "nodes")


def words(allowed):
    def read(text):
        chosen = text.split(",")
        for word in chosen:
            if word not in allowed:
                raise argparse.ArgumentTypeError("%s: use %s" % (word, ", ".join(allowed)))
        return chosen
    return read


def options(argv):
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    parser.add_argument("--systems", type=words(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--rows", type=words(GROUPS), default=list(GROUPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="that a load is measured")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--outages", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=1000000)
    parser.add_argument("--dir", default=None, help="where the servers' data goes: a disk")
    parser.add_argument("--out", default=None,
                        help="where results.json, table.md and chart.svg go")
    parser.add_argument("--doc", default=None,
                        help="a document whose tables, chart and figures are made anew")
    parser.add_argument("--from", dest="sources", nargs="+", default=None,
                        help="measure nothing: read these results.json, each row from the "
                        "last that has it")
    return parser.parse_args(argv)


class Run:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.results, self.limits, self.begun = {}, [], time.monotonic()

    def say(self, text):
        since = time.monotonic() - self.begun
        print("[%4d s] %s" % (since, text), file=sys.stderr, flush=True)

    def keep(self, row, variant, result):
        """A figure that could not be had is a gap in the table, said here, and no end."""
        self.results.setdefault(row.key, {}).setdefault(variant, []).append(result or {})
        shown = figures.show(row.figure, (result or {}).get(row.figure))
        self.say("%s, %s: %s" % (variant, row.title, shown or "no figure"))

    def attempt(self, what, work):
        try:
            return work()
        except Exception as error:  # one figure less, but not all that was measured before
            self.say("%s: %s: %s" % (what, type(error).__name__, error))
            return None

    def turn(self, number):
        """The systems of a round, each time beginning with another, so that whatever else
        the machine does falls on all of them."""
        names = self.args.systems
        return [SYSTEMS[names[(number + i) % len(names)]] for i in range(len(names))]

    def started(self, kind, work):
        system = kind(self.folder)
        try:
            system.start()
            return work(system)
        finally:
            system.stop()

    def loads(self, number):
        rows = [row for row in LOADS if row.group in self.args.rows]
        if not rows:
            return
        for kind in self.turn(number):
            self.limits.append(measure.machine(self.folder))
            self.say("round %d: the machine: %s" % (number + 1, self.limits[-1]))
            self.attempt(kind.name, lambda k=kind: self.started(
                k, lambda system: self.load_rows(system, rows)))

    def load_rows(self, system, rows):
        variants = [system.name] + ([CLIENTS] if system.name == "tidelock" else [])
        for row in rows:
            for variant in variants:
                if row.load["op"] in RECIPES and variant == "etcd":
                    continue
                if row.load["op"] not in RECIPES and variant == CLIENTS:
                    continue
                self.keep(row, variant, self.attempt(row.title, lambda v=variant, r=row:
                          measure.load(system, v, r, self.args.seconds, self.args.warmup)))

    def outages(self):
        for number in range(self.args.outages if OUTAGE.group in self.args.rows else 0):
            for kind in self.turn(number):
                result = self.attempt(
                    "outage", lambda k=kind: self.started(k, measure.outage))
                self.keep(OUTAGE, kind.name, result)

    def nodes(self):
        if BIG[0].group not in self.args.rows:
            return
        for kind in self.turn(0):
            found = self.attempt("nodes", lambda k=kind: self.started(
                k, lambda system: measure.nodes(system, self.args.nodes, 3)))
            for row in BIG:
                self.keep(row, kind.name, (found or {}).get(row.key))

    def all(self):
        """What was measured before an interruption is kept."""
        try:
            for number in range(self.args.rounds):
                self.loads(number)
            self.outages()
            self.nodes()
        except KeyboardInterrupt:
            self.say("interrupted")
        return {"machine": machine(), "options": {k: vars(self.args)[k] for k in KEPT},
                "versions": {name: SYSTEMS[name].version() for name in self.args.systems},
                "limits": self.limits, "results": self.results}


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        models = [line.split(":", 1)[1].strip()
                  for line in file if line.startswith("model name")]
    return {"processor": models[0] if models else "?", "cores": os.cpu_count(),
            "kernel": platform.release(), "load_average": os.getloadavg()[0]}


def read_kept(paths):
    data = {"results": {}, "limits": []}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            more = json.load(file)
        data = dict(more, results={**data["results"], **more["results"]},
                    limits=data["limits"] + more["limits"])
    return data


def measured(args):
    try:
        for name in args.systems:
            SYSTEMS[name].version()
    except Missing as missing:
        sys.exit("compare.sh: %s, or leave it out by --systems" % missing)
    folder = tempfile.mkdtemp(prefix="tidelock-compare-", dir=args.dir)
    try:
        return Run(args, folder).all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    args = options(sys.argv[1:])
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, interrupted)
    data = read_kept(args.sources) if args.sources else measured(args)
    if args.out:
        document.write(args.out, data)
    if args.doc:
        document.write_doc(args.doc, data)
    print(document.tables(data, figures.plain))


if __name__ == "__main__":
    main()
