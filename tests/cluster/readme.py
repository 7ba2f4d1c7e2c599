"""readme.py -- what README.md shows is true: its programs are run as they stand there.

Left out are the commands that start and stop servers, those that go on for ever, and pieces
of C that are no whole program.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from lua_process import environment, sanitizer
from tidelock import BIN, Cluster, begin, make_folder, rule, run, same

ROOT = os.path.join(HERE, "../..")
BUILD = os.environ["TIDELOCK_BUILD"]
LIMIT = 40

begin(100)
cluster = Cluster(3)
folder = make_folder()
variables = dict(os.environ, TIDELOCK_SERVERS=cluster.servers,
                 PATH=BIN + os.pathsep + os.environ["PATH"])
with open(os.path.join(ROOT, "README.md")) as file:
    BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", file.read(), re.M | re.S)


def block(language, part):
    """The one block of this language that has the part."""
    found = [text for name, text in BLOCKS if name == language and part in text]
    same(len(found), 1, "blocks with " + part)
    return found[0]


def execute(*command, env=None):
    done = subprocess.run(command, env=env or variables, cwd=folder, capture_output=True,
                          text=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    same((done.returncode, done.stderr), (0, ""), " ".join(command)[:80])
    return done.stdout


def tidelock(*words):
    return execute("tidelock", *words)


def run_lua(text):
    with open(os.path.join(folder, "shown.lua"), "w") as program:
        program.write(text)
    return execute("lua5.4", "shown.lua", env=environment(TIDELOCK_SERVERS=cluster.servers))


@rule
def the_first_five_minutes_go_as_shown():
    shown = [line for line in block("sh", "tidelock dev start").splitlines()
             if line.startswith("tidelock ") and "tidelock dev " not in line
             and not re.search(r"&\s*(#.*)?$", line)]
    script = "\n".join(shown).replace("examples/", os.path.join(ROOT, "examples/"))
    out = execute("sh", "-e", "-c", script)
    assert "I hold /locks/report/holder by token " in out, out
    assert "I lead" in out and out.endswith("hello, world"), out


@rule
def a_guarded_write_in_the_shell():
    execute("sh", "-e", "-c", block("sh", "tidelock create /ledger"))
    same(tidelock("get", "/ledger"), "paid")


@rule
def a_guarded_write_in_lua():
    tidelock("set", "/ledger", "")
    run_lua(block("lua", "c:lock"))
    same(tidelock("get", "/ledger"), "paid")


@rule
def a_guarded_write_in_c():
    source = os.path.join(folder, "paid.c")
    tidelock("set", "/ledger", "")
    with open(source, "w") as program:
        program.write(block("c", "main(void)"))
    sanitized = ["-fsanitize=address,undefined"] if sanitizer() else []
    execute("cc", "-Wall", "-Wextra", *sanitized, source,
            "-I" + os.path.join(ROOT, "core/client"), os.path.join(BUILD, "libtidelock.a"), "-lmsgpackc", "-lxxhash", "-lpthread",
            "-o", os.path.join(folder, "paid"))
    execute(os.path.join(folder, "paid"))
    same(tidelock("get", "/ledger"), "paid")


@rule
def a_term_and_a_configuration_in_lua():
    connect = 'local c <close> = assert(require "tidelock".connect { session = true })\n'
    shown = block("lua", "campaign").replace("version.data)", "version.data) break")
    out = run_lua(connect + shown)
    same(out.split("\t"), ["1", "colour = blue\n"])
    same(tidelock("get", "/ledger"), "closed")


@rule
def a_recipe_of_ones_own():
    same(execute("sh", "-e", "-c", block("sh", "visits.lua")).split()[-1], "1")
    same(tidelock("call", "visits.count", '{"path": "/visits/home"}'), "2\n")


run(cluster.log_tails)
