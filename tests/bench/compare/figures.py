"""figures.py -- from single measurements to medians, ratios and tables. No I/O."""
import statistics

from rows import ROWS, VARIANTS


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def figure(results, row, variant, name):
    """The median of one figure over the rounds; `_max` at its end: the worst of them."""
    rounds = results.get(row.key, {}).get(variant, [])
    if name.endswith("_max"):
        values = [r[name[:-4]] for r in rounds if name[:-4] in r]
        return max(values) if values else None
    return median([r.get(name) for r in rounds])


def ratio(results, row, variant):
    """How many times better ours is: the median over the rounds, each beside its own."""
    ours = results.get(row.key, {}).get("tidelock", [])
    theirs = results.get(row.key, {}).get(variant, [])
    return median([row.ratio(a.get(row.figure), b.get(row.figure))
                   for a, b in zip(ours, theirs)])


def verdicts(results, row):
    """(what must be, what is, whether it is reached) for each bound; None: not measured."""
    found = []
    for name, bound, text in row.must:
        value = figure(results, row, "tidelock", name)
        found.append((text, show(name, value), is_reached(name, value, bound)))
    return found


def is_reached(name, value, bound):
    if value is None:
        return None
    return value >= bound if name == "ops_per_s" else value <= bound


def show(name, value):
    if value is None:
        return ""
    if name == "ops_per_s":
        return format(round(value), ",") + "/s"
    if name.endswith("_us"):
        return "%.2f ms" % (value / 1000)
    if "_ms" in name:
        return "%d ms" % round(value)
    if name.endswith("_mb"):
        return "%d MB" % round(value)
    if name.endswith("_percent"):
        return "%.1f %%" % value
    if name.endswith("_s"):
        return "%.2f s" % value
    return "%.1f" % value


def cell(results, row, variant):
    """A row's figure, and beside it what a reader also wants to know of it."""
    value = figure(results, row, variant, row.figure)
    if value is None:
        return ""
    parts = [show(row.figure, value)]
    if row.figure == "gap_ms":
        parts.append("(%d)" % round(figure(results, row, variant, "gap_ms_max")))
    if row.figure == "ops_per_s":
        parts.append("p50 %s" % show("p50_us", figure(results, row, variant, "p50_us")))
        parts.append("p99 %s" % show("p99_us", figure(results, row, variant, "p99_us")))
    retries = figure(results, row, variant, "retries_per_op")
    if retries and retries >= 0.05:
        parts.append("%.0f retries each" % retries)
    handover = figure(results, row, variant, "handover_p50_us")
    if handover and row.load.get("locks") == 1:
        parts.append("hand-over %s" % show("handover_p50_us", handover))
    return parts[0] + ("" if len(parts) == 1 else " " + ", ".join(parts[1:]))


def times(value):
    if value is None:
        return ""
    return "%.0fx" % value if value >= 10 else "%.1fx" % value


def variants_of(results):
    return [v for v in VARIANTS if any(v in results.get(row.key, {}) for row in ROWS)]


def rows_of(results):
    return [row for row in ROWS if results.get(row.key)]


def comparison(results):
    """The table's cells, head first."""
    variants = variants_of(results)
    others = [v for v in variants if v != "tidelock"]
    ours = "tidelock" in variants
    head = ["work"] + variants + (["better than " + v for v in others] if ours else [])
    lines = [[row.title] + [cell(results, row, v) for v in variants] +
             ([times(ratio(results, row, v)) for v in others] if ours else [])
             for row in rows_of(results)]
    return [head] + lines


def allowed_by_cpu(results, row, cores):
    """The rate at which servers and generator would use up all cores, were nobody else
    there: no more is possible, whatever it is that a busy machine measures."""
    spent = [figure(results, row, "tidelock", name)
             for name in ("server_cpu_us", "client_cpu_us")]
    return None if None in spent else cores * 1e6 / sum(spent)


def judgement(results, cores):
    lines = [["work", "must reach", "measured", "", "idle cores allow"]]
    for row in rows_of(results):
        for must, measured, reached in verdicts(results, row):
            if reached is not None:
                word = "reached" if reached else "MISSED"
                most = allowed_by_cpu(results, row, cores) if "/s" in must else None
                lines.append([row.title, must, measured, word, show("ops_per_s", most)])
    return lines


def costs(results):
    """CPU microseconds of an operation, of all servers and of the generator."""
    lines = [["work"] + ["%s: servers / generator" % v for v in variants_of(results)]]
    for row in rows_of(results):
        cells = []
        for variant in variants_of(results):
            servers = figure(results, row, variant, "server_cpu_us")
            client = figure(results, row, variant, "client_cpu_us")
            cells.append("" if servers is None else "%.1f / %.1f" % (servers, client))
        if any(cells):
            lines.append([row.title] + cells)
    return lines


def markdown(lines):
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0])] + rest) + "\n"


def plain(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip()
                     for line in lines) + "\n"


def limits(results, measured):
    """What the machine can do, and which share of it we reach. `measured`: what
    measure.machine() found, each time."""
    def of(name):
        return median([m.get(name) for m in measured])

    def row(key):
        return next(r for r in ROWS if r.key == key)
    lines = [["limit", "of the machine", "Tidelock", "share"]]
    sync, trip = of("sync_p10_us"), of("trip_p50_us")
    lines.append(["one sync (fdatasync of 4 KiB): the best tenth; median",
                  "%s; %s" % (show("p10_us", sync), show("p50_us", of("sync_p50_us"))),
                  "", ""])
    lines.append(["one loopback round trip", show("p50_us", trip), "", ""])
    one = figure(results, row("set-1x1"), "tidelock", "p50_us")
    if one and sync and trip:
        least = sync + 2 * trip
        lines.append(["set, 1 x 1: two round trips and one sync", show("p50_us", least),
                      show("p50_us", one), "%.0f %%" % (100 * least / one)])
    for key in ("set-64x1", "get-64x1", "set-12x100", "get-12x100"):
        value = figure(results, row(key), "tidelock", "ops_per_s")
        best = of("echo_%s_per_s" % key.split("-")[1])
        if value and best:
            lines.append(["%s: libuv's echo" % row(key).title, show("ops_per_s", best),
                          show("ops_per_s", value), "%.0f %%" % (100 * value / best)])
    return lines
