"""compare.py -- tests/bench/compare.sh from its start to its files, with our own servers
only, for a second a row. It judges no figure: the machine may be slow. That the peers'
wires are spoken as their protocols say is in tests/unit/t_load_wires.c."""
import json
import os
import subprocess
import sys
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from tidelock import begin, is_alive, make_folder, rule, run, same

begin(240)
COMPARE = os.path.join(HERE, "../bench/compare.sh")
out, work = make_folder(), make_folder()


def compare(*flags):
    return subprocess.run(["sh", COMPARE, *flags], capture_output=True, text=True,
                          env=dict(os.environ, TIDELOCK_PEERS=os.path.join(work, "none")),
                          timeout=200)


def servers():
    """Processes whose data stands in our folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if work.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return [pid for pid in found if is_alive(pid)]


@rule
def it_measures_writes_its_files_and_leaves_nothing():
    done = compare("--systems", "tidelock", "--rounds", "1", "--seconds", "1",
                   "--warmup", "0", "--outages", "1", "--nodes", "2000",
                   "--dir", work, "--out", out)
    same(done.returncode, 0, done.stderr[-2000:])
    with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
        found = json.load(file)["results"]
    empty = [(row, variant) for row, variants in found.items()
             for variant, rounds in variants.items() if rounds == [{}]]
    same(empty, [], "rows without a figure: " + done.stderr[-2000:])
    same(len(found), 16, "rows")
    xml.dom.minidom.parse(os.path.join(out, "chart.svg"))
    with open(os.path.join(out, "table.md"), encoding="utf-8") as file:
        assert "| durable set, 12 x 100 |" in file.read()
    same(os.listdir(work), [], "left behind")
    same(servers(), [], "servers left")


@rule
def tables_are_made_again_from_kept_results():
    done = compare("--from", os.path.join(out, "results.json"))
    same(done.returncode, 0, done.stderr)
    assert "one contended lock" in done.stdout, done.stdout


@rule
def a_peer_that_is_not_there_is_named_with_what_to_do():
    if os.path.exists("/usr/bin/etcd"):
        return
    done = compare("--systems", "etcd", "--dir", work)
    same(done.returncode, 1)
    assert "sh tests/bench/peers.sh" in done.stderr, done.stderr


@rule
def an_unknown_row_is_refused():
    done = compare("--rows", "nonsense")
    same(done.returncode, 2)
    assert "use set, create" in done.stderr, done.stderr


run()
